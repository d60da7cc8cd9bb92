"""The ends of lines: what is written beside a panel of each line in it, so that no text covers another."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from icl_eval.figures.drawing import plain
from icl_eval.figures.palette import DOTTED, INK
from icl_eval.results.estimate import readable

_LABEL_HEIGHT = 13.5  # points, of a line of 10-point text with air above it
_NUDGE = 1e-9  # of a panel's height: too little to see, enough to keep lines of text in order


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class LineEnd:
    """What is said of a line at its end."""

    height: float  # where the line ends on the y axis
    text: tuple[str, ...]  # lines of it, the first on top
    colour: str = INK
    bold: int = 0  # how many of the lines are

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

    >>> from matplotlib.figure import Figure
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


def name_end(name: str, values: Float[np.ndarray, " N"], *, colour: str, width: int = 18) -> list[LineEnd]:
    """Return what names a line at its end, with its last value that is known; nothing if none is.

    >>> [end.text for end in name_end("ICL", np.array([0.5, np.nan]), colour=INK)]
    [('ICL 0.500',)]
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return []
    text = with_value(name, readable(known[-1]), width=width)
    return [LineEnd(height=float(known[-1]), text=text, colour=colour, bold=len(text))]


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
