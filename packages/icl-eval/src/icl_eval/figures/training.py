"""Figures of accuracies and losses over training: of one run, and of several compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from icl_eval.figures.drawing import new_figure, plain, prepare, stacked
from icl_eval.figures.line_ends import with_value, wrapped
from icl_eval.figures.lines import Line, draw_lines, draw_loss, step_axis
from icl_eval.figures.palette import COLOURS, DOTTED, FAINT, INK, MARKERS, MOST_SHADES, SWEEP, TEXT
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, readable
from icl_eval.results.result import Kind
from icl_eval.runs.reading import Run

_TITLES: dict[Kind, str] = {"proportion": "Accuracy", "error": "Error", "mean": "Mean"}
_LINE = 0.19  # inches of a line of text at a line's end


def emergence(
    curves: Mapping[str, ScalarCurve], *, kinds: Mapping[str, Kind] = {}, loss: ScalarCurve | None = None
) -> Figure:
    """Return a figure of what a run is about over training, above the training loss.

    Curves come with their 95 % bands, and with chance as a dotted line.

    Args:
      curves: by name, at most six.
      kinds: of curves that are no proportions: those of another kind have a panel of their own.
      loss: the training loss; None leaves its panel out.

    Raises:
      ValueError: if there is nothing to draw, or more curves than colours.

    >>> line = ScalarCurve(np.arange(3.0), *[np.array([0.5, 0.6, 0.9])] * 3, chance=0.5)
    >>> [text.get_text() for text in emergence({"ICL": line}).axes[0].texts]
    ['chance 0.5', 'ICL 0.900']
    """
    if not (curves or loss) or len(curves) > len(COLOURS):
        raise ValueError(
            f"Wanted up to {len(COLOURS)} curves over training, or a loss, got {len(curves)} and {loss}; read them "
            "from a run with evaluations."
        )
    lines: dict[Kind, list[Line]] = {}
    for (name, curve), colour, marker in zip(curves.items(), COLOURS, MARKERS, strict=False):
        of_kind = lines.setdefault(kinds.get(name, "proportion"), [])
        of_kind.append(Line(name=name, curve=curve, colour=colour, marker=marker))
    figure, panels = stacked([2.6] * len(lines) + [1.4] * (loss is not None))
    for panel, (kind, of_kind) in zip(panels, lines.items(), strict=False):
        prepare(panel, title=_TITLES[kind])
        draw_lines(panel, of_kind, kind=kind)
    if loss is not None:
        draw_loss(panels[-1], loss)
    step_axis(panels)
    return figure


def headline_curves(run: Run) -> dict[str, ScalarCurve]:
    """Return the headlines over training by their titles, at most as many as there are colours."""
    found = {each.title: run.evaluation_curve(each.evaluation, each.metric) for each in run.headlines}
    return {title: curve for title, curve in list(found.items())[: len(COLOURS)] if curve is not None}


def run_over_training(run: Run) -> Figure | None:
    """Return a figure of a run's headlines above its training loss, as `emergence` draws them; None of neither.

    >>> logged = {step: {"loss": 1 / step} for step in range(1, 10)}
    >>> [panel.get_title(loc="left") for panel in run_over_training(Run("mine", metrics=logged)).axes]
    ['Training loss']
    >>> run_over_training(Run("empty")) is None
    True
    """
    curves, loss = headline_curves(run), run.training_curve("loss")
    if not curves and loss is None:
        return None
    kinds = {headline.title: run.kind(headline.metric) for headline in run.headlines}
    return emergence(curves, kinds=kinds, loss=loss)


def group_colours(names: Sequence[str], *, grades: Mapping[str, float] | None = None) -> dict[str, str]:
    """Return a colour for each of up to six groups, or, graded by the number in which they differ, of up to twelve.

    >>> group_colours(["a", "b"])
    {'a': '#0067a3', 'b': '#c65300'}
    >>> sweep = {str(place): place / 10 for place in range(8)}
    >>> len(set(group_colours(list(sweep), grades=sweep).values()))
    8
    """
    if not 1 <= len(names) <= MOST_SHADES:
        raise ValueError(f"Wanted 1..{MOST_SHADES} groups of runs to compare, got {len(names)}; compare fewer at once.")
    if len(names) <= len(COLOURS):
        return dict(zip(names, COLOURS, strict=False))
    if grades is None:
        raise ValueError(
            f"Wanted at most {len(COLOURS)} groups of runs, or up to {MOST_SHADES} that differ in one number alone (a "
            f"sweep); got {len(names)} that differ otherwise. Compare fewer at once."
        )
    ordered = sorted(names, key=lambda name: grades[name])
    # By rank: a sweep over powers of ten would else crowd at one end.
    return {name: SWEEP[round(ordered.index(name) * (MOST_SHADES - 1) / (len(names) - 1))] for name in names}


def groups_over_training(
    curves: Mapping[str, Mapping[str, ScalarCurve]], *, colours: Mapping[str, str], kinds: Mapping[str, Kind] = {}
) -> Figure:
    """Return a figure of what groups of runs are about over training, a panel for each measure.

    Args:
      curves: by measure and group.
      colours: of each group, from `group_colours`.
      kinds: of measures that are no proportions.

    Raises:
      ValueError: if there is nothing to draw.

    >>> line = ScalarCurve(*[np.array([0.0, 0.5])] * 4)
    >>> figure = groups_over_training({"In context": {"a": line}, "In weights": {}}, colours={"a": "#0067a3"})
    >>> [panel.get_title(loc="left") for panel in figure.axes]
    ['In context']
    """
    rows = {name: of_groups for name, of_groups in curves.items() if of_groups}
    if not rows:
        raise ValueError("Wanted a measure of one or more groups of runs, got none; evaluate the runs first.")
    lines = [sum(len(with_value(name, "0.000")) for name in of_groups) + 2 for of_groups in rows.values()]
    heights = [max(2.6, _LINE * 1.12 * number) for number in lines]
    figure, panels = stacked(heights)
    markers = {name: MARKERS[place % len(MARKERS)] for place, name in enumerate(colours)}
    for panel, (title, of_groups), height in zip(panels, rows.items(), heights, strict=True):
        prepare(panel, title=title)
        drawn = [
            Line(name=name, curve=curve, colour=colours[name], marker=markers[name])
            for name, curve in of_groups.items()
        ]
        draw_lines(panel, drawn, kind=kinds.get(title, "proportion"), inches=height)
    step_axis(panels)
    return figure


def final_values(values: Mapping[str, Mapping[str, Estimate]], *, chance: float | None = None) -> Figure:
    """Return a figure of where groups of runs ended: a row each, with a dot and its interval for each proportion.

    Values are by measure, at most six, and group; some may lack some. Chance, of the first, is a dotted line.

    >>> half = Estimate(value=0.5, low=0.4, high=0.6, count=100)
    >>> figure = final_values({"ICL": {"a": half}, "IWL": {"b": half}})
    >>> [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    ['a', 'b']
    """
    values = {title: of_groups for title, of_groups in values.items() if of_groups}
    names = list(dict.fromkeys(name for of_groups in values.values() for name in of_groups))
    if not names or len(values) > len(COLOURS):
        raise ValueError(
            f"Wanted 1..{len(COLOURS)} measures of one or more groups of runs, got {len(values)}; evaluate the runs "
            "first."
        )
    labels = [wrapped(name, width=22) for name in names]
    height = max(0.42, 0.17 * max(map(len, labels)) + 0.1, 0.2 * len(values))
    figure = new_figure(4.6, 0.9 + len(names) * height)
    panel = figure.subplots()
    prepare(panel, x="accuracy at the end")
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", color=FAINT, linewidth=0.6)
    panel.set_xlim(0, 1)
    panel.set_xticks(np.linspace(0, 1, 5), ["0", "0.25", "0.5", "0.75", "1"])
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_yticks(range(len(names)), [plain("\n".join(label)) for label in labels])
    handles = []
    for place, of_groups in enumerate(values.values()):
        shift = 0.34 * (place / max(len(values) - 1, 1) - 0.5) * (len(values) > 1)
        look: dict[str, Any] = {
            "color": COLOURS[place],
            "marker": MARKERS[place],
            "markersize": 4.5,
            "linestyle": "none",
        }
        handles.append(Line2D([], [], **look))
        for name, estimate in of_groups.items():
            _dot(panel, estimate, names.index(name) + shift, look)
    if chance is not None:
        panel.axvline(chance, color=INK, linewidth=1, linestyle=DOTTED, zorder=0.5)
    figure.legend(
        handles, [plain(title) for title in values], loc="outside upper left", ncols=3, frameon=False, fontsize=TEXT,
        labelcolor="linecolor", handlelength=1.0, handletextpad=0.4, columnspacing=1.4,
    )  # fmt: skip
    return figure


def _dot(panel: Axes, estimate: Estimate, height: float, look: Mapping[str, Any]) -> None:
    reach = np.nan_to_num([[estimate.value - estimate.low], [estimate.high - estimate.value]])
    panel.errorbar([estimate.value], [height], xerr=reach, elinewidth=1.5, clip_on=False, **look)
    if np.isfinite(estimate.value):
        right = estimate.value < 0.85  # room for the number
        end = estimate.high if right else estimate.low
        place = estimate.value if np.isnan(end) else end
        panel.annotate(
            readable(estimate.value), (place, height), xytext=(5 if right else -5, 0), textcoords="offset points",
            ha="left" if right else "right", va="center", color=look["color"], fontsize=8,
        )  # fmt: skip
