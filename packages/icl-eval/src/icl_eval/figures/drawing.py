"""Drawing: what all figures share, with matplotlib's object interface, without a display or global state.

The same numbers give the same bytes: files carry no dates and no random ids.
"""

import dataclasses
import io
import re
from collections.abc import Sequence
from typing import Literal

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

_STEP = 1e-9  # of a height: too little to see, enough to keep lines of text in order

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


def displayable(images: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Return images for the eye: full contrast, and dark ink on light paper whichever way they are stored.

    >>> displayable(np.array([[0, 0, 1]], np.uint8))
    array([[255, 255,   0]], dtype=uint8)
    """
    stretched = np.round(images * (255 / max(int(images.max()), 1))).astype(np.uint8)
    return stretched if np.median(stretched) > 127 else 255 - stretched


@dataclasses.dataclass(frozen=True, kw_only=True)
class LineEnd:
    """What is said of a line at its end.

    Attributes:
      height: where the line ends on the y axis.
      text: lines of text, the first on top.
      colour: of the text.
      bold: how many of the lines are bold.

    Raises:
      ValueError: if there is no text.

    >>> LineEnd(height=0.5, text=("ICL 0.500",), colour="#000000").bold
    1
    """

    height: float
    text: tuple[str, ...]
    colour: str
    bold: int = 1

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError("A line's end wants one or more lines of text, got none.")


def write_line_ends(
    panel: Axes, ends: Sequence[LineEnd], *, low: float = 0.0, high: float = 1.0, inches: float = 2.6
) -> None:
    """Write what is said of lines at their ends; the texts of one stay together and none overlap.

    Args:
      panel: whose y axis is linear.
      ends: in any order.
      low: where texts may begin on the y axis.
      high: where they must end.
      inches: the height of the panel with its share of titles and ticks.

    >>> from matplotlib.figure import Figure
    >>> panel = Figure().subplots()
    >>> ends = [LineEnd(height=0.5, text=(name, "falls"), colour="#000000") for name in ("ICL", "IWL")]
    >>> write_line_ends(panel, ends)
    >>> [text.get_text() for text in panel.texts]  # from below
    ['falls', 'ICL', 'falls', 'IWL']
    """
    rows = [
        (end.height, end.text[line], end.colour, line < end.bold)
        for end in sorted(ends, key=lambda end: end.height)
        for line in reversed(range(len(end.text)))
    ]
    step = _STEP * (high - low)
    label_at_right(
        panel,
        [(height + step * place, text, colour, bold) for place, (height, text, colour, bold) in enumerate(rows)],
        low=low,
        high=high,
        inches=inches,
    )


def wrapped(name: str, *, width: int = 18, lines: int = 3) -> tuple[str, ...]:
    """Break a name into a few short lines; what does not fit is cut, with an ellipsis.

    >>> wrapped("no_support_zipfian_a data.p_bursty 0.5", width=18)
    ('no_support_', 'zipfian_a data.p_', 'bursty 0.5')
    >>> wrapped("a" * 60, width=10, lines=2)
    ('aaaaaaaaaa', 'aaaaaaaaa…')
    """
    broken = [""]
    # Names of folders and options may break after their dashes and underscores too.
    for word in re.split(r"(?<=[ _/-])", name):
        if len((broken[-1] + word).rstrip()) <= width:
            broken[-1] += word
        else:
            broken += [word[start : start + width] for start in range(0, len(word), width)]
    broken = [line.rstrip() for line in broken if line.strip()]
    if len(broken) > lines:
        broken = [*broken[: lines - 1], broken[lines - 1][: width - 1] + "\N{HORIZONTAL ELLIPSIS}"]
    return tuple(broken) or (name,)


def with_value(name: str, value: str, *, width: int = 18) -> tuple[str, ...]:
    """Break a name and its value into short lines; a name that is too long is cut, and its value never.

    >>> with_value("Transformer", "0.900"), with_value("an-endless-name", "0.900")
    (('Transformer 0.900',), ('an-endless-name:', '0.900'))
    >>> with_value("a-b " * 30, "0.900", width=5)
    ('a-b', 'a-b', 'a-b…', '0.900')
    """
    if len(name) + 1 + len(value) <= width:
        return (f"{name} {value}",)
    whole = wrapped(f"{name}: {value}", width=width, lines=4)  # names may end in numbers too
    return whole if whole[-1].endswith(value) else (*wrapped(name, width=width), value)
