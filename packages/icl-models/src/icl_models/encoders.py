"""Encoders: from one item to one vector of the model's width."""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, UInt8

from icl_models.convolution import Convolution

Images = UInt8[Array, "N H W"] | Float[Array, "N H W"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearEncoder:
    """Flatten the image and multiply it by a matrix (Chan et al. 2022, their "linear" embedding)."""

    def encode(self, images: Images, *, width: int) -> Float[Array, "N D"]:
        """Encode images; call inside ``hk.transform``.

        Args:
          images: uint8 [N, H, W] in 0..255, or floats in 0..1, beyond it where there is noise.
          width: D.

        Returns:
          float32 [N, D].
        """
        return hk.Linear(width, name="linear")(hk.Flatten()(to_unit_range(images)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvEncoder:
    """A few strided convolutions, each with a layer norm over its channels and relu, then a matrix.

    Small and fast. The norm shortens the way from the jump to a high ICL accuracy.

    Attributes:
      channels: of each convolution, at least one.
      kernels: sides of their kernels in pixels, one for each.
      strides: how far their kernels move, one for each.
    """

    channels: tuple[int, ...] = (32, 64, 64)
    kernels: tuple[int, ...] = (6, 3, 3)
    strides: tuple[int, ...] = (4, 2, 2)

    def __post_init__(self) -> None:
        """Check that the three belong together."""
        layers = {len(self.channels), len(self.kernels), len(self.strides)}
        if layers == {0} or len(layers) > 1 or min(self.channels + self.kernels + self.strides) < 1:
            raise ValueError(
                "channels, kernels and strides want one number of at least 1 for each convolution, "
                f"got {self.channels}, {self.kernels} and {self.strides}."
            )

    def encode(self, images: Images, *, width: int) -> Float[Array, "N D"]:
        """Encode images; call inside ``hk.transform``.

        Args:
          images: uint8 [N, H, W] in 0..255, or floats in 0..1, beyond it where there is noise.
          width: D.

        Returns:
          float32 [N, D].
        """
        maps = to_unit_range(images)[..., None]
        for number, layer in enumerate(zip(self.channels, self.kernels, self.strides, strict=True)):
            maps = Convolution(*layer, name=f"conv_{number}")(maps)
            maps = jax.nn.relu(hk.LayerNorm(-1, create_scale=True, create_offset=True, name=f"norm_{number}")(maps))
        return hk.Linear(width, name="linear")(hk.Flatten()(maps))


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingEncoder:
    """Look up a learnt vector for each item, where items are integers ("symbols").

    Attributes:
      num_items: how many different items there are.
      scale: standard deviation of the vectors at initialisation.
    """

    num_items: int
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.num_items < 1 or self.scale <= 0:
            raise ValueError(f"num_items must be at least 1 and scale above 0, got {self.num_items} and {self.scale}.")

    def encode(self, items: Integer[Array, " N"], *, width: int) -> Float[Array, "N D"]:
        """Encode items; call inside ``hk.transform``.

        Args:
          items: integers [N] in 0..num_items-1.
          width: D.

        Returns:
          float32 [N, D].
        """
        table = hk.Embed(self.num_items, width, w_init=hk.initializers.TruncatedNormal(self.scale), name="items")
        return table(items)


Encoder = LinearEncoder | ConvEncoder | EmbeddingEncoder


def to_unit_range(images: Images) -> Float[Array, "N H W"]:
    """Scale uint8 0..255 to float32 0..1; floats stay as they are."""
    return images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images.astype(jnp.float32)
