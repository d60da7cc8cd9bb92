"""Line ends: what stands at the right ends of lines in place of a legend, over several lines of text if need be."""

import dataclasses
import re
from collections.abc import Sequence

from matplotlib.axes import Axes

from icl_eval.drawing import label_at_right

_STEP = 1e-9  # of a height: too little to see, enough to keep lines of text in order


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
