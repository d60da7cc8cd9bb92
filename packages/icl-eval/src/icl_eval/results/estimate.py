"""An estimate: a number from a sample, with its 95 % interval and the sample's size."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Num

Z_95 = 1.959963984540054  # the 0.975 quantile of the standard normal distribution
_RESAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval.

    Attributes:
      value: the estimate itself; NaN where it is not finite (a loss of NaN logits, say).
      low: lower end of the 95 % interval, at most `value`; NaN where the sample cannot tell.
      high: upper end, at least `value`; NaN where the sample cannot tell.
      count: sequences it was estimated from, at least 1.

    >>> Estimate(value=0.935, low=0.924, high=0.945, count=2000)
    Estimate(value=0.935, low=0.924, high=0.945, count=2000)
    >>> print(_)
    0.935 (0.924-0.945, n=2000)
    """

    value: float
    low: float
    high: float
    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"An estimate wants at least 1 sequence, got count={self.count}.")
        if self.low > self.value or self.high < self.value:
            raise ValueError(f"Wanted low <= value <= high, got {self.low}, {self.value}, {self.high}.")

    def __str__(self) -> str:
        return f"{readable(self.value)} ({self.interval}, n={self.count})"

    @property
    def interval(self) -> str:
        """The interval to read, such as `0.924-0.945`."""
        if math.isnan(self.low) or math.isnan(self.high):
            return "interval unknown"
        return f"{readable(self.low)}-{readable(self.high)}"

    def to_json(self) -> dict[str, float | int | None]:
        """Return {"value", "low", "high", "count"}; JSON has no NaN, so that becomes None."""
        ends = {name: getattr(self, name) for name in ("value", "low", "high")}
        return {name: end if math.isfinite(end) else None for name, end in ends.items()} | {"count": self.count}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Estimate":
        """Return the estimate that `to_json` wrote; raise KeyError, TypeError or ValueError if it did not."""
        value, low, high = (math.nan if fields[end] is None else float(fields[end]) for end in ("value", "low", "high"))
        return cls(value=value, low=low, high=high, count=int(fields["count"]))


def readable(number: float) -> str:
    """Format to three decimals, or to two significant digits if that would leave too few or give too many.

    >>> readable(0.93512), readable(0.000612), readable(0.0), readable(float("nan")), readable(1.2e30)
    ('0.935', '0.00061', '0', 'not finite', '1.2e+30')
    """
    if not math.isfinite(number):
        return "not finite"
    if number == 0:
        return "0"
    return f"{number:.3f}" if 0.01 <= abs(number) < 1e9 else f"{number:.2g}"


def proportion(successes: int, count: int) -> Estimate:
    """Estimate a proportion, with the Wilson score interval.

    Wilson's interval keeps its coverage near 0 and 1, where accuracies live and the textbook interval
    collapses.

    Args:
      successes: how many of the sequences were right, in 0..count.
      count: how many sequences there were, at least 1.

    Raises:
      ValueError: if count is below 1 or successes are not in 0..count.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.

    >>> print(proportion(1870, 2000))
    0.935 (0.923-0.945, n=2000)
    """
    if count < 1:
        raise ValueError(f"A proportion wants at least 1 sequence, got count={count}; evaluate some first.")
    if not 0 <= successes <= count:
        raise ValueError(f"Wanted successes in 0..{count}, got {successes}.")
    return wilson(successes / count, size=count, count=count)


def task_proportion(correct: Bool[np.ndarray, "B P"]) -> Estimate:
    """Estimate a proportion over all predictions of tasks, with an interval over the tasks.

    The P predictions of one task share their difficulty, so B tasks are worth more than B and less than B P
    independent predictions. Wilson's interval is taken at the effective number, value (1 - value) / variance
    of the value. With one prediction per task that is `proportion`. Where all are right or all wrong, or there
    is one task, nothing is known of the spread over tasks, and each task counts once.

    Args:
      correct: one row per task, one column per prediction; neither empty.

    Raises:
      ValueError: if there are no tasks or no predictions.

    Source: Franco, Little, Louis and Slud (2019), Comparative study of confidence intervals for proportions in
    complex sample surveys: Wilson's interval with the effective sample size.

    >>> print(task_proportion(np.array([[True, True], [True, False]])))
    0.750 (0.301-0.954, n=2)
    """
    if correct.size == 0:
        raise ValueError(f"Wanted at least 1 task and 1 prediction, got the shape {list(correct.shape)}.")
    count, predictions = correct.shape
    of_task = correct.mean(axis=1)
    value = float(correct.mean())
    if 1 in (count, predictions) or correct.all() or not correct.any():
        return wilson(value, size=count, count=count)
    # Within a task at best independent: fewer tasks that agree by chance must not feign more than that.
    variance = max(float(of_task.var()) / count, value * (1 - value) / (count * predictions))
    return wilson(value, size=value * (1 - value) / variance, count=count)


