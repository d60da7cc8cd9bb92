"""The dtype of the computations, apart from that of the parameters."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any, Literal

import haiku as hk
import jax.numpy as jnp
from jaxtyping import Array, Float

ComputeDtype = Literal["float32", "bfloat16"]
_COMPUTE_DTYPE: contextvars.ContextVar[ComputeDtype] = contextvars.ContextVar("compute_dtype", default="float32")


@contextlib.contextmanager
def computing_in(dtype: ComputeDtype) -> Iterator[None]:
    """Set the dtype to which parameters, made in float32, are cast where they are used.

    What needs more digits, such as the statistics of a norm, sets float32 again within it.
    """
    token = _COMPUTE_DTYPE.set(dtype)
    try:
        if dtype == "float32":
            yield
        else:
            with hk.custom_creator(_create_in_float32), hk.custom_getter(_cast):
                yield
    finally:
        _COMPUTE_DTYPE.reset(token)


def to_compute_dtype(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the values in the dtype of the computations around."""
    return values.astype(_COMPUTE_DTYPE.get())


def layer_norm(values: Float[Array, "... D"], name: str) -> Float[Array, "... D"]:
    """Return values normalised over the last axis in float32, with scale and offset, in the dtype they had."""
    norm = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True, name=name)
    with computing_in("float32"):
        return norm(values.astype(jnp.float32)).astype(values.dtype)


def _create_in_float32(creator: Any, shape: Any, dtype: Any, init: Any, context: Any) -> Array:
    return creator(shape, jnp.float32, init)


def _cast(getter: Any, value: Array, context: Any) -> Array:
    return getter(to_compute_dtype(value))
