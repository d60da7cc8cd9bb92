"""An estimate: a number from a sample, with its 95 % interval and the sample's size."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Num

Z_95 = 1.959963984540054  # the 0.975 quantile of the standard normal distribution


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
        ends = {name: float(getattr(self, name)) for name in ("value", "low", "high")}
        return {name: end if math.isfinite(end) else None for name, end in ends.items()} | {"count": int(self.count)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Estimate":
        """Return the estimate that `to_json` wrote; raise KeyError, TypeError or ValueError if it did not."""
        value, low, high = (math.nan if fields[end] is None else float(fields[end]) for end in ("value", "low", "high"))
        return cls(value=value, low=low, high=high, count=int(fields["count"]))


def readable(number: float) -> str:
    """Return a number to read, to three decimals, or to two significant digits where those are too few or too many.

    >>> readable(0.93512), readable(0.000612), readable(0.0), readable(float("nan")), readable(1.2e30)
    ('0.935', '0.00061', '0', 'not finite', '1.2e+30')
    """
    if not math.isfinite(number):
        return "not finite"
    if number == 0:
        return "0"
    return f"{number:.3f}" if 0.01 <= abs(number) < 1e9 else f"{number:.2g}"


def proportion(successes: int, count: int) -> Estimate:
    """Return the proportion of successes (0..count) among `count` sequences (1 or more), with the Wilson interval.

    Wilson's interval keeps its coverage near 0 and 1, where accuracies live and the textbook interval
    collapses.

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
    """Return a proportion over all predictions of tasks, with an interval over the tasks.

    The P predictions of one task, a row of `correct`, share their difficulty, so B tasks are worth more than B and less
    than B P independent predictions. With one prediction per task that is `proportion`. Where all are right or all
    wrong, or there is one task, nothing is known of the spread over tasks, and each task counts once.

    Source: see `effective_proportion`.

    >>> print(task_proportion(np.array([[True, True], [True, False]])))
    0.750 (0.301-0.954, n=2)
    """
    correct = np.asarray(correct)
    if correct.ndim != 2 or correct.size == 0:
        raise ValueError(
            f"Wanted predictions [B, P] of at least 1 task and 1 prediction, got the shape {list(correct.shape)}."
        )
    count, predictions = correct.shape
    variance = float(correct.mean(axis=1).var()) / count
    return effective_proportion(float(correct.mean()), variance, count=count, predictions=count * predictions)


def effective_proportion(value: float, variance: float, *, count: int, predictions: float | int) -> Estimate:
    """Return a proportion with Wilson's interval at the number of independent predictions that are worth as much.

    That number is value (1 - value) / variance. Predictions are at best independent: fewer that agree by chance must
    not feign more than that. Where all are right or all wrong, or there is one sequence, nothing is known of the
    spread, and each sequence counts once.

    `value` is the proportion of all predictions, and `variance` its own, over `count` sequences or tasks.

    Source: Franco, Little, Louis and Slud (2019), Comparative study of confidence intervals for proportions in
    complex sample surveys: Wilson's interval with the effective sample size.

    >>> print(effective_proportion(0.5, 0.25 / 100, count=200, predictions=200))
    0.500 (0.404-0.596, n=200)
    """
    if not 0 <= value <= 1:
        raise ValueError(f"Wanted a proportion in 0..1, got {value}; a measure that can be beyond is a mean.")
    if count == 1 or value in (0, 1):
        return wilson(value, size=count, count=count)
    size = value * (1 - value) / variance if variance else math.inf
    # One prediction per sequence gives their number but for rounding; then Wilson's interval is exactly that of counts.
    return wilson(value, size=size if size < predictions * (1 - 1e-9) else predictions, count=count)


def wilson(value: float, *, size: float | int, count: int) -> Estimate:
    """Return a proportion of so many sequences, with Wilson's interval for the `size` independent trials it is worth.

    >>> print(wilson(0.5, size=4, count=9))
    0.500 (0.150-0.850, n=9)
    """
    shrinkage = 1 + Z_95**2 / size
    centre = (value + Z_95**2 / (2 * size)) / shrinkage
    radius = Z_95 / shrinkage * math.sqrt(value * (1 - value) / size + Z_95**2 / (4 * size**2))
    # At 0 and at all the interval touches the value; rounding must not push it past.
    low, high = max(0.0, min(centre - radius, value)), min(1.0, max(centre + radius, value))
    return Estimate(value=value, low=0.0 if value == 0 else low, high=1.0 if value == 1 else high, count=count)


