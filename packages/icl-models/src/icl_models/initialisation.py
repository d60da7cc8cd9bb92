"""Initial parameters: how large they are, and how they are drawn all at once."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array

_CUT = 2.0  # deviations, where the normal of ``hk.initializers.TruncatedNormal`` ends unless it is told otherwise
_DEVIATION_OF_CUT_NORMAL = 0.87962566103423978  # of what is left of a normal of deviation 1


def keeping_variance(fan_in: int) -> hk.initializers.TruncatedNormal:
    """Return the start of a matrix whose outputs vary as its inputs do: ``hk.initializers.VarianceScaling(1)``.

    Blocks and label head of the original's models begin so (Chan et al. 2022), whatever the number of layers.
    """
    return hk.initializers.TruncatedNormal(fan_in**-0.5 / _DEVIATION_OF_CUT_NORMAL)


def transform(function: Callable[..., Array]) -> hk.TransformedWithState:
    """Return what ``hk.transform_with_state`` does, with an ``init`` of the same distributions that compiles sooner.

    XLA takes a CPU about a second to compile each draw of random numbers, and there is one for each array: half a
    minute for a ResNet and a Transformer. So an array that is to be drawn from a truncated normal is made as its
    standard deviation first, with the dtype uint32 (of the same bits) as the mark of that. All are multiplied by slices
    of one long draw in the end.
    """
    model = hk.transform_with_state(function)

    def marked(*args: Any, **kwargs: Any) -> Array:
        with hk.custom_creator(_mark), hk.custom_getter(_unmark):
            return function(*args, **kwargs)

    def init(rng: Array | int | None, *args: Any, **kwargs: Any) -> tuple[hk.MutableParams, hk.MutableState]:
        if rng is None:
            return model.init(None, *args, **kwargs)  # which says what it is needed for
        own, rest = jax.random.split(jax.random.PRNGKey(rng) if isinstance(rng, int) else rng)
        params, state = hk.transform_with_state(marked).init(rest, *args, **kwargs)
        leaves, tree = jax.tree.flatten(params)
        ends = [0]
        for leaf in leaves:
            ends.append(ends[-1] + (math.prod(leaf.shape) if leaf.dtype == jnp.uint32 else 0))
        draws = jax.random.truncated_normal(own, -_CUT, _CUT, (ends[-1],), jnp.float32)
        leaves = [
            _from_bits(leaf) * draws[start:end].reshape(leaf.shape) if leaf.dtype == jnp.uint32 else leaf
            for leaf, start, end in zip(leaves, ends[:-1], ends[1:], strict=True)
        ]
        return jax.tree.unflatten(tree, leaves), state

    return hk.TransformedWithState(init, model.apply)


def _mark(creator: Any, shape: Sequence[int], dtype: Any, init: Any, context: Any) -> Array:
    is_plain = isinstance(init, hk.initializers.TruncatedNormal)
    if not is_plain or (init.mean, init.lower, init.upper) != (0, -_CUT, _CUT):
        return creator(shape, dtype, init)

    def deviation(shape: Sequence[int], dtype: Any) -> Array:
        # The dtype is known here only: creators between this one and Haiku's may change it.
        if dtype != jnp.float32:
            return init(shape, dtype)
        return jax.lax.bitcast_convert_type(jnp.full(shape, init.stddev, jnp.float32), jnp.uint32)

    return creator(shape, dtype, deviation)


def _unmark(getter: Any, value: Array, context: Any) -> Array:
    return getter(_from_bits(value) if value.dtype == jnp.uint32 else value)


def _from_bits(value: Array) -> Array:
    return jax.lax.bitcast_convert_type(value, jnp.float32)
