"""A comparison of runs: their curves in one figure, or a self-contained page with figures and tables."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from icl_eval.figures.drawing import DARK, LIGHT, Theme, encode
from icl_eval.figures.training import accuracies_over_training, final_values, group_colours
from icl_eval.report.configuration import json_bytes
from icl_eval.report.headlines import HEADLINES, headline
from icl_eval.report.html import Html, breakable, course, data_uri, document, embedded, interval, table, tag
from icl_eval.report.numbers import number_cell
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, readable
from icl_eval.runs.reading import Run, read_run
from icl_eval.runs.seeds import Group, differing, group_runs, numeric_difference
from icl_eval.runs.writing import write_atomically

Form = Literal["png", "svg"]


_TITLES = {
    "training": "Over training",
    "end": "At the end",
    "numbers": "Final numbers",
    "options": "Options that differ",
    "downloads": "Downloads",
    "missing": "Missing",
}


def write_comparison(folders: Sequence[Path], to: Path) -> Path:
    """Compare runs: as a figure (.png or .svg), or as a page (.html) with figures and tables.

    Runs that differ in nothing but their seed are one line: the mean, in a band from the lowest to the highest seed.
    The same folders always give the same bytes. A figure wants the in-context accuracy of every run; a page names what
    is missing.

    Args:
      folders: of one or more runs, of different names.
      to: the file to write; its ending says what.

    Returns:
      `to`.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: not such an ending, no runs, two of one name, more groups than colours, or, for a figure, a run
        without in-context accuracy.

    >>> write_comparison([], Path("a.gif"))
    Traceback (most recent call last):
    ValueError: Wanted a .png or .svg file to draw to, or a page that ends in .html; got a.gif.
    """
    if to.suffix not in (".png", ".svg", ".html"):
        raise ValueError(f"Wanted a .png or .svg file to draw to, or a page that ends in .html; got {to}.")
    if not folders:
        raise ValueError("Wanted one or more run folders to compare, got none.")
    runs = [read_run(folder) for folder in folders]
    groups = group_runs(runs)
    if to.suffix == ".html":
        content = _page(runs, groups).encode(errors="replace")
    else:
        for run in runs:
            if run.evaluation_curve(*HEADLINES["icl"]) is None:
                raise ValueError(
                    f"Wanted run folders with evaluations to draw; got no {HEADLINES['icl'][0]} in {run.name}. Leave "
                    "it out, or write an .html page, which names what is missing."
                )
        form: Form = "svg" if to.suffix == ".svg" else "png"
        content = encode(_over_training(groups, LIGHT), form=form)
    write_atomically(to, content)
    return to


def _curves(groups: Sequence[Group], which: str) -> dict[str, ScalarCurve]:
    found = {group.name: group.curve(*headline(group.runs[0], which)) for group in groups}
    return {name: curve for name, curve in found.items() if curve is not None}


def _over_training(groups: Sequence[Group], theme: Theme) -> Figure:
    difference = numeric_difference(groups)
    colours = group_colours(
        [group.name for group in groups], grades=None if difference is None else difference[1], theme=theme
    )
    return accuracies_over_training(_curves(groups, "icl"), _curves(groups, "iwl"), colours=colours, theme=theme)


def _ends(groups: Sequence[Group], which: str) -> dict[str, Estimate]:
    """Return the last known value of each group's curve, with its band."""
    ends = {}
    for group in groups:
        curve = group.curve(*headline(group.runs[0], which))
        if curve is not None and len(known := np.flatnonzero(np.isfinite(curve.values))):
            value, low, high = (float(row[known[-1]]) for row in (curve.values, curve.low, curve.high))
            ends[group.name] = Estimate(value=value, low=low, high=high, count=len(group.runs))
    return ends


def _page(runs: Sequence[Run], groups: Sequence[Group]) -> str:
    title = f"Comparison of {len(runs)} runs" if len(runs) > 1 else f"Comparison: {runs[0].name}"
    seeds = f", in {len(groups)} groups that differ in more than the seed" if len(groups) < len(runs) else ""
    header = tag(
        "header",
        tag("p", "In-context learning comparison", class_="soft"),
        tag("h1", title),
        tag("p", f"{', '.join(group.name for group in groups)}{seeds}.", class_="soft"),
    )
    made = {"training": _over_training_part(groups), "end": _at_the_end(groups), "numbers": _numbers(runs, groups)}
    made |= {"options": _options(runs), "downloads": _downloads(runs), "missing": _missing(runs)}
    parts = {_TITLES[anchor]: (anchor, content) for anchor, content in made.items() if content}
    links = (tag("li", tag("a", each, href=f"#{anchor}")) for each, (anchor, _) in parts.items())
    sections = (
        tag("section", tag("h2", each), content, id=anchor, class_="part") for each, (anchor, content) in parts.items()
    )
    command = tag("code", f"python -m icl_eval compare {' '.join(f'runs/{run.name}' for run in runs)} --to <page>.html")
    style, script = (
        (resources.files("icl_eval.report") / name).read_text(encoding="utf-8") for name in ("report.css", "report.js")
    )
    contents = tag("nav", tag("ul", *links), aria_label="Contents")
    body = tag("main", header, contents, *sections, tag("footer", "Made from the run folders alone by ", command, "."))
    return document(title, style=style, script=script, body=body)


def _over_training_part(groups: Sequence[Group]) -> Html:
    """Show ICL and IWL over training."""
    curves = {headline: _curves(groups, headline) for headline in HEADLINES}
    if not any(curves.values()):
        return tag("p", "None of these runs has an ICL or IWL number.")
    said = [
        f"{name}: {headline.upper()} {course(curve, at='step')}"
        for headline, found in curves.items()
        for name, curve in found.items()
    ]
    return embedded(
        *(_over_training(groups, theme) for theme in (LIGHT, DARK)),
        alt=f"Over training: {'; '.join(said)}.",
        caption=f"{_bands(groups)} Dotted lines are chance. {_sequences(groups, last=False)}",
    )


