"""A comparison of runs: their curves in one figure, or a self-contained page with figures and tables."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from icl_eval.figures.drawing import encode
from icl_eval.figures.training import final_values, group_colours, groups_over_training
from icl_eval.paths import AnyPath, as_path
from icl_eval.report.html import (
    NOTHING,
    Figures,
    Markup,
    Part,
    breakable,
    interval,
    json_address,
    part,
    render,
    write_page,
)
from icl_eval.report.words import counted
from icl_eval.results.curve import ScalarCurve, course
from icl_eval.results.estimate import Estimate, readable
from icl_eval.results.headline import Headline
from icl_eval.results.result import Kind, Result
from icl_eval.runs.reading import Run, read_run
from icl_eval.runs.seeds import Group, differing, group_runs, numeric_difference, over_seeds
from icl_eval.runs.writing import write_atomically

_LOSS = "Training loss"
_PARAGRAPH = Markup("<p>{}</p>")


class Shared(NamedTuple):
    """A headline that runs share, each with an evaluation and a metric of its own."""

    title: str  # as the first run has it
    kind: Kind
    of: dict[str, Headline]  # by the name of each run that has it

    def curve(self, run: Run) -> ScalarCurve | None:
        """Return the headline over training; None if the run has none, or never measured it."""
        headline = self.of.get(run.name)
        return None if headline is None else run.evaluation_curve(headline.evaluation, headline.metric)

    def curves(self, groups: Sequence[Group]) -> dict[str, ScalarCurve]:
        """Return the curve of each group that has one, by its name."""
        found = {}
        for group in groups:
            if (curve := over_seeds(_known(self.curve(run) for run in group.runs))) is not None:
                found[group.name] = curve
        return found

    def results(self, runs: Sequence[Run]) -> list[list[Result]]:
        """Return the results of each run's evaluation, step by step."""
        names = [(run, self.of[run.name].evaluation) for run in runs if run.name in self.of]
        return [list(run.evaluations.get(name, {}).values()) for run, name in names]


def write_comparison(folders: AnyPath | Sequence[AnyPath], to: AnyPath) -> Path:
    """Write a comparison of runs: a figure (.png or .svg), or a page (.html) with figures and tables.

    Shown are the headlines that the runs share. Runs that differ in nothing but their seed are one line: the mean, in a
    band from the lowest to the highest seed. The same folders always give the same bytes. A figure wants the first
    headline of every run, and no more groups than it has colours; a page names what is missing, and shows the training
    loss where runs share no headline.

    Args:
      folders: of one or more runs, of different names.
      to: the file to write; its ending says what.

    Returns:
      `to`.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: not such an ending, no runs, two of one name, or, for a figure, more groups than colours or a run
        without its first headline.

    >>> write_comparison([], Path("a.gif"))
    Traceback (most recent call last):
    ValueError: Wanted a .png or .svg file to draw to, or a page that ends in .html; got a.gif.
    """
    to = as_path(to)
    if to.suffix not in (".png", ".svg", ".html"):
        raise ValueError(f"Wanted a .png or .svg file to draw to, or a page that ends in .html; got {to}.")
    if not folders:
        raise ValueError("Wanted one or more run folders to compare, got none.")
    runs = [read_run(folder) for folder in ([folders] if isinstance(folders, str | os.PathLike) else folders)]
    if to.suffix == ".html":
        said = f"python -m icl_eval compare {' '.join(f'runs/{run.name}' for run in runs)} --to <page>.html"
        write_comparison_page(to, runs, command=said)
        return to
    groups, shared = group_runs(runs), shared_headlines(runs)
    for run in runs:
        if not shared or shared[0].curve(run) is None:
            wanted = shared[0].title if shared else "headline that all runs share"
            raise ValueError(
                f"Wanted run folders with evaluations to draw; got no {wanted} in {run.name}. Leave it out, or write "
                "an .html page, which names what is missing."
            )
    form: Literal["png", "svg"] = "svg" if to.suffix == ".svg" else "png"
    write_atomically(to, encode(_over_training(groups, shared), form=form))
    return to


