import json
import math

import numpy as np
import pytest

from icl_eval import Estimate, mean, proportion


def wilson_oracle(successes: int, count: int) -> tuple[float, float]:
    """Find by bisection the proportions 1.96 of their own standard errors away from what was seen."""
    seen = successes / count

    def too_far(p: float) -> bool:
        return abs(seen - p) > 1.959963984540054 * math.sqrt(p * (1 - p) / count)

    def boundary(inside: float, outside: float) -> float:
        for _ in range(200):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if too_far(middle) else (middle, outside)
        return inside

    return (0.0 if successes == 0 else boundary(seen, 0.0)), (1.0 if successes == count else boundary(seen, 1.0))


@pytest.mark.parametrize(("successes", "count"), [(0, 1), (1, 1), (0, 50), (50, 50), (1, 3), (187, 200), (9351, 10000)])
def test_proportion_agrees_with_the_definition_of_wilsons_interval(successes: int, count: int) -> None:
    estimate = proportion(successes, count)
    assert estimate.value == successes / count
    assert (estimate.low, estimate.high) == pytest.approx(wilson_oracle(successes, count), abs=1e-9)


def test_proportion_covers_the_truth_about_95_times_in_100() -> None:
    for truth in (0.03, 0.5, 0.95):
        seen = np.random.default_rng(1).binomial(200, truth, size=2000)
        intervals = [proportion(int(successes), 200) for successes in seen]
        assert 0.93 < np.mean([e.low <= truth <= e.high for e in intervals]) < 0.975


def test_proportion_swaps_its_ends_when_right_and_wrong_are_swapped() -> None:
    one, other = proportion(3, 17), proportion(14, 17)
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low))


@pytest.mark.parametrize(("successes", "count"), [(0, 0), (1, 0), (-1, 5), (6, 5)])
def test_proportion_rejects_impossible_counts(successes: int, count: int) -> None:
    with pytest.raises(ValueError, match="ant"):
        proportion(successes, count)


def test_mean_is_close_to_the_normal_interval_for_many_values() -> None:
    values = np.random.default_rng(0).exponential(size=2000)
    estimate, error = mean(values), values.std() / math.sqrt(2000)
    assert estimate.value == pytest.approx(values.mean())
    assert (estimate.low, estimate.high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), rel=0.01
    )


def test_mean_does_not_depend_on_the_order_of_the_values() -> None:
    values = np.random.default_rng(0).normal(size=101).astype(np.float32)
    assert mean(values) == mean(values[::-1]) == mean(values)


def test_mean_of_values_that_are_not_finite_says_so_and_is_valid_json() -> None:
    estimate = mean(np.array([1.0, np.inf]))
    assert math.isnan(estimate.value)
    assert str(estimate) == "not finite (interval unknown, n=2)"
    assert json.loads(json.dumps(estimate.to_json(), allow_nan=False))["value"] is None
    assert math.isnan(Estimate.from_json(estimate.to_json()).value)


def test_mean_of_one_value_does_not_pretend_to_be_certain() -> None:
    estimate = mean(np.array([2.0]))
    assert estimate.value == 2.0
    assert math.isnan(estimate.low)


def test_mean_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1 value"):
        mean(np.array([]))


def test_json_round_trip_is_exact() -> None:
    estimate = proportion(187, 200)
    assert Estimate.from_json(json.loads(json.dumps(estimate.to_json()))) == estimate


def test_an_estimate_outside_its_own_interval_is_an_error() -> None:
    with pytest.raises(ValueError, match="low <= value <= high"):
        Estimate(value=0.5, low=0.6, high=0.7, count=3)
