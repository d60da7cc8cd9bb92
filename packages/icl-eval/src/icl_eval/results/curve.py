"""A curve: a number over training, with its 95 % band."""

import dataclasses

import numpy as np
from jaxtyping import Float


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