def mean(values: Num[np.ndarray, " N"]) -> Estimate:
    """Return the mean of one or more numbers, one per sequence, with the normal interval.

    The same values give the same estimate, in whatever order they come. A single value has no known spread,
    and values that are not finite have no mean: those ends are NaN. The interval stays within the values.

    >>> print(mean(np.array([1.0, 2.0, 3.0, 2.0])))
    2.000 (1.200-2.800, n=4)
    """
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"A mean wants numbers [N], one per sequence, got the shape {list(values.shape)}.")
    if (count := len(values)) < 1:
        raise ValueError("A mean wants at least 1 value, got none; evaluate some sequences first.")
    ordered: Float[np.ndarray, " N"] = np.sort(np.asarray(values, np.float64))
    if not np.isfinite(ordered).all():
        return Estimate(value=math.nan, low=math.nan, high=math.nan, count=count)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers whose squares are beyond floats: no interval
        value, variance = float(ordered.mean()), float(ordered.var()) / count
    return about_mean(value, variance, count=count, lowest=ordered[0], highest=ordered[-1])


def ratio(numerators: Num[np.ndarray, " N"], denominators: Num[np.ndarray, " N"]) -> Estimate:
    """Return the ratio of two sums over tasks, with the interval of the delta method.

    The same tasks give the same estimate, in whatever order they come. The ends are NaN for a single task; all is NaN
    if a number is not finite or the denominators sum to 0. The interval stays within the ratios of single tasks.

    There is one numerator and one denominator, 0 or more, for each task.

    Source: Cochran (1977), Sampling techniques, section 6.3: the variance of a ratio of sums is that of the numerators
    less the ratio times the denominators.

    >>> print(ratio(np.array([1.0, 2.0, 0.0]), np.array([2.0, 2.0, 2.0])))
    0.500 (0-1.000, n=3)
    """
    numerators, denominators = np.asarray(numerators), np.asarray(denominators)
    count = numerators.size
    if numerators.ndim != 1 or numerators.shape != denominators.shape or not count or (denominators < 0).any():
        raise ValueError(
            f"A ratio wants one numerator and one denominator of 0 or more for each of 1 or more tasks, [N], got "
            f"{list(numerators.shape)} and {list(denominators.shape)}, of {np.min(denominators, initial=0)} or more."
        )
    pairs = np.stack([np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)])
    pairs = pairs[:, np.lexsort(pairs)]
    above, below = pairs.sum(axis=1)
    if not np.isfinite(pairs).all() or below == 0:
        return Estimate(value=math.nan, low=math.nan, high=math.nan, count=count)
    value = float(above / below)
    with np.errstate(all="ignore"):
        each = pairs[0] / pairs[1]  # NaN, and no bound, where both are 0
        variance = float(np.square(pairs[0] - value * pairs[1]).sum() / below**2)
    return about_mean(value, variance, count=count, lowest=np.nanmin(each), highest=np.nanmax(each))


def about_mean(value: float, variance: float, *, count: int, lowest: float, highest: float) -> Estimate:
    """Return a mean, or a ratio of sums, with the normal interval; NaN where a sequence alone cannot tell its spread.

    `variance` is that of the value over `count` sequences, from the mean squared difference. As with the bootstrap, the
    interval does not go beyond the lowest and the highest number of a sequence.

    >>> print(about_mean(2.0, 0.04, count=9, lowest=0.0, highest=9.0))
    2.000 (1.584-2.416, n=9)
    """
    if count == 1 or not math.isfinite(value) or not math.isfinite(variance):
        value = value if math.isfinite(value) else math.nan
        return Estimate(value=value, low=math.nan, high=math.nan, count=count)
    # Differences are taken from the sample's own mean, to which it is nearer than to the true one.
    radius = Z_95 * math.sqrt(variance * count / (count - 1))
    low, high = max(value - radius, min(float(lowest), value)), min(value + radius, max(float(highest), value))
    return Estimate(value=value, low=low, high=high, count=count)