def shared_headlines(runs: Sequence[Run]) -> list[Shared]:
    """Return the headlines that all runs have by the same name, in the order of the first; of those that name some."""
    naming = [run for run in runs if run.headlines]
    of_runs = [{headline.name: headline for headline in run.headlines} for run in naming]
    names = [name for name in of_runs[0] if all(name in of_run for of_run in of_runs)] if of_runs else []
    return [
        Shared(
            title=of_runs[0][name].title,
            kind=naming[0].kind(of_runs[0][name].metric),
            of={run.name: of_run[name] for run, of_run in zip(naming, of_runs, strict=True)},
        )
        for name in names
    ]


def _over_training(groups: Sequence[Group], shared: Sequence[Shared]) -> Figure:
    difference = numeric_difference(groups)
    colours = group_colours([group.name for group in groups], grades=None if difference is None else difference[1])
    kinds: dict[str, Kind] = {_LOSS: "mean", **{each.title: each.kind for each in shared}}
    return groups_over_training(_curves(groups, shared), colours=colours, kinds=kinds)


def _curves(groups: Sequence[Group], shared: Sequence[Shared]) -> dict[str, dict[str, ScalarCurve]]:
    """Return the headlines over training by title and group; the training loss if none was measured."""
    curves = {each.title: each.curves(groups) for each in shared}
    if any(curves.values()):
        return curves
    losses = {group.name: over_seeds(_known(run.training_curve("loss") for run in group.runs)) for group in groups}
    return {_LOSS: {name: curve for name, curve in losses.items() if curve is not None}}


def _known(curves: Iterable[ScalarCurve | None]) -> list[ScalarCurve]:
    return [curve for curve in curves if curve is not None]


def write_comparison_page(
    to: Path, runs: Sequence[Run], *, command: str, heading: str = "", png: Path | None = None
) -> None:
    """Write a page of runs of different names, and its figures into the folder `png`, if there is one.

    The command is what makes the page again; its heading is its title, if not given.
    """
    groups, shared = group_runs(runs), shared_headlines(runs)
    seeds = f", in {len(groups)} groups that differ in more than the seed" if len(groups) < len(runs) else ""
    figures, summaries = Figures(png), json_address({run.name: run.summary for run in runs})
    parts = [
        Part("Over training", "training", _over_training_part(groups, shared, figures)),
        Part("At the end", "end", _at_the_end(groups, shared, figures)),
        Part("Final numbers", "numbers", _numbers(runs, groups, shared)),
        Part("Options that differ", "options", _options(runs)),
        Part("Downloads", "downloads", part("downloads", files={"summaries.json": summaries})),
        Part("Missing", "missing", _missing(runs, shared)),
    ]
    title = f"Comparison of {len(runs)} runs" if len(runs) > 1 else f"Comparison: {runs[0].name}"
    write_page(
        to,
        title=f"{heading}: {title}" if heading else title,
        heading=heading or title,
        above="In-context learning comparison",
        below=f"{', '.join(group.name for group in groups)}{seeds}.",
        parts=[each for each in parts if each.content],
        source="the run folders",
        command=command,
    )


def _over_training_part(groups: Sequence[Group], shared: Sequence[Shared], figures: Figures) -> Markup:
    curves = _curves(groups, shared)
    without = "" if _LOSS not in curves else "These runs share no headline that was measured."
    if not any(curves.values()):
        return _PARAGRAPH.format(without)
    try:
        figure = _over_training(groups, shared)
    except ValueError as error:  # more groups than can be told apart: the tables have them all
        return _PARAGRAPH.format(error)
    said = [f"{name}: {title} {course(curve)}" for title, found in curves.items() for name, curve in found.items()]
    runs = [run for group in groups for run in group.runs]
    results = [result for each in shared for of_run in each.results(runs) for result in of_run]
    points = without or f"Dotted lines are chance. Each run's points are of {counted(results)}."
    alt = f"Over training: {'; '.join(said)}."
    return figures.add("training", figure, alt=alt, caption=f"{_bands(groups)} {points}")


