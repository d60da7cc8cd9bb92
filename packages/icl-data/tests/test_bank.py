import numpy as np
import pytest

from icl_data import bank_from_arrays, bank_from_labels


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


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint16])
def test_gather_takes_any_integers_in_any_shape(tiny_bank, dtype):
    bank = tiny_bank.augmented()
    for shape in [(0,), (7,), (2, 3, 4), (0, 9)]:
        rng = np.random.default_rng(0)
        classes = rng.integers(0, 40, shape).astype(dtype)
        exemplars = rng.integers(0, 2, shape).astype(dtype)
        gathered = bank.gather(classes, exemplars)
        assert (gathered.shape, gathered.dtype) == ((*shape, 3, 3), np.uint8)
        assert gathered.base is None and gathered.flags.writeable and gathered.flags.c_contiguous
        for place in np.ndindex(shape):
            original = tiny_bank.items[tiny_bank.starts[classes[place] // 8] + exemplars[place]]
            flipped = np.fliplr(original) if classes[place] % 8 >= 4 else original
            assert np.array_equal(gathered[place], np.rot90(flipped, int(classes[place] % 8 % 4)))


def uniform_bank():
    """Give 3 classes of 2 exemplars whose every pixel tells the row and the place."""
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
    ],
)
def test_labels_that_do_not_fit_get_one_clear_line(items, labels, message):
    with pytest.raises(ValueError, match=message):
        bank_from_labels(items, labels)
