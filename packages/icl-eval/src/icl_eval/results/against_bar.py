"""Numbers with intervals against a bar: whether one reaches it, does not, or may do either."""

import math

from icl_eval.results.estimate import Estimate

_ROUNDING = 1e-9  # 0.3 - 0.2 is a little less than 0.1


def as_estimate(number: float | Estimate) -> Estimate:
    """Return a number as an estimate, of unknown interval if it is a plain one.

    >>> print(as_estimate(0.5))
    0.500 (interval unknown, n=1)
    """
    return number if isinstance(number, Estimate) else Estimate(float(number), math.nan, math.nan, 1)


def reaches(estimate: Estimate, bar: float) -> bool | None:
    """Return whether an estimate is at or above a bar: yes, no, or None where its interval holds both answers.

    It is, if the low end of its 95 % interval is; it is not, if the high end is below. Where an end is not known the
    value stands for it. A value of NaN gives None.

    >>> [reaches(Estimate(0.5, low, high, 9), 0.4) for low, high in ((0.45, 0.55), (0.35, 0.65), (math.nan, math.nan))]
    [True, None, True]
    """
    low, high = _ends(estimate)
    if low >= bar - _ROUNDING:
        return True
    return False if high < bar - _ROUNDING else None


def difference(last: Estimate, first: Estimate) -> Estimate:
    """Return how much higher the one is than the other, with a 95 % interval from both, as if they were independent.

    The distances from the values to the ends of their intervals are added in squares, on each side its own, so that
    proportions near 0 or 1 keep their skewed intervals. An interval that is not known counts as one without width; the
    difference has none if neither is known.

    Source: Newcombe (1998), Interval estimation for the difference between independent proportions, method 10; Zou and
    Donner (2008), Construction of confidence limits about effect measures, for other estimates.

    >>> print(difference(Estimate(0.7, 0.6, 0.8, 90), Estimate(0.2, 0.15, 0.3, 90)))
    0.500 (0.359-0.612, n=90)
    """
    value, count = last.value - first.value, min(last.count, first.count)
    if all(math.isnan(end) for each in (last, first) for end in (each.low, each.high)):
        return Estimate(value, math.nan, math.nan, count)
    (last_low, last_high), (first_low, first_high) = _ends(last), _ends(first)
    below = math.hypot(last.value - last_low, first_high - first.value)
    above = math.hypot(last_high - last.value, first.value - first_low)
    return Estimate(value, value - below, value + above, count)


def _ends(estimate: Estimate) -> tuple[float, float]:
    low, high = (estimate.value if math.isnan(end) else end for end in (estimate.low, estimate.high))
    return low, high
