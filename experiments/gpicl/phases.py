"""Phases of learning to learn, by number of tasks and another setting (Kirsch et al. 2022): pictures of a sweep."""

import collections
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.gpicl.config import GpiclConfig
from experiments.gpicl.data import make_sets, read_banks
from experiments.gpicl.sizes import by_setting, picture, size_points

TASKS = "data.num_tasks"
FIRST = ("model.width", "model.trunk", "data.batch_size", "optimizer.eps", "data.p_identity")
"""Options that come first where several are varied besides the number of tasks; width, if none is."""


class Point(NamedTuple):
    """A finished run: its configuration, and what its summary says."""

    config: GpiclConfig
    summary: dict[str, Any]

    @property
    def num_tasks(self) -> int:
        """Size of the pool."""
        assert self.config.data.num_tasks is not None
        return self.config.data.num_tasks

    @property
    def kind(self) -> str:
        """What kind of learner the run came to."""
        return str(self.summary["learner"]["kind"])

    def setting(self, option: str) -> Any:
        """Return the value of an option."""
        return lab.option_of(self.config, option)

    def accuracy(self, name: str, metric: str) -> float:
        """Return an accuracy, NaN for a model that has none."""
        value = self.summary["evaluations"][name].get(metric, {}).get("value")
        return float("nan") if value is None else float(value)


def draw(folder: Path, base: GpiclConfig, runs: Sequence[GpiclConfig]) -> lab.Drawn:
    """Return the pictures of all finished runs that have a pool of tasks, and write points.json.

    Args:
      folder: of the sweep.
      base: what all runs have in common.
      runs: those that are finished.
    """
    points = [
        Point(run, json.loads((run.workdir / "summary.json").read_text(encoding="utf-8")))
        for run in runs
        if run.data.num_tasks is not None
    ]
    if not points:
        return lab.Drawn()
    trained, _ = next(iter(make_sets(base.data, read_banks(base.data)).values()))
    num_labels, dimensions = base.data.ways or trained.num_classes, trained.items.shape[1]
    varied = [option for option in lab.varied_among([point.config for point in points]) if option != TASKS]
    axes = sorted(varied, key=lambda option: (option not in FIRST, FIRST.index(option) if option in FIRST else 0))
    axes = axes or [FIRST[0]]
    axis = axes[0]  # which the heat map has besides the number of tasks
    for old in (folder / "figures").glob("*.png"):  # of settings that were alike in an earlier command
        old.unlink()
    pictures = []
    for title, alike in _alike(points, axes).items():
        pictures += [_heat_map(alike, axis, title), _phase_curve(alike, axis, title, 1 / num_labels)]
    pictures.append(_sizes(points, axes, num_labels, dimensions))
    (folder / "points.json").write_text(json.dumps([_record(point, axes) for point in points], indent=2) + "\n")
    ordered = sorted(points, key=lambda point: (_settings(point, axes), point.num_tasks))
    return lab.Drawn(pictures=pictures, said=[_line(point, axes) for point in ordered])


