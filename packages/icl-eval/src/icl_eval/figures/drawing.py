"""Drawing: what all figures share, with matplotlib's object interface, without a display or global state.

The same numbers give the same bytes: files carry no dates and no random ids. A figure is drawn once, in the colours of
a light page; `encode` lets those of an SVG follow the page that it stands in.
"""

import io
import re
from collections.abc import Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from icl_eval.figures.palette import BLUE, COLOURS, FAINT, INK, MOST_SHADES, ORANGE, PAPER, PLUM, SHADE, SWEEP, TEXT


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


def stacked(heights: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Return a figure of empty panels, one above the other and so many inches high, that share their x axis."""
    figure = new_figure(4.6, sum(heights) + 0.6, hspace=0.08)
    return figure, list(np.atleast_1d(figure.subplots(len(heights), sharex=True, height_ratios=heights)))


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


def second_size_axis(panel: Axes, *, factor: int, title: str) -> None:
    """Put an axis above a panel whose x axis is logarithmic, of the same places times a factor, and name it.

    >>> panel = Figure().subplots()
    >>> size_axis(panel, [10, 1000], title="training step")
    >>> second_size_axis(panel, factor=32, title="sequences seen")
    >>> [tick.get_text() for tick in panel.child_axes[0].get_xticklabels()]
    ['300', '1k', '3k', '10k', '30k']
    """

    def to(x: Any) -> Any:
        return np.asarray(x) * factor

    def back(x: Any) -> Any:
        return np.asarray(x) / factor

    above = panel.secondary_xaxis("top", functions=(to, back))
    low, high = panel.get_xlim()
    ticks = log_ticks(low * factor, high * factor)
    above.set_xticks(ticks, [_short(tick) for tick in ticks])
    above.xaxis.set_minor_formatter(NullFormatter())
    above.tick_params(which="both", colors=INK, labelsize=9, length=0)
    above.spines["top"].set_visible(False)
    above.set_xlabel(title, color=INK, fontsize=TEXT)


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
