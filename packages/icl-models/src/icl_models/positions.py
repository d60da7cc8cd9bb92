"""Where a token stands in the sequence, as a vector that is added to it or put behind it."""

import dataclasses
from typing import Literal, get_args

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

PositionName = Literal["sinusoidal", "learned", "none"]
_LONGEST_WAVE = 30.0  # base of the position angles in the code of Chan et al. (2022); usual is 10,000
_LEARNED_SCALE = 0.02


@dataclasses.dataclass(frozen=True)
class OneHotPositions:
    """A one-hot of the place behind each token, shifted for each sequence at random, so that only distances tell.

    It makes the tokens wider by ``length``, which a Transformer's heads must divide, or have a key size.

    Attributes:
      length: P, numbers of the one-hot, at least as many as tokens. Their places begin anywhere in 0..P-T, in
        evaluation too: it is noise in the data. Without a random key they begin at 0.

    Source: Reddy (2023), arXiv 2312.03002, section 2, where P is 65.
    """

    length: int = 65

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"length must be at least 1, got {self.length}.")


Positions = PositionName | OneHotPositions


def check_positions(positions: Positions) -> None:
    """Refuse positions that there are not.

    Raises:
      ValueError: names those that there are.
    """
    if not isinstance(positions, OneHotPositions) and positions not in get_args(PositionName):
        raise ValueError(f"positions must be one of {get_args(PositionName)} or OneHotPositions(), got {positions!r}.")


def add_positions(tokens: Float[Array, "B T D"], positions: Positions, *, dropout: float) -> Float[Array, "B T E"]:
    """Return tokens with position vectors added, or one-hot ones behind them; call inside ``hk.transform``.

    Args:
      tokens: [B, T, D].
      positions: where the vectors come from; "learned" has the parameter ``positions`` [T, D], so that T is fixed.
      dropout: rate at which entries of the vectors fall to 0, for each sequence apart.

    Returns:
      [B, T, D], or [B, T, D + P] with one-hot positions, of the tokens' dtype.

    Raises:
      ValueError: sinusoids of an odd width, or more tokens than a one-hot has places.
    """
    if positions == "none":
        return tokens
    B, T, D = tokens.shape
    if isinstance(positions, OneHotPositions):
        vectors = _shifted_one_hot(B, T, positions.length).astype(tokens.dtype)
        vectors = hk.dropout(hk.next_rng_key(), dropout, vectors) if dropout else vectors
        return jnp.concatenate([tokens, vectors], axis=-1)
    if positions == "sinusoidal":
        vectors = jnp.asarray(sinusoidal_positions(T, D))
    else:
        with hk.experimental.name_scope("positions"):
            vectors = hk.get_parameter("embeddings", (T, D), init=hk.initializers.TruncatedNormal(_LEARNED_SCALE))[None]
    vectors = vectors.astype(tokens.dtype)
    if dropout:
        vectors = hk.dropout(hk.next_rng_key(), dropout, jnp.broadcast_to(vectors, (B, T, D)))
    return tokens + vectors


def added_width(positions: Positions) -> int:
    """Return by how much positions widen the tokens.

    >>> added_width("learned"), added_width(OneHotPositions(length=20))
    (0, 20)
    """
    return positions.length if isinstance(positions, OneHotPositions) else 0


def _shifted_one_hot(B: int, T: int, P: int) -> Float[Array, "B T P"]:
    """Return ones at consecutive places, from a random one on for each sequence."""
    if T > P:
        raise ValueError(f"One-hot positions of {P} places are for at most {P} tokens, got {T}; give them length={T}.")
    key = hk.maybe_next_rng_key()
    first = jnp.zeros(B, jnp.int32) if key is None else jax.random.randint(key, (B,), 0, P - T + 1)
    return jax.nn.one_hot(first[:, None] + jnp.arange(T)[None], P)


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
