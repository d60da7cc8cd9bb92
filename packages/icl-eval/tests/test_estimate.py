import json
import math

import numpy as np
import pytest

from icl_eval import Estimate, improvement, mean, proportion, ratio, task_proportion
from icl_eval.results.estimate import wilson


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


def bootstrap(above: np.ndarray, below: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Draw the sequences 1,000 times anew, take the ratio of their sums, and cut off 2.5 % at each end."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(above), size=(1000, len(above)))
    low, high = np.quantile(above[drawn].sum(axis=1) / below[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


# Where a resample is likely to be beyond 0..1, Wilson's interval and the bootstrap's differ on purpose.
@pytest.mark.parametrize(("count", "apart"), [(200, 0.01), (2000, 0.002)])
@pytest.mark.parametrize("seed", range(3))
def test_intervals_agree_with_those_of_a_bootstrap(count: int, apart: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    ones = np.ones(count)
    numbers = generator.beta(2, 3, size=count)
    talents = generator.beta(4, 2, size=(count, 1))
    correct = generator.random((count, 8)) < np.where(np.arange(8) == 0, 0.3, talents)
    sizes = generator.gamma(9, size=count)
    errors = sizes * generator.beta(3, 3, size=count)
    cases = {
        "mean": (mean(numbers), numbers, ones),
        "ratio": (ratio(errors, sizes), errors, sizes),
        "improvement": (improvement(correct, window=4), correct[:, -4:].mean(axis=1) - correct[:, 0], ones),
        "task_proportion": (task_proportion(correct), correct.mean(axis=1), ones),
    }
    for name, (estimate, above, below) in cases.items():
        assert estimate.value == pytest.approx(above.sum() / below.sum(), rel=1e-12), name
        assert (estimate.low, estimate.high) == pytest.approx(bootstrap(above, below, seed=seed), abs=apart), name


def test_a_mean_of_few_values_covers_the_truth_about_95_times_in_100() -> None:
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(2000, 30))
    assert 0.92 < np.mean([e.low <= 3.0 <= e.high for e in map(mean, draws)]) < 0.97


def test_numbers_that_are_large_and_differ_little_keep_their_interval() -> None:
    numbers = np.random.default_rng(0).normal(size=100)
    for far in (mean(1e9 + numbers), ratio(1e9 + numbers, np.ones(100))):
        near = mean(numbers)
        assert (far.low - 1e9, far.high - 1e9) == pytest.approx((near.low, near.high), abs=1e-6)


def test_an_interval_does_not_go_beyond_the_numbers() -> None:
    assert mean(np.array([0.0] * 9 + [1.0])).low == 0
    assert mean(np.array([-3.0] * 9 + [-4.0])).high == -3
    assert ratio(np.array([0.0, 0.0, 3.0]), np.array([1.0, 1.0, 1.0])).low == 0


def test_mean_does_not_depend_on_the_order_of_the_values() -> None:
    values = np.random.default_rng(0).normal(size=101).astype(np.float32)
    assert mean(values) == mean(values[::-1]) == mean(values)


def test_mean_of_values_that_are_not_finite_says_so_and_is_valid_json() -> None:
    estimate = mean(np.array([1.0, np.inf]))
    assert math.isnan(estimate.value)
    assert str(estimate) == "not finite (interval unknown, n=2)"
    assert json.loads(json.dumps(estimate.to_json(), allow_nan=False))["value"] is None
    assert math.isnan(Estimate.from_json(estimate.to_json()).value)


def test_numbers_whose_squares_are_beyond_floats_have_a_value_and_no_interval() -> None:
    values = np.array([1e300, 2e300, 0.0])
    for estimate in (mean(values), ratio(values, np.ones(3))):
        assert estimate.value == 1e300 and math.isnan(estimate.low)


def test_one_value_does_not_pretend_to_be_certain() -> None:
    for estimate in (mean(np.array([2.0])), ratio(np.array([4.0]), np.array([2.0]))):
        assert estimate.value == 2.0
        assert math.isnan(estimate.low)


def test_mean_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1 value"):
        mean(np.array([]))


def test_json_round_trip_is_exact() -> None:
    estimate = wilson(0.935, size=200, count=200)
    assert Estimate.from_json(json.loads(json.dumps(estimate.to_json()))) == estimate


def test_an_estimate_outside_its_own_interval_is_an_error() -> None:
    with pytest.raises(ValueError, match="low <= value <= high"):
        Estimate(value=0.5, low=0.6, high=0.7, count=3)
