"""What the heads of an induction circuit would do if they did it to perfection (Singh et al. 2024, arXiv 2404.07129).

All are pure functions of where a layout has its tokens, and of a batch; S items of a sequence, the query the last.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from icl_models.layouts import Layout

ABSENT = -30.0
"""Logit of a label that the context does not show, where those of shown ones are the logarithms of probabilities."""

_LEAST = float(np.finfo(np.float32).min) / 2


def previous_token_pattern(num_tokens: int) -> Float[np.ndarray, "T T"]:
    """Return the attention pattern of a previous-token head: each token, by row, sees the one before it alone.

    The first token, which has none before it, sees itself.

    >>> previous_token_pattern(3).astype(int).tolist()
    [[1, 0, 0], [1, 0, 0], [0, 1, 0]]
    """
    return np.eye(num_tokens, dtype=np.float32)[np.maximum(np.arange(num_tokens) - 1, 0)]


def matching_pattern(
    classes: Int[Array | np.ndarray, "B S"], layout: Layout
) -> tuple[Float[Array, "B T T"], Bool[Array, "B T"]]:
    """Return the attention pattern of an induction head: each item sees the labels of earlier items of its class.

    They share its attention equally. For the query, that is the context's items of its class.

    Args:
      classes: of the items, integers [B, S].
      layout: of the tokens.

    Returns:
      float32 [B, T, T], whose rows are the tokens that attend; and bool [B, T], which of these have something to see:
      not so label tokens, and items whose class has not come before, of which the rows are zeros.

    >>> from icl_models import Interleaved
    >>> pattern, has_match = matching_pattern(jnp.array([[4, 7, 4]]), Interleaved())
    >>> pattern[0, -1].tolist(), has_match[0].tolist()
    ([0.0, 1.0, 0.0, 0.0, 0.0], [False, False, False, False, True])
    """
    classes = jnp.asarray(classes)
    B, S = classes.shape
    items, shown = _tokens(layout, S)
    alike = (classes[:, :, None] == classes[:, None, :-1]) & _earlier(S)[None]
    shares = alike / jnp.maximum(alike.sum(-1, keepdims=True), 1)
    T = items[-1] + 1
    pattern = jnp.zeros((B, T, T), jnp.float32).at[:, items[:, None], shown[None]].set(shares)
    return pattern, jnp.zeros((B, T), bool).at[:, items].set(alike.any(-1))


def copied_logits(
    scores: Float[Array, "B H T T"], labels: Int[Array | np.ndarray, "B S"], layout: Layout, *, num_labels: int
) -> Float[Array, "B S V"]:
    """Return the logits that copying by heads comes to: of each label, how much they attend to the tokens that show it.

    The attention of each head is taken over the labels of earlier items alone; the logit of a label is the logarithm of
    its sum over all tokens that show the label, and of its mean over heads. So a head's scores before the softmax are
    the logits, where no label is shown twice.

    Args:
      scores: of the heads, before the softmax, [B, H, T, T].
      labels: of the items, integers [B, S] in 0..V-1; that of the query does not matter.
      layout: of the tokens.
      num_labels: V.

    Returns:
      float32 [B, S, V]. A label that no earlier item has gets ``ABSENT``, as do all labels for the first item.

    >>> from icl_models import Interleaved
    >>> logits = copied_logits(jnp.zeros((1, 1, 5, 5)), jnp.array([[2, 0, 2]]), Interleaved(), num_labels=3)
    >>> jax.nn.softmax(logits[0, -1]).round(2).tolist()
    [0.5, 0.0, 0.5]
    """
    labels = jnp.asarray(labels)
    S = labels.shape[1]
    items, shown = _tokens(layout, S)
    among = scores[:, :, items[:, None], shown[None]].astype(jnp.float32)  # [B, H, S, S - 1]
    earlier = jnp.broadcast_to(_earlier(S)[None, None], among.shape)
    # No infinities, whose gradients are no numbers: the first item has no labels to attend to.
    logs = jax.nn.log_softmax(jnp.where(earlier, among, _LEAST))
    shows = labels[:, None, None, :-1, None] == jnp.arange(num_labels)[None, None, None, None]  # [B, 1, 1, S - 1, V]
    shows = jnp.broadcast_to(earlier[..., None] & shows, (*among.shape, num_labels))
    sums = jax.nn.logsumexp(jnp.where(shows, logs[..., None], _LEAST), axis=(1, 3)) - np.log(among.shape[1])
    return jnp.where(shows.any((1, 3)), sums, ABSENT)


def _tokens(layout: Layout, num_items: int) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " S-1"]]:
    """Return which token holds each item, and which shows the label of each but the query."""
    items, shown = layout.item_tokens(num_items), layout.label_tokens(num_items)
    return _whole(items), _whole(shown)


def _whole(places: Sequence[int]) -> Int[np.ndarray, " places"]:
    return np.array(places, dtype=np.int32)


def _earlier(num_items: int) -> Bool[np.ndarray, "S S-1"]:
    """Return which items of the context come before which items."""
    return np.tril(np.ones((num_items, num_items - 1), bool), k=-1)
