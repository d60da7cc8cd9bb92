"""Times of emergence against an option that was varied, with the seeds that did not come there."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from icl_eval.figures.against_option import MOST_PANELS, Value, grid_of_panels
from icl_eval.figures.drawing import log_ticks
from icl_eval.figures.line_ends import LineEnd, write_line_ends
from icl_eval.figures.option_axis import is_logarithmic, option_axis
from icl_eval.figures.palette import COLOURS, INK, MARKERS, PAPER, TEXT
from icl_eval.sweeps.emergence import Emergence

ByThreshold = Mapping[str, Sequence[tuple[Sequence[Emergence], float | None]]]


_MARGIN = 0.12  # of the axis, for the counts beside marks at its ends


def emergence_times(
    panels: Mapping[str, tuple[Sequence[Value], ByThreshold]], *, names: Mapping[Value, str], x_label: str
) -> Figure:
    """Return a figure of when seeds came to thresholds, a dot for each, against an option; medians are lines.

    A hollow triangle that points up is a seed that had not come there at its last evaluation: its time is later, if
    ever. One that points down had come there at its first evaluation, or before.

    Args:
      panels: by title, at most twelve: the values of the option, in order, and by threshold, at most six, at each value
        the times of the seeds and their median, None where that was not reached.
      names: of the values, as they stand beneath the axis.
      x_label: what the option is.

    Raises:
      ValueError: no panels or too many, too many thresholds, or no time.

    >>> time = Emergence(step=125.0, happened=True, after=100.0, by=150.0, threshold=0.9)
    >>> figure = emergence_times({"": ([1, 2], {"0.9": [([time], 125.0), ([time], 125.0)]})}, names={1: "1", 2: "2"},
    ...                          x_label="tasks")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['0.9']
    """
    steps = [
        time.step for _, rows in panels.values() for cells in rows.values() for times, _ in cells for time in times
    ]
    thresholds = list(dict.fromkeys(name for _, rows in panels.values() for name in rows))
    if not steps or not 1 <= len(panels) <= MOST_PANELS or len(thresholds) > len(COLOURS):
        raise ValueError(
            f"Wanted times in 1..{MOST_PANELS} panels of 1..{len(COLOURS)} thresholds; got {len(steps)} times in "
            f"{len(panels)} panels of the thresholds {thresholds}."
        )
    figure, axes = grid_of_panels(list(panels), height=2.6)
    for panel, (values, rows) in zip(axes, panels.values(), strict=True):
        where = option_axis(panel, values, [names[value] for value in values], title=x_label, margin=_MARGIN)
        low, high = _time_axis(panel, steps)
        ends: list[LineEnd] = []
        for name, cells in rows.items():
            place = thresholds.index(name)
            shift = (place - (len(thresholds) - 1) / 2) * 0.012  # of the panel's width, so that none hides another
            ends += _draw(panel, where, cells, name=name, place=place, shift=shift)
        write_line_ends(panel, ends, low=low, high=high)
    return figure


def _time_axis(panel: Axes, steps: Sequence[float]) -> tuple[float, float]:
    """Set the y axis to times, on a logarithmic scale where they span decades, and return its ends."""
    panel.set_ylabel("training step", color=INK, fontsize=TEXT)
    if is_logarithmic(steps):
        low, high = min(steps) / 1.3, max(steps) * 1.3
        panel.set_yscale("log")
        panel.set_yticks(log_ticks(low, high))
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.tick_params(which="minor", length=0)
    else:
        low, high = 0.0, 1.08 * max(steps) or 1.0
        panel.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:,.0f}" if tick >= 1 else f"{tick:g}"))
    panel.set_ylim(low, high)
    return low, high


def _draw(
    panel: Axes, where: Sequence[float], cells: Sequence[tuple[Sequence[Emergence], float | None]], *, name: str,
    place: int, shift: float,
) -> list[LineEnd]:  # fmt: skip
    """Draw the seeds and medians of a threshold, and return what names the line at its end."""
    colour = COLOURS[place]
    left, right = panel.get_xlim()
    logarithmic = panel.get_xscale() == "log"
    moved = [x * (right / left) ** shift if logarithmic else x + shift * (right - left) for x in where]
    medians = np.array([np.nan if median is None else median for _, median in cells])
    panel.plot(moved, medians, color=colour, linewidth=1.7, label=name)
    looks: dict[str, dict[str, Any]] = {
        "at": {"marker": MARKERS[place] if MARKERS[place] != "^" else "d", "s": 20, "color": colour, "alpha": 0.55},
        "later": {"marker": "^", "s": 34, "facecolors": PAPER, "edgecolors": colour},
        "before": {"marker": "v", "s": 34, "facecolors": PAPER, "edgecolors": colour},
    }
    drawn = [
        (x, time.step, "later" if not time.happened else "before" if time.at_first else "at")
        for x, (times, _) in zip(moved, cells, strict=True)
        for time in times
    ]
    for kind, look in looks.items():
        own = [(x, step) for x, step, of in drawn if of == kind]
        if own:
            panel.scatter(
                *zip(*own, strict=True), linewidths=0 if kind == "at" else 1.1, zorder=3, clip_on=False, **look
            )
    _count(panel, [(x, step) for x, step, of in drawn if of != "at"], colour=colour, left=shift < 0)
    known = medians[np.isfinite(medians)]
    heights = known if len(known) else [step for _, step, _ in drawn]
    return [LineEnd(height=float(heights[-1]), text=(name,), colour=colour, bold=1)] if len(heights) else []


def _count(panel: Axes, marks: Sequence[tuple[float, float]], *, colour: str, left: bool) -> None:
    """Write beside marks that lie on one another how many there are."""
    for place, count in collections.Counter(marks).items():
        if count > 1:
            panel.annotate(
                f"{count}\N{MULTIPLICATION SIGN}", place, xytext=(-6 if left else 6, 0), textcoords="offset points",
                ha="right" if left else "left", va="center", color=colour, fontsize=8,
            )  # fmt: skip
