"""What options must be: each check raises a ``ValueError`` that says what was wanted and what came."""

import operator
import typing
from typing import Any

import numpy as np


def check_whole(name: str, value: Any, *, least: int = 0) -> None:
    """Check that ``value`` is a whole number of at least ``least``.

    Args:
      name: what the error calls it.
      value: anything.
      least: smallest number that will do.

    >>> check_whole("ways", 2.5, least=1)
    Traceback (most recent call last):
    ValueError: ways must be a whole number of at least 1, got 2.5.
    """
    try:
        too_small = isinstance(value, bool) or operator.index(value) < least
    except TypeError:
        too_small = True
    if too_small:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")


def check_probability(name: str, value: float) -> None:
    """Check that ``value`` is in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be a probability in [0, 1], got {value}.")


def check_choice(name: str, value: object, choices: Any) -> None:
    """Check that ``value`` is one of the values of a ``Literal``.

    Args:
      name: what the error calls it.
      value: anything.
      choices: the ``Literal``.
    """
    allowed = typing.get_args(choices)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")


def checked_array(values: Any, shape: tuple[int, ...], dtype: str, name: str) -> np.ndarray:
    """Return an array that somebody's function gave, once it has a shape and is of a kind of numbers.

    Args:
      values: what it gave.
      shape: what it must have.
      dtype: what the array is to be; floats of another width become it, but nothing else does.
      name: what the error calls the function.

    >>> checked_array([0, 1], (2,), "?", "Own.mask")
    Traceback (most recent call last):
    ValueError: Own.mask must return bool [2], got int64 [2].
    """
    given, wanted = np.asarray(values), np.dtype(dtype)
    if given.shape != shape or given.dtype.kind != wanted.kind:
        raise ValueError(f"{name} must return {wanted} {list(shape)}, got {given.dtype} {list(given.shape)}.")
    return given.astype(wanted, copy=False)
