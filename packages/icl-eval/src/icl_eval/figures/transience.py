"""Transience: whether in-context learning that came also stays, seen over the logarithm of training."""

import dataclasses

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from icl_eval.figures.drawing import DOTTED, LIGHT, LineEnd, Theme, prepare, write_line_ends
from icl_eval.figures.sweeps import size_axis
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import readable

_MARKED = 40  # points; more would hide the line


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fall:
    """From its peak to its end: what became of an accuracy.

    Attributes:
      peak_step: where it was highest; the first of equals.
      peak: the value there.
      last_step: the last step where it is known.
      last: the value there.
      is_certain: whether the 95 % intervals of both do not overlap.

    >>> Fall(peak_step=10.0, peak=0.9, last_step=50.0, last=0.6, is_certain=True).depth
    0.3
    """

    peak_step: float
    peak: float
    last_step: float
    last: float
    is_certain: bool

    def __post_init__(self) -> None:
        if self.peak_step > self.last_step or self.peak < self.last:
            raise ValueError(f"Wanted a peak that is no later and no lower than the end, got {self}.")

    @property
    def depth(self) -> float:
        """How far below the peak it ends, 0 or more."""
        return round(self.peak - self.last, 12)


def fall(curve: ScalarCurve) -> Fall | None:
    """Return how a curve falls from its peak, or None if nothing of it is known.

    The peak is the highest of many noisy values and so a little too high; that intervals must not overlap is a
    stricter test than the difference needs, which makes up for some of it.

    >>> values = np.array([0.5, 0.9, 0.6])
    >>> fall(ScalarCurve(np.array([1.0, 10.0, 100.0]), values, values - 0.1, values + 0.1)).is_certain
    True
    """
    known = np.flatnonzero(np.isfinite(curve.values))
    if not len(known):
        return None
    peak, last = int(known[np.argmax(curve.values[known])]), int(known[-1])
    return Fall(
        peak_step=float(curve.steps[peak]),
        peak=float(curve.values[peak]),
        last_step=float(curve.steps[last]),
        last=float(curve.values[last]),
        is_certain=bool(curve.high[last] < curve.low[peak]),  # False where an end of an interval is not known
    )


def transience(icl: ScalarCurve | None, iwl: ScalarCurve | None, *, theme: Theme = LIGHT) -> Figure:
    """Draw both accuracies against the logarithm of the training step, with the peak of each marked.

    Step 0 has no place on the axis and is left out. The label at a line's end says how far below its peak it ends,
    if the 95 % intervals of peak and end do not overlap.

    Args:
      icl: closed accuracy on few-shot sequences of held-out classes; None leaves it out.
      iwl: open accuracy on sequences whose context does not help; None leaves it out.
      theme: the colours.

    Raises:
      ValueError: if nothing is known at any step above 0.

    Source: Singh et al. (2023), arXiv 2311.08360: in-context learning can fade as training goes on.

    >>> values = np.array([0.5, 0.9, 0.6])
    >>> line = ScalarCurve(np.array([0.0, 10.0, 100.0]), values, values, values)
    >>> [text.get_text() for text in transience(line, None).axes[0].texts]
    ['0.300 below its peak', 'ICL 0.600']
    """
    drawn = [
        (name, shown, lost, colour, marker)
        for name, curve, colour, marker in (("ICL", icl, theme.icl, "o"), ("IWL", iwl, theme.iwl, "s"))
        if curve is not None and (shown := _after_start(curve)) is not None and (lost := fall(shown)) is not None
    ]
    if not drawn:
        raise ValueError("Wanted ICL or IWL at a step above 0, got none; evaluate the run while it trains.")
    figure = Figure(figsize=(4.6, 3.2), layout=ConstrainedLayoutEngine(w_pad=0.08), facecolor=theme.paper)
    panel = figure.subplots()
    prepare(panel, theme)
    size_axis(panel, [step for _, curve, *_ in drawn for step in (curve.steps[0], curve.steps[-1])], theme,
              title="training step (logarithmic)")  # fmt: skip
    panel.set_title("Accuracy, and its peak", loc="left", color=theme.ink, fontsize=10, fontweight="bold")
    panel.set_ylim(0, 1.02)
    panel.set_yticks(np.linspace(0, 1, 5))
    ends = []
    for name, curve, lost, colour, marker in drawn:
        _draw(panel, curve, lost, colour=colour, marker=marker, theme=theme)
        ends.append(LineEnd(height=lost.last, text=(f"{name} {readable(lost.last)}", _short(lost)), colour=colour))
    chances = {curve.chance for _, curve, *_ in drawn if curve.chance is not None}
    for chance in sorted(chances):
        panel.axhline(chance, color=theme.ink, linewidth=1, linestyle=DOTTED)
        ends.append(LineEnd(height=chance, text=(f"chance {chance:.2g}",), colour=theme.ink, bold=0))
    write_line_ends(panel, ends, inches=3.2)
    return figure


def describe_transience(curve: ScalarCurve) -> str:
    """Say for a caption when a curve peaked, and whether it fell since.

    >>> values = np.array([0.5, 0.9, 0.6])
    >>> describe_transience(ScalarCurve(np.array([1.0, 10.0, 100.0]), values, values, values))
    'highest at step 10 (0.900); at step 100 it is 0.600, 0.300 below its peak'
    >>> describe_transience(ScalarCurve(*[np.array([1.0, 2.0])] * 4))
    'highest at step 2 (2.000), where it ends'
    """
    lost = fall(curve)
    if lost is None:
        return "not known at any step"
    peak = f"highest at step {lost.peak_step:,.0f} ({readable(lost.peak)})"
    if lost.peak_step == lost.last_step:
        return f"{peak}, where it ends"
    fell = f"{readable(lost.depth)} below its peak" if lost.is_certain else "no fall that the intervals can tell"
    return f"{peak}; at step {lost.last_step:,.0f} it is {readable(lost.last)}, {fell}"


def _short(lost: Fall) -> str:
    if lost.peak_step == lost.last_step:
        return "ends at its peak"
    return f"{readable(lost.depth)} below its peak" if lost.is_certain else "no certain fall"


def _after_start(curve: ScalarCurve) -> ScalarCurve | None:
    """Return the curve at steps above 0, or None if it has none."""
    later = curve.steps > 0
    if not later.any():
        return None
    fields = ("steps", "values", "low", "high")
    return dataclasses.replace(curve, **{name: getattr(curve, name)[later] for name in fields})


def _draw(panel: Axes, curve: ScalarCurve, lost: Fall, *, colour: str, marker: str, theme: Theme) -> None:
    panel.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
    size = 3.0 if len(curve.steps) <= _MARKED else 0
    panel.plot(curve.steps, curve.values, color=colour, marker=marker, markersize=size, linewidth=1.7, clip_on=False)
    panel.plot(
        [lost.peak_step], [lost.peak], color=theme.paper, marker=marker, markersize=7, markeredgecolor=colour,
        markeredgewidth=1.8, linestyle="none", clip_on=False, zorder=4,
    )  # fmt: skip
