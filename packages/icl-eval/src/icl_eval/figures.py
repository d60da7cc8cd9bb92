"""Figures: numbers drawn with matplotlib's object interface, without a display or global state.

The same numbers give the same bytes: files carry no dates and no random ids.
"""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from icl_eval.curve import Curve
from icl_eval.estimate import readable

_SMOOTH_BEYOND = 60  # logged points; fewer can be read without a running mean
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LABEL_HEIGHT = 13.5  # points, of a line of 10-point text with air above it


@dataclasses.dataclass(frozen=True)
class Theme:
    """The colours of a figure.

    Attributes:
      ink: text and axes.
      faint: grid and ticks.
      paper: the background.
      icl: in-context accuracy.
      iwl: in-weights accuracy.
      others: of further runs in a comparison, after these two.
    """

    ink: str
    faint: str
    paper: str
    icl: str
    iwl: str
    others: tuple[str, ...]


# Blue and orange stay apart for all common forms of colour blindness, and so do the others (Okabe and Ito 2008).
LIGHT = Theme(
    ink="#1f2328",
    faint="#d5d9de",
    paper="#ffffff",
    icl="#0067a3",
    iwl="#c65300",
    others=("#007a5a", "#a8487f", "#8a6d00", "#55606b"),
)
DARK = Theme(
    ink="#e4e7eb",
    faint="#3c434c",
    paper="#16191d",
    icl="#63b8ee",
    iwl="#f2a03d",
    others=("#3ec69c", "#e39bc4", "#e6d34b", "#a3adb8"),
)


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
        _prepare(panel, theme)
    panels[-1].set_xlabel(x_label, color=theme.ink, fontsize=9.5)
    if accuracies:
        _draw_accuracies(panels[0], accuracies, theme, title="Accuracy")
    if loss is not None:
        _draw_loss(panels[-1], loss, theme)
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
    _prepare(panel, theme)
    panel.set_xlabel("training step", color=theme.ink, fontsize=9.5)
    drawn = [(*named, colour, marker) for named, colour, marker in zip(curves.items(), colours, _MARKERS, strict=False)]
    _draw_accuracies(panel, drawn, theme, title=title)
    return figure


def encode(figure: Figure, *, form: Literal["png", "svg"]) -> bytes:
    """Return the figure as a file: the same figure always as the same bytes."""
    buffer = io.BytesIO()
    undated = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[form]
    with matplotlib.rc_context({"svg.hashsalt": "icl-eval", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=form, dpi=200, metadata=undated)
    return buffer.getvalue()


def _prepare(panel: Axes, theme: Theme) -> None:
    panel.set_facecolor(theme.paper)
    panel.grid(axis="y", color=theme.faint, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(colors=theme.ink, labelsize=9, length=0, pad=5)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(theme.ink)
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _draw_accuracies(
    panel: Axes, accuracies: Sequence[tuple[str, Curve, str, str]], theme: Theme, *, title: str
) -> None:
    panel.set_title(title, loc="left", color=theme.ink, fontsize=10, fontweight="bold")
    panel.set_ylim(0, 1.02)
    panel.set_yticks(np.linspace(0, 1, 5))
    labels: list[tuple[float, str, str, bool]] = []
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
            labels.append((last, f"{name} {readable(last)}", colour, True))
    chances = [(curve.chance, colour) for _, curve, colour, _ in accuracies if curve.chance is not None]
    if len(chances) > 1 and len({chance for chance, _ in chances}) == 1:
        chances = [(chances[0][0], theme.ink)]  # of all alike
    for chance, colour in chances:
        panel.axhline(chance, color=colour, linewidth=1, linestyle=(0, (1.5, 2.5)))
        labels.append((chance, f"chance {chance:.2g}", colour, False))
    _label_at_right(panel, labels)


def _label_at_right(panel: Axes, labels: Sequence[tuple[float, str, str, bool]]) -> None:
    """Name lines at their right ends, moved apart where they would overlap."""
    labels = sorted(labels, key=lambda label: label[0])
    # The panel's share of the figure's 72 points per inch; the layout takes about a tenth of it.
    gap = _LABEL_HEIGHT / (0.9 * 2.6 * 72)
    heights = spread([value for value, *_ in labels], gap=gap, low=0.0, high=1.0)
    for height, (_, text, colour, bold) in zip(heights, labels, strict=True):
        panel.annotate(
            text, (1, height), xycoords=("axes fraction", "data"), xytext=(7, 0), textcoords="offset points",
            va="center", color=colour, fontsize=10 if bold else 9, fontweight="bold" if bold else "normal",
        )  # fmt: skip


def _draw_loss(panel: Axes, loss: Curve, theme: Theme) -> None:
    noisy = len(loss.steps) > _SMOOTH_BEYOND
    title = "Training loss (thin) and its running mean" if noisy else "Training loss"
    panel.set_title(title, loc="left", color=theme.ink, fontsize=10, fontweight="bold")
    panel.plot(loss.steps, loss.values, color=theme.ink, linewidth=0.6 if noisy else 1.5, alpha=0.35 if noisy else 1)
    if noisy:
        smooth = loss.smoothed(window=max(5, len(loss.steps) // 25))
        panel.plot(smooth.steps, smooth.values, color=theme.ink, linewidth=1.5)
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_locator(MaxNLocator(3))


def spread(heights: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Move ascending heights apart until neighbours differ by `gap`, within low..high if they fit there.

    >>> spread([0.0, 0.01, 0.5], gap=0.1, low=0.0, high=1.0)
    [0.0, 0.1, 0.5]
    >>> [round(height, 1) for height in spread([0.95, 1.0], gap=0.1, low=0.0, high=1.0)]
    [0.9, 1.0]
    """
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else max(height, low))
    ceiling = high
    for place in reversed(range(len(moved))):
        moved[place] = min(moved[place], ceiling)
        ceiling = moved[place] - gap
    return moved
