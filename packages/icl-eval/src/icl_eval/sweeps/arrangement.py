"""How a sweep is laid out to be looked at: one option along an axis, a panel for each setting of the others."""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from icl_eval.runs.reading import Run
from icl_eval.sweeps.progress import FINISHED, status
from icl_eval.sweeps.sweep_runs import Cell, SweepRuns


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Settings that differ in one option alone.

    Attributes:
      title: the values of the other options, as far as other stretches have others; empty for the only one.
      settings: by the value of the option, in the order of values; two or more.
    """

    title: str
    settings: Mapping[Cell, tuple[Cell, ...]]


def stretches(sweep: SweepRuns, option: str) -> list[Stretch]:
    """Return the settings that differ in an option alone, where there are two or more.

    A grid of two options has a stretch of the one for each value of the other. Where each option was varied alone about
    one setting, each has one stretch.

    >>> config = [{"a": a, "b": b} for a, b in ((1, 1), (2, 1), (3, 1), (1, 2), (1, 3))]
    >>> sweep = SweepRuns({str(number): Run("", config={"config": each}) for number, each in enumerate(config)})
    >>> [(each.title, list(each.settings)) for each in stretches(sweep, "a")]
    [('', [1, 2, 3])]
    """
    names = list(sweep.varied)
    place = names.index(option)
    found: dict[tuple[Cell, ...], dict[Cell, tuple[Cell, ...]]] = {}
    for setting in sweep.settings:
        others = (*setting[:place], *setting[place + 1 :])
        found.setdefault(others, {})[setting[place]] = setting
    long = {others: settings for others, settings in found.items() if len(settings) > 1}
    columns = list(zip(*long, strict=True))
    telling = [number for number, column in enumerate(columns) if len(set(column)) > 1]
    short = list(short_names(names[:place] + names[place + 1 :]).values())
    return [
        Stretch(", ".join(f"{short[number]} {said(others[number])}" for number in telling), settings)
        for others, settings in long.items()
    ]


class NumericGrid(NamedTuple):
    """Settings on a grid of two options with numbers.

    Attributes:
      options: down and across.
      rows: values of the first, ascending.
      columns: values of the second, ascending.
    """

    options: tuple[str, str]
    rows: Sequence[float]
    columns: Sequence[float]


def numeric_grid(sweep: SweepRuns) -> NumericGrid | None:
    """Return the grid that a sweep is of; None where not just two options with numbers are varied, or one by one.

    >>> config = [{"a": a, "b": b} for a in (1, 2) for b in (0.5, 1.0)]
    >>> sweep = SweepRuns({str(number): Run("", config={"config": each}) for number, each in enumerate(config)})
    >>> numeric_grid(sweep)
    NumericGrid(options=('a', 'b'), rows=[1, 2], columns=[0.5, 1.0])
    """
    known = {name: [cell for cell in cells if cell is not None] for name, cells in sweep.varied.items()}
    if len(known) != 2 or not all(map(is_numeric, known.values())):
        return None
    down, across = known
    settings: list[Any] = [setting for setting in sweep.settings if None not in setting]
    rows, columns = (sorted({setting[place] for setting in settings}) for place in (0, 1))
    if min(len(rows), len(columns)) < 2 or len(settings) < len(rows) + len(columns):
        return None
    return NumericGrid((down, across), rows, columns)


def short_names(options: Sequence[str]) -> dict[str, str]:
    """Return options by the last part of their dotted names, or by all of it where two would be the same.

    >>> short_names(["data.p_bursty", "model.width", "encoder.width"])
    {'data.p_bursty': 'p_bursty', 'model.width': 'model.width', 'encoder.width': 'encoder.width'}
    """
    last = {name: name.rpartition(".")[2] or name for name in options}
    counts = collections.Counter(last.values())
    return {name: short if counts[short] == 1 else name for name, short in last.items()}


def said(cell: Cell) -> str:
    """Return a value of an option to read.

    >>> said(1600), said(0.0001), said(None), said("all")
    ('1,600', '0.0001', 'not set', 'all')
    """
    if cell is None:
        return "not set"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:g}" if isinstance(cell, float) else cell


def setting_said(sweep: SweepRuns, setting: Sequence[Cell]) -> str:
    """Return a setting in words; "all runs" where no option is varied."""
    names = short_names(list(sweep.varied)).values()
    return ", ".join(f"{name} {said(cell)}" for name, cell in zip(names, setting, strict=True)) or "all runs"


def ended(runs: Mapping[str, Run]) -> dict[str, Run]:
    """Return the runs of a setting that are finished; all of them, if none is."""
    return {path: run for path, run in runs.items() if status(run) == FINISHED} or dict(runs)


def is_numeric(values: Sequence[Cell]) -> bool:
    """Return whether all values are finite numbers, of which there is one or more."""
    return bool(values) and all(isinstance(value, int | float) and math.isfinite(value) for value in values)
