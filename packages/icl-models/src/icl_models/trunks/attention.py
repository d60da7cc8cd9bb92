"""Attention of tokens to tokens. Axes: H heads, K key size."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from icl_models.capture import is_wanted, tap

Mask = Literal["causal", "prefix", "full"]


def attend(
    query: Float[Array, "B T H K"],
    key: Float[Array, "B T H K"],
    value: Float[Array, "B T H K"],
    *,
    mask: Mask,
    is_query: Bool[Array, "B T"],
) -> Float[Array, "B T H K"]:
    """Return the mean of values, weighted by the softmax of scaled products of query and key (Vaswani et al. 2017).

    The library's kernel does it, but for probabilities that are to be captured or replaced: it has none to show.

    Args:
      query: floats [B, T, H, K].
      key: likewise.
      value: likewise.
      mask: see ``Transformer``.
      is_query: bool [B, T]; only a prefix mask reads it.

    Returns:
      Floats [B, T, H, K].
    """
    if not is_wanted("attention"):
        seen = None if mask != "prefix" else visible(mask, is_query)[:, None]
        return jax.nn.dot_product_attention(query, key, value, mask=seen, is_causal=mask == "causal")
    scores = jnp.einsum("bqhk,bshk->bhqs", query, key, preferred_element_type=jnp.float32) * key.shape[-1] ** -0.5
    scores = jnp.where(visible(mask, is_query)[:, None], scores, jnp.finfo(jnp.float32).min)
    probabilities = tap("attention", jax.nn.softmax(scores).astype(value.dtype))
    return jnp.einsum("bhqs,bshk->bqhk", probabilities, value)


def visible(mask: Mask, is_query: Bool[Array, "B T"]) -> Bool[Array, "B T T"]:
    """Return which token, by row, sees which, by column.

    >>> visible("prefix", jnp.array([[False, True, True]]))[0].astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    """
    B, T = is_query.shape
    if mask == "causal":
        return jnp.broadcast_to(jnp.tril(jnp.ones((T, T), bool))[None], (B, T, T))
    if mask == "full":
        return jnp.ones((B, T, T), bool)
    return ~is_query[:, None] | jnp.eye(T, dtype=bool)[None]
