"""Figures of accuracies and losses over training: of one run, and of several compared."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from icl_eval.curve import Curve
from icl_eval.drawing import DOTTED, LIGHT, MARKERS, Theme, prepare
from icl_eval.estimate import readable
from icl_eval.line_ends import LineEnd, with_value, write_line_ends

_SMOOTH_BEYOND = 60  # logged points; fewer can be read without a running mean


def emergence(
    *,
    icl: Curve | None,
    iwl: Curve | None,
    loss: Curve | None = None,
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


def comparison(curves: Mapping[str, Curve], *, title: str, theme: Theme = LIGHT) -> Figure:
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
    accuracies: Sequence[tuple[str, Curve, str, str]],
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


def draw_loss(panel: Axes, loss: Curve, theme: Theme) -> None:
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
