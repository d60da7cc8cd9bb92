"""Encoders: from one item to one vector of the model's width."""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearEncoder:
    """Flatten the image and multiply it by a matrix (Chan et al. 2022, their "linear" embedding)."""

    def encode(self, images: UInt8[Array, "N H W"], *, width: int) -> Float[Array, "N D"]:
        """Encode images; call inside ``hk.transform``.

        Args:
          images: uint8 [N, H, W], 0..255.
          width: D.

        Returns:
          float32 [N, D].
        """
        return hk.Linear(width, name="linear")(hk.Flatten()(to_unit_range(images)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvEncoder:
    """A stack of 3 x 3 convolutions, each halving the image, then a matrix. Small and fast.

    Attributes:
      channels: of each convolution, at least one.
    """

    channels: tuple[int, ...] = (16, 32, 64)

    def __post_init__(self) -> None:
        """Check the channels."""
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels wants at least one number of at least 1, got {self.channels}.")

    def encode(self, images: UInt8[Array, "N H W"], *, width: int) -> Float[Array, "N D"]:
        """Encode images; call inside ``hk.transform``.

        Args:
          images: uint8 [N, H, W], 0..255.
          width: D.

        Returns:
          float32 [N, D].
        """
        maps = to_unit_range(images)[..., None]
        for number, channels in enumerate(self.channels):
            maps = jax.nn.relu(hk.Conv2D(channels, 3, stride=2, name=f"conv_{number}")(maps))
        return hk.Linear(width, name="linear")(hk.Flatten()(maps))


Encoder = LinearEncoder | ConvEncoder


def to_unit_range(images: UInt8[Array, "N H W"]) -> Float[Array, "N H W"]:
    """Scale uint8 0..255 to float32 0..1."""
    return images.astype(jnp.float32) / 255
