import numpy as np
import pytest

from icl_data import bank_from_arrays


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
