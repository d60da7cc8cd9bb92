"""Lines: curves in a panel, each with its band, its marker, and its name and last value at its end."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from icl_eval.figures.drawing import accuracy_axis, log_ticks, prepare
from icl_eval.figures.line_ends import LineEnd, draw_level, name_end, write_line_ends
from icl_eval.figures.palette import INK, TEXT
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.result import Kind

_DECADES = 5  # least squares without noise errs by 1e-28, which would flatten all else
_MARKED = 40  # points; more would hide the line
_SMOOTH_BEYOND = 60  # logged points; fewer can be read without a running mean


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A curve, and how it looks."""

    name: str  # written at its end, before its last value
    curve: ScalarCurve
    colour: str
    marker: str
    dash: str | tuple[int, tuple[float, ...]] = "-"
    strong: bool = True  # thick, and with a band
    note: str = ""  # what else is written at its end


def draw_lines(
    panel: Axes, lines: Sequence[Line], *, kind: Kind = "proportion", inches: float = 2.6, width: int = 18
) -> None:
    """Draw lines on the axis that their kind asks for, with their names and what guessing gives at the right.

    Proportions span 0..1; errors have a logarithmic axis of at most five decades, and what guessing gives is the best
    constant; means take what room they need. The last line is over the others. `inches` is as in `write_line_ends`.
    """
    low, high = _set_axis(panel, lines, kind)
    # Proportions end where the panel does, and their markers would be halved.
    drawn = [end for line in lines for end in draw_line(panel, line, width=width, clip=kind != "proportion")]
    ends = [dataclasses.replace(end, height=float(np.clip(end.height, low, high))) for end in drawn]
    level = "best constant" if kind == "error" else "chance"
    ends += [draw_level(panel, level, chance, colour=colour) for chance, colour in _chances(lines)]
    write_line_ends(panel, ends, low=low, high=high, inches=inches)


def draw_line(panel: Axes, line: Line, *, width: int = 24, clip: bool = False) -> list[LineEnd]:
    """Draw a line, cut off where it leaves the panel if `clip`, and return what to write at its end, if known."""
    curve = line.curve
    if line.strong:
        panel.fill_between(curve.steps, curve.low, curve.high, color=line.colour, alpha=0.2, linewidth=0)
    panel.plot(
        curve.steps, curve.values, color=line.colour, marker=line.marker, linestyle=line.dash, label=line.name,
        markersize=(3.2 if line.strong else 2.6) if len(curve.steps) <= _MARKED else 0,
        linewidth=1.8 if line.strong else 1.1, clip_on=clip,
    )  # fmt: skip
    ends = name_end(line.name, curve.values, colour=line.colour, width=width)
    note = tuple(line.note.splitlines())
    return [dataclasses.replace(end, text=end.text + note, bold=end.bold if line.strong else 0) for end in ends]


def step_axis(panels: Sequence[Axes]) -> None:
    """Set the x axis that panels share to training steps; a single step stands there alone, without fractions."""
    panels[-1].set_xlabel("training step", color=INK, fontsize=TEXT)
    ends = {end for panel in panels for end in panel.dataLim.intervalx if np.isfinite(end)}
    if len(ends) == 1:
        panels[-1].set_xticks(list(ends))


def draw_loss(panel: Axes, loss: ScalarCurve) -> None:
    """Draw the training loss from 0 up, with its running mean where single points are noisy."""
    noisy = len(loss.steps) > _SMOOTH_BEYOND
    prepare(panel, title="Training loss (thin) and its running mean" if noisy else "Training loss")
    panel.plot(loss.steps, loss.values, color=INK, linewidth=0.6 if noisy else 1.5, alpha=0.35 if noisy else 1)
    if noisy:
        smooth = loss.smoothed(window=max(5, len(loss.steps) // 25))
        panel.plot(smooth.steps, smooth.values, color=INK, linewidth=1.5)
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_locator(MaxNLocator(3))


def _set_axis(panel: Axes, lines: Sequence[Line], kind: Kind) -> tuple[float, float]:
    """Set the y axis, and return where texts beside it may begin and must end."""
    if kind == "proportion":
        accuracy_axis(panel)
        return 0.0, 1.0
    low, high = _limits(lines, logarithmic=kind == "error")
    if kind == "error":
        panel.set_yscale("log", nonpositive="clip")
        panel.set_yticks(log_ticks(low, high))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.tick_params(which="minor", length=0)
    panel.set_ylim(low, high)
    return low, high


def _limits(lines: Sequence[Line], *, logarithmic: bool) -> tuple[float, float]:
    rows = [row for line in lines for row in (line.curve.values, *([line.curve.high] * line.strong))]
    values = np.concatenate([*rows, [line.curve.chance for line in lines if line.curve.chance is not None]])
    values = values[np.isfinite(values)]
    if logarithmic:
        values = values[values > 0]
    if not len(values):
        return 0.1, 1.0
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return max(low / 1.4, 1.25 * high / 10**_DECADES), 1.25 * high
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _chances(lines: Sequence[Line]) -> list[tuple[float, str]]:
    """Return what guessing gives, in ink; where it differs between lines, in the colour of the one that it is of."""
    owners: dict[float, list[Line]] = collections.defaultdict(list)
    for line in lines:
        if line.curve.chance is not None:
            owners[line.curve.chance].append(line)
    own = len(owners) > 1
    return [(chance, of[0].colour if own and len(of) == 1 else INK) for chance, of in sorted(owners.items())]
