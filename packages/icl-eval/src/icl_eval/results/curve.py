"""A curve: a number over training, with its 95 % band."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Num

from icl_eval.results.estimate import Estimate, readable


@dataclasses.dataclass(frozen=True)
class ScalarCurve:
    """A number at N steps of training.

    Attributes:
      steps: where it was measured, in increasing order.
      values: the number there; NaN where it is not known.
      low: lower end of its 95 % interval; equal to `values` for a number without one.
      high: upper end.
      chance: what guessing gives, if there is such a number.
    """

    steps: Float[np.ndarray, " N"]
    values: Float[np.ndarray, " N"]
    low: Float[np.ndarray, " N"]
    high: Float[np.ndarray, " N"]
    chance: float | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.steps), len(self.values), len(self.low), len(self.high)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                f"A curve wants as many values, low and high ends as steps, and one or more; got {lengths}."
            )

    @classmethod
    def of(
        cls, steps: Num[np.ndarray, " N"], estimates: Sequence[Estimate], *, chance: float | None = None
    ) -> "ScalarCurve":
        """Return the curve of estimates at N steps."""
        values, low, high = (
            np.array([getattr(estimate, end) for estimate in estimates], np.float64) for end in ("value", "low", "high")
        )
        return cls(steps.astype(np.float64), values, low, high, chance=chance)

    def where(self, wanted: Bool[np.ndarray, " N"]) -> "ScalarCurve | None":
        """Return the points that are wanted; None if none is."""
        if not wanted.any():
            return None
        steps, values, low, high = (row[wanted] for row in (self.steps, self.values, self.low, self.high))
        return ScalarCurve(steps, values, low, high, chance=self.chance)

    def smoothed(self, *, window: int) -> "ScalarCurve":
        """Return the running mean over `window` neighbouring points (fewer at the ends), without its band.

        >>> line = np.arange(5.0)
        >>> ScalarCurve(line, line, line, line).smoothed(window=3).values
        array([0.5, 1. , 2. , 3. , 3.5])
        """
        kernel = np.ones(min(window, len(self.values)))
        # Dividing by what the window really covered keeps the ends from sagging to zero.
        sums, covered = (np.convolve(row, kernel, mode="same") for row in (self.values, np.ones_like(self.values)))
        mean = sums / covered
        return dataclasses.replace(self, values=mean, low=mean, high=mean)


def course(curve: ScalarCurve, *, at: str = "step") -> str:
    """Return from where to where a curve goes, `at` being what its steps are.

    >>> course(ScalarCurve(*[np.array([0.0, 50.0])] * 4))
    'from 0 at step 0 to 50.000 at step 50'
    """
    first, last = (f"{readable(curve.values[place])} at {at} {curve.steps[place]:,.0f}" for place in (0, -1))
    return f"from {first} to {last}"
