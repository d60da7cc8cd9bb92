"""NumPy's arrays and jax's by one code: which module makes them, and products as exact as float32 has them.

jax is imported where it is used, so that all else works without it.
"""

import contextlib
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped


def array_module(array: Any) -> ModuleType:
    """Return NumPy for what is NumPy's, else ``jax.numpy``."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    import jax.numpy

    return jax.numpy


def float32_products(array: Any) -> contextlib.AbstractContextManager[Any]:
    """Return what to multiply matrices under so that an accelerator rounds as NumPy does, not to fewer bits.

    Args:
      array: NumPy's, with which nothing changes, or jax's.
    """
    if array_module(array) is np:
        return contextlib.nullcontext()
    import jax

    return jax.default_matmul_precision("highest")


def order(values: Shaped[Any, "B K"]) -> Int[Any, "B K"]:
    """Return what puts each row in ascending order, the first of equal ones first; in NumPy and jax alike.

    >>> order(np.array([[3.0, 1.0, 3.0, 2.0]]))
    array([[1, 3, 0, 2]])
    """
    xp = array_module(values)
    return values.argsort(axis=1, kind="stable") if xp is np else xp.argsort(values, axis=1, stable=True)
