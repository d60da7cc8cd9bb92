"""The axis of an option: numbers where they lie, on a logarithmic scale where they span decades; else categories."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from icl_eval.figures.drawing import plain
from icl_eval.figures.palette import INK, TEXT

_DECADE = 10  # how many times the smallest the largest number is, from which on a scale is logarithmic
_TICKS = 8


def is_logarithmic(numbers: Sequence[float] | Sequence[int]) -> bool:
    """Return whether numbers are all above 0 and span a decade or more.

    >>> is_logarithmic([1, 2, 4]), is_logarithmic([1, 4, 16]), is_logarithmic([0, 100])
    (False, True, False)
    """
    return min(numbers) > 0 and max(numbers) >= _DECADE * min(numbers)


def places(values: Sequence[str | int | float | None]) -> tuple[list[float], bool]:
    """Return where values lie on the axis, in their order, and whether it is logarithmic.

    Numbers lie where they are. Values that are no numbers are categories 0, 1, ...; and so are numbers of which some
    are 0 or less and the others span decades: they would crowd at 0.

    >>> places([1, 10, 100]), places([0.0, 0.5, 1.0]), places([0, 1, 100]), places(["one", "all"])
    (([1.0, 10.0, 100.0], True), ([0.0, 0.5, 1.0], False), ([0.0, 1.0, 2.0], False), ([0.0, 1.0], False))
    """
    categories = [float(place) for place in range(len(values))]
    numbers = [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
    if len(numbers) < len(values) or not numbers:
        return categories, False
    if is_logarithmic(numbers):
        return numbers, True
    positive = [number for number in numbers if number > 0]
    return (categories if positive and is_logarithmic(positive) else numbers), False


def option_axis(
    panel: Axes,
    values: Sequence[str | int | float | None],
    names: Sequence[str],
    *,
    title: str,
    margin: float = 0.05,
) -> list[float]:
    """Set the x axis of a panel to the values of an option, with their names, and return where they lie.

    At both ends a share of the axis, `margin`, is left free.
    """
    where, logarithmic = places(values)
    if logarithmic:
        panel.set_xscale("log")
        edge = (where[-1] / where[0]) ** margin
        panel.set_xlim(where[0] / edge, where[-1] * edge)
    else:
        edge = margin * (where[-1] - where[0]) or 0.5
        panel.set_xlim(where[0] - edge, where[-1] + edge)
    shown = range(0, len(where), -(-len(where) // _TICKS))
    panel.xaxis.set_major_locator(FixedLocator([where[number] for number in shown]))
    panel.xaxis.set_major_formatter(FixedFormatter([plain(names[number]) for number in shown]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_minor_formatter(NullFormatter())
    crowded = sum(len(names[number]) + 2 for number in shown) > 48
    panel.tick_params(axis="x", rotation=30 if crowded else 0)
    panel.set_xlabel(plain(title), color=INK, fontsize=TEXT)
    return where
