"""A pre-norm causal Transformer (Vaswani et al. 2017; as in Chan et al. 2022, appendix)."""

import dataclasses

import haiku as hk
import jax
import numpy as np
from jaxtyping import Array, Float

_LONGEST_WAVE = 30.0  # base of the position angles in the code of Chan et al. (2022); usual is 10,000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transformer:
    """Blocks of causal self-attention and an MLP on the residual stream, then a layer norm.

    Attributes:
      layers: number of blocks, at least 1.
      heads: number of attention heads; divides the model's width.
      widening: hidden units of the MLP, in widths.
    """

    layers: int = 2
    heads: int = 8
    widening: int = 4

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.layers, self.heads, self.widening) < 1:
            raise ValueError(
                f"layers, heads and widening must be at least 1, got {self.layers}, {self.heads}, {self.widening}."
            )

    def apply(self, tokens: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        """Run the blocks over tokens, with sinusoidal positions added; call inside ``hk.transform``.

        Returns:
          float32 [B, T, D]; output t depends on tokens 0..t only.

        Raises:
          ValueError: a width that the heads do not divide, or an odd one.
        """
        width = tokens.shape[-1]
        if width % self.heads or width % 2:
            raise ValueError(f"The width must be even and a multiple of heads={self.heads}, got {width}.")
        stream = tokens + sinusoidal_positions(tokens.shape[1], width)
        init = hk.initializers.VarianceScaling(2 / self.layers)
        for layer in range(self.layers):
            with hk.experimental.name_scope(f"block_{layer}"):
                stream = stream + self._attend(_norm(stream, "attention_norm"), init)
                hidden = hk.Linear(self.widening * width, w_init=init, name="mlp_in")(_norm(stream, "mlp_norm"))
                stream = stream + hk.Linear(width, w_init=init, name="mlp_out")(jax.nn.gelu(hidden))
        return _norm(stream, "final_norm")

    def _attend(self, stream: Float[Array, "B T D"], init: hk.initializers.Initializer) -> Float[Array, "B T D"]:
        B, T, D = stream.shape
        heads = (B, T, self.heads, D // self.heads)
        query, key, value = (
            hk.Linear(D, w_init=init, name=name)(stream).reshape(heads) for name in ("query", "key", "value")
        )
        attended = jax.nn.dot_product_attention(query, key, value, is_causal=True)
        return hk.Linear(D, w_init=init, name="attention_out")(attended.reshape(B, T, D))


def sinusoidal_positions(length: int, width: int) -> Float[np.ndarray, "1 T D"]:
    """Give position vectors: the sines of all angles, then the cosines.

    Angle i of position t is ``t / 30 ** (2 i / width)`` (code of Chan et al. 2022).

    >>> sinusoidal_positions(3, 4)[0, 1].astype(float).round(2).tolist()
    [0.84, 0.18, 0.54, 0.98]
    """
    frequencies = _LONGEST_WAVE ** (-np.arange(0, width, 2) / width)
    angles = np.arange(length)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1, dtype=np.float32)[None]


def _norm(stream: Float[Array, "B T D"], name: str) -> Float[Array, "B T D"]:
    return hk.LayerNorm(axis=-1, create_scale=True, create_offset=True, name=name)(stream)
