"""A report: one self-contained HTML page, made from a run folder alone."""

from importlib import resources
from pathlib import Path
from typing import Any

from icl_eval.estimate import readable
from icl_eval.figures import emergence
from icl_eval.page import Html, breakable, document, table, tag
from icl_eval.parts import against, card, chance_text, course, interval, plot
from icl_eval.run import HEADLINES, Run, read_run
from icl_eval.run_folder import write_atomically
from icl_eval.strip import strips
from icl_eval.task_sections import is_of_tasks, measures_note, over_training, task_cards, task_sections, unit

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


def write_report(folder: Path) -> Path:
    """Write report.html, and its figures as PNG files, into a run folder.

    The page embeds all it shows and loads nothing. The same folder always gives the same bytes. What is
    missing or damaged in the folder is named on the page.

    Returns:
      The path of the page.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if it is not the folder of a run.
    """
    run = read_run(folder)
    parts = [
        _header(run),
        _headlines(run),
        over_training(run, folder) or _emergence(run, folder),
        *task_sections(run, folder),
        strips(run),
        _numbers(run),
        _setting(run),
        _missing(run),
    ]
    style = (resources.files("icl_eval") / "report.css").read_text(encoding="utf-8")
    if is_of_tasks(run):
        style += (resources.files("icl_eval") / "tasks.css").read_text(encoding="utf-8")
    path = folder / "report.html"
    page = document(f"{run.name}: in-context learning report", style=style, body=tag("main", *parts, _footer(run)))
    write_atomically(path, page.encode())
    return path


def _header(run: Run) -> Html:
    train = run.summary.get("train")
    train = train if isinstance(train, dict) else {}
    steps = train.get("steps", max(run.metrics, default=None))
    facts = [f"{steps:,} training steps" if isinstance(steps, int) else "no training logged"]
    if isinstance(seconds := train.get("seconds"), int | float):
        facts.append(f"{seconds:,.0f} seconds")
    if isinstance(rate := train.get("steps_per_second"), int | float):
        facts.append(f"{rate:,.1f} steps/s")
    if isinstance(loss := train.get("final_loss"), int | float):
        facts.append(f"final loss {readable(loss)}")
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
    for headline, (evaluation, metric) in HEADLINES.items():
        if evaluation not in latest or metric not in latest[evaluation][1].metrics:
            continue
        result = latest[evaluation][1]
        estimate, chance = result.metrics[metric], result.chance.get(metric)
        title, meaning = _MEANINGS[headline]
        known = f"95 % interval {interval(estimate)}, {estimate.count:,} sequences"
        said = tag("p", known, *([] if chance is None else ["; ", against(estimate, chance)]), ".")
        cards.append(card(title, value=readable(estimate.value), said=said, meaning=meaning, kind=headline))
    return tag("div", *cards, class_="numbers") if cards else Html("")


def _emergence(run: Run, folder: Path) -> Html:
    """Draw accuracies and loss over training, for light and for dark pages, and save the light one as PNG."""
    icl, iwl = (run.evaluation_curve(*HEADLINES[headline]) for headline in ("icl", "iwl"))
    loss = run.training_curve("loss")
    if icl is None and iwl is None and loss is None:
        return Html("")
    drawn = [("in-context (ICL)", icl), ("in-weights (IWL)", iwl)]
    said = [f"{name} accuracy {course(curve, at='step')}" for name, curve in drawn if curve is not None]
    if loss is not None:
        said.append(f"training loss from {readable(loss.values[0])} to {readable(loss.values[-1])}")
    counts = sorted(
        {result.count for name, _ in HEADLINES.values() for result in run.evaluations.get(name, {}).values()}
    )
    caption = "Bands are 95 % intervals"
    caption += (
        f" from {' to '.join(f'{count:,}' for count in counts[:1] + counts[1:][-1:])} sequences per point"
        if counts
        else ""
    )
    caption += "; dotted lines are chance. " if counts else ". "
    figure = plot(
        folder,
        "emergence",
        lambda theme: emergence(icl=icl, iwl=iwl, loss=loss, theme=theme),
        alt=f"Over training: {'; '.join(said)}.",
        caption=caption if counts else "The loss that training logged.",
    )
    return tag("section", tag("h2", "Over training"), figure)


def _numbers(run: Run) -> Html:
    """Show the last result of every evaluation, a table each: narrow enough for a phone."""
    header = ["measure", "value", "95 % interval", "chance"]
    parts = []
    for name, (step, result) in run.latest().items():
        rows = [
            [metric, readable(estimate.value), interval(estimate), chance_text(result.chance.get(metric))]
            for metric, estimate in result.metrics.items()
        ]
        size = tag("p", f"{result.count:,} {unit(result)}, after step {step:,}", class_="soft")
        parts += [tag("h3", name), size, table(header, rows, label=name, class_="measures")]
    note = measures_note({metric for _, result in run.latest().values() for metric in result.metrics})
    return tag("section", tag("h2", "All numbers"), tag("p", note, class_="soft"), *parts) if parts else Html("")


def _setting(run: Run) -> Html:
    """Show config.json: the configuration, the versions, and whatever else it says, each to be unfolded."""
    named = {"Configuration": run.config.get("config"), "Versions": run.config.get("versions")}
    rest = {key: value for key, value in run.config.items() if key not in ("config", "versions")}
    sections = [
        tag("details", tag("summary", title), _settings(title, value))
        for title, value in (named | {"Session": rest}).items()
        if value
    ]
    return tag("section", tag("h2", "How it was made"), *sections) if sections else Html("")


def _settings(title: str, value: Any) -> Html:
    rows = [[breakable(name), setting] for name, setting in flatten(value)]
    return table(["name", "value"], rows, label=title, class_="settings")


def _missing(run: Run) -> Html:
    items = (tag("li", sentence) for sentence in run.missing)
    return tag("section", tag("h2", "Missing"), tag("ul", *items)) if run.missing else Html("")


def _footer(run: Run) -> Html:
    command = tag("code", f"python -m icl_eval report runs/{run.name}")
    return tag("footer", "Made from the run folder alone by ", command, ".")


def flatten(value: Any, *, name: str = "") -> list[tuple[str, str]]:
    """Return the leaves of nested JSON with dotted names, as the command line spells them.

    >>> flatten({"train": {"steps": 2000, "mesh": []}, "seed": 0})
    [('train.steps', '2000'), ('train.mesh', '[]'), ('seed', '0')]
    """
    if isinstance(value, dict) and value:
        return [
            leaf for key, inner in value.items() for leaf in flatten(inner, name=f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        return [leaf for place, inner in enumerate(value) for leaf in flatten(inner, name=f"{name}[{place}]")]
    return [(name, ", ".join(map(str, value)) if isinstance(value, list) and value else str(value))]
