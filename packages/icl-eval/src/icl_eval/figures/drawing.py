"""Drawing: what all figures share, with matplotlib's object interface, without a display or global state.

The same numbers give the same bytes: files carry no dates and no random ids. A figure is drawn once, in the colours of
a light page; `encode` lets those of an SVG follow the page that it stands in.
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
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

INK, FAINT, PAPER = "#1f2328", "#d5d9de", "#ffffff"  # text and axes, grid and ticks, background
# Blue and orange stay apart for all common forms of colour blindness, and so do the others (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, PLUM, OLIVE, GREY = COLOURS = ("#0067a3", "#c65300", "#007a5a", "#a8487f", "#8a6d00", "#55606b")
SHADE = "#4a98c9"  # of cells; pale enough on paper, and dark enough in the dark, for text of ink
MOST_SHADES = 12  # of a sweep
SWEEP = tuple(
    to_hex(LinearSegmentedColormap.from_list("sweep", [BLUE, PLUM, ORANGE])(place / (MOST_SHADES - 1)))
    for place in range(MOST_SHADES)
)
"""Colours from blue by plum to orange, for what is graded by a number."""

MARKERS = ("o", "s", "^", "D", "v", "P")
DOTTED = (0, (1.5, 2.5))  # of chance, and of what else is known without measuring
TEXT = 9.5  # points, of the names of axes
_LABEL_HEIGHT = 13.5  # points, of a line of 10-point text with air above it
_NUDGE = 1e-9  # of a panel's height: too little to see, enough to keep lines of text in order


def _css_colours() -> dict[str, str]:
    """Return what each colour of a figure is called in CSS; where a page does not define it, it is as drawn."""
    series = zip(("blue", "orange", "green", "plum", "olive", "grey"), COLOURS, strict=True)
    named = {"ink": INK, "faint": FAINT, "paper": PAPER, "shade": SHADE, **dict(series)}
    css = {colour: f"var(--{name}, {colour})" for name, colour in named.items()}
    half = (MOST_SHADES - 1) / 2
    for place, colour in enumerate(SWEEP[1:-1], start=1):
        before, after = (BLUE, PLUM) if place < half else (PLUM, ORANGE)
        share = 100 * (place / half % 1)
        css[colour] = f"color-mix(in srgb, {css[before]}, {css[after]} {share:.0f}%)"
    return css


_CSS = _css_colours()


def encode(figure: Figure, *, form: Literal["png", "svg"]) -> bytes:
    """Return the figure as a file: the same figure always as the same bytes.

    The colours of an SVG are CSS variables (`--ink`, `--faint`, `--paper`, `--shade`, `--blue`, ...), so that they
    follow the page that it stands in; elsewhere, and in a PNG, they are those of a light page.
    """
    buffer = io.BytesIO()
    undated = {"png": {"Software": None}, "svg": dict.fromkeys(("Creator", "Date", "Format", "Type"))}[form]
    with matplotlib.rc_context({"svg.hashsalt": "icl-eval", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=form, dpi=200, metadata=undated)
    if form == "png":
        return buffer.getvalue()
    svg = re.sub(r"\s*<!--.*?-->", "", buffer.getvalue().decode(), flags=re.DOTALL)  # the texts, drawn as paths
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: _CSS.get(found[0], found[0]), svg).encode()


def new_figure(width: float, height: float, **padding: float) -> Figure:
    """Return an empty figure of so many inches whose parts make room for one another."""
    layout = ConstrainedLayoutEngine(**{"w_pad": 0.08} | padding)  # type: ignore[arg-type]
    return Figure(figsize=(width, height), layout=layout, facecolor=PAPER)


def prepare(panel: Axes, *, title: str = "", x: str = "") -> None:
    """Set the look of all panels: a grid of faint lines, no frame, whole numbers along x; title and x axis named."""
    panel.set_facecolor(PAPER)
    panel.grid(axis="y", color=FAINT, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(colors=INK, labelsize=9, length=0, pad=5)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(INK)
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panel.set_title(plain(title), loc="left", color=INK, fontsize=10, fontweight="bold")
    panel.set_xlabel(plain(x), color=INK, fontsize=TEXT)


def accuracy_axis(panel: Axes, *, name: str = "") -> None:
    """Set the y axis to span accuracies, and name it."""
    panel.set_ylim(0, 1.02)
    panel.set_yticks(np.linspace(0, 1, 5))
    panel.set_ylabel(name, color=INK, fontsize=TEXT)


def plain(text: str) -> str:
    r"""Return a text in which matplotlib finds no mathematics.

    >>> print(plain("a$b$"))
    a\$b\$
    """
    return text.replace("$", r"\$")


def spread(heights: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Return ascending heights moved apart until neighbours differ by `gap`, within low..high if they fit there.

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


def size_axis(panel: Axes, sizes: Sequence[float] | Sequence[int], *, title: str) -> None:
    """Set the x axis to span sizes above 0 on a logarithmic scale, and name it.

    >>> panel = Figure().subplots()
    >>> size_axis(panel, [10, 1000], title="parameters")
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
    panel.set_xlabel(title, color=INK, fontsize=TEXT)


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


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

    >>> LineEnd(height=0.5, text=("ICL 0.500",)).bold
    0
    """

    height: float
    text: tuple[str, ...]
    colour: str = INK
    bold: int = 0

    def __post_init__(self) -> None:
        if not self.text:
            raise ValueError("A line's end wants one or more lines of text, got none.")


def draw_level(panel: Axes, name: str, height: float, *, colour: str = INK) -> LineEnd:
    """Draw a dotted line at what is known without measuring, such as chance, and return what to write at its end."""
    panel.axhline(height, color=colour, linewidth=1, linestyle=DOTTED)
    return LineEnd(height=height, text=(f"{name} {height:.2g}",), colour=colour)


def write_line_ends(
    panel: Axes, ends: Sequence[LineEnd], *, low: float = 0.0, high: float = 1.0, inches: float = 2.6
) -> None:
    """Write what is said of lines at their right ends; the texts of one stay together and none overlap.

    They stand within low..high of the y axis, linear or logarithmic, of a panel that is so many inches high with its
    share of titles and ticks.

    >>> panel = Figure().subplots()
    >>> write_line_ends(panel, [LineEnd(height=0.5, text=(name, "falls")) for name in ("ICL", "IWL")])
    >>> [text.get_text() for text in panel.texts]  # from below
    ['falls', 'ICL', 'falls', 'IWL']
    """
    logarithmic = panel.get_yscale() == "log"
    rows = [
        (end.height, end.text[line], end.colour, line < end.bold)
        for end in sorted(ends, key=lambda end: end.height)
        for line in reversed(range(len(end.text)))
    ]
    places = [height for height, *_ in rows]
    if logarithmic:
        low, high, *places = (float(np.log10(height)) for height in (low, high, *places))
    places = [place + _NUDGE * (high - low) * number for number, place in enumerate(places)]
    # The panel's share of the figure's 72 points per inch; the layout takes about a tenth of it.
    gap = _LABEL_HEIGHT / (0.9 * inches * 72) * (high - low)
    heights = spread(places, gap=gap, low=low, high=high)
    for height, (_, text, colour, bold) in zip(heights, rows, strict=True):
        panel.annotate(
            plain(text), (1, 10**height if logarithmic else height), xycoords=("axes fraction", "data"), xytext=(7, 0),
            textcoords="offset points", va="center", color=colour, fontsize=10 if bold else 9,
            fontweight="bold" if bold else "normal",
        )  # fmt: skip


def wrapped(name: str, *, width: int = 18, lines: int = 3) -> tuple[str, ...]:
    """Return a name in a few lines of `width` letters; what does not fit is cut, with an ellipsis.

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
    """Return a name and its value in lines of `width` letters; a name that is too long is cut, and its value never.

    >>> with_value("Transformer", "0.900"), with_value("an-endless-name", "0.900")
    (('Transformer 0.900',), ('an-endless-name:', '0.900'))
    >>> with_value("a-b " * 30, "0.900", width=5)
    ('a-b', 'a-b', 'a-b…', '0.900')
    """
    if len(name) + 1 + len(value) <= width:
        return (f"{name} {value}",)
    whole = wrapped(f"{name}: {value}", width=width, lines=4)  # names may end in numbers too
    return whole if whole[-1].endswith(value) else (*wrapped(name, width=width), value)
