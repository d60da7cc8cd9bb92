"""What options must be: each check returns the value as JSON can hold it, or says what was wanted and what came."""

import operator
from typing import Any

LARGEST_SEED = 2**32 - 1
"""A key holds 32 bits of it."""


def as_whole(name: str, value: Any, *, least: int, most: int | None = None) -> int:
    """Return a whole number, of Python, NumPy or JAX, as one of Python.

    Args:
        name: What the error calls it.
        value: Anything.
        least: Smallest number that will do.
        most: Largest number that will do; None if any will.

    Raises:
        ValueError: If it is no whole number, below ``least`` or above ``most``.

    >>> import numpy as np
    >>> as_whole('steps', np.int64(3), least=1)
    3
    >>> as_whole('steps', 2.5, least=1)
    Traceback (most recent call last):
    ValueError: wanted steps to be a whole number of at least 1, got 2.5
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        also = "" if most is None else f" and at most {most}"
        raise ValueError(f"wanted {name} to be a whole number of at least {least}{also}, got {value!r}")
    return number
