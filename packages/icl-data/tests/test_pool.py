"""Which task a sequence is of, and the random numbers of tasks."""

import numpy as np
import pytest

from icl_data import UNSEEN, TaskRandomness, Tasks, task_keys
from icl_data.draws import normal_rows


@pytest.mark.parametrize("count", [1, 7, 400])
def test_a_pool_of_n_holds_exactly_n_tasks_each_as_often_as_the_others(count):
    numbers = Tasks(count=count).numbers(0, "train", np.arange(200 * count))
    different, times = np.unique(numbers, return_counts=True)
    assert np.array_equal(different, np.arange(count))
    # Poisson with mean 200 and, for 400 tasks, hardly ever five deviations away.
    assert np.abs(times - 200).max() < 5 * np.sqrt(200)


def test_the_largest_pool_of_the_paper_reaches_its_end():
    numbers = Tasks(count=2**24).numbers(0, "train", np.arange(20_000))
    assert numbers.min() < 2**24 / 1000 and 2**24 * 0.999 < numbers.max() < 2**24
    assert len(np.unique(numbers)) > 19_900


def test_fresh_tasks_never_come_again_and_are_not_those_of_a_pool_or_unseen():
    fresh = Tasks().numbers(0, "train", np.arange(1000))
    unseen = Tasks(first=UNSEEN).numbers(0, "train", np.arange(1000))
    assert np.array_equal(fresh, np.arange(1000))
    assert not np.intersect1d(fresh, unseen).size and unseen.min() >= UNSEEN


def test_which_task_a_sequence_is_of_depends_on_its_index_alone():
    tasks = Tasks(count=1000)
    block = tasks.numbers(3, "train", np.arange(50))
    alone = [tasks.numbers(3, "train", np.array([index]))[0] for index in range(50)]
    assert np.array_equal(block, alone)
    assert (tasks.numbers(3, "seen", np.arange(50)) != block).any()
    assert (tasks.numbers(4, "train", np.arange(50)) != block).any()


@pytest.mark.parametrize("options", [{"count": 0}, {"first": -1}, {"first": UNSEEN, "count": 2**63}])
def test_numbers_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=r"count|first"):
        Tasks(**options)


def test_draws_of_a_task_depend_on_its_number_and_their_name_alone():
    numbers = np.array([9, 2, 9, 2**62 + 1, 0])
    draws = TaskRandomness(task_keys(5, numbers))
    for draw, width in ((draws.uniforms, 3), (draws.normals, 7)):
        rows = draw("weights", width)
        assert np.array_equal(rows[0], rows[2]) and len(np.unique(rows[:, 0])) == 4
        for place, number in enumerate(numbers):
            alone = TaskRandomness(task_keys(5, np.array([number])))
            assert np.array_equal(getattr(alone, draw.__name__)("weights", width)[0], rows[place])
        assert (draw("biases", width) != rows).all()
        for others in (task_keys(6, numbers), task_keys(5, numbers, "Sine")):
            assert (getattr(TaskRandomness(others), draw.__name__)("weights", width) != rows).all()


def test_normals_are_standard_normal_and_independent():
    normals = normal_rows(0, "test", np.arange(2_000), width=101).astype(np.float64)
    assert normals.shape == (2_000, 101) and np.isfinite(normals).all()
    n = normals.size
    assert abs(normals.mean()) < 4 / np.sqrt(n) and abs(normals.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((normals**4).mean() - 3) < 4 * np.sqrt(96 / n)
    quantiles = np.quantile(normals, [0.001, 0.025, 0.5, 0.975, 0.999])
    assert np.allclose(quantiles, [-3.0902, -1.95996, 0, 1.95996, 3.0902], atol=0.05)
    # The two of a word are sine and cosine of one angle: their squares must be independent, too.
    half = 51
    for one, other in ((normals[:, :50], normals[:, half:]), (normals[:, :-1], normals[:, 1:])):
        for power in (1, 2):
            correlation = np.corrcoef(one.ravel() ** power, other.ravel() ** power)[0, 1]
            assert abs(correlation) < 4 / np.sqrt(one.size)


def test_golden_values_of_normals():
    found = normal_rows(7, "golden", np.array([3, 2**62]), width=3)
    assert np.allclose(found, GOLDEN, atol=1e-5)


GOLDEN = [[-2.6110294, -1.1143092, -0.8894055], [1.2443382, -0.0695117, -0.1041202]]
