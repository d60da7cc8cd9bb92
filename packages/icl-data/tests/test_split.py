import dataclasses

import numpy as np
import pytest

from icl_data import ClassSplit, original_order, symbols
from icl_data.draws import uniform_rows


def test_the_sets_share_no_class():
    split = ClassSplit(num_classes=100, rare=60, common=10, holdout=20)
    assert len(set(split.classes)) == split.num_positions == 90
    assert set(split.classes) <= set(range(100))
    assert ClassSplit(num_classes=100, rare=100, seed=1).classes.tolist() != sorted(range(100))


def test_holdout_does_not_move_when_the_others_change():
    one = ClassSplit(num_classes=100, rare=60, common=10, holdout=20).classes[-20:]
    assert np.array_equal(one, ClassSplit(num_classes=100, rare=5, common=3, holdout=20).classes[-20:])
    assert np.array_equal(one[-8:], ClassSplit(num_classes=100, rare=5, holdout=8).classes[-8:])


def test_groups_stay_together_and_in_order():
    split = ClassSplit(num_classes=80, rare=64, holdout=16, group=8)
    groups = split.classes.reshape(-1, 8)
    assert np.array_equal(groups % 8, np.tile(np.arange(8), (10, 1)))
    assert len(set(groups[:, 0] // 8)) == 10


def test_the_original_augmented_setting_is_a_valid_split():
    split = ClassSplit(num_classes=12984, rare=12700, common=100, holdout=80, group=8)
    assert not set(split.classes[:12800] // 8) & set(split.classes[12800:] // 8)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"rare": 90, "common": 5, "holdout": 6}, "= 101 classes are wanted, but the bank has 100"),
        ({"rare": 0}, "at least 1"),
        ({"rare": -1, "common": 5}, "at least 0"),
        ({"rare": 5, "zipf_exponent": -1.0}, "zipf_exponent"),
        ({"rare": 5, "zipf_exponent": np.inf}, "zipf_exponent"),
        ({"rare": 5, "group": 7}, "divide the 100"),
        ({"rare": 51, "holdout": 45, "group": 10}, "split between training and holdout"),
        ({"rare": 87, "holdout": 12, "group": 4, "common": 1}, None),
        ({"rare": 88, "holdout": 11, "group": 4, "common": 1}, "split between training and holdout"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(numbers, message):
    if message is None:
        split = ClassSplit(num_classes=100, **numbers)
        assert not set(split.classes[:88] // 4) & set(split.classes[88:] // 4)
        return
    with pytest.raises(ValueError, match=message):
        ClassSplit(num_classes=100, **numbers)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.5])
def test_zipf_weights_follow_the_formula(exponent):
    split = ClassSplit(num_classes=200, rare=150, common=30, holdout=20, zipf_exponent=exponent)
    masses = np.diff(split.distribution("zipfian").cumulative)
    n = 180
    expected = np.array([1 / (n - j + 1) ** exponent for j in range(1, n + 1)])
    assert np.allclose(masses / masses.sum(), expected / expected.sum(), rtol=1e-9)


def test_weights_beyond_any_precision_still_leave_every_class_possible():
    masses = np.diff(ClassSplit(num_classes=5000, rare=5000, zipf_exponent=9.0).distribution("zipfian").cumulative)
    assert masses.min() == 1 and 0 < masses.sum() < 2**53


@pytest.mark.parametrize(("class_set", "first", "size"), [("rare", 0, 6), ("common", 6, 3), ("holdout", 9, 4)])
def test_the_other_sets_are_uniform_over_their_own(class_set, first, size):
    split = ClassSplit(num_classes=20, rare=6, common=3, holdout=4, zipf_exponent=2.0)
    uniforms = (np.arange(size * 100) + 0.5) / (size * 100)
    drawn = split.distribution(class_set).draw(uniforms, np.empty((size * 100, 0), np.int64))
    assert np.array_equal(drawn, first + np.arange(size * 100) // 100)


@pytest.mark.parametrize("exponent", [0.0, 1.5])
def test_drawing_from_what_is_left_is_exactly_the_renormalised_distribution(exponent):
    distribution = ClassSplit(num_classes=7, rare=7, zipf_exponent=exponent).distribution("zipfian")
    weights = np.diff(distribution.cumulative) / distribution.cumulative[-1]
    taken = np.array([5, 1, 40])  # 40 lies outside
    uniforms = uniform_rows(0, "left", np.arange(50_000), width=1)[:, 0]
    drawn = distribution.draw(uniforms, np.tile(taken, (50_000, 1)))
    left = weights.copy()
    left[taken[:2]] = 0
    expected = 50_000 * left / left.sum()
    counts = np.bincount(drawn, minlength=7)
    assert not counts[[5, 1]].any()
    kept = expected > 0
    assert ((counts - expected)[kept] ** 2 / expected[kept]).sum() < 18.5  # 4 degrees of freedom, p = 0.001


@pytest.mark.parametrize(("class_set", "chosen"), [("rare", slice(0, 60)), ("common", slice(60, 100))])
def test_zipf_within_sets_is_the_same_weights_renormalised(class_set, chosen):
    split = ClassSplit(num_classes=120, rare=60, common=40, holdout=20, zipf_exponent=1.3, zipf_within_sets=True)
    whole, within = (np.diff(split.distribution(name).cumulative) for name in ("zipfian", class_set))
    assert np.allclose(within / within.sum(), whole[chosen] / whole[chosen].sum(), rtol=1e-9)
    assert np.unique(np.diff(split.distribution("holdout").cumulative)).tolist() == [1]


def test_a_million_classes_keep_their_weights():
    split = ClassSplit(num_classes=10**6, rare=999_000, common=500, holdout=500, zipf_exponent=1.0)
    distribution = split.distribution("zipfian")
    drawn = distribution.draw(uniform_rows(0, "many", np.arange(100_000), width=1)[:, 0], np.empty((100_000, 0), int))
    expected = np.log(500.5 / 0.5) / np.log(999_500.5 / 0.5)  # what the last 500 of 1/k have, nearly
    assert abs((drawn >= 999_000).mean() - expected) < 0.01
    assert drawn.max() < 999_500 and len(np.unique(split.classes)) == 10**6


@pytest.mark.parametrize("taken", [[], [0], [1, 0]])
def test_the_smallest_and_largest_uniforms_give_the_first_and_last_class_that_is_left(taken):
    distribution = ClassSplit(num_classes=50, rare=40, holdout=10, zipf_exponent=1.0).distribution("zipfian")
    ends = np.array([0.0, 1 - 2.0**-53])
    assert distribution.draw(ends, np.tile(np.array(taken, np.int64), (2, 1))).tolist() == [len(taken), 39]


def test_an_empty_set_is_refused_by_name():
    with pytest.raises(ValueError, match="holdout=0"):
        ClassSplit(num_classes=5, rare=5).distribution("holdout")


def classes_of_the_original(num_classes, rare, common, holdout, group, seed):
    """Return the class at each position as the original code has them: in a seeded order, holdout from its end."""
    groups = np.split(np.arange(num_classes), num_classes // group)
    order = np.random.default_rng(seed).choice(range(len(groups)), size=len(groups), replace=False)
    classes = [cls for number in order for cls in groups[number]]
    return classes[: rare + common] + classes[num_classes - holdout :]


@pytest.mark.parametrize(
    ("num_classes", "rare", "common", "holdout", "group", "seed"),
    [
        (1623, 1603, 10, 10, 1, 1337),
        (1623, 800, 10, 10, 1, 1337),
        (12984, 12700, 100, 80, 8, 1337),
        (60, 20, 0, 40, 20, 5),
    ],
)
def test_the_originals_classes_can_be_brought_in(num_classes, rare, common, holdout, group, seed):
    split = ClassSplit(num_classes=num_classes, rare=rare, common=common, holdout=holdout, group=group, seed=seed)
    bank = dataclasses.replace(symbols(num_classes), group=group)
    brought = bank.subset(original_order(split))
    expected = classes_of_the_original(num_classes, rare, common, holdout, group, seed)
    assert brought.gather(split.classes, np.zeros(len(expected), np.int64)).tolist() == expected
    if seed == 1337 and group == 1:
        assert expected[:5] == [318, 1589, 543, 304, 851]  # NumPy's choice stays what it was
    assert split.classes.tolist() != expected  # without it the seed gives others