def wilson(value: float, *, size: float | int, count: int) -> Estimate:
    """Return Wilson's interval about a proportion that `size` independent trials gave."""
    shrinkage = 1 + Z_95**2 / size
    centre = (value + Z_95**2 / (2 * size)) / shrinkage
    radius = Z_95 / shrinkage * math.sqrt(value * (1 - value) / size + Z_95**2 / (4 * size**2))
    # At 0 and at all the interval touches the value; rounding must not push it past.
    low, high = max(0.0, min(centre - radius, value)), min(1.0, max(centre + radius, value))
    return Estimate(value=value, low=0.0 if value == 0 else low, high=1.0 if value == 1 else high, count=count)


def mean(values: Num[np.ndarray, " N"], *, seed: int = 0) -> Estimate:
    """Estimate a mean, with the percentile bootstrap interval.

    The same values give the same estimate, in whatever order they come. A single value has no known spread,
    and values that are not finite have no mean: those ends are NaN.

    Args:
      values: one number per sequence, [N] with N at least 1.
      seed: of the resampling.

    Raises:
      ValueError: if there are no values.

    Source: Efron and Tibshirani (1993), An introduction to the bootstrap, chapter 13; 1000 resamples.

    >>> print(mean(np.array([1.0, 2.0, 3.0, 2.0])))
    2.000 (1.250-2.750, n=4)
    """
    count = len(values)
    if count < 1:
        raise ValueError("A mean wants at least 1 value, got none; evaluate some sequences first.")
    ordered: Float[np.ndarray, " N"] = np.sort(np.asarray(values, np.float64))
    if not np.isfinite(ordered).all():
        return Estimate(value=math.nan, low=math.nan, high=math.nan, count=count)
    value = float(ordered.mean())
    if count == 1:
        return Estimate(value=value, low=math.nan, high=math.nan, count=1)
    generator = np.random.default_rng(seed)
    # One resample at a time: all at once would hold 1000 x N indices.
    means = [ordered[generator.integers(count, size=count)].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(value=value, low=min(float(low), value), high=max(float(high), value), count=count)


def ratio(numerators: Num[np.ndarray, " N"], denominators: Num[np.ndarray, " N"], *, seed: int = 0) -> Estimate:
    """Estimate the ratio of two sums over tasks, with the percentile bootstrap interval over tasks.

    A task's numerator and denominator are drawn together. The same tasks give the same estimate, in whatever
    order they come. The ends are NaN for a single task; all is NaN if a number is not finite or the
    denominators sum to 0. Resamples whose denominators sum to 0 have no ratio and are left out.

    Args:
      numerators: one number per task.
      denominators: one number per task, 0 or more.
      seed: of the resampling.

    Raises:
      ValueError: if there are no tasks, the lengths differ or a denominator is negative.

    Source: Efron and Tibshirani (1993), An introduction to the bootstrap, chapter 13; 1000 resamples.

    >>> print(ratio(np.array([1.0, 2.0, 0.0]), np.array([2.0, 2.0, 2.0])))
    0.500 (0-1.000, n=3)
    """
    count = len(numerators)
    if count < 1 or len(denominators) != count or (np.asarray(denominators) < 0).any():
        raise ValueError(
            f"A ratio wants one numerator and one denominator of 0 or more for each of 1 or more tasks, got {count} "
            f"numerators and {len(denominators)} denominators of {np.min(denominators, initial=0)} or more."
        )
    pairs = np.stack([np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)])
    pairs = pairs[:, np.lexsort(pairs)]
    above, below = pairs.sum(axis=1)
    if not np.isfinite(pairs).all() or below == 0:
        return Estimate(value=math.nan, low=math.nan, high=math.nan, count=count)
    value = float(above / below)
    if count == 1:
        return Estimate(value=value, low=math.nan, high=math.nan, count=1)
    generator = np.random.default_rng(seed)
    sums = np.array([pairs[:, generator.integers(count, size=count)].sum(axis=1) for _ in range(_RESAMPLES)])
    low, high = np.quantile(sums[sums[:, 1] > 0, 0] / sums[sums[:, 1] > 0, 1], [0.025, 0.975])
    return Estimate(value=value, low=min(float(low), value), high=max(float(high), value), count=count)
