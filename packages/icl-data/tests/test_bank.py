import inspect
import re

import numpy as np
import pytest

from icl_data import ExemplarBank, bank_from_arrays, bank_from_labels
from icl_data.bank import bank_from_runs


def all_pairs(bank):
    classes = np.repeat(np.arange(bank.num_classes), bank.counts)
    return classes, np.concatenate([np.arange(count) for count in bank.counts])


def test_gather_gives_each_class_its_own_items(tiny_bank):
    classes, exemplars = all_pairs(tiny_bank)
    assert np.array_equal(tiny_bank.gather(classes, exemplars), tiny_bank.items)
    block = tiny_bank.gather(classes.reshape(4, 5), exemplars.reshape(4, 5))
    assert np.array_equal(block.reshape(-1, 3, 3), tiny_bank.items)


def test_gather_gives_a_copy(tiny_bank):
    before = tiny_bank.items.copy()
    tiny_bank.gather(np.array([0]), np.array([0]))[:] = 99
    tiny_bank.augmented().gather(np.array([1]), np.array([0]))[:] = 99
    assert np.array_equal(tiny_bank.items, before)


@pytest.mark.parametrize(("cls", "exemplar"), [(5, 0), (-1, 0), (0, 2), (0, -1)])
def test_gather_refuses_what_is_not_there(tiny_bank, cls, exemplar):
    with pytest.raises(IndexError):
        tiny_bank.gather(np.array([cls]), np.array([exemplar]))


