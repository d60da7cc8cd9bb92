"""Integers as items, for models that embed them."""

import numpy as np

from icl_data.bank import ExemplarBank, bank_from_runs


def symbols(num_classes: int) -> ExemplarBank:
    """Make a bank in which the one exemplar of class c is the integer c.

    Args:
      num_classes: at least 1.

    Returns:
      A bank of int32 items [num_classes].

    >>> symbols(5).gather(np.array([[4, 0]]), np.array([[0, 0]]))
    array([[4, 0]], dtype=int32)
    """
    if not 1 <= num_classes < 2**31:
        raise ValueError(f"num_classes must be at least 1 and fit in an int32, got {num_classes}.")
    return bank_from_runs(np.arange(num_classes, dtype=np.int32), np.ones(num_classes, np.int64))
