"""Drawing: what all figures share, with matplotlib's object interface, without a display or global state.

The same numbers give the same bytes: files carry no dates and no random ids.
"""

import dataclasses
import io
from collections.abc import Sequence
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

MARKERS = ("o", "s", "^", "D", "v", "P")
DOTTED = (0, (1.5, 2.5))  # of chance, and of what else is known without measuring
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


def encode(figure: Figure, *, form: Literal["png", "svg"]) -> bytes:
    """Return the figure as a file: the same figure always as the same bytes."""
    buffer = io.BytesIO()
    undated = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[form]
    with matplotlib.rc_context({"svg.hashsalt": "icl-eval", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=form, dpi=200, metadata=undated)
    return buffer.getvalue()


def prepare(panel: Axes, theme: Theme) -> None:
    """Give a panel the look of all: a grid of faint lines, no frame, whole numbers along x."""
    panel.set_facecolor(theme.paper)
    panel.grid(axis="y", color=theme.faint, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(colors=theme.ink, labelsize=9, length=0, pad=5)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(theme.ink)
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def accuracy_axis(panel: Axes, theme: Theme) -> None:
    """Let the y axis span accuracies, and say so."""
    panel.set_ylim(0, 1.02)
    panel.set_yticks(np.linspace(0, 1, 5))
    panel.set_ylabel("accuracy", color=theme.ink, fontsize=9.5)


def label_at_right(
    panel: Axes,
    labels: Sequence[tuple[float, str, str, bool]],
    *,
    low: float = 0.0,
    high: float = 1.0,
    inches: float = 2.6,
) -> None:
    """Name lines at their right ends, moved apart where they would overlap.

    Args:
      panel: whose y axis is linear or logarithmic.
      labels: of each line: the height of its end, the text, the colour, and whether it is bold.
      low: where labels may begin on the y axis.
      high: where they must end.
      inches: the height of the panel with its share of titles and ticks.
    """
    logarithmic = panel.get_yscale() == "log"
    labels = sorted(labels, key=lambda label: label[0])
    places = [value for value, *_ in labels]
    if logarithmic:
        low, high, *places = (float(np.log10(value)) for value in (low, high, *places))
    # The panel's share of the figure's 72 points per inch; the layout takes about a tenth of it.
    gap = _LABEL_HEIGHT / (0.9 * inches * 72) * (high - low)
    heights = spread(places, gap=gap, low=low, high=high)
    for height, (_, text, colour, bold) in zip(heights, labels, strict=True):
        panel.annotate(
            plain(text), (1, 10**height if logarithmic else height), xycoords=("axes fraction", "data"), xytext=(7, 0),
            textcoords="offset points", va="center", color=colour, fontsize=10 if bold else 9,
            fontweight="bold" if bold else "normal",
        )  # fmt: skip


def plain(text: str) -> str:
    r"""Return a text in which matplotlib finds no mathematics.

    >>> print(plain("a$b$"))
    a\$b\$
    """
    return text.replace("$", r"\$")


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


def log_ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers within low..high for a logarithmic axis, fewer where there are fewer.

    >>> log_ticks(0.9, 110.0), log_ticks(0.2, 1.1)
    ([1.0, 10.0, 100.0], [0.2, 0.5, 1.0])
    """
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    ticks: list[float] = []
    for digits in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        candidates = (digit * 10.0**power for power in range(first, last + 1) for digit in digits)
        ticks = [float(f"{tick:.0e}") for tick in candidates if low <= tick <= high]
        if len(ticks) >= 3:
            break
    return ticks[:: -(-len(ticks) // 7) or 1]
