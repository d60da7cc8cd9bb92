"""What a model's size buys: accuracy against state size and against parameter count."""

import dataclasses
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import NullFormatter

from icl_eval.drawing import DOTTED, LIGHT, MARKERS, Theme, accuracy_axis, label_at_right, log_ticks, prepare


@dataclasses.dataclass(frozen=True, kw_only=True)
class SizePoint:
    """A trained model in the picture of what its size buys.

    Attributes:
      trunk: the kind of sequence model.
      state_size: how many numbers carry what it has read, at least 1.
      parameters: how many parameters it has, at least 1.
      accuracy: on unseen tasks, in 0..1; NaN is left out.

    Raises:
      ValueError: if a size is below 1.

    >>> SizePoint(trunk="LSTM", state_size=256, parameters=300_000, accuracy=0.25).trunk
    'LSTM'
    """

    trunk: str
    state_size: int
    parameters: int
    accuracy: float

    def __post_init__(self) -> None:
        if min(self.state_size, self.parameters) < 1:
            raise ValueError(
                f"{self.trunk}: wanted a state size and a parameter count of at least 1 for the logarithmic axes, got "
                f"{self.state_size} and {self.parameters}."
            )


def against_size(points: Sequence[SizePoint], *, chance: float | None = None, theme: Theme = LIGHT) -> Figure:
    """Draw accuracy on unseen tasks against state size and against parameter count, a colour per trunk.

    Args:
      points: one per trained model, of at most six trunks.
      chance: drawn as a dotted line.
      theme: the colours.

    Raises:
      ValueError: no points, or more trunks than there are colours.

    Source: Kirsch et al. (2022), arXiv 2212.04458: the state size predicts performance, the parameter count does not.

    >>> point = SizePoint(trunk="LSTM", state_size=256, parameters=300_000, accuracy=0.25)
    >>> [panel.get_xlabel() for panel in against_size([point]).axes]
    ['state size', 'parameters']
    """
    trunks = list(dict.fromkeys(point.trunk for point in points))
    colours = (theme.icl, theme.iwl, *theme.others)
    if not 1 <= len(trunks) <= len(colours):
        raise ValueError(f"Wanted points of 1..{len(colours)} trunks, got {len(trunks)}.")
    figure = Figure(figsize=(6.4, 3.4), layout=ConstrainedLayoutEngine(w_pad=0.08), facecolor=theme.paper)
    panels = figure.subplots(1, 2, sharey=True)
    for panel, field in zip(panels, ("state_size", "parameters"), strict=True):
        prepare(panel, theme)
        accuracy_axis(panel, theme)
        panel.label_outer()
        size_axis(panel, [getattr(point, field) for point in points], theme, title=field.replace("_", " "))
        for trunk, colour, marker in zip(trunks, colours, MARKERS, strict=False):
            own = [point for point in points if point.trunk == trunk]
            panel.plot(
                [getattr(point, field) for point in own], [point.accuracy for point in own], color=colour,
                marker=marker, linestyle="none", markersize=5.5, markeredgecolor=theme.paper, markeredgewidth=0.6,
                clip_on=False, label=trunk,
            )  # fmt: skip
        if chance is not None:
            panel.axhline(chance, color=theme.ink, linewidth=1, linestyle=DOTTED)
    panels[0].set_title("Accuracy on unseen tasks", loc="left", color=theme.ink, fontsize=10, fontweight="bold")
    if chance is not None:
        label_at_right(panels[1], [(chance, f"chance {chance:.2g}", theme.ink, False)])
    handles = panels[0].lines[: len(trunks)]
    figure.legend(
        handles, trunks, loc="outside upper left", ncols=3, frameon=False, fontsize=9, labelcolor=theme.ink,
        handlelength=1.0, columnspacing=1.4,
    )  # fmt: skip
    return figure


def size_axis(panel: Axes, sizes: Sequence[float] | Sequence[int], theme: Theme, *, title: str) -> None:
    """Let the x axis span sizes above 0 on a logarithmic scale, and name it.

    >>> panel = Figure().subplots()
    >>> size_axis(panel, [10, 1000], LIGHT, title="parameters")
    >>> panel.get_xscale(), [tick.get_text() for tick in panel.get_xticklabels()]
    ('log', ['10', '100', '1k'])
    """
    low, high = min(sizes) / 1.5, max(sizes) * 1.5
    panel.set_xscale("log")
    panel.set_xlim(low, high)
    ticks = log_ticks(low, high)
    panel.set_xticks(ticks, [_short(tick) for tick in ticks])
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.tick_params(which="minor", length=0)
    panel.set_xlabel(title, color=theme.ink, fontsize=9.5)


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"
