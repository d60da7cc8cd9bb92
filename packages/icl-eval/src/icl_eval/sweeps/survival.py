"""Times of emergence over seeds, some of which did not come there: the Kaplan-Meier estimate and its quartiles."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Num

Numbers = Sequence[float | int] | Num[np.ndarray, " N"]
Truths = Sequence[bool] | Bool[np.ndarray, " N"]

_ROUNDING = 1e-9  # of a share: a product of fractions such as 3/4 * 2/3 must be found to be 1/2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quartiles:
    """When a quarter, half and three quarters of the seeds came to a threshold.

    Attributes:
      lower: the time by which a quarter had; None if that many never did.
      median: the time by which half had.
      upper: the time by which three quarters had.
      count: how many seeds there are, at least 1.
      censored: how many of these did not come there.
    """

    lower: float | None
    median: float | None
    upper: float | None
    count: int
    censored: int


def kaplan_meier(times: Numbers, happened: Truths) -> tuple[np.ndarray, np.ndarray]:
    """Return the times at which seeds came there, in order, and the share that had not after each.

    Args:
      times: of one or more seeds: when they came there, or until when they are known not to have.
      happened: of each, whether it did; one that is censored at the time of another's event counts as at risk then.

    Source: Kaplan and Meier (1958), Nonparametric estimation from incomplete observations; `scipy.stats.ecdf`.

    >>> times, shares = kaplan_meier([10, 20, 30, 40], [True, False, True, False])
    >>> times.tolist(), shares.round(3).tolist()
    ([10.0, 30.0], [0.75, 0.375])
    """
    from scipy import stats  # half a second, which a report of one run need not wait for

    if not len(times) or len(times) != len(happened):
        raise ValueError(f"Wanted one or more times and whether each happened, got {len(times)} and {len(happened)}.")
    events = np.asarray(happened, bool)
    given = np.asarray(times, np.float64)
    sample = stats.CensoredData(uncensored=given[events], right=given[~events])
    survival = stats.ecdf(sample).sf
    is_event = np.isin(survival.quantiles, given[events])
    return survival.quantiles[is_event], survival.probabilities[is_event]


def quartiles(times: Numbers, happened: Truths) -> Quartiles:
    """Return the quartiles of times of which some are censored, from the Kaplan-Meier estimate.

    A quartile is where the share that is left goes below 3/4, 1/2 or 1/4. Where it stays at exactly that share between
    two events, it is midway between them, so that without censoring the median is the usual one; where it stays there
    to the end, the quartile is not known.

    Args:
      times: as in `kaplan_meier`.
      happened: as in `kaplan_meier`.

    Source: the convention is that of `quantile.survfit` in R's package survival.

    >>> quartiles([100, 200, 300, 400], [True, True, True, False])
    Quartiles(lower=150.0, median=250.0, upper=None, count=4, censored=1)
    """
    events, left = kaplan_meier(times, happened)
    lower, median, upper = (_reached(events, left, share) for share in (0.75, 0.5, 0.25))
    return Quartiles(
        lower=lower, median=median, upper=upper, count=len(times), censored=len(times) - int(np.sum(happened))
    )


def _reached(events: np.ndarray, left: np.ndarray, share: float) -> float | None:
    """Return the time at which the share that is left goes below `share`, midway along a stretch exactly there."""
    at_most = np.flatnonzero(left <= share + _ROUNDING)
    below = np.flatnonzero(left < share - _ROUNDING)
    return float(events[at_most[0]] + events[below[0]]) / 2 if len(below) else None
