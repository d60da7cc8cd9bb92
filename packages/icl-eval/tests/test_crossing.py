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


def test_the_interval_is_that_of_the_seeds_and_of_their_own_intervals() -> None:
    """On a line of slope 1 the crossing is as far from the truth as the mean of the seeds at both ends."""
    rng = np.random.default_rng(0)
    radius, seeds, hits, widths = 0.2, 4, 0, []
    for trial in range(200):
        ends = [[about(value, radius) for value in level + rng.normal(0, radius / 1.96, seeds)] for level in (0.0, 1.0)]
        found = crossing([0.0, 1.0], ends, level=0.5, draws=300, seed=trial)
        hits += found.low <= 0.5 <= found.high
        widths.append(found.high - found.low)
    # The spread of a seed is counted twice, over seeds and in its own interval: rather too wide than too narrow.
    assert hits / 200 >= 0.95 and np.median(widths) < 4 * radius / math.sqrt(seeds)
    sure = crossing([0.0, 1.0], [[about(0.0)] * 4, [about(1.0)] * 4], level=0.5)
    assert sure.low == sure.high == 0.5


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
