import numpy as np
import pytest

from icl_data import symbols


def test_item_c_is_the_integer_c():
    bank = symbols(7)
    assert (bank.items.dtype, bank.key, bank.num_classes, set(bank.counts)) == (np.int32, "items", 7, {1})
    classes = np.array([[6, 0, 3], [2, 2, 5]])
    assert np.array_equal(bank.gather(classes, np.zeros_like(classes)), classes)


@pytest.mark.parametrize("number", [0, -1, 2**31])
def test_a_number_of_classes_that_cannot_be_is_refused(number):
    with pytest.raises(ValueError, match=f"at least 1 and fit in an int32, got {number}"):
        symbols(number)