def _at_the_end(groups: Sequence[Group], shared: Sequence[Shared], figures: Figures) -> Markup:
    """Return the last value of each group, of the headlines that are proportions."""
    shared = [each for each in shared if each.kind == "proportion"]
    ends = {each.title: _ends(groups, each) for each in shared}
    if not any(ends.values()):
        return NOTHING
    chances = {curve.chance for curve in shared[0].curves(groups).values()}
    chance = chances.pop() if len(chances) == 1 else None
    runs = [run for group in groups for run in group.runs]
    last = [of_run[-1] for each in shared for of_run in each.results(runs) if of_run]
    said = [
        f"{group.name} "
        + (", ".join(f"{t} {readable(of[group.name].value)}" for t, of in ends.items() if group.name in of) or "none")
        for group in groups
    ]
    return figures.add(
        "end",
        final_values(ends, chance=chance),
        alt=f"At the end: {'; '.join(said)}.",
        caption=f"{_bands(groups)} The dotted line is chance of {shared[0].title}. Each run's points are of "
        f"{counted(last)}.",
    )


def _ends(groups: Sequence[Group], shared: Shared) -> dict[str, Estimate]:
    """Return the last known value of each group's curve, with its band."""
    ends = {}
    sizes = {group.name: len(group.runs) for group in groups}
    for name, curve in shared.curves(groups).items():
        if len(known := np.flatnonzero(np.isfinite(curve.values))):
            value, low, high = (float(row[known[-1]]) for row in (curve.values, curve.low, curve.high))
            ends[name] = Estimate(value=value, low=low, high=high, count=sizes[name])
    return ends


def _bands(groups: Sequence[Group]) -> str:
    """Return what intervals are: they differ between a run alone and several seeds."""
    several = [f"{group.name} ({len(group.runs)} seeds)" for group in groups if len(group.runs) > 1]
    if not several:
        return "Intervals are 95 %."
    rest = "; of a run alone, 95 %." if len(several) < len(groups) else "."
    return (
        f"Lines are means over seeds and intervals go from the lowest to the highest seed: {', '.join(several)}{rest}"
    )


def _numbers(runs: Sequence[Run], groups: Sequence[Group], shared: Sequence[Shared]) -> Markup:
    """Return the final numbers of every run, and what group it is of where groups hold several, to be sorted."""
    names = {run.name: group.name for group in groups for run in group.runs}
    return render(
        "comparison",
        header=[*(each.title for each in shared), "final loss", "steps", "seconds"],
        grouped=any(len(group.runs) > 1 for group in groups),
        rows=[(run.name, names[run.name], _row(run, shared)) for run in runs],
    )


def _row(run: Run, shared: Sequence[Shared]) -> list[tuple[float | int | None, str]]:
    """Return numbers with how they are shown."""
    cells: list[tuple[float | int | None, str]] = []
    for each in shared:
        estimate = run.last(each.of[run.name]) if run.name in each.of else None
        said = "" if estimate is None else f"{readable(estimate.value)} ({interval(estimate)})"
        cells.append((None if estimate is None else estimate.value, said))
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


def _options(runs: Sequence[Run]) -> Markup:
    """Return the options in which the runs differ, a column per run."""
    rows = [(breakable(name), *values) for name, values in differing(runs).items()]
    if not rows:
        return Markup('<p class="soft">The runs differ in no option that their config.json files tell.</p>')
    header = ["option", *(run.name for run in runs)]
    return part("table", header=header, rows=rows, label="Options that differ", **{"class": "measures"})


def _missing(runs: Sequence[Run], shared: Sequence[Shared]) -> Markup:
    sentences = []
    for run in runs:
        sentences += [f"{run.name}: {sentence}" for sentence in run.missing]
        if not run.evaluations:
            sentences.append(f"{run.name}: no evaluations.")
            continue
        for each in shared:
            headline = each.of.get(run.name)
            if headline is None:
                sentences.append(f"{run.name}: no headline {each.title}.")
            elif each.curve(run) is None:
                sentences.append(f"{run.name}: no {headline.metric} of {headline.evaluation}, so no {headline.title}.")
    return part("listed", sentences=sentences) if sentences else NOTHING
