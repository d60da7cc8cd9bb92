"""Attention of tokens to tokens, with a softmax or linear. Axes: H heads, K key size."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from icl_models.capture import is_wanted, tap

Mask = Literal["causal", "causal_context", "prefix", "full"]
Attention = Literal["softmax", "linear", "linear_mean"]


def attend(
    query: Float[Array, "B T H K"],
    key: Float[Array, "B T H K"],
    value: Float[Array, "B T H K"],
    *,
    mask: Mask,
    is_query: Bool[Array, "B T"],
    attention: Attention = "softmax",
) -> Float[Array, "B T H K"]:
    """Return the sum of values, weighted by how query and key go together.

    The library's kernel does the softmax, but for probabilities that are to be captured or replaced: it has none to
    show. Linear attention is spelt out over all pairs of tokens, too: of some hundred tokens these are no more numbers
    than a matrix kept for each token has, and no scan is needed.

    Args:
      query: floats [B, T, H, K].
      key: likewise.
      value: likewise.
      mask: see ``Transformer``.
      is_query: bool [B, T]; the masks "prefix" and "causal_context" read it.
      attention: what the weights are, see ``Transformer``.

    Returns:
      Floats [B, T, H, K].
    """
    if attention == "softmax" and not (is_wanted("attention") or is_wanted("scores")):
        seen = visible(mask, is_query)[:, None] if mask in ("prefix", "causal_context") else None
        return jax.nn.dot_product_attention(query, key, value, mask=seen, is_causal=mask == "causal")
    weights = _weights(query, key, visible(mask, is_query)[:, None], attention)
    weights = tap("attention", weights.astype(value.dtype))
    return jnp.einsum("bhqs,bshk->bqhk", weights, value)


def _weights(
    query: Float[Array, "B T H K"], key: Float[Array, "B T H K"], seen: Bool[Array, "B 1 T T"], attention: Attention
) -> Float[Array, "B H T T"]:
    if attention == "linear":
        query, key = _positive(query), _positive(key)
        most = jax.lax.stop_gradient(query.max(-1, keepdims=True))
        query = query / jnp.where(most > 0, most, 1)  # weights do not depend on its length
    products = jnp.einsum("bqhk,bshk->bhqs", query, key, preferred_element_type=jnp.float32)
    if attention == "softmax":
        products = tap("scores", products * key.shape[-1] ** -0.5)
        return jax.nn.softmax(jnp.where(seen, products, jnp.finfo(jnp.float32).min))
    products = jnp.where(seen, tap("scores", products), 0)
    if attention == "linear_mean":
        return products / seen.sum(-1, keepdims=True, dtype=jnp.float32)
    # Of small products the squared sum, which the gradient is divided by, would be 0.
    most = jax.lax.stop_gradient(products.max(-1, keepdims=True))
    products = jnp.where(most > 0, products / jnp.where(most > 0, most, 1), seen)  # alike where all are too small
    return products / products.sum(-1, keepdims=True)


def _positive(values: Float[Array, "..."]) -> Float[Array, "..."]:
    # This is elu(values) + 1, which would be 0 in all features below -17 if it were computed so.
    return jnp.maximum(values, 0) + jnp.exp(jnp.minimum(values, 0))


def rotated(vectors: Float[Array, "B T H K"], *, base: float) -> Float[Array, "B T H K"]:
    """Return vectors whose pairs of numbers, i and i + K / 2, are turned by the angle ``t base**(-2 i / K)``.

    Products of two of them depend on how far apart their tokens t stand, and not on where.

    Source: Su et al. (2021), arXiv 2104.09864, equation 34, with the pairs that Llama takes.

    >>> turned = rotated(jnp.ones((1, 9, 1, 4)), base=100.0)[0, :, 0]
    >>> products = turned @ turned.T
    >>> [round(float(products[place]), 3) for place in ((0, 3), (5, 8), (0, 4))]
    [-0.069, -0.069, 0.535]
    """
    T, K = vectors.shape[1], vectors.shape[3]
    angles = np.arange(T)[:, None] * base ** (-np.arange(0, K, 2) / K)
    cosines, sines = (jnp.asarray(function(angles)[None, :, None], vectors.dtype) for function in (np.cos, np.sin))
    first, second = jnp.split(vectors, 2, axis=-1)
    return jnp.concatenate([first * cosines - second * sines, first * sines + second * cosines], axis=-1)


def visible(mask: Mask, is_query: Bool[Array, "B T"]) -> Bool[Array, "B T T"]:
    """Return which token, by row, sees which, by column.

    >>> visible("prefix", jnp.array([[False, True, True]]))[0].astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    >>> visible("causal_context", jnp.array([[False, True, False]]))[0].astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    """
    B, T = is_query.shape
    seen = jnp.ones((B, T, T), bool)
    if mask in ("causal", "causal_context"):
        seen = jnp.tril(seen)
    if mask in ("prefix", "causal_context"):
        seen &= ~is_query[:, None] | jnp.eye(T, dtype=bool)[None]
    return seen
