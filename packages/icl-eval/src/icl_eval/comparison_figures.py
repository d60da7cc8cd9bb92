"""Several runs in one figure: accuracies over training, and where they ended."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from icl_eval.curve import Curve
from icl_eval.drawing import DOTTED, LIGHT, MARKERS, Theme, plain, prepare
from icl_eval.estimate import Estimate, readable
from icl_eval.figures import draw_accuracies
from icl_eval.line_ends import with_value, wrapped

MOST_GROUPS = 12
_LINE = 0.19  # inches of a line of text at a line's end
_TITLES = {"icl": "ICL: in-context accuracy", "iwl": "IWL: in-weights accuracy"}


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
    icl: Mapping[str, Curve], iwl: Mapping[str, Curve], *, colours: Mapping[str, str], theme: Theme = LIGHT
) -> Figure:
    """Draw the in-context accuracy of groups of runs over training, above their in-weights accuracy.

    Args:
      icl: by group; empty leaves its panel out.
      iwl: by group; empty leaves its panel out.
      colours: of each group, from `group_colours`.
      theme: the colours of all else.

    Raises:
      ValueError: if there is nothing to draw.

    >>> line = Curve(*[np.array([0.0, 0.5])] * 4)
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
