"""Rank correlation: how well the order of one number tells that of another."""

import dataclasses
import math

import numpy as np

from icl_eval.sweeps.survival import Numbers

_NORMAL = 1.959964  # 97.5 % quantile


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankCorrelation:
    """Spearman's coefficient with its 95 % interval.

    Attributes:
      value: in -1..1.
      low: lower end of the interval; -1 where there are too few pairs to tell.
      high: upper end; 1 where there are too few.
      count: how many pairs it is of.
    """

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f}, n={self.count})"


def rank_correlation(x: Numbers, y: Numbers) -> RankCorrelation | None:
    """Return how well the order of x tells that of y; equal numbers share the mean of their ranks.

    The interval is that of Fisher's transform with Bonett and Wright's variance, (1 + r^2 / 2) / (n - 3), which holds
    for ranks as Fisher's own does not; it takes the pairs for independent. That of a perfect order is the interval of
    the next one, in which two neighbours change places, up to the end. With three pairs or fewer it is -1 to 1.

    Args:
      x: finite numbers; pairs of which one is not are left out.
      y: as many.

    Returns:
      The coefficient; None for fewer than two pairs, or where x or y is one number throughout.

    Raises:
      ValueError: if x and y are not as many.

    Source: Bonett and Wright (2000), Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations; the coefficient is `scipy.stats.spearmanr`'s.

    >>> print(rank_correlation([1, 2, 3, 4, 5, 6], [1, 4, 9, 16, 36, 25]))
    0.94 (0.38 to 1.00, n=6)
    """
    from scipy import stats

    first, second = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"Wanted as many x as y, got {len(first)} and {len(second)}.")
    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    value = float(stats.spearmanr(first, second).statistic)
    low, high = _interval(value, len(first))
    low, high = min(low, value), max(high, value)
    return RankCorrelation(value=value, low=low, high=high, count=len(first))


def _interval(value: float, count: int) -> tuple[float, float]:
    if count <= 3:
        return -1.0, 1.0
    # A perfect order, of which the transform has no number, is taken for the next one: two neighbours change places.
    most = 1 - 12 / (count * (count**2 - 1))
    value = math.copysign(min(abs(value), most), value)
    away = _NORMAL * math.sqrt((1 + value**2 / 2) / (count - 3))
    return math.tanh(math.atanh(value) - away), math.tanh(math.atanh(value) + away)