def _at_the_end(groups: Sequence[Group]) -> Html:
    """Show the last ICL and IWL of each group."""
    ends = [_ends(groups, headline) for headline in HEADLINES]
    if not any(ends):
        return Html("")
    chances = {curve.chance for curve in _curves(groups, "icl").values()}
    chance = chances.pop() if len(chances) == 1 else None
    return embedded(
        *(final_values(*ends, chance=chance, theme=theme) for theme in (LIGHT, DARK)),
        alt=f"At the end: {'; '.join(_ended(group.name, *ends) for group in groups)}.",
        caption=f"{_bands(groups)} The dotted line is chance of ICL. {_sequences(groups, last=True)}",
    )


def _sequences(groups: Sequence[Group], *, last: bool) -> str:
    """Say how many sequences a run's points are of."""
    runs = [run for group in groups for run in group.runs]
    results = [list(run.evaluations.get(name, {}).values()) for run in runs for name, _ in HEADLINES.values()]
    counts = sorted(result.count for found in results for result in (found[-1:] if last else found))
    between = " to ".join(f"{count:,}" for count in dict.fromkeys([counts[0], counts[-1]]))
    return f"Each run's points are of {between} sequences."


def _bands(groups: Sequence[Group]) -> str:
    """Say what intervals are: they differ between a run alone and several seeds."""
    several = [f"{group.name} ({len(group.runs)} seeds)" for group in groups if len(group.runs) > 1]
    if not several:
        return "Intervals are 95 %."
    rest = "; of a run alone, 95 %." if len(several) < len(groups) else "."
    return (
        f"Lines are means over seeds and intervals go from the lowest to the highest seed: {', '.join(several)}{rest}"
    )


def _ended(name: str, icl: Mapping[str, Estimate], iwl: Mapping[str, Estimate]) -> str:
    values = [f"{key} {readable(found[name].value)}" for key, found in (("ICL", icl), ("IWL", iwl)) if name in found]
    return f"{name} {', '.join(values) or 'not evaluated'}"


def _numbers(runs: Sequence[Run], groups: Sequence[Group]) -> Html:
    """Show the final numbers of every run, and what group it is of where groups hold several, to be sorted."""
    grouped = any(len(group.runs) > 1 for group in groups)
    names = {run.name: group.name for group in groups for run in group.runs}
    header = ["run", *["group"] * grouped, "ICL", "IWL", "final loss", "steps", "seconds"]
    rows = (
        tag(
            "tr",
            tag("th", run.name, scope="row"),
            *[tag("td", names[run.name])] * grouped,
            *(number_cell(number, shown) for number, shown in _row(run)),
        )
        for run in runs
    )
    head = tag("tr", *(tag("th", cell, scope="col") for cell in header))
    whole = tag("table", tag("thead", head), tag("tbody", *rows))
    box = tag("div", whole, class_="scroll measures", role="region", tabindex="0", aria_label="Final numbers")
    note = tag("p", "The last evaluation of each run, with its 95 % interval.", class_="soft")
    return tag("div", note, box, class_="all-numbers")


def _row(run: Run) -> list[tuple[float | int | None, str]]:
    """Return numbers with how they are shown."""
    latest = run.latest()
    cells: list[tuple[float | int | None, str]] = []
    for evaluation, metric in (headline(run, each) for each in HEADLINES):
        estimate = latest[evaluation][1].metrics.get(metric) if evaluation in latest else None
        if estimate is None:
            cells.append((None, ""))
        else:
            cells.append((estimate.value, f"{readable(estimate.value)} ({interval(estimate)})"))
    train = run.summary.get("train")
    train = train if isinstance(train, dict) else {}
    logged = run.training_curve("loss")
    loss = train.get("final_loss", None if logged is None else float(logged.values[-1]))
    steps = train.get("steps", max(run.metrics, default=None))
    seconds = train.get("seconds")
    return [
        *cells,
        (float(loss), readable(float(loss))) if isinstance(loss, int | float) else (None, ""),
        (steps, f"{steps:,}") if isinstance(steps, int) else (None, ""),
        (seconds, f"{seconds:,.0f}") if isinstance(seconds, int | float) else (None, ""),
    ]


def _downloads(runs: Sequence[Run]) -> Html:
    """Offer the summaries of all runs as one JSON file."""
    content = json_bytes({run.name: run.summary for run in runs})
    link = tag("a", "summaries.json", download="summaries.json", href=data_uri(content, "application/json"))
    return tag("ul", tag("li", link), class_="downloads")


def _options(runs: Sequence[Run]) -> Html:
    """Show the options in which the runs differ, a column per run."""
    rows = differing(runs)
    if rows:
        cells = ([breakable(name), *values] for name, values in rows.items())
        said = table(["option", *(run.name for run in runs)], cells, label="Options that differ", class_="measures")
    else:
        said = tag("p", "The runs differ in no option that their config.json files tell.", class_="soft")
    return said


def _missing(runs: Sequence[Run]) -> Html:
    sentences = []
    for run in runs:
        sentences += [f"{run.name}: {sentence}" for sentence in run.missing]
        if not run.evaluations:
            sentences.append(f"{run.name}: no evaluations.")
            continue
        sentences += [
            f"{run.name}: no {metric} of {evaluation}, so no {named.upper()}."
            for named, (evaluation, metric) in ((each, headline(run, each)) for each in HEADLINES)
            if run.evaluation_curve(evaluation, metric) is None
        ]
    items = (tag("li", sentence) for sentence in sentences)
    return tag("ul", *items) if sentences else Html("")
