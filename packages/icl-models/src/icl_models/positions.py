"""Where a token stands in the sequence, as a vector that is added to it."""

from typing import Literal

import haiku as hk
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Positions = Literal["sinusoidal", "learned", "none"]
_LONGEST_WAVE = 30.0  # base of the position angles in the code of Chan et al. (2022); usual is 10,000
_LEARNED_SCALE = 0.02


def add_positions(tokens: Float[Array, "B T D"], positions: Positions, *, dropout: float) -> Float[Array, "B T D"]:
    """Return tokens with position vectors added; call inside ``hk.transform``.

    Args:
      tokens: [B, T, D].
      positions: where the vectors come from; "learned" has the parameter ``positions`` [T, D], so that T is fixed.
      dropout: rate at which entries of the vectors fall to 0, for each sequence apart.

    Returns:
      [B, T, D], of the tokens' dtype.

    Raises:
      ValueError: sinusoids of an odd width.
    """
    if positions == "none":
        return tokens
    B, T, D = tokens.shape
    if positions == "sinusoidal":
        vectors = jnp.asarray(sinusoidal_positions(T, D))
    else:
        with hk.experimental.name_scope("positions"):
            vectors = hk.get_parameter("embeddings", (T, D), init=hk.initializers.TruncatedNormal(_LEARNED_SCALE))[None]
    vectors = vectors.astype(tokens.dtype)
    if dropout:
        vectors = hk.dropout(hk.next_rng_key(), dropout, jnp.broadcast_to(vectors, (B, T, D)))
    return tokens + vectors


def sinusoidal_positions(length: int, width: int) -> Float[np.ndarray, "1 T D"]:
    """Return position vectors, float32 [1, T, D]: the sines of all angles, then the cosines; D must be even.

    Angle i of position t is ``t / 30 ** (2 i / width)`` (code of Chan et al. 2022).

    >>> sinusoidal_positions(3, 4)[0, 1].astype(float).round(2).tolist()
    [0.84, 0.18, 0.54, 0.98]
    """
    if width % 2:
        raise ValueError(f"Sines and cosines want tokens of an even width, got {width}; or use learned positions.")
    frequencies = _LONGEST_WAVE ** (-np.arange(0, width, 2) / width)
    angles = np.arange(length)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1, dtype=np.float32)[None]
