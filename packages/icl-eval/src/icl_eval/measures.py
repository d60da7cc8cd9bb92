"""Measures of single sequences: pure functions from logits and labels that run under `jax.jit`.

Axes: B sequences in a batch, V labels.

Ties go to the lowest label. That choice does not look at the target, so a predictor without preferences
scores chance. A row that has a NaN or +inf among its logits predicts no label (-1), and so is never right.
-inf is a probability of zero and fine. Everything is computed in float32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

NO_LABEL = -1


class Scores(NamedTuple):
    """What `score` says of each sequence.

    Attributes:
      loss: cross-entropy of the query, in nats, at least 0; not finite if the logits are not.
      predicted_open: the arg-max over all labels, in 0..V-1, or -1 for none.
      predicted_closed: the arg-max over the possible labels, or -1 for none.
      correct_open: whether `predicted_open` is the target.
      correct_closed: whether `predicted_closed` is the target.
    """

    loss: Float[Array | np.ndarray, " B"]
    predicted_open: Int[Array | np.ndarray, " B"]
    predicted_closed: Int[Array | np.ndarray, " B"]
    correct_open: Bool[Array | np.ndarray, " B"]
    correct_closed: Bool[Array | np.ndarray, " B"]


def cross_entropy(logits: Float[Array, "B V"], targets: Int[Array, " B"]) -> Float[Array, " B"]:
    """Return the cross-entropy of each target, in nats.

    Args:
      logits: unnormalised log-probabilities.
      targets: the right labels, in 0..V-1 (not checked here: under jit nothing can be).

    >>> cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))
    Array([1.3862944], dtype=float32)
    """
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    return -jnp.take_along_axis(log_probabilities, targets[:, None], axis=-1)[:, 0]


def predicted_label(logits: Float[Array, "B V"], possible: Bool[Array, " V"]) -> Int[Array, " B"]:
    """Return the arg-max over the possible labels; the lowest of equals; -1 if there is none.

    Args:
      logits: unnormalised log-probabilities.
      possible: which labels take part. All of them: the open prediction. Those that can occur in this kind of
        sequence: the closed one.

    >>> logits = jnp.array([[0.0, 1.0, 5.0], [2.0, 2.0, 5.0], [0.0, jnp.nan, 5.0]])
    >>> predicted_label(logits, jnp.array([True, True, False]))
    Array([ 1,  0, -1], dtype=int32)
    """
    logits = logits.astype(jnp.float32)
    candidates = jnp.where(possible[None, :], logits, -jnp.inf)
    broken = jnp.any(jnp.isnan(logits) | jnp.isposinf(logits), axis=-1)
    some = jnp.any(candidates > -jnp.inf, axis=-1) & ~broken
    return jnp.where(some, jnp.argmax(candidates, axis=-1).astype(jnp.int32), NO_LABEL)


def score(logits: Float[Array, "B V"], targets: Int[Array, " B"], possible: Bool[Array, " V"]) -> Scores:
    """Score each sequence by its query.

    Args:
      logits: of the query.
      targets: the query's labels, in 0..V-1.
      possible: the labels that the closed prediction chooses from.

    Source: Chan et al. (2022), arXiv 2205.05055; its in-context accuracy is the closed one.

    >>> scores = score(jnp.array([[1.0, 0.0, 3.0]]), jnp.array([0]), jnp.array([True, True, False]))
    >>> bool(scores.correct_closed[0]), bool(scores.correct_open[0])
    (True, False)
    """
    predicted_open = predicted_label(logits, jnp.ones_like(possible))
    predicted_closed = predicted_label(logits, possible)
    return Scores(
        loss=cross_entropy(logits, targets),
        predicted_open=predicted_open,
        predicted_closed=predicted_closed,
        correct_open=predicted_open == targets,
        correct_closed=predicted_closed == targets,
    )