def test_augmented_views_are_flip_by_rotation_class_major(tiny_bank):
    views = tiny_bank.augmented()
    assert (views.num_classes, views.group) == (40, 8)
    assert views.items is tiny_bank.items
    for cls, exemplar in zip(*all_pairs(views), strict=True):
        original = tiny_bank.gather(np.array([cls // 8]), np.array([exemplar]))[0]
        flipped = np.fliplr(original) if cls % 8 >= 4 else original
        expected = np.rot90(flipped, cls % 4)
        assert np.array_equal(views.gather(np.array([cls]), np.array([exemplar]))[0], expected)


def test_views_of_a_lopsided_item_are_all_different(tiny_bank):
    images = tiny_bank.augmented().gather(np.arange(8), np.zeros(8, np.int64))
    assert len(np.unique(images.reshape(8, -1), axis=0)) == 8


def test_augmenting_needs_square_images_and_works_once(tiny_bank):
    with pytest.raises(ValueError, match="square"):
        bank_from_arrays([np.zeros((2, 3, 4), np.uint8)]).augmented()
    with pytest.raises(ValueError, match="already"):
        tiny_bank.augmented().augmented()


def test_first_exemplars_and_subset(tiny_bank):
    single = tiny_bank.first_exemplars(3)
    assert single.counts.tolist() == [2, 3, 3, 3, 3]
    chosen = tiny_bank.subset([3, 1])
    assert np.array_equal(chosen.gather(np.array([0]), np.array([4])), tiny_bank.gather(np.array([3]), np.array([4])))
    with pytest.raises(ValueError, match=r"0\.\.4"):
        tiny_bank.subset([5])
    with pytest.raises(ValueError, match="at least 1"):
        tiny_bank.first_exemplars(0)
    with pytest.raises(ValueError, match="none"):
        bank_from_arrays([])


def test_rows_are_where_gather_looks(tiny_bank):
    bank = tiny_bank.subset([3, 1])
    rows = bank.rows(np.array([[0, 1]]), np.array([[4, 2]]))
    assert (rows.dtype, rows.tolist()) == (np.int64, [[2 + 3 + 4 + 4, 2 + 2]])
    assert np.array_equal(tiny_bank.items[rows], bank.gather(np.array([[0, 1]]), np.array([[4, 2]])))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint16, np.uint64])
def test_gather_takes_any_integers_in_any_shape(tiny_bank, dtype):
    bank = tiny_bank.augmented()
    for shape in [(0,), (7,), (2, 3, 4), (0, 9)]:
        rng = np.random.default_rng(0)
        classes = rng.integers(0, 40, shape).astype(dtype)
        exemplars = rng.integers(0, 2, shape).astype(dtype)
        assert bank.rows(classes, exemplars).dtype == np.int64
        gathered = bank.gather(classes, exemplars)
        assert (gathered.shape, gathered.dtype) == ((*shape, 3, 3), np.uint8)
        assert gathered.base is None and gathered.flags.writeable and gathered.flags.c_contiguous
        for place in np.ndindex(shape):
            cls, exemplar = int(classes[place]), int(exemplars[place])
            original = tiny_bank.items[tiny_bank.starts[cls // 8] + exemplar]
            flipped = np.fliplr(original) if cls % 8 >= 4 else original
            assert np.array_equal(gathered[place], np.rot90(flipped, cls % 4))


def uniform_bank():
    """Return 3 classes of 2 exemplars whose every pixel tells the row and the place."""
    return bank_from_arrays(np.split(np.arange(6 * 9, dtype=np.uint8).reshape(6, 3, 3), 3))


def test_separated_exemplars_are_classes_and_stay_together():
    bank = uniform_bank()
    separated = bank.separated()
    assert (separated.num_classes, separated.group) == (6, 2)
    assert separated.items is bank.items and set(separated.counts) == {1}
    assert np.array_equal(separated.gather(np.arange(6), np.zeros(6, np.int64)), bank.items)


def test_separating_and_augmenting_combine_either_way():
    bank = uniform_bank()
    augmented_first, separated_first = bank.augmented().separated(), bank.separated().augmented()
    assert augmented_first.group == separated_first.group == 2 * 8
    assert augmented_first.num_classes == separated_first.num_classes == 3 * 2 * 8
    for character, exemplar, view in np.ndindex(3, 2, 8):
        expected = bank.augmented().gather(np.array([8 * character + view]), np.array([exemplar]))
        for views, number in [
            (augmented_first, (character * 8 + view) * 2 + exemplar),
            (separated_first, (character * 2 + exemplar) * 8 + view),
        ]:
            assert number // views.group == character
            assert np.array_equal(views.gather(np.array([number]), np.array([0])), expected)


def test_separating_needs_equal_counts(tiny_bank):
    with pytest.raises(ValueError, match=r"2\.\.6; call first_exemplars\(2\) first"):
        tiny_bank.separated()
    separated = tiny_bank.first_exemplars(2).separated()
    assert (separated.num_classes, separated.group) == (10, 2)
    gathered = separated.gather(np.arange(10), np.zeros(10, np.int64))
    assert np.array_equal(gathered, tiny_bank.gather(np.repeat(np.arange(5), 2), np.tile([0, 1], 5)))
    assert np.array_equal(separated.separated().starts, separated.starts)


def test_the_key_of_a_batch_tells_images_from_other_items():
    shapes = {(): "items", (5,): "items", (5, 5): "images", (5, 5, 3): "images"}
    assert {shape: bank_from_arrays([np.zeros((2, *shape))]).key for shape in shapes} == shapes


def test_labelled_items_become_classes_in_ascending_order():
    rng = np.random.default_rng(0)
    for dtype in (np.int64, np.uint8):
        labels = rng.choice([0, 3, 4, 200], 50).astype(dtype)
        bank = bank_from_labels(np.arange(50), labels)
        assert bank.num_classes == 4
        for number, label in enumerate([0, 3, 4, 200]):
            expected = [index for index in range(50) if labels[index] == label]
            gathered = bank.gather(np.full(len(expected), number), np.arange(bank.counts[number]))
            assert gathered.tolist() == expected


def test_sorted_items_are_not_copied_and_others_left_alone():
    items = np.arange(5)
    assert bank_from_labels(items, np.array([-1, 0, 0, 2, 2])).items is items
    assert not np.shares_memory(bank_from_labels(items, np.array([0, 0, 1, 0, 2])).items, items)
    assert items.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("items", "labels", "message"),
    [
        (np.zeros((3, 2)), np.zeros(2, np.int64), r"items \[3, 2\] and 2 labels"),
        (np.zeros((3, 2)), np.zeros(3), r"integers \[N\], got float64 \[3\]"),
        (np.zeros((3, 2)), np.zeros(3, bool), r"integers \[N\], got bool"),
        (np.zeros((3, 2)), np.zeros((3, 1), np.int64), r"integers \[N\], got int64 \[3, 1\]"),
        (np.zeros((0, 2)), np.zeros(0, np.int64), "got none"),
        (np.array([[1], [2, 3]], object), np.zeros(2, np.int64), "Python objects"),
        ([1.0, 2.0], [0.0, 1.5], r"integers \[N\], got float64 \[2\]"),
    ],
)
def test_labels_that_do_not_fit_get_one_clear_line(items, labels, message):
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(bank_from_labels)(items, labels)


def test_labels_and_items_may_be_lists():
    bank = bank_from_labels([[1.0], [2.0], [3.0]], [7, 4, 7])
    assert bank.items.tolist() == [[2.0], [1.0], [3.0]] and bank.counts.tolist() == [1, 2]


@pytest.mark.parametrize("views", [lambda bank: bank, ExemplarBank.augmented])
def test_shapes_of_classes_and_exemplars_are_broadcast(tiny_bank, views):
    bank = views(tiny_bank)
    classes, exemplars = np.array([[4], [9], [3]]) % bank.num_classes, np.array([[0, 1]])
    whole = bank.gather(np.repeat(classes, 2, 1), np.repeat(exemplars, 3, 0))
    assert whole.shape == (3, 2, 3, 3)
    assert np.array_equal(bank.gather(classes, exemplars), whole)
    assert np.array_equal(bank.gather(classes[:, 0], np.array([1])), whole[:, 1])
    assert bank.rows(classes, exemplars).shape == (3, 2)


@pytest.mark.parametrize("wrong", [np.array([0.0]), np.array([True])])
def test_gather_refuses_what_is_no_integer(tiny_bank, wrong):
    gather, rows = inspect.unwrap(ExemplarBank.gather), inspect.unwrap(ExemplarBank.rows)
    for method in (gather, rows):
        with pytest.raises(TypeError, match="exemplars must be integers, got"):
            method(tiny_bank, np.array([0]), wrong)
        with pytest.raises(TypeError, match="classes must be integers, got"):
            method(tiny_bank, wrong, np.array([0]))


def of_three(**changes):
    """Return a bank of 3 classes in 6 rows, past the tests' checks of types, which users do not have."""
    parts = {"items": np.zeros((6, 2, 2)), "starts": np.array([0, 2, 4]), "counts": np.full(3, 2)}
    bank = object.__new__(ExemplarBank)
    inspect.unwrap(ExemplarBank.__init__)(bank, **{**parts, "symmetries": np.zeros(3, np.int64), **changes})
    return bank


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symmetries": np.array([0, 8, 0])}, r"symmetries must be in 0\.\.7, got 0\.\.8"),
        ({"symmetries": np.array([0, -1, 0])}, r"symmetries must be in 0\.\.7, got -1\.\.0"),
        ({"symmetries": np.zeros(2, np.int64)}, r"symmetries must be integers .* 3 classes in starts, got int64 \[2\]"),
        ({"counts": np.full(4, 1)}, r"counts must be integers .* got int64 \[4\]"),
        ({"counts": np.full((3, 1), 1)}, r"counts must be integers .* got int64 \[3, 1\]"),
        ({"counts": np.full(3, 2.0)}, r"counts must be integers .* got float64 \[3\]"),
        ({"starts": np.zeros((1, 3), np.int64)}, r"starts must be integers .* got int64 \[1, 3\]"),
        ({"starts": np.array([0, 1, 2**63 - 1])}, "outside the 6 rows"),
        ({"starts": np.array([0, -1, 2])}, "outside the 6 rows"),
        ({"starts": np.array([0, 5, 2])}, "outside the 6 rows"),
        ({"counts": np.array([2, 0, 2])}, "at least one exemplar"),
        ({"group": 0}, "a whole number of at least 1, got 0"),
        ({"group": -3}, "a whole number of at least 1, got -3"),
        ({"group": 2}, "divide the 3 classes, got 2"),
        ({"group": 1.5}, r"a whole number of at least 1, got 1\.5"),
        ({"items": np.full((6, 2, 2), None)}, "Python objects"),
        ({"items": np.array(3)}, "a single number"),
    ],
)
def test_a_bank_that_cannot_be_gets_one_clear_line(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        of_three(**changes)
    assert "\n" not in str(caught.value)


def test_small_integers_do_not_overflow():
    items = np.arange(600)
    bank = bank_from_runs(items, np.full(6, 100, np.uint8))
    assert (bank.starts.dtype, bank.counts.dtype) == (np.int64, np.int64)
    assert bank.gather(np.array([5]), np.array([99])).tolist() == [599]
    assert of_three(starts=np.array([0, 2, 4], np.uint64)).starts.dtype == np.int64


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "got none"),
        (np.zeros(0, np.int64), "got none"),
        ([[0, 1]], r"integers \[K\], got int64 \[1, 2\]"),
        ([0.0], r"integers \[K\], got float64 \[1\]"),
        ([True, False, True, False, False], r"integers \[K\], got bool \[5\]"),
        ([0, 3, 0], "each class once"),
        ([-1], r"0\.\.4, got -1\.\.-1"),
    ],
)
def test_a_subset_of_what_is_not_there_gets_one_clear_line(tiny_bank, classes, message):
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(ExemplarBank.subset)(tiny_bank, classes)


