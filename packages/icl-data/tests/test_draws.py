import itertools

import numpy as np
import pytest

from icl_data.distinct import distinct_in_group
from icl_data.draws import normals, random_words, shuffled, step_over, uniform_rows


@pytest.mark.parametrize("indices", [[5], [0, 1, 2], [7, 3, 3, 4, 2**40, 0], []])
@pytest.mark.parametrize("width", [1, 4, 7])
def test_a_row_does_not_depend_on_its_company(indices, width):
    together = uniform_rows(3, "test", np.array(indices, np.int64), width=width)
    alone = [uniform_rows(3, "test", np.array([index]), width=width)[0] for index in indices]
    assert together.shape == (len(indices), width)
    assert np.array_equal(together, np.array(alone).reshape(together.shape))


def test_rows_of_different_index_seed_or_stream_differ():
    base = uniform_rows(0, "a", np.arange(100), width=5)
    others = [uniform_rows(1, "a", np.arange(100), width=5), uniform_rows(0, "b", np.arange(100), width=5)]
    assert len(np.unique(np.concatenate([base, *others]))) == 3 * 500


def test_uniforms_are_uniform_and_uncorrelated():
    rows = uniform_rows(0, "u", np.arange(20_000), width=6)
    assert rows.min() >= 0 and rows.max() < 1
    counts = np.histogram(rows, bins=20, range=(0, 1))[0]
    assert ((counts - 6_000) ** 2 / 6_000).sum() < 43.8  # chi-square with 19 degrees of freedom, p = 0.001
    assert np.abs(np.corrcoef(rows.T) - np.eye(6)).max() < 0.03


def test_golden_uniforms():
    # Pins every sequence ever made: it may change only with a new major version of icl-data.
    expected = [0.8374191950171885, 0.4639666870820287, 0.04760927053432096]
    assert uniform_rows(0, "train", np.array([12]), width=3)[0].tolist() == expected


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_seed_or_index_is_refused(seed, index):
    with pytest.raises(ValueError, match="-1"):
        uniform_rows(seed, "x", np.array([index]), width=1)


def test_step_over_lists_what_is_left_in_order():
    whole = 7
    for taken in itertools.permutations(range(whole), 3):
        left = [number for number in range(whole) if number not in taken]
        drawn = step_over(np.arange(len(left)), np.tile(taken, (len(left), 1)), np.ones((len(left), 3), np.int64))
        assert drawn.tolist() == left


def test_shuffled_makes_every_order_alike():
    words = random_words(0, "s", np.arange(24_000), width=4)
    orders, counts = np.unique(shuffled(words, np.array([3, 0, 2, 65_535])), axis=0, return_counts=True)
    assert len(orders) == 24 and set(orders.ravel().tolist()) == {0, 2, 3, 65_535}
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 49.7  # 23 degrees of freedom, p = 0.001
    repeated = shuffled(words[:50], np.array([1, 1, 1, 0]))
    assert (np.sort(repeated, axis=1) == [0, 1, 1, 1]).all()


def test_distinct_in_group_never_repeats_where_there_is_enough():
    rng = np.random.default_rng(0)
    groups, uniforms = rng.integers(0, 3, (500, 9)), rng.random((500, 9))
    members = distinct_in_group(uniforms, groups, np.array([4, 9, 2])[groups])
    repeats = 0
    for row_groups, row_members in zip(groups, members, strict=True):
        for group, size in enumerate([4, 9, 2]):
            of_group = row_members[row_groups == group]
            assert ((of_group >= 0) & (of_group < size)).all()
            if len(of_group) <= size:
                assert len(set(of_group)) == len(of_group)
            else:
                repeats += 1
    assert repeats > 100  # groups that were asked for too much did occur


def test_distinct_in_group_draws_each_ordered_choice_alike():
    uniforms = uniform_rows(0, "d", np.arange(24_000), width=3)
    members = distinct_in_group(uniforms, np.zeros((24_000, 3), np.int64), np.full((24_000, 3), 4))
    counts = np.unique(members, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 49.7  # 23 degrees of freedom, p = 0.001


def test_a_group_that_is_too_small_is_drawn_from_with_replacement():
    uniforms = uniform_rows(0, "r", np.arange(8_000), width=4)
    groups = np.tile([5, 1, 5, 5], (8_000, 1))
    members = distinct_in_group(uniforms, groups, np.where(groups == 5, 2, 30))
    counts = np.unique(members[:, [0, 2, 3]], axis=0, return_counts=True)[1]
    assert len(counts) == 8
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 24.3  # 7 degrees of freedom, p = 0.001
    assert len(np.unique(members[:, 1])) == 30


def test_normals_are_normal_to_the_tails():
    uniforms = np.random.default_rng(0).random((1000, 200))
    draws = np.sort(normals(uniforms).ravel())
    assert abs(draws.mean()) < 0.01 and abs(draws.std() - 1) < 0.01
    assert np.allclose(np.quantile(draws, [0.00135, 0.1587, 0.8413, 0.99865]), [-3, -1, 1, 3], atol=0.08)
    assert np.isfinite(normals(np.array([[0.0, 1 - 2.0**-53, 0.0, 0.25]]))).all()
