"""Measures of single predictions: pure functions from logits and labels that run under `jax.jit`.

Ties go to the lowest label. That choice does not look at the target, so a predictor without preferences
scores chance. A row that has a NaN or +inf among its logits predicts no label (-1), and so is never right.
-inf is a probability of zero and fine. Everything is computed in float32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from icl_eval.results.saved_arrays import NO_LABEL


class Scores(NamedTuple):
    """What `score` says of each prediction.

    Attributes:
      loss: cross-entropy, in nats, at least 0; not finite if the logits are not.
      predicted_open: the arg-max over all labels, in 0..V-1, or -1 for none.
      predicted_closed: the arg-max over the possible labels, or -1 for none.
      predicted_in_context: the arg-max over the labels of the items before, or -1 for none.
      confidence: the probability of `predicted_open`, in 0..1; 0 for none.
      probability_in_context: the sum of the probabilities of the labels of the items before, in 0..1.
      labels_in_context: how many different labels the items before have.
      target_in_context: whether the target is among these.
      from_context: whether `predicted_open` is.
    """

    loss: Float[Array | np.ndarray, "B P"]
    predicted_open: Int[Array | np.ndarray, "B P"]
    predicted_closed: Int[Array | np.ndarray, "B P"]
    predicted_in_context: Int[Array | np.ndarray, "B P"]
    confidence: Float[Array | np.ndarray, "B P"]
    probability_in_context: Float[Array | np.ndarray, "B P"]
    labels_in_context: Int[Array | np.ndarray, "B P"]
    target_in_context: Bool[Array | np.ndarray, "B P"]
    from_context: Bool[Array | np.ndarray, "B P"]


def cross_entropy(logits: Float[Array, "B V"], targets: Int[Array, " B"]) -> Float[Array, " B"]:
    """Return the cross-entropy of each target, in nats; targets are in 0..V-1, which under jit nothing can check.

    >>> cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))
    Array([1.3862944], dtype=float32)
    """
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    return -jnp.take_along_axis(log_probabilities, targets[:, None], axis=-1)[:, 0]


def predicted_label(logits: Float[Array, "B V"], possible: Bool[Array, " V"]) -> Int[Array, " B"]:
    """Return the arg-max over the possible labels; the lowest of equals; -1 if there is none.

    With all labels possible it is the open prediction, with those that can occur in a kind of sequence the closed one.

    >>> logits = jnp.array([[0.0, 1.0, 5.0], [2.0, 2.0, 5.0], [0.0, jnp.nan, 5.0]])
    >>> predicted_label(logits, jnp.array([True, True, False]))
    Array([ 1,  0, -1], dtype=int32)
    """
    logits = logits.astype(jnp.float32)
    candidates = jnp.where(possible[None, :], logits, -jnp.inf)
    broken = jnp.any(jnp.isnan(logits) | jnp.isposinf(logits), axis=-1)
    some = jnp.any(candidates > -jnp.inf, axis=-1) & ~broken
    return jnp.where(some, jnp.argmax(candidates, axis=-1).astype(jnp.int32), NO_LABEL)


def score(
    logits: Float[Array, "B P V"], labels: Int[Array, "B S"], possible: Bool[Array, " V"] | Int[Array, " K"]
) -> Scores:
    """Return the scores of predictions of the last P items of each sequence; with P = 1, of the query alone.

    Args:
      logits: of those items.
      labels: the right labels of all items, in 0..V-1.
      possible: which labels the closed prediction chooses from; or their numbers, which is faster if they are few.

    Source: Chan et al. (2022), arXiv 2205.05055; its in-context accuracy is the closed one.

    >>> scores = jax.jit(score)(jnp.array([[[1.0, 0.0, 3.0]]]), jnp.array([[1, 0, 0]]), jnp.array([0, 1]))
    >>> scores.predicted_open.item(), scores.predicted_closed.item(), scores.predicted_in_context.item()
    (2, 0, 0)
    """
    logits = logits.astype(jnp.float32)
    P, S = logits.shape[1], labels.shape[1]
    everything = jnp.arange(logits.shape[-1])[None, None, :]
    largest = logits.max(axis=-1)
    total = jnp.exp(logits - largest[..., None]).sum(axis=-1)
    broken = ~jnp.isfinite(total)  # a NaN or +inf among the logits, or nothing but -inf
    first = jnp.maximum(_best(logits, everything, largest), 0)
    if possible.dtype == bool:
        closed = _best(jnp.where(possible[None, None, :], logits, -jnp.inf), everything)
    else:
        closed = _best(logits[..., possible], possible[None, None, :])
    normaliser = largest + jnp.log(total)
    targets = labels[:, S - P :]

    def log_probability(labels: Int[Array, "B P L"]) -> Float[Array, "B P L"]:
        return jnp.take_along_axis(logits, labels, axis=-1) - normaliser[..., None]

    before = jnp.arange(S)[None, :] < jnp.arange(S - P, S)[:, None]  # which items stand before which
    shown = jnp.broadcast_to(labels[:, None, :], (len(labels), P, S))
    first_of_label = (labels[:, :, None] == labels[:, None, :]).argmax(axis=-1) == jnp.arange(S)[None, :]
    distinct = before[None] & first_of_label[:, None, :]
    of_shown = jnp.where(before[None], jnp.take_along_axis(logits, shown, axis=-1), -jnp.inf)
    probabilities = jnp.exp(of_shown - normaliser[..., None])
    return Scores(
        loss=-log_probability(targets[..., None])[..., 0],
        predicted_open=jnp.where(broken, NO_LABEL, first),
        predicted_closed=jnp.where(broken, NO_LABEL, closed),
        predicted_in_context=jnp.where(broken, NO_LABEL, _best(of_shown, shown)),
        confidence=jnp.where(broken, 0.0, 1 / total),
        probability_in_context=jnp.where(broken, 0.0, jnp.where(distinct, probabilities, 0).sum(axis=-1)),
        labels_in_context=distinct.sum(axis=-1),
        target_in_context=(before[None] & (shown == targets[..., None])).any(axis=-1),
        from_context=~broken & (before[None] & (shown == first[..., None])).any(axis=-1),
    )


def _best(
    values: Float[Array, "B P L"], labels: Int[Array, "#B #P L"], largest: Float[Array, "B P"] | None = None
) -> Int[Array, "B P"]:
    """Return the label of the largest value, the lowest of equals, or -1 if all are -inf."""
    largest = values.max(axis=-1) if largest is None else largest
    # Several times as fast on a CPU as an arg-max, which XLA does not vectorise there.
    lowest = jnp.where(values == largest[..., None], labels, jnp.iinfo(jnp.int32).max).min(axis=-1)
    return jnp.where(largest > -jnp.inf, lowest, NO_LABEL).astype(jnp.int32)
