"""Pictures of a sweep: its headlines at the end against each option, on a grid of two, and over training."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from icl_eval.figures.against_option import MOST_PANELS, Value, against_option
from icl_eval.figures.grid import heat_map
from icl_eval.figures.palette import COLOURS, MOST_SHADES
from icl_eval.figures.training import group_colours, groups_over_training
from icl_eval.report.gallery import Picture
from icl_eval.results.curve import ScalarCurve, course
from icl_eval.results.estimate import readable
from icl_eval.results.result import Kind
from icl_eval.runs.seeds import over_seeds
from icl_eval.sweeps.arrangement import (
    NumericGrid,
    Stretch,
    ended,
    is_numeric,
    numeric_grid,
    said,
    short_names,
    stretches,
)
from icl_eval.sweeps.sweep_runs import Cell, SweepRuns, rank
from icl_eval.sweeps.target import Target

_BANDS = "Lines are means over seeds, bands go from the lowest to the highest, and each dot is a seed."
_ENDED = "Of a setting with finished runs, the others are left out."
_KINDS: dict[Kind, str] = {"proportion": "", "mean": " (means)", "error": " (errors)"}
_MOST_CURVES = 6  # panels of a headline over training


def final_pictures(sweep: SweepRuns, targets: Sequence[Target]) -> Iterator[Picture]:
    """Yield the headlines at the end against each varied option, a panel for each setting of the other options."""
    kinds = dict.fromkeys(target.kind for target in targets)
    for option, kind in itertools.product(sweep.varied, kinds):
        own = [target for target in targets if target.kind == kind][: len(COLOURS)]
        found = stretches(sweep, option)
        if shown := [each for each in found if _finals(sweep, each, own)][:MOST_PANELS]:
            yield _final_picture(sweep, option, own, shown, more=len(found) - len(shown))


def _final_picture(
    sweep: SweepRuns, option: str, targets: Sequence[Target], shown: Sequence[Stretch], *, more: int
) -> Picture:
    kind, short = targets[0].kind, short_names(list(sweep.varied))[option]
    panels = {each.title: (list(each.settings), _finals(sweep, each, targets)) for each in shown}
    chances = {target.title: chance for target in targets if (chance := _chance(sweep, target)) is not None}
    names = {value: said(value) for each in shown for value in each.settings}
    told = [
        f"{f'{title}: ' if title else ''}{series} "
        + ", ".join(f"{readable(float(np.mean(known)))} at {names[value]}" for value, known in _known(values, seeds))
        for title, (values, of_panel) in panels.items()
        for series, seeds in of_panel.items()
    ]
    left_out = f" {more} more settings of the other options are in the table of runs." if more > 0 else ""
    return Picture(
        name=f"final-{kind}-{short}",
        title=f"By {short}{_KINDS[kind]}",
        draw=lambda: against_option(panels, names=names, x_label=option, kind=kind, chances=chances),
        caption=f"{' and '.join(target.title for target in targets)} at the end, by {option}. {_BANDS} {_ENDED}"
        f"{left_out}",
        alt=f"At the end, by {option}: {'; '.join(told)}.",
        wide=len(panels) > 1,
    )


def _finals(sweep: SweepRuns, stretch: Stretch, targets: Sequence[Target]) -> dict[str, list[list[float]]]:
    """Return the last value of each seed, at each value of an option, of the headlines that any has."""
    settings = sweep.settings
    found = {}
    for target in targets:
        runs = [ended(settings[setting]).values() for setting in stretch.settings.values()]
        seeds = [[value for run in at if (value := target.last(run)) is not None] for at in runs]
        if any(np.isfinite(value) for at in seeds for value in at):
            found[target.title] = seeds
    return found


def _known(values: Sequence[Value], seeds: Sequence[Sequence[float]]) -> list[tuple[Value, list[float]]]:
    finite = [[number for number in at if np.isfinite(number)] for at in seeds]
    return [(value, at) for value, at in zip(values, finite, strict=True) if at]


def _chance(sweep: SweepRuns, target: Target) -> float | None:
    """Return what guessing gives, if that is the same in all runs."""
    curves = [target.curve(run) for run in sweep.runs.values()]
    chances = {curve.chance for curve in curves if curve is not None}
    return chances.pop() if len(chances) == 1 else None


def grid_pictures(sweep: SweepRuns, targets: Sequence[Target]) -> Iterator[Picture]:
    """Yield each headline that is a proportion on the grid of two options with numbers, where just two are varied."""
    if (grid := numeric_grid(sweep)) is None:
        return
    for target in targets:
        if target.kind == "proportion":
            yield _grid_picture(sweep, target, grid)


def _grid_picture(sweep: SweepRuns, target: Target, grid: NumericGrid) -> Picture:
    options, rows, columns = grid
    settings = {setting: runs for setting, runs in sweep.settings.items() if None not in setting}
    most = max(len(runs) for runs in settings.values())
    seeds = np.full((len(rows), len(columns), most), np.nan)
    for (row, column), runs in settings.items():
        values = [value for run in ended(runs).values() if (value := target.last(run)) is not None]
        seeds[rows.index(row), columns.index(column), : len(values)] = values
    finite = np.isfinite(seeds)
    counts = finite.sum(axis=2)
    means = np.where(counts, np.where(finite, seeds, 0).sum(axis=2) / np.maximum(counts, 1), np.nan)
    told = [
        f"{readable(float(means[place]))} at {said(rows[place[0]])} and {said(columns[place[1]])}"
        for place in np.ndindex(means.shape)
        if counts[place]
    ]
    return Picture(
        name=f"grid-{target.evaluation}-{target.metric}",
        title=f"{target.title}: {' and '.join(short_names(options).values())}",
        draw=lambda: heat_map(
            means, row_names=[said(row) for row in rows], column_names=[said(column) for column in columns],
            row_title=options[0], column_title=options[1], title=f"{target.title} at the end",
            seeds=seeds if most > 1 else None,
        ),
        caption=f"{target.title} at the end, by {options[0]} and {options[1]}: the mean over seeds"
        f"{', and beneath it the lowest and the highest' if most > 1 else ''}; hatched where there is no run. {_ENDED}",
        alt=f"{target.title} by {options[0]} and {options[1]}: {'; '.join(told)}.",
    )  # fmt: skip


def training_pictures(sweep: SweepRuns, targets: Sequence[Target]) -> Iterator[Picture]:
    """Yield the headlines over training, with a line for each value of an option.

    Where other options were varied too, a headline has a picture of its own, with a panel for each setting of these.
    Left out are options of more values than can be told apart: twelve numbers, or six of another kind.
    """
    for option, short in short_names(list(sweep.varied)).items():
        found = stretches(sweep, option)
        values = sorted({value: None for each in found for value in each.settings}, key=rank)
        if found and len(values) <= (MOST_SHADES if is_numeric(values) else len(COLOURS)):
            for number, own in enumerate([targets] if len(found) == 1 else [[target] for target in targets], start=1):
                yield from _training_picture(sweep, own, found, values=values, option=short, number=number)
    if not sweep.varied:
        alone = [Stretch("", {"all runs": ()})]
        yield from _training_picture(sweep, targets, alone, values=["all runs"], option="", number=1)


def _training_picture(
    sweep: SweepRuns, targets: Sequence[Target], found: Sequence[Stretch], *, values: Sequence[Cell], option: str,
    number: int,
) -> Iterator[Picture]:  # fmt: skip
    """Yield the picture, if there is anything to draw."""
    shown = list(itertools.product(targets, found[:_MOST_CURVES]))
    names = {value: f"{option} {said(value)}".strip() for value in values}
    curves = {_panel(target, each): _curves(sweep, target, each, names) for target, each in shown}
    if not any(curves.values()):
        return
    kinds = {_panel(target, each): target.kind for target, each in shown}
    grades = {names[value]: float(value) for value in values if isinstance(value, int | float)}
    colours = group_colours(list(names.values()), grades=grades if len(grades) == len(names) else None)
    told = [f"{panel}: {name} {course(curve)}" for panel, of in curves.items() for name, curve in of.items()]
    by = f" by {option}" if option else ""
    title = f"Over training{by}{f': {targets[0].title}' if len(targets) == 1 else ''}"
    more = len(found) - _MOST_CURVES
    left_out = f" {more} more settings of the other options are left out." if more > 0 else ""
    yield Picture(
        name=f"training{by.replace(' ', '-')}-{number}",
        title=title,
        draw=lambda: groups_over_training(curves, colours=colours, kinds=kinds),
        caption=f"{title}: means over seeds at the steps that all have, in bands from the lowest to the highest; of "
        f"one seed, its 95 % interval. {_ENDED}{left_out}",
        alt=f"{title}: {'; '.join(told)}.",
    )


def _panel(target: Target, stretch: Stretch) -> str:
    return f"{target.title}: {stretch.title}" if stretch.title else target.title


def _curves(sweep: SweepRuns, target: Target, stretch: Stretch, names: Mapping[Cell, str]) -> dict[str, ScalarCurve]:
    settings, found = sweep.settings, {}
    for value, setting in stretch.settings.items():
        curves = [target.curve(run) for run in ended(settings[setting]).values()]
        if (curve := over_seeds([curve for curve in curves if curve is not None])) is not None:
            found[names[value]] = curve
    return found
