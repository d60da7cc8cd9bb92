"""A report: one self-contained HTML page, made from a run folder alone."""

import dataclasses
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from icl_eval.figures.training import emergence
from icl_eval.report.configuration import downloads, setting
from icl_eval.report.example_strips import strips
from icl_eval.report.headlines import HEADLINES, headline
from icl_eval.report.html import Html, against, card, course, document, interval, plot, tag
from icl_eval.report.mechanisms import attention, baselines, confusions, frequencies, heads, later_in_training
from icl_eval.report.numbers import all_numbers
from icl_eval.report.tasks import by_examples, fitted, is_of_tasks, over_training, task_cards, transfer
from icl_eval.results.estimate import readable
from icl_eval.runs.reading import Run, read_run
from icl_eval.runs.writing import write_atomically

_MEANINGS = {
    "icl": (
        "In context (ICL)",
        "Closed accuracy on classes never trained on: only the context can tell which label is right. "
        "The arg-max is taken over the labels that the context can hold: the number that the papers plot.",
    ),
    "iwl": (
        "In weights (IWL)",
        "Open accuracy on trained classes whose context does not hold the answer: only the weights can. "
        "The arg-max is taken over all labels.",
    ),
}


# What drawing numbers that make no sense can raise.
_ODD = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page that the table of contents names.

    Attributes:
      title: its heading.
      anchor: its address on the page: lower-case letters, digits and dashes.
      make: gives what stands beneath the heading from a run and its folder; nothing if the run has none of it.

    Raises:
      ValueError: if the anchor would not do as an address.

    >>> Section(title="All numbers", anchor="numbers", make=lambda run, folder: Html("")).anchor
    'numbers'
    """

    title: str
    anchor: str
    make: Callable[[Run, Path], Html]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.anchor):
            raise ValueError(f"Wanted an anchor of lower-case letters, digits and dashes, got {self.anchor!r}.")


def write_report(folder: Path) -> Path:
    """Write report.html, and its figures as PNG files, into a run folder.

    The page embeds all it shows and loads nothing. The same folder always gives the same bytes. What is
    missing or damaged in the folder is named on the page.

    Returns:
      The path of the page.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if it is not the folder of a run.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "config.json").write_text('{"config": {"seed": 0}}')
    >>> write_report(folder).name
    'report.html'
    """
    run = read_run(folder)
    there: list[tuple[Section, Html]] = []
    for section in SECTIONS:
        try:
            content = section.make(run, folder)
        except _ODD as error:  # numbers that no run writes, in a file that was damaged or made by hand
            sentence = f"{section.title}: could not be drawn ({type(error).__name__}: {str(error)[:200]})."
            run = dataclasses.replace(run, missing=(*run.missing, sentence))
            continue
        if content:
            there.append((section, content))
    parts = [
        tag("section", tag("h2", section.title), content, id=section.anchor, class_="part")
        for section, content in there
    ]
    contents = _contents([section for section, _ in there])
    style = (resources.files("icl_eval.report") / "report.css").read_text(encoding="utf-8")
    if is_of_tasks(run):
        style += (resources.files("icl_eval.report") / "tasks.css").read_text(encoding="utf-8")
    path = folder / "report.html"
    page = document(
        f"{run.name}: in-context learning report",
        style=style,
        script=(resources.files("icl_eval.report") / "report.js").read_text(encoding="utf-8"),
        body=tag("main", _header(run), contents, _headlines(run), *parts, _footer(run)),
    )
    # A half of a surrogate pair, which JSON can hold and UTF-8 cannot, is shown as a question mark.
    write_atomically(path, page.encode(errors="replace"))
    return path


def _contents(sections: list[Section]) -> Html:
    links = (tag("li", tag("a", section.title, href=f"#{section.anchor}")) for section in sections)
    return tag("nav", tag("ul", *links), aria_label="Contents") if sections else Html("")


def _header(run: Run) -> Html:
    train = run.summary.get("train")
    known = train.items() if isinstance(train, dict) else ()
    numbers = {name: n for name, n in known if isinstance(n, int | float) and not isinstance(n, bool)}
    steps = numbers.get("steps", max(run.metrics, default=None))
    facts = [f"{steps:,} training steps" if isinstance(steps, int) else "no training logged"]
    if (seconds := numbers.get("seconds")) is not None:
        facts.append(f"{seconds:,.0f} seconds")
    if (rate := numbers.get("steps_per_second")) is not None:
        facts.append(f"{rate:,.1f} steps/s")
    if (loss := numbers.get("final_loss")) is not None:
        facts.append(f"final loss {readable(float(loss))}")
    if "seed" in run.summary:
        facts.append(f"seed {run.summary['seed']}")
    return tag(
        "header",
        tag("p", "In-context learning report", class_="soft"),
        tag("h1", run.name),
        tag("p", " · ".join(facts), class_="soft"),
    )


def _headlines(run: Run) -> Html:
    """Show the two numbers that the run is about, each with its interval, its chance and its meaning."""
    latest = run.latest()
    cards = task_cards(run)
    for each in HEADLINES:
        evaluation, metric = headline(run, each)
        if evaluation not in latest or metric not in latest[evaluation][1].metrics:
            continue
        result = latest[evaluation][1]
        estimate, chance = result.metrics[metric], result.chance.get(metric)
        title, meaning = _MEANINGS[each]
        known = f"95 % interval {interval(estimate)}, {estimate.count:,} sequences"
        said = tag("p", known, *([] if chance is None else ["; ", against(estimate, chance)]), ".")
        cards.append(card(title, value=readable(estimate.value), said=said, meaning=meaning, kind=each))
    return tag("div", *cards, class_="numbers") if cards else Html("")


def _emergence(run: Run, folder: Path) -> Html:
    """Draw accuracies and loss over training, for light and for dark pages, and save the light one as PNG."""
    icl, iwl = (run.evaluation_curve(*headline(run, each)) for each in ("icl", "iwl"))
    loss = run.training_curve("loss")
    if icl is None and iwl is None and loss is None:
        return Html("")
    drawn = [("in-context (ICL)", icl), ("in-weights (IWL)", iwl)]
    said = [f"{name} accuracy {course(curve, at='step')}" for name, curve in drawn if curve is not None]
    if loss is not None:
        said.append(f"training loss from {readable(loss.values[0])} to {readable(loss.values[-1])}")
    return plot(
        folder,
        "emergence",
        lambda theme: emergence(icl=icl, iwl=iwl, loss=loss, theme=theme),
        alt=f"Over training: {'; '.join(said)}.",
        caption=_emergence_caption(
            [name for name, curve in drawn if curve is not None], loss=loss is not None, run=run
        ),
    )


def _emergence_caption(shown: list[str], *, loss: bool, run: Run) -> str:
    if not shown:
        return "The loss that training logged, by training step."
    counts = sorted(
        {result.count for name, _ in HEADLINES.values() for result in run.evaluations.get(name, {}).values()}
    )
    counted = " to ".join(f"{count:,}" for count in dict.fromkeys([counts[0], counts[-1]]))
    return (
        f"Accuracy {' and '.join(shown)}{', above the training loss,' if loss else ''} by training step. Bands are "
        f"95 % intervals from {counted} sequences per point; dotted lines are chance."
    )


def _missing(run: Run, folder: Path) -> Html:
    """Name what is not in the folder or could not be read."""
    return tag("ul", *(tag("li", sentence) for sentence in run.missing)) if run.missing else Html("")


def _footer(run: Run) -> Html:
    command = tag("code", f"python -m icl_eval report runs/{run.name}")
    return tag("footer", "Made from the run folder alone by ", command, ".")


SECTIONS = (
    Section(
        title="Over training",
        anchor="training",
        make=lambda run, folder: over_training(run, folder) or _emergence(run, folder),
    ),
    Section(title="Later in training", anchor="later", make=later_in_training),
    Section(title="Against baselines", anchor="baselines", make=baselines),
    Section(title="By class frequency", anchor="frequency", make=frequencies),
    Section(title="Confusion of context labels", anchor="confusion", make=confusions),
    Section(title="Attention heads", anchor="heads", make=heads),
    Section(title="Where the model looks", anchor="attention", make=attention),
    Section(title="By number of examples", anchor="by-examples", make=by_examples),
    Section(title="Fitted functions", anchor="fits", make=fitted),
    Section(title="Transfer", anchor="transfer", make=transfer),
    Section(title="Example sequences", anchor="examples", make=strips),
    Section(title="All numbers", anchor="numbers", make=all_numbers),
    Section(title="How it was made", anchor="setting", make=setting),
    Section(title="Downloads", anchor="downloads", make=downloads),
    Section(title="Missing", anchor="missing", make=_missing),
)
"""The page, from top to bottom."""
