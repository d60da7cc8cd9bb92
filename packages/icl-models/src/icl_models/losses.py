"""Losses, and the measures that come with them for free.

Arrays of other shapes than are asked for, or labels that are no integers, are a ValueError: nothing is broadcast.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from icl_models.contract import check_given

Scalar = Float[Array, ""]


def query_cross_entropy(
    logits: Float[Array | np.ndarray, "B V"], labels: Int[Array | np.ndarray, " B"]
) -> tuple[Scalar, dict[str, Scalar]]:
    """Return the mean cross-entropy of the query's label in 0..V-1, in nats, and ``{"accuracy": ...}`` over all V.

    >>> loss, metrics = query_cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 1]))
    >>> round(float(loss), 3), float(metrics["accuracy"])
    (1.386, 0.5)
    """
    losses, hits = _scores(logits, labels, "query")
    return losses.mean(), {"accuracy": _share(hits)}


def weighted_cross_entropy(
    logits: Float[Array | np.ndarray, "B S V"], labels: Int[Array | np.ndarray, "B S"], *, context_weight: float
) -> tuple[Scalar, dict[str, Scalar]]:
    """Return a mean of two cross-entropies, of the context's own items and of the query (Chan et al. 2022).

    Args:
      logits: float32 [B, S, V], those of an item before its own label is seen; the query is the last.
      labels: integers [B, S] in 0..V-1.
      context_weight: w in 0..1; the loss is w times the mean over all context items, and 1 - w times that over queries.

    Returns:
      The loss in nats, and ``{"accuracy": ..., "context_accuracy": ...}``, of queries and of context items.

    Raises:
      ValueError: a weight beyond 0..1, or sequences without context.

    >>> loss, _ = weighted_cross_entropy(jnp.zeros((2, 3, 4)), jnp.zeros((2, 3), int), context_weight=0.5)
    >>> round(float(loss), 3)
    1.386
    """
    if not 0 <= context_weight <= 1:
        raise ValueError(f"context_weight must be in 0..1, got {context_weight}.")
    losses, hits = _scores(logits, labels, "every_item")
    if labels.shape[1] < 2:
        raise ValueError("Items of the context want sequences of at least 2; for the query alone, query_cross_entropy.")
    loss = context_weight * losses[:, :-1].mean() + (1 - context_weight) * losses[:, -1].mean()
    return loss, {"accuracy": _share(hits[:, -1]), "context_accuracy": _share(hits[:, :-1])}


def every_item_cross_entropy(
    logits: Float[Array | np.ndarray, "B S V"], labels: Int[Array | np.ndarray, "B S"]
) -> tuple[Scalar, dict[str, Scalar]]:
    """Return the mean cross-entropy of the labels of all items, the query among them (Kirsch et al. 2022).

    The logits of an item are those before its own label, in 0..V-1, is seen; the query is the last.

    Returns:
      The loss in nats, and ``{"accuracy": ..., "every_item_accuracy": ...}``, of queries and of all items.

    >>> loss, metrics = every_item_cross_entropy(jnp.zeros((1, 4, 2)), jnp.array([[0, 1, 1, 0]]))
    >>> round(float(loss), 3), float(metrics["accuracy"]), float(metrics["every_item_accuracy"])
    (0.693, 1.0, 0.5)
    """
    losses, hits = _scores(logits, labels, "every_item")
    metrics = {"accuracy": _share(hits[:, -1]), "every_item_accuracy": _share(hits)}
    return losses.mean(), metrics


def masked_squared_error(
    predictions: Float[Array | np.ndarray, "B N Y"],
    targets: Float[Array | np.ndarray, "B N Y"],
    is_query: Bool[Array | np.ndarray, "B N"],
) -> tuple[Scalar, dict[str, Scalar]]:
    """Return the mean squared error over all queries and their outputs.

    What is not a query enters neither loss nor gradients, not even where it is no number. Each query counts alike,
    whichever task it is of. Of a model that predicts context points, too, ``is_query`` may be true of all that count.

    Args:
      predictions: float32 [B, N, Y].
      targets: floats [B, N, Y].
      is_query: bool [B, N].

    Returns:
      The loss, 0 if there is no query at all, and no further measures.

    >>> targets = jnp.array([[[1.0], [jnp.nan], [4.0]]])
    >>> loss, metrics = masked_squared_error(jnp.zeros((1, 3, 1)), targets, jnp.array([[True, False, True]]))
    >>> float(loss), metrics
    (8.5, {})
    """
    predictions, targets, is_query = map(jnp.asarray, (predictions, targets, is_query))
    shape = predictions.shape
    check_given("predictions [B, N, Y]", predictions, (None, None, None), jnp.floating, "a PointRegressor has them")
    check_given("targets [B, N, Y]", targets, shape, jnp.floating, "they are as the predictions")
    check_given("is_query [B, N]", is_query, shape[:2], jnp.bool_, "there is one for each point")
    asked = jnp.broadcast_to(is_query[:, :, None], targets.shape)
    errors = jnp.where(asked, predictions - targets.astype(predictions.dtype), 0)
    return jnp.square(errors).sum() / jnp.maximum(asked.sum(), 1), {}


def next_symbol_cross_entropy(
    logits: Float[Array | np.ndarray, "B T V"], symbols: Int[Array | np.ndarray, "B T"]
) -> tuple[Scalar, dict[str, Scalar]]:
    """Return the mean cross-entropy of each symbol but the first, by the logits at the one before it.

    Args:
      logits: float32 [B, T, V], of the symbol after each.
      symbols: integers [B, T] in 0..V-1.

    Returns:
      The loss in nats, and ``{"accuracy": ...}`` over all symbols but the first.

    Raises:
      ValueError: sequences of one symbol.

    >>> loss, _ = next_symbol_cross_entropy(jnp.zeros((1, 3, 4)), jnp.array([[0, 3, 1]]))
    >>> round(float(loss), 3)
    1.386
    """
    losses, hits = _scores(jnp.asarray(logits)[:, :-1], jnp.asarray(symbols)[:, 1:], "every_item")
    if not losses.shape[1]:
        raise ValueError(f"A next symbol wants sequences of at least 2, got {jnp.shape(symbols)}.")
    return losses.mean(), {"accuracy": _share(hits)}


def _scores(
    logits: Float[Array | np.ndarray, "*items V"],
    labels: Int[Array | np.ndarray, "*items"],
    outputs: Literal["query", "every_item"],
) -> tuple[Float[Array, "*items"], Bool[Array, "*items"]]:
    """Return the cross-entropies, and where the likeliest label is the right one, for a model of such outputs."""
    axes = {"query": ("B", "V"), "every_item": ("B", "S", "V")}[outputs]
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    hint = f'a model of outputs="{outputs}" has them'
    check_given(f"logits [{', '.join(axes)}]", logits, (None,) * len(axes), jnp.floating, hint)
    hint = "there is one for each row of logits"
    check_given(f"labels [{', '.join(axes[:-1])}]", labels, logits.shape[:-1], jnp.integer, hint)
    losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)[..., 0]
    return losses, logits.argmax(-1) == labels


def _share(hits: Bool[Array, "..."]) -> Scalar:
    return hits.mean(dtype=jnp.float32)
