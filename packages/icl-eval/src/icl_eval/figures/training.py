"""Figures of accuracies and losses over training: of one run, and of several compared."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from icl_eval.figures.drawing import (
    DOTTED,
    LIGHT,
    MARKERS,
    LineEnd,
    Theme,
    plain,
    prepare,
    with_value,
    wrapped,
    write_line_ends,
)
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, readable

MOST_GROUPS = 12
_LINE = 0.19  # inches of a line of text at a line's end
_TITLES = {"icl": "ICL: in-context accuracy", "iwl": "IWL: in-weights accuracy"}

_SMOOTH_BEYOND = 60  # logged points; fewer can be read without a running mean


def emergence(
    *,
    icl: ScalarCurve | None,
    iwl: ScalarCurve | None,
    loss: ScalarCurve | None = None,
    theme: Theme = LIGHT,
    x_label: str = "training step",
) -> Figure:
    """Draw in-context and in-weights accuracy over training, above the training loss.

    Accuracies come with their 95 % bands, and with chance as a dotted line.

    Args:
      icl: closed accuracy on few-shot sequences of held-out classes; None leaves it out.
      iwl: open accuracy on sequences whose context does not help; None leaves it out.
      loss: the training loss; None leaves its panel out.
      theme: the colours.
      x_label: what the curves' `steps` count; pass curves over seconds with "seconds".

    Raises:
      ValueError: if there is nothing to draw.
    """
    accuracies = [
        (name, curve, colour, marker)
        for name, curve, colour, marker in (("ICL", icl, theme.icl, "o"), ("IWL", iwl, theme.iwl, "s"))
        if curve is not None
    ]
    heights = [2.6] * bool(accuracies) + [1.4] * (loss is not None)
    if not heights:
        raise ValueError("Wanted at least one of icl, iwl and loss, got none; read them from a run with evaluations.")
    figure = Figure(
        figsize=(4.6, sum(heights) + 0.6),
        layout=ConstrainedLayoutEngine(hspace=0.08, w_pad=0.08),
        facecolor=theme.paper,
    )
    panels = list(np.atleast_1d(figure.subplots(len(heights), sharex=True, height_ratios=heights)))
    for panel in panels:
        prepare(panel, theme)
    panels[-1].set_xlabel(x_label, color=theme.ink, fontsize=9.5)
    if accuracies:
        draw_accuracies(panels[0], accuracies, theme, title="Accuracy")
    if loss is not None:
        draw_loss(panels[-1], loss, theme)
    return figure


def comparison(curves: Mapping[str, ScalarCurve], *, title: str, theme: Theme = LIGHT) -> Figure:
    """Draw the same accuracy of several runs over training, each with its 95 % band.

    Args:
      curves: by what the runs are called, one to six of them.
      title: which accuracy it is.
      theme: the colours.

    Raises:
      ValueError: no curves, or more than there are colours.
    """
    colours = (theme.icl, theme.iwl, *theme.others)
    if not 1 <= len(curves) <= len(colours):
        raise ValueError(f"Wanted 1..{len(colours)} curves to compare, got {len(curves)}.")
    figure = Figure(figsize=(4.6, 3.2), layout=ConstrainedLayoutEngine(w_pad=0.08), facecolor=theme.paper)
    panel = figure.subplots()
    prepare(panel, theme)
    panel.set_xlabel("training step", color=theme.ink, fontsize=9.5)
    drawn = [(*named, colour, marker) for named, colour, marker in zip(curves.items(), colours, MARKERS, strict=False)]
    draw_accuracies(panel, drawn, theme, title=title)
    return figure


def draw_accuracies(
    panel: Axes,
    accuracies: Sequence[tuple[str, ScalarCurve, str, str]],
    theme: Theme,
    *,
    title: str,
    inches: float = 2.6,
) -> None:
    """Draw accuracies over training, each a name, a curve, a colour and a marker; `inches` is the panel's height."""
    panel.set_title(title, loc="left", color=theme.ink, fontsize=10, fontweight="bold")
    panel.set_ylim(0, 1.02)
    panel.set_yticks(np.linspace(0, 1, 5))
    ends: list[LineEnd] = []
    for name, curve, colour, marker in accuracies:
        panel.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
        size = 3.2 if len(curve.steps) <= 40 else 0
        # Not clipped, or the markers at 0 and 1 would be halved.
        panel.plot(
            curve.steps,
            curve.values,
            color=colour,
            marker=marker,
            markersize=size,
            linewidth=1.7,
            clip_on=False,
        )
        last = float(curve.values[-1])
        if np.isfinite(last):
            text = with_value(name, readable(last))
            ends.append(LineEnd(height=last, text=text, colour=colour, bold=len(text)))
    chances = [(curve.chance, colour) for _, curve, colour, _ in accuracies if curve.chance is not None]
    if len(chances) > 1 and len({chance for chance, _ in chances}) == 1:
        chances = [(chances[0][0], theme.ink)]  # of all alike
    for chance, colour in chances:
        panel.axhline(chance, color=colour, linewidth=1, linestyle=DOTTED)
        ends.append(LineEnd(height=chance, text=(f"chance {chance:.2g}",), colour=colour, bold=0))
    write_line_ends(panel, ends, inches=inches)


