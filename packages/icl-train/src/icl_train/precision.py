"""Mixed precision for models that have no policy of their own."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from icl_train.types import LossFunction


def compute_in(dtype: Any, loss_fn: LossFunction) -> LossFunction:
    """Return a loss function that computes in a shorter dtype, while parameters and gradients stay as they are.

    Floating-point parameters and arrays of the batch are cast to the dtype on the way in; the loss, metrics and
    model state are cast back on the way out, to float32 and to what they were. (``icl_models`` has a policy within
    its models, which keeps the layer norms and the softmax in float32; use one of the two.)

    Args:
        dtype: Such as ``jnp.bfloat16``.
        loss_fn: See `LossFunction`.

    Returns:
        A loss function for parameters of the same dtypes as before.

    Raises:
        ValueError: If the dtype is not a floating-point one.

    >>> def loss_fn(params, model_state, rng, batch):
    ...     return (batch['x'] * params).sum(), ({'bits': jnp.finfo(params.dtype).bits * jnp.ones(())}, model_state)
    >>> loss, (metrics, _) = compute_in(jnp.bfloat16, loss_fn)(jnp.ones(3), {}, jax.random.key(0), {'x': jnp.ones(3)})
    >>> str(loss.dtype), float(metrics['bits'])
    ('float32', 16.0)
    """
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"wanted a floating-point dtype to compute in, got {dtype}; jnp.bfloat16, for example")

    def cast(leaf: Any) -> Any:
        return leaf.astype(dtype) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else leaf

    def computed(
        params: PyTree, model_state: PyTree, rng: Array, batch: Any
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        loss, (metrics, new_state) = loss_fn(jax.tree.map(cast, params), model_state, rng, jax.tree.map(cast, batch))
        new_state = jax.tree.map(lambda new, old: jnp.asarray(new, jnp.result_type(old)), new_state, model_state)
        return loss.astype(jnp.float32), (jax.tree.map(lambda m: jnp.asarray(m, jnp.float32), dict(metrics)), new_state)

    return computed