def _settings(point: Point, axes: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{_short(axis)} {point.setting(axis)}" for axis in axes)


def _short(option: str) -> str:
    return option.rpartition(".")[2]


def _alike(points: Sequence[Point], axes: Sequence[str]) -> dict[str, list[Point]]:
    """Return the points in parts, by all that is varied but the first axis; what differs names the parts."""
    parts: dict[str, list[Point]] = collections.defaultdict(list)
    for point in points:
        parts[", ".join(_settings(point, axes[1:]))].append(point)
    return dict(parts)


def _table(points: Sequence[Point], axis: str) -> tuple[list[int], list[Any], dict[tuple[int, Any], list[Point]]]:
    """Return the numbers of tasks, the settings of the axis, and the runs of each combination."""
    cells: dict[tuple[int, Any], list[Point]] = collections.defaultdict(list)
    for point in points:
        cells[point.num_tasks, point.setting(axis)].append(point)
    return sorted({tasks for tasks, _ in cells}), sorted({setting for _, setting in cells}), cells


def _power(tasks: int) -> str:
    return f"2^{tasks.bit_length() - 1}" if tasks & (tasks - 1) == 0 else f"{tasks:,}"


def _heat_map(points: Sequence[Point], axis: str, title: str) -> evaluation.Picture:
    tasks, settings, cells = _table(points, axis)
    rows = list(reversed(settings))  # the largest at the top
    seeds = np.full((len(rows), len(tasks), _seeds(cells)), np.nan)
    accuracies, kinds = seeds[:, :, 0].copy(), [[""] * len(tasks) for _ in rows]
    for row, setting in enumerate(rows):
        for column, count in enumerate(tasks):
            if found := cells.get((count, setting)):
                seeds[row, column, : len(found)] = [each.accuracy("unseen_tasks", "accuracy_last") for each in found]
                accuracies[row, column] = seeds[row, column, : len(found)].mean()
                kinds[row][column] = evaluation.most_frequent([each.kind for each in found])

    def figure() -> Any:
        return evaluation.heat_map(
            accuracies,
            row_names=[f"{setting}" for setting in rows],
            column_names=[_power(count) for count in tasks],
            row_title=_short(axis).replace("_", " "),
            column_title="number of tasks",
            title="Accuracy on unseen tasks" + (f", {title}" if title else ""),
            kinds=kinds,
            seeds=seeds if seeds.shape[2] > 1 else None,
        )

    caption = f"Accuracy at the last positions: mean, least and most of up to {_seeds(cells)} seeds, and their kind."
    alt = "; ".join(
        f"{_short(axis)} {setting}, {_power(count)} tasks: {accuracies[row, column]:.2f}, {kinds[row][column]}"
        for row, setting in enumerate(rows)
        for column, count in enumerate(tasks)
    )
    return evaluation.Picture(f"heat_map{_suffix(title)}", _heading("Unseen tasks", title), figure, caption, alt)


def _phase_curve(points: Sequence[Point], axis: str, title: str, chance: float) -> evaluation.Picture:
    tasks, settings, cells = _table(points, axis)
    setting, most = settings[-1], _seeds(cells)

    def read(name: str, metric: str) -> np.ndarray:
        rows = [[each.accuracy(name, metric) for each in cells.get((count, setting), [])] for count in tasks]
        return np.array([row + [np.nan] * (most - len(row)) for row in rows])

    kinds = [[each.kind for each in cells.get((count, setting), [])] for count in tasks]

    def figure() -> Any:
        return evaluation.phase_curve(
            np.array(tasks),
            read("seen_tasks", "accuracy_first"),
            read("seen_tasks", "accuracy_last"),
            read("unseen_tasks", "accuracy_last"),
            chance=chance,
            kinds=kinds,
        )

    shown = ", ".join(filter(None, [f"{_short(axis).replace('_', ' ')} {setting}", title]))
    caption = f"With {shown}: every dot is a run, a line joins the medians, and the shade is the most frequent kind."
    alt = "; ".join(f"{_power(count)} tasks: {', '.join(found)}" for count, found in zip(tasks, kinds, strict=True))
    return evaluation.Picture(f"phase_curve{_suffix(title)}", _heading("Phases", title), figure, caption, alt)


def _sizes(points: Sequence[Point], axes: Sequence[str], num_labels: int, dimensions: int) -> evaluation.Picture:
    """Show all runs with the most tasks that every setting was run with, or else that each was."""
    pools: dict[tuple[str, ...], set[int]] = collections.defaultdict(set)
    for point in points:
        pools[_settings(point, axes)].add(point.num_tasks)
    common = set.intersection(*pools.values())
    wanted = {setting: max(common or pool) for setting, pool in pools.items()}
    chosen = [point for point in points if point.num_tasks == wanted[_settings(point, axes)]]
    sizes = size_points(by_setting([point.config for point in chosen]), num_labels, dimensions)
    counts = sorted({point.num_tasks for point in chosen})
    return picture(
        sizes, 1 / num_labels, of=f", of runs with a pool of {' or '.join(_power(count) for count in counts)}"
    )


def _record(point: Point, axes: Sequence[str]) -> dict[str, Any]:
    record: dict[str, Any] = {
        "num_tasks": point.num_tasks,
        **{_short(axis): point.setting(axis) for axis in axes},
        "seed": point.config.train.seed,
        "kind": point.kind,
        "seen_first": point.accuracy("seen_tasks", "accuracy_first"),
        "seen_last": point.accuracy("seen_tasks", "accuracy_last"),
        "unseen_last": point.accuracy("unseen_tasks", "accuracy_last"),
    }
    # JSON has no NaN.
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in record.items()}


def _line(point: Point, axes: Sequence[str]) -> str:
    first, last = (point.accuracy("seen_tasks", f"accuracy_{place}") for place in ("first", "last"))
    unseen = point.accuracy("unseen_tasks", "accuracy_last")
    settings = ", ".join(_settings(point, axes))
    return (
        f"{_power(point.num_tasks):>6} tasks, {settings}, seed {point.config.train.seed}: seen {first:.2f} to "
        f"{last:.2f}, unseen to {unseen:.2f}: {point.kind}"
    )


def _seeds(cells: dict[tuple[int, Any], list[Point]]) -> int:
    return max(map(len, cells.values()))


def _heading(heading: str, title: str) -> str:
    return f"{heading}, {title}" if title else heading


def _suffix(title: str) -> str:
    """Return a part of a file name for a title."""
    return f"_{title}".replace(", ", "_").replace(" ", "_") if title else ""