def test_a_subset_keeps_groups_whole_or_is_refused(tiny_bank):
    views = tiny_bank.augmented()
    chosen = views.subset(np.array([*range(24, 32), *range(8)], np.uint64))
    assert (chosen.num_classes, chosen.group) == (16, 8)
    assert np.array_equal(chosen.gather(np.array([5]), np.array([3])), views.gather(np.array([29]), np.array([3])))
    for part in (range(4), range(4, 12), [1, 0, *range(2, 8)], [*range(7), 15], range(9), [0]):
        with pytest.raises(ValueError, match=r"whole groups of 8 .* call subset before augmented\(\)"):
            views.subset(part)
    assert np.array_equal(tiny_bank.subset([3, 0]).augmented().starts, chosen.starts)


@pytest.mark.parametrize("count", [1.5, 2.0, -1, "2"])
def test_first_exemplars_are_a_whole_number(tiny_bank, count):
    with pytest.raises(ValueError, match=f"a whole number of at least 1, got {re.escape(repr(count))}"):
        inspect.unwrap(ExemplarBank.first_exemplars)(tiny_bank, count)


def test_one_array_of_classes_is_a_bank_of_its_rows():
    images = np.arange(3 * 2 * 4 * 4, dtype=np.uint8).reshape(3, 2, 4, 4)
    bank = bank_from_arrays(images)
    assert (bank.num_classes, bank.counts.tolist(), bank.items.shape) == (3, [2, 2, 2], (6, 4, 4))
    assert np.array_equal(bank.gather(np.array([2]), np.array([1]))[0], images[2, 1])
    assert not np.shares_memory(bank.items, images)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (np.zeros((0, 2, 4)), "got none"),
        (np.zeros(3), r"an array \[exemplars, \.\.\.\] of items of one shape, got shapes \[\(\)\]"),
        ([np.zeros((2, 4)), np.zeros((2, 5))], r"items of one shape, got shapes \[\(2, 4\), \(2, 5\)\]"),
        ([np.zeros((2, 4)), np.zeros(2)], "items of one shape"),
        ([np.zeros((2, 4)), np.zeros((0, 4))], "at least one exemplar"),
        ([np.array([[1], [2, 3]], object)], "Python objects; are they of different shapes"),
    ],
)
def test_arrays_that_make_no_bank_get_one_clear_line(classes, message):
    with pytest.raises(ValueError, match=message) as caught:
        inspect.unwrap(bank_from_arrays)(classes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "i4", "u4", "i8", ">u2", "?"])
def test_images_of_other_integers_are_refused_however_the_bank_is_made(dtype):
    images = np.ones((4, 3, 3), dtype)
    for make in (
        lambda: bank_from_arrays([images, images]),
        lambda: bank_from_labels(images, [0, 0, 1, 1]),
        lambda: bank_from_labels(np.dstack([images[..., None]] * 3), [0, 0, 1, 1]),
        lambda: ExemplarBank(items=images, starts=np.array([0]), counts=np.array([4]), symmetries=np.array([0])),
    ):
        with pytest.raises(
            ValueError, match=r"Images must be uint8 \(0..255\) or floats \(0..1\), got .*astype\(np.uint8\)"
        ):
            make()
    assert bank_from_labels(images.reshape(4, 9), [0, 0, 1, 1]).key == "items"  # numbers that are no images
    assert bank_from_labels(images.astype(np.uint8), [0, 0, 1, 1]).key == "images"
