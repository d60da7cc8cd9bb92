"""The time of emergence: the step of training at which a curve first comes to a threshold.

(The figure `emergence` shows the curves themselves.)
"""

import dataclasses
import math
from typing import Literal

import numpy as np

from icl_eval.checks import check_whole
from icl_eval.results.curve import ScalarCurve

Threshold = float | int | Literal["halfway"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Emergence:
    """When a curve came to a threshold, or how long it is known not to have.

    Attributes:
      step: by linear interpolation between the evaluations on both sides. Where it did not happen, the last evaluation
        at which it had not: the time is censored there, and later, if ever. Where the first evaluation is past the
        threshold already, that one: it emerged at or before it.
      happened: whether it did.
      after: the last evaluated step at which it had not happened; None if the first one is past the threshold already.
      by: the first evaluated step at which it had; None if it did not happen.
      threshold: the value that was to be reached.

    >>> print(Emergence(step=125.0, happened=True, after=100.0, by=150.0, threshold=0.9))
    at step 125 (100 to 150)
    """

    step: float
    happened: bool
    after: float | None
    by: float | None
    threshold: float

    def __post_init__(self) -> None:
        low, high = -math.inf if self.after is None else self.after, math.inf if self.by is None else self.by
        if not low <= self.step <= high or self.happened is (self.by is None):
            raise ValueError(
                f"Wanted a step from {self.after} to {self.by}, and a `by` exactly if it happened; got {self!r}."
            )

    @property
    def at_first(self) -> bool:
        """Whether it had happened by the first evaluation, so that `step` is the latest that it can be."""
        return self.after is None

    def __str__(self) -> str:
        if not self.happened:
            return f"not by step {self.step:,.0f}"
        if self.after is None:
            return f"at or before step {self.step:,.0f}"
        return f"at step {self.step:,.0f} ({self.after:,.0f} to {self.by:,.0f})"


def time_of_emergence(
    curve: ScalarCurve, *, threshold: Threshold = 0.9, held: int = 1, falling: bool = False
) -> Emergence | None:
    """Return when a curve first comes to a threshold.

    Args:
      curve: over the evaluated steps; values that are not finite are left out, as if they had not been evaluated.
      threshold: a value, or "halfway" from chance (the first value, where chance is not known) to the last value. A
        curve whose last 95 % interval does not exclude that level has not emerged.
      held: how many evaluations in a row must be past the threshold, at least 1; the first of them is the one that
        counts. Where evaluations end before that many, the time is censored at the last one before.
      falling: whether it emerges by falling to the threshold, as an error does.

    Returns:
      When; None if no value is known.

    >>> steps, values = np.array([0.0, 100.0, 200.0, 300.0]), np.array([0.5, 0.8, 1.0, 1.0])
    >>> curve = ScalarCurve(steps, values, values, values, chance=0.5)
    >>> print(time_of_emergence(curve), "|", time_of_emergence(curve, threshold="halfway"))
    at step 150 (100 to 200) | at step 83 (0 to 100)
    >>> print(time_of_emergence(curve, threshold=0.4), "|", time_of_emergence(curve, threshold=1.5))
    at or before step 0 | not by step 300
    """
    check_whole("held", held, least=1)
    known = curve.where(np.isfinite(curve.values))
    if known is None:
        return None
    sign = -1.0 if falling else 1.0
    level = _halfway(known, sign) if threshold == "halfway" else float(threshold)
    if not math.isfinite(level):  # nothing to come to
        return _censored(known, place=len(known.steps) - 1, threshold=level)
    past = sign * known.values >= sign * level
    start = _first_stretch(past, held)
    if start is None:
        # Evaluations at the end that are past the threshold may be the beginning of a stretch that is long enough.
        below = np.flatnonzero(~past)
        return _censored(known, place=int(below[-1]) if len(below) else 0, threshold=level)
    by = float(known.steps[start])
    if start == 0:
        return Emergence(step=by, happened=True, after=None, by=by, threshold=level)
    after, (low, high) = float(known.steps[start - 1]), known.values[start - 1 : start + 1]
    # The value before is not past the threshold, so that low differs from high.
    step = after + (by - after) * float((level - low) / (high - low))
    return Emergence(step=min(max(step, after), by), happened=True, after=after, by=by, threshold=level)


def _first_stretch(past: np.ndarray, held: int) -> int | None:
    """Return where the first `held` values in a row begin that are true; None if there are none.

    >>> _first_stretch(np.array([True, False, True, True]), 2)
    2
    """
    run = 0
    for place, is_past in enumerate(past):
        run = run + 1 if is_past else 0
        if run == held:
            return place - held + 1
    return None


def _censored(known: ScalarCurve, *, place: int, threshold: float) -> Emergence:
    step = float(known.steps[place])
    return Emergence(step=step, happened=False, after=step, by=None, threshold=threshold)


def _halfway(known: ScalarCurve, sign: float) -> float:
    """Return the value halfway to the last one; not finite where that is not known to be past chance."""
    start = float(known.values[0]) if known.chance is None else known.chance
    last = float(known.values[-1])
    near = known.low[-1] if sign > 0 else known.high[-1]
    near = float(near) if np.isfinite(near) else last
    return (start + last) / 2 if sign * near > sign * start else math.nan
