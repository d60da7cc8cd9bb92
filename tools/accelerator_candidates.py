"""Functions of a step in other forms, which are here until an accelerator has shown that they pay.

``tests/test_accelerator_forms.py`` holds them equal to the plain ones in value and gradient.
"""

import haiku as hk
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from icl_models.encoders.batch_norm import BatchNorm


@jax.custom_vjp
def sum_pair(one: Float[Array, "N H W C"], other: Float[Array, "N H W C"]) -> tuple[Array, Array]:
    """Return the sums of both over all axes but the last, by one reduction."""
    zero = jnp.zeros((), one.dtype)
    return jax.lax.reduce((one, other), (zero, zero), lambda x, y: (x[0] + y[0], x[1] + y[1]), (0, 1, 2))


def _sum_pair_forward(one: Array, other: Array) -> tuple[tuple[Array, Array], tuple[int, ...]]:
    return sum_pair(one, other), one.shape


def _sum_pair_backward(shape: tuple[int, ...], cotangents: tuple[Array, Array]) -> tuple[Array, ...]:
    return tuple(jnp.broadcast_to(cotangent[None, None, None], shape) for cotangent in cotangents)


sum_pair.defvjp(_sum_pair_forward, _sum_pair_backward)


@jax.custom_vjp
def scale_and_shift(
    maps: Float[Array, "N H W C"], factor: Float[Array, "1 1 1 C"], shift: Float[Array, "1 1 1 C"]
) -> Float[Array, "N H W C"]:
    """Return maps times a factor and a shift for each channel, whose gradients are a pair of sums, too."""
    return factor * maps + shift


def _scale_and_shift_forward(maps: Array, factor: Array, shift: Array) -> tuple[Array, tuple[Array, Array]]:
    return factor * maps + shift, (maps, factor)


def _scale_and_shift_backward(residuals: tuple[Array, Array], cotangents: Array) -> tuple[Array, Array, Array]:
    maps, factor = residuals
    of_factor, of_shift = sum_pair(cotangents * maps, cotangents)
    return factor * cotangents, of_factor.reshape(factor.shape), of_shift.reshape(factor.shape)


scale_and_shift.defvjp(_scale_and_shift_forward, _scale_and_shift_backward)


def normalise_in_pairs(
    maps: Float[Array, "N H W C"], name: str, is_training: bool, scale_init: hk.initializers.Initializer = jnp.ones
) -> Float[Array, "N H W C"]:
    """Return what ``resnet._normalise`` does, with a pass for both sums of each way and one that applies them."""
    wide = maps.astype(jnp.float32)
    count = wide.size // wide.shape[-1]
    mean, mean_of_squares = (total / count for total in sum_pair(wide, jnp.square(wide)))
    variance = mean_of_squares - jnp.square(mean)
    factor, shift = BatchNorm(maps.shape[-1], name, scale_init)(mean, variance, is_training)
    return scale_and_shift(wide, factor, shift).astype(maps.dtype)


def attend_by_einsum(
    query: Float[Array, "B T H K"], key: Float[Array, "B T H K"], value: Float[Array, "B T H K"]
) -> Float[Array, "B T H K"]:
    """Return causal attention, written out."""
    scores = jnp.einsum("bqhk,bshk->bhqs", query, key, preferred_element_type=jnp.float32) * key.shape[-1] ** -0.5
    scores = jnp.where(jnp.tri(query.shape[1], dtype=bool)[None, None], scores, -jnp.inf)
    return jnp.einsum("bhqs,bshk->bqhk", jax.nn.softmax(scores).astype(value.dtype), value)


def attend_by_cudnn(
    query: Float[Array, "B T H K"], key: Float[Array, "B T H K"], value: Float[Array, "B T H K"]
) -> Float[Array, "B T H K"]:
    """Return causal attention by cuDNN's kernel, for half precision on NVIDIA's devices alone."""
    return jax.nn.dot_product_attention(query, key, value, is_causal=True, implementation="cudnn")


def stacked(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return an optimiser that sees arrays of one shape as one; as ``optax.flatten``, which lays all in one vector.

    The inner one must treat entries alike wherever they stand, as Adam does, also with a global norm.
    """

    def stack(tree: PyTree) -> dict[str, Array]:
        groups: dict[str, list[Array]] = {}
        for leaf in jax.tree.leaves(tree):
            groups.setdefault(str(leaf.shape), []).append(leaf)
        return {shape: jnp.stack(leaves) for shape, leaves in groups.items()}

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        stacks, state = inner.update(stack(updates), state, None if params is None else stack(params))
        unstacked = {shape: iter(leaves) for shape, leaves in stacks.items()}
        return jax.tree.map(lambda leaf: next(unstacked[str(leaf.shape)]), updates), state

    return optax.GradientTransformation(lambda params: inner.init(stack(params)), update)
