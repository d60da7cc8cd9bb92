"""What options must be: each check returns the value as JSON can hold it, or says what was wanted and what came."""

import operator
from typing import Any


def as_whole(name: str, value: Any, *, least: int) -> int:
    """Return a whole number, of Python, NumPy or JAX, as one of Python.

    Args:
        name: What the error calls it.
        value: Anything.
        least: Smallest number that will do.

    Raises:
        ValueError: If it is no whole number, or below ``least``.

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
    if number is None or number < least:
        raise ValueError(f"wanted {name} to be a whole number of at least {least}, got {value!r}")
    return number
