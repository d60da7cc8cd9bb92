"""Losses, and the measures that come with them for free."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def query_cross_entropy(
    logits: Float[Array, "B V"], labels: Int[Array, " B"]
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Give the mean cross-entropy of the query's label, in nats, and the accuracy.

    Args:
      logits: float32 [B, V].
      labels: integers [B] in 0..V-1.

    Returns:
      The loss, and ``{"accuracy": ...}`` over all V labels.

    >>> loss, metrics = query_cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 1]))
    >>> round(float(loss), 3), float(metrics["accuracy"])
    (1.386, 0.5)
    """
    log_probabilities = jax.nn.log_softmax(logits)
    loss = -jnp.take_along_axis(log_probabilities, labels[:, None], axis=1).mean()
    return loss, {"accuracy": (logits.argmax(-1) == labels).mean()}