def draw_loss(panel: Axes, loss: ScalarCurve, theme: Theme) -> None:
    """Draw the training loss from 0 up, with its running mean where single points are noisy."""
    noisy = len(loss.steps) > _SMOOTH_BEYOND
    title = "Training loss (thin) and its running mean" if noisy else "Training loss"
    panel.set_title(title, loc="left", color=theme.ink, fontsize=10, fontweight="bold")
    panel.plot(loss.steps, loss.values, color=theme.ink, linewidth=0.6 if noisy else 1.5, alpha=0.35 if noisy else 1)
    if noisy:
        smooth = loss.smoothed(window=max(5, len(loss.steps) // 25))
        panel.plot(smooth.steps, smooth.values, color=theme.ink, linewidth=1.5)
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_locator(MaxNLocator(3))


def group_colours(
    names: Sequence[str], *, grades: Mapping[str, float] | None = None, theme: Theme = LIGHT
) -> dict[str, str]:
    """Return a colour for each of up to six groups, or, graded by a number, for each of up to twelve.

    Args:
      names: of the groups.
      grades: the number in which the groups differ; only read for more than six.
      theme: the colours.

    Raises:
      ValueError: if there are no groups, more than twelve, or more than six without such a number.

    >>> group_colours(["a", "b"])
    {'a': '#0067a3', 'b': '#c65300'}
    >>> sweep = {str(place): place / 10 for place in range(8)}
    >>> len(set(group_colours(list(sweep), grades=sweep).values()))
    8
    """
    colours = (theme.icl, theme.iwl, *theme.others)
    if not 1 <= len(names) <= MOST_GROUPS:
        raise ValueError(f"Wanted 1..{MOST_GROUPS} groups of runs to compare, got {len(names)}; compare fewer at once.")
    if len(names) <= len(colours):
        return dict(zip(names, colours, strict=False))
    if grades is None:
        raise ValueError(
            f"Wanted at most {len(colours)} groups of runs, or up to {MOST_GROUPS} that differ in one number alone (a "
            f"sweep); got {len(names)} that differ otherwise. Compare fewer at once."
        )
    shades = LinearSegmentedColormap.from_list("sweep", [theme.icl, theme.others[1], theme.iwl])
    ordered = sorted(names, key=lambda name: grades[name])
    # By rank: a sweep over powers of ten would else crowd at one end.
    return {name: to_hex(shades(ordered.index(name) / (len(names) - 1))) for name in names}


def accuracies_over_training(
    icl: Mapping[str, ScalarCurve], iwl: Mapping[str, ScalarCurve], *, colours: Mapping[str, str], theme: Theme = LIGHT
) -> Figure:
    """Draw the in-context accuracy of groups of runs over training, above their in-weights accuracy.

    Args:
      icl: by group; empty leaves its panel out.
      iwl: by group; empty leaves its panel out.
      colours: of each group, from `group_colours`.
      theme: the colours of all else.

    Raises:
      ValueError: if there is nothing to draw.

    >>> line = ScalarCurve(*[np.array([0.0, 0.5])] * 4)
    >>> figure = accuracies_over_training({"a": line}, {}, colours={"a": "#0067a3"})
    >>> [panel.get_title(loc="left") for panel in figure.axes]
    ['ICL: in-context accuracy']
    """
    rows = {name: curves for name, curves in (("icl", icl), ("iwl", iwl)) if curves}
    if not rows:
        raise ValueError("Wanted ICL or IWL of one or more groups of runs, got none; evaluate the runs first.")
    lines = [sum(len(with_value(name, "0.000")) for name in curves) + 2 for curves in rows.values()]
    heights = [max(2.6, _LINE * 1.12 * number) for number in lines]
    figure = Figure(
        figsize=(4.6, sum(heights) + 0.6),
        layout=ConstrainedLayoutEngine(hspace=0.08, w_pad=0.08),
        facecolor=theme.paper,
    )
    panels = np.atleast_1d(figure.subplots(len(rows), sharex=True, height_ratios=heights))
    markers = {name: MARKERS[place % len(MARKERS)] for place, name in enumerate(colours)}
    for panel, (headline, curves), height in zip(panels, rows.items(), heights, strict=True):
        prepare(panel, theme)
        drawn = [(name, curve, colours[name], markers[name]) for name, curve in curves.items()]
        draw_accuracies(panel, drawn, theme, title=_TITLES[headline], inches=height)
    panels[-1].set_xlabel("training step", color=theme.ink, fontsize=9.5)
    return figure


def final_values(
    icl: Mapping[str, Estimate],
    iwl: Mapping[str, Estimate],
    *,
    chance: float | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw where groups of runs ended: a row each, dots with their intervals for ICL and IWL.

    Args:
      icl: by group.
      iwl: by group; either may lack some.
      chance: of ICL, drawn as a dotted line.
      theme: the colours.

    Raises:
      ValueError: if there is nothing to draw.

    >>> half = Estimate(value=0.5, low=0.4, high=0.6, count=100)
    >>> figure = final_values({"a": half}, {"b": half})
    >>> [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    ['a', 'b']
    """
    names = list(dict.fromkeys([*icl, *iwl]))
    if not names:
        raise ValueError("Wanted ICL or IWL of one or more groups of runs, got none; evaluate the runs first.")
    labels = [wrapped(name, width=22) for name in names]
    deep = max(map(len, labels))
    figure = Figure(
        figsize=(4.6, 0.9 + len(names) * max(0.42, 0.17 * deep + 0.1)),
        layout=ConstrainedLayoutEngine(w_pad=0.08),
        facecolor=theme.paper,
    )
    panel = figure.subplots()
    prepare(panel, theme)
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", color=theme.faint, linewidth=0.6)
    panel.set_xlim(0, 1)
    panel.set_xticks(np.linspace(0, 1, 5), ["0", "0.25", "0.5", "0.75", "1"])
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_yticks(range(len(names)), [plain("\n".join(label)) for label in labels])
    panel.set_xlabel("accuracy at the end", color=theme.ink, fontsize=9.5)
    both = bool(icl) and bool(iwl)
    for values, colour, marker, shift in ((icl, theme.icl, "o", -0.17), (iwl, theme.iwl, "s", 0.17)):
        for name, estimate in values.items():
            _dot(panel, estimate, names.index(name) + shift * both, colour=colour, marker=marker)
    if chance is not None and icl:
        panel.axvline(chance, color=theme.ink, linewidth=1, linestyle=DOTTED, zorder=0.5)
    heads = [("\N{BLACK CIRCLE} ICL", theme.icl)] * bool(icl) + [("\N{BLACK SQUARE} IWL", theme.iwl)] * bool(iwl)
    for place, (text, colour) in enumerate(heads):
        panel.annotate(text, (0, 1), xycoords="axes fraction", xytext=(48 * place, 6), textcoords="offset points",
                       color=colour, fontsize=10, fontweight="bold")  # fmt: skip
    return figure


def _dot(panel: Axes, estimate: Estimate, height: float, *, colour: str, marker: str) -> None:
    reach = np.nan_to_num([[estimate.value - estimate.low], [estimate.high - estimate.value]])
    panel.errorbar(
        [estimate.value], [height], xerr=reach, color=colour, marker=marker, markersize=4.5, elinewidth=1.5,
        linestyle="none", clip_on=False,
    )  # fmt: skip
    if np.isfinite(estimate.value):
        right = estimate.value < 0.85  # room for the number
        end = estimate.high if right else estimate.low
        place = estimate.value if np.isnan(end) else end
        panel.annotate(
            readable(estimate.value), (place, height), xytext=(5 if right else -5, 0), textcoords="offset points",
            ha="left" if right else "right", va="center", color=colour, fontsize=8,
        )  # fmt: skip
