"""What options must be: each check raises a ``ValueError`` that says what was wanted and what came."""

import operator
import typing
from typing import Any


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
