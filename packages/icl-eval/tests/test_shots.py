import numpy as np
import pytest

from icl_eval import accuracy_by_shots, improvement, mean, mean_by_shots, proportion, ratio, task_proportion
from icl_eval.tasks.shots import last_window

CORRECT = np.random.default_rng(0).random((40, 16)) < np.linspace(0.2, 0.9, 16)


def test_accuracy_at_each_position_is_that_of_its_column_alone() -> None:
    curve = accuracy_by_shots(CORRECT, examples=np.arange(3, 19), chance=0.2)
    assert curve.chance == 0.2
    np.testing.assert_array_equal(curve.steps, np.arange(3, 19))
    for position in range(16):
        right = 0
        for task in range(40):
            right += bool(CORRECT[task, position])
        expected = proportion(right, 40)
        got = (curve.values[position], curve.low[position], curve.high[position])
        assert got == (expected.value, expected.low, expected.high)


def test_mean_at_each_position_is_that_of_its_column_alone() -> None:
    values = np.random.default_rng(1).exponential(size=(30, 3))
    curve = mean_by_shots(values, examples=np.array([0, 2, 8]))
    assert curve.chance is None
    for position, steps in enumerate((0, 2, 8)):
        expected = mean(values[:, position])
        assert (curve.steps[position], curve.values[position]) == (steps, expected.value)
        assert (curve.low[position], curve.high[position]) == (expected.low, expected.high)


@pytest.mark.parametrize("window", [1, 2, 5, 16])
def test_improvement_is_the_mean_gain_of_the_last_positions_over_the_first(window: int) -> None:
    gains = []
    for row in CORRECT:
        last = sum(bool(right) for right in row[16 - window :]) / window
        gains.append(last - bool(row[0]))
    estimate = improvement(CORRECT, window=window)
    assert estimate.value == pytest.approx(sum(gains) / 40)
    assert estimate.count == 40
    assert improvement(CORRECT) == improvement(CORRECT, window=2)  # an eighth of 16


def test_improvement_is_paired_so_tasks_of_different_difficulty_do_not_widen_it() -> None:
    easy = np.arange(200) < 100
    all_gain_nothing = np.repeat(easy[:, None], 4, axis=1)
    estimate = improvement(all_gain_nothing)
    assert (estimate.low, estimate.value, estimate.high) == (0, 0, 0)


def test_improvement_covers_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(3)
    covered = []
    for _ in range(300):
        talent = generator.beta(2, 2, size=(60, 1))
        correct = generator.random((60, 8)) < np.where(np.arange(8) == 0, 0.2, talent)
        estimate = improvement(correct, window=4)
        covered.append(estimate.low <= 0.5 - 0.2 <= estimate.high)
    assert 0.9 < np.mean(covered) < 0.99


def test_a_proportion_over_tasks_covers_the_truth_though_the_items_of_a_task_agree() -> None:
    generator = np.random.default_rng(4)
    covered, naive = [], []
    for _ in range(1000):
        correct = generator.random((50, 12)) < generator.beta(4, 1, size=(50, 1))  # mean 0.8
        estimate, independent = task_proportion(correct), proportion(int(correct.sum()), correct.size)
        assert estimate.value == independent.value
        covered.append(estimate.low <= 0.8 <= estimate.high)
        naive.append(independent.low <= 0.8 <= independent.high)
    assert 0.93 < np.mean(covered) < 0.975
    assert np.mean(naive) < 0.8


def test_a_proportion_over_tasks_of_one_prediction_is_the_proportion() -> None:
    estimate, expected = task_proportion(CORRECT[:, :1]), proportion(int(CORRECT[:, 0].sum()), 40)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("right", [True, False])
def test_a_proportion_that_never_fails_counts_each_task_once(right: bool) -> None:
    assert task_proportion(np.full((20, 5), right)) == proportion(20 * right, 20)


def test_tasks_that_agree_by_chance_feign_no_certainty() -> None:
    half = np.tile([True, False], (3, 4))
    expected = proportion(12, 24)
    estimate = task_proportion(half)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
    single = task_proportion(half[:1])
    assert single.low < 0.1
    assert single.high > 0.9


def test_a_ratio_is_that_of_the_sums_and_its_interval_covers() -> None:
    generator = np.random.default_rng(5)
    covered = []
    for _ in range(200):
        below = generator.exponential(size=80)
        estimate = ratio(below * generator.uniform(0.2, 0.6, size=80), below)
        covered.append(estimate.low <= 0.4 <= estimate.high)
    assert 0.88 < np.mean(covered) < 0.99


def test_a_ratio_does_not_depend_on_the_order_of_tasks_but_on_their_pairing() -> None:
    above, below = np.random.default_rng(6).exponential(size=(2, 50))
    estimate = ratio(above, below)
    assert estimate.value == pytest.approx(above.sum() / below.sum())
    assert ratio(above[::-1], below[::-1]) == estimate
    assert ratio(above[::-1], below).value == pytest.approx(estimate.value)
    assert ratio(above[::-1], below).low != estimate.low


def test_a_ratio_that_is_not_known_is_nan() -> None:
    for above, below in (([1.0, 2.0], [0.0, 0.0]), ([np.nan, 1.0], [1.0, 1.0]), ([1.0, 1.0], [np.inf, 1.0])):
        estimate = ratio(np.array(above), np.array(below))
        assert np.isnan([estimate.value, estimate.low, estimate.high]).all()
    single = ratio(np.array([1.0]), np.array([2.0]))
    assert single.value == 0.5
    assert np.isnan(single.low)
    assert ratio(np.array([1.0, 1.0]), np.array([0.0, 2.0])).value == 1  # no bound above: one of its ratios is infinite


def test_rows_and_windows_that_make_no_sense_are_errors() -> None:
    for rows, examples in ((np.ones((0, 2), bool), [0, 1]), (CORRECT[:, :2], [1, 1]), (CORRECT[:, :2], [1, 0])):
        with pytest.raises(ValueError, match="increasing numbers of examples"):
            accuracy_by_shots(rows, examples=np.array(examples), chance=None)
    for window in (0, -1, 17):
        with pytest.raises(ValueError, match="window of 1 to 16"):
            improvement(CORRECT, window=window)
        with pytest.raises(ValueError, match="window of 1 to 16"):
            last_window(16, window)
    with pytest.raises(ValueError, match="2 or more positions"):
        improvement(CORRECT[:, :1])
    with pytest.raises(ValueError, match="at least 1 task"):
        task_proportion(CORRECT[:0])
    for above, below in (([], []), ([1.0], [-1.0])):
        with pytest.raises(ValueError, match="A ratio wants"):
            ratio(np.array(above), np.array(below))
