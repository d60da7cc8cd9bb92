"""Transience: whether in-context learning that came also stays, seen over the logarithm of training."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from icl_eval.figures.drawing import new_figure, prepare, second_size_axis, size_axis
from icl_eval.figures.lines import Line, draw_lines
from icl_eval.figures.palette import COLOURS, MARKERS, PAPER
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import readable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decline:
    """From its peak to its end: what became of an accuracy."""

    peak_step: float  # the first of equals
    peak: float
    last_step: float  # where it is known
    last: float
    is_certain: bool  # the 95 % intervals of both do not overlap

    @property
    def depth(self) -> float:
        """How far below the peak it ends, 0 or more."""
        return round(self.peak - self.last, 12)


def decline(curve: ScalarCurve) -> Decline | None:
    """Return how a curve falls from its peak, or None if nothing of it is known.

    The peak is the highest of many noisy values and so a little too high; that intervals must not overlap is a
    stricter test than the difference needs, which makes up for some of it.

    >>> values = np.array([0.5, 0.9, 0.6])
    >>> decline(ScalarCurve(np.array([1.0, 10.0, 100.0]), values, values - 0.1, values + 0.1)).is_certain
    True
    """
    known = np.flatnonzero(np.isfinite(curve.values))
    if not len(known):
        return None
    peak, last = int(known[np.argmax(curve.values[known])]), int(known[-1])
    return Decline(
        peak_step=float(curve.steps[peak]),
        peak=float(curve.values[peak]),
        last_step=float(curve.steps[last]),
        last=float(curve.values[last]),
        is_certain=bool(curve.high[last] < curve.low[peak]),  # False where an end of an interval is not known
    )


def transience(curves: Mapping[str, ScalarCurve], *, batch_size: int | None = None) -> Figure:
    """Return a figure of up to six proportions against the logarithm of the training step, with their peaks marked.

    Step 0 has no place on the axis and is left out. The label at a line's end says how far below its peak it ends,
    if the 95 % intervals of peak and end do not overlap.

    Args:
      curves: by name, over the training step.
      batch_size: sequences in a training batch: a second axis above then says how many were seen, as papers count.

    Raises:
      ValueError: no curve that is known at a step above 0, or more than six.

    Source: Singh et al. (2023), arXiv 2311.08360: in-context learning can fade as training goes on.

    >>> values = np.array([0.5, 0.9, 0.6])
    >>> line = ScalarCurve(np.array([0.0, 10.0, 100.0]), values, values, values)
    >>> [text.get_text() for text in transience({"ICL": line}).axes[0].texts]
    ['0.300 below its peak', 'ICL 0.600']
    """
    drawn: list[tuple[Line, Decline]] = []
    for (name, curve), colour, marker in zip(curves.items(), COLOURS, MARKERS, strict=False):
        if (shown := curve.where(curve.steps > 0)) is not None and (lost := decline(shown)) is not None:
            drawn.append((Line(name=name, curve=shown, colour=colour, marker=marker, note=_short(lost)), lost))
    if not drawn or len(curves) > len(COLOURS):
        raise ValueError(
            f"Wanted 1..{len(COLOURS)} curves that are known at a step above 0, got {len(drawn)} of {len(curves)}; "
            "evaluate the run while it trains."
        )
    figure = new_figure(4.6, 3.2)
    panel = figure.subplots()
    prepare(panel, title="Accuracy, and its peak")
    steps = [step for line, _ in drawn for step in (line.curve.steps[0], line.curve.steps[-1])]
    size_axis(panel, steps, title="training step (logarithmic)")
    if batch_size is not None:
        second_size_axis(panel, factor=batch_size, title="sequences seen")
    draw_lines(panel, [line for line, _ in drawn], inches=3.2)
    for line, lost in drawn:
        panel.plot(
            [lost.peak_step], [lost.peak], color=PAPER, marker=line.marker, markersize=7, markeredgecolor=line.colour,
            markeredgewidth=1.8, linestyle="none", clip_on=False, zorder=4, label=f"{line.name}: peak",
        )  # fmt: skip
    return figure


def describe_transience(curve: ScalarCurve) -> str:
    """Return for a caption when a curve peaked, and whether it fell since.

    >>> values = np.array([0.5, 0.9, 0.6])
    >>> describe_transience(ScalarCurve(np.array([1.0, 10.0, 100.0]), values, values, values))
    'highest at step 10 (0.900); at step 100 it is 0.600, 0.300 below its peak'
    >>> describe_transience(ScalarCurve(*[np.array([1.0, 2.0])] * 4))
    'highest at step 2 (2.000), where it ends'
    """
    lost = decline(curve)
    if lost is None:
        return "not known at any step"
    peak = f"highest at step {lost.peak_step:,.0f} ({readable(lost.peak)})"
    if lost.peak_step == lost.last_step:
        return f"{peak}, where it ends"
    fell = f"{readable(lost.depth)} below its peak" if lost.is_certain else "no fall that the intervals can tell"
    return f"{peak}; at step {lost.last_step:,.0f} it is {readable(lost.last)}, {fell}"


def _short(lost: Decline) -> str:
    if lost.peak_step == lost.last_step:
        return "ends at its peak"
    return f"{readable(lost.depth)} below its peak" if lost.is_certain else "no certain fall"
