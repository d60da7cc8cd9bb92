"""Where the numbers of runs rise over a level as an option grows, with an interval over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from icl_eval.checks import check_whole
from icl_eval.results.estimate import Z_95, Estimate


class Crossing(NamedTuple):
    """Where a level is crossed: -inf if numbers are above it from the first place on, inf if they never are.

    Attributes:
      value: of the means over seeds.
      low: the lower end of the 95 % interval.
      high: its upper end.
    """

    value: float
    low: float
    high: float


def crossing(
    places: Sequence[float],
    numbers: Sequence[Sequence[Estimate]],
    *,
    level: float,
    draws: int = 2_000,
    seed: int = 0,
) -> Crossing:
    """Return where the mean over seeds first rises over a level, on straight lines between places.

    The interval is that of 95 % of the crossings of drawn means. A place's mean, of n seeds, is t-distributed around
    what was found, with the spread over seeds over sqrt(n). Two seeds tell little of their spread: it is pooled over a
    place and its neighbours, or over all where none of these has two seeds, and not over all alike, for it is largest
    where numbers rise. It has in it the error of single runs, over the tasks or sequences of their evaluations; where
    the runs' own intervals say that this is larger, it is taken instead.

    If no place has two seeds, nothing is known of the spread over seeds, and the intervals of the runs are all there
    is: another seed may well lie beyond.

    Args:
      places: values of the option, or their logarithms, ascending.
      numbers: those of the seeds at each; numbers that are not finite are left out, and so are places without any.
      level: to be crossed.
      draws: of the means.
      seed: of its random numbers.

    Raises:
      ValueError: places that do not ascend, or not as many numbers as places, or no finite number at all.

    >>> sure = lambda value: [Estimate(value, value, value, count=9)] * 2
    >>> crossing([2.0, 4.0, 6.0], [sure(0.0), sure(0.25), sure(0.75)], level=0.5)
    Crossing(value=5.0, low=5.0, high=5.0)
    """
    check_whole("draws", draws, least=1)
    known = [[each for each in of_seeds if np.isfinite(each.value)] for of_seeds in numbers]
    if len(places) != len(numbers) or (np.diff(places) <= 0).any() or not any(known):
        raise ValueError(
            f"Wanted ascending places, each with numbers of seeds, one at least finite, got {list(places)} and "
            f"{[len(each) for each in known]} finite ones."
        )
    where = np.array([place for place, of_seeds in zip(places, known, strict=True) if of_seeds], np.float64)
    seeds = [np.array([each.value for each in of_seeds]) for of_seeds in known if of_seeds]
    counts, means = np.array([len(values) for values in seeds]), np.array([values.mean() for values in seeds])
    own = np.array([_own_error(of_seeds) for of_seeds in known if of_seeds])
    rng, errors = np.random.default_rng(seed), own
    if (counts > 1).any():
        squares, freedom = _pooled(np.array([np.square(values - values.mean()).sum() for values in seeds]), counts - 1)
        spread = np.sqrt(squares / rng.chisquare(freedom, size=(draws, len(means))))
        errors = np.maximum(spread / np.sqrt(counts), own)
    drawn = means + errors * rng.standard_normal((draws, len(means)))
    found = _crossed(where, np.concatenate([means[None], drawn]), level)
    # Of infinite numbers there is nothing in between.
    low, high = np.quantile(found[1:], (0.025, 0.975), method="inverted_cdf")
    return Crossing(float(found[0]), float(low), float(high))


def _own_error(of_seeds: Sequence[Estimate]) -> float:
    """Return the standard error of the mean of numbers by their own intervals; 0 where these are not known."""
    errors = np.nan_to_num([(each.high - each.low) / (2 * Z_95) for each in of_seeds])
    return float(np.linalg.norm(errors)) / len(errors)


def _pooled(
    squares: Float[np.ndarray, " P"], freedom: Int[np.ndarray, " P"]
) -> tuple[Float[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Return sums of squares and their degrees of freedom, over each place and its neighbours; over all if none."""
    near_squares, near_freedom = (np.convolve(each, [1, 1, 1])[1:-1] for each in (squares, freedom))
    alone = near_freedom == 0
    return np.where(alone, squares.sum(), near_squares), np.where(alone, freedom.sum(), near_freedom)


def _crossed(where: Float[np.ndarray, " P"], means: Float[np.ndarray, "D P"], level: float) -> Float[np.ndarray, " D"]:
    """Return where each row first rises over the level."""
    above = means >= level
    first = above.argmax(axis=1)
    rows, before = np.arange(len(means)), np.maximum(first - 1, 0)
    low, high = means[rows, before], means[rows, first]
    share = (level - low) / np.where(first > 0, high - low, 1)
    crossed = where[before] + share * (where[first] - where[before])
    return np.where(above.any(axis=1), np.where(first > 0, crossed, -np.inf), np.inf)
