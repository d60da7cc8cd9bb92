"""Numbers of runs against an option that was varied: a line through the means, in a band over seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_eval.figures.drawing import new_figure, prepare
from icl_eval.figures.lines import Line, draw_lines
from icl_eval.figures.option_axis import option_axis
from icl_eval.figures.palette import COLOURS, MARKERS
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.result import Kind

MOST_PANELS = 12
Value = str | int | float | None
BySeries = Mapping[str, Sequence[Sequence[float]]]


def against_option(
    panels: Mapping[str, tuple[Sequence[Value], BySeries]],
    *,
    names: Mapping[Value, str],
    x_label: str,
    kind: Kind = "proportion",
    chances: Mapping[str, float] = {},
) -> Figure:
    """Return a figure of numbers against an option: lines through means, bands from lowest to highest, dots per seed.

    Args:
      panels: by title, at most twelve: the values of the option, in order, and by series, at most six, the numbers of
        the seeds at each value; those that are not finite are left out.
      names: of the values, as they stand beneath the axis.
      x_label: what the option is.
      kind: what kind of numbers they are.
      chances: what guessing gives, by series, as dotted lines.

    Raises:
      ValueError: no panels or too many, no series or too many, or a series of another length than the values.

    >>> panels = {"": ([0.0, 1.0], {"ICL": [[0.5, 0.6], [0.9, 0.8]]})}
    >>> figure = against_option(panels, names={0.0: "0", 1.0: "1"}, x_label="p_bursty")
    >>> [float(height) for height in figure.axes[0].lines[0].get_ydata()]
    [0.55, 0.8500000000000001]
    """
    _check(panels)
    figure, axes = grid_of_panels(list(panels), height=2.6)
    series = list(dict.fromkeys(name for _, of_panel in panels.values() for name in of_panel))
    for panel, (values, of_panel) in zip(axes, panels.values(), strict=True):
        where = np.array(option_axis(panel, values, [names[value] for value in values], title=x_label))
        lines = []
        for name, seeds in of_panel.items():
            place = series.index(name)
            known = [[number for number in numbers if np.isfinite(number)] for numbers in seeds]
            curve = _over_seeds(where, known, chances.get(name))
            lines.append(Line(name=name, curve=curve, colour=COLOURS[place], marker=MARKERS[place]))
            dots = [(x, number) for x, numbers in zip(where, known, strict=True) for number in numbers]
            panel.scatter(
                [x for x, _ in dots], [number for _, number in dots], color=COLOURS[place], marker=MARKERS[place],
                s=12, alpha=0.4, linewidths=0, clip_on=False,
            )  # fmt: skip
        draw_lines(panel, lines, kind=kind, width=16)
    return figure


def grid_of_panels(titles: Sequence[str], *, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each title, two in a row where there are several, each so many inches high."""
    columns = min(2, len(titles))
    rows = -(-len(titles) // columns)
    figure = new_figure(4.6 if columns == 1 else 8.8, rows * (height + 0.7), hspace=0.06, wspace=0.04)
    axes = list(np.ravel(figure.subplots(rows, columns)))
    for panel in axes[len(titles) :]:
        panel.remove()
    for panel, title in zip(axes, titles, strict=False):
        prepare(panel, title=title)
    return figure, axes[: len(titles)]


def _over_seeds(where: np.ndarray, known: Sequence[Sequence[float]], chance: float | None) -> ScalarCurve:
    mean, low, high = (
        np.array([float(of(numbers)) if len(numbers) else np.nan for numbers in known]) for of in (np.mean, min, max)
    )
    return ScalarCurve(where, np.clip(mean, low, high), low, high, chance=chance)  # rounding must not push it out


def _check(panels: Mapping[str, tuple[Sequence[Value], BySeries]]) -> None:
    names = {name for _, of_panel in panels.values() for name in of_panel}
    fits = all(
        len(values) and all(len(seeds) == len(values) for seeds in of_panel.values())
        for values, of_panel in panels.values()
    )
    if not 1 <= len(panels) <= MOST_PANELS or not 1 <= len(names) <= len(COLOURS) or not fits:
        raise ValueError(
            f"Wanted 1..{MOST_PANELS} panels of 1..{len(COLOURS)} series, each with numbers for every value; got "
            f"{len(panels)} panels of the series {sorted(names)}."
        )
