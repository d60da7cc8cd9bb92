"""Where numbers of runs cross a level, and how sure that is."""

import math

import numpy as np
import pytest

from icl_eval import Estimate, crossing


def about(value: float, radius: float = 0.0) -> Estimate:
    return Estimate(value, value - radius, value + radius, count=100)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.2, 0.4, 0.8], 2.5), ([0.6, 0.7, 0.8], -math.inf), ([0.1, 0.2, 0.3], math.inf), ([0.4, 0.6, 0.4], 1.5)],
)
def test_the_first_rise_over_the_level_is_found(values: list[float], expected: float) -> None:
    found = crossing([1.0, 2.0, 4.0], [[about(value)] for value in values], level=0.5)
    assert found == pytest.approx((expected,) * 3)


def coverage(
    curve: list[float], spreads: list[float], *, radius: float, seeds: int, trials: int
) -> tuple[float, float]:
    """Return how often the interval has the true crossing of 0.5 in it, and its median width."""
    rng, hits, widths, where = np.random.default_rng(0), 0, [], [float(place) for place in range(len(curve))]
    truth = np.interp(0.5, curve, where)
    for trial in range(trials):
        numbers = [
            [about(value, radius) for value in mean + rng.normal(0, spread, seeds)]
            for mean, spread in zip(curve, spreads, strict=True)
        ]
        found = crossing(where, numbers, level=0.5, draws=200, seed=trial)
        hits += found.low <= truth <= found.high
        widths.append(found.high - found.low)
    return hits / trials, float(np.median(widths))


@pytest.mark.parametrize(
    ("curve", "spreads"),
    [
        ([0.05, 0.3, 0.7, 0.95], [0.06] * 4),
        ([0.02, 0.03, 0.1, 0.3, 0.7, 0.9, 0.95, 0.98], [0.01, 0.01, 0.03, 0.1, 0.1, 0.03, 0.01, 0.01]),
    ],
    ids=["alike everywhere", "largest where numbers rise"],
)
def test_two_seeds_are_enough_for_an_interval_of_that_coverage(curve: list[float], spreads: list[float]) -> None:
    """Seeds far further apart than their own intervals; 3 standard errors of 200 trials at 0.9 are 0.064."""
    hits, width = coverage(curve, spreads, radius=0.005, seeds=2, trials=200)
    assert hits >= 0.9 - 0.064 and width < 1.5, (hits, width)


def test_the_spread_of_runs_is_counted_once_and_is_all_there_is_of_single_seeds() -> None:
    """On a line of slope 1 the crossing is as far from the truth as the mean of the seeds at both ends."""
    radius = 0.2
    for seeds in (1, 4):
        hits, width = coverage([0.0, 1.0], [radius / 1.96] * 2, radius=radius, seeds=seeds, trials=200)
        # Half way each end has half a part in it.
        assert hits >= 0.9 and width < 1.5 * 2 * radius / math.sqrt(2 * seeds), (hits, width)
    sure = crossing([0.0, 1.0], [[about(0.0)] * 4, [about(1.0)] * 4], level=0.5)
    assert sure.low == sure.high == 0.5


def test_a_place_without_a_spread_near_it_has_that_of_all() -> None:
    pairs = [[about(0.0), about(0.2)], [about(0.1)], [about(0.2)], [about(0.8)]]
    found = crossing([0.0, 1.0, 2.0, 3.0], pairs, level=0.5)
    assert found.low < 2.4 and found.high > 2.6


def test_what_is_not_known_is_left_out() -> None:
    nothing = Estimate(math.nan, math.nan, math.nan, count=1)
    alone = Estimate(1.0, math.nan, math.nan, count=1)  # of a single task
    assert crossing([0.0, 1.0, 2.0], [[about(0.0)], [nothing], [alone, nothing]], level=0.5).value == 1.0


def test_an_open_end_is_infinite() -> None:
    found = crossing([0.0, 1.0], [[about(0.0, 0.01)], [about(0.5, 0.3)]], level=0.55)
    assert found.value == math.inf and found.low < 1.0 and found.high == math.inf


@pytest.mark.parametrize("places", [[1.0], [1.0, 1.0]])
def test_places_must_ascend_and_have_numbers(places: list[float]) -> None:
    with pytest.raises(ValueError, match="Wanted ascending places"):
        crossing(places, [[about(0.0)], [about(1.0)]], level=0.5)
    with pytest.raises(ValueError, match=r"\[0, 0\] finite"):
        crossing([0.0, 1.0], [[], []], level=0.5)
