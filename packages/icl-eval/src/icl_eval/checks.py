"""What options must be: each check raises a ``ValueError`` that says what was wanted and what came."""

import math
import numbers
import operator
from typing import Any


def check_whole(name: str, value: Any, *, least: int) -> None:
    """Refuse an option, called `name` in the error, that is not a whole number of at least `least`.

    >>> check_whole("k", 0, least=1)
    Traceback (most recent call last):
    ValueError: k must be a whole number of at least 1, got 0.
    """
    try:
        too_small = isinstance(value, bool) or operator.index(value) < least
    except TypeError:
        too_small = True
    if too_small:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")


def check_positive(name: str, value: float) -> None:
    """Refuse what is not a finite number above 0.

    >>> check_positive("penalty", 0.0)
    Traceback (most recent call last):
    ValueError: penalty must be a finite number above 0, got 0.0.
    """
    if not isinstance(value, numbers.Real) or not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}.")
