"""Encoders: from one item to one vector."""

import dataclasses
import math
from typing import Any, Protocol, runtime_checkable

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Shaped, UInt8

from icl_models.contract import check_given, outline
from icl_models.encoders.convolution import Convolution
from icl_models.encoders.resnet import ResNet
from icl_models.precision import layer_norm, to_compute_dtype

Images = UInt8[Array, "N H W"] | Float[Array, "N H W"]


@runtime_checkable
class Encoder(Protocol):
    """What an encoder is; bring your own by writing this one function."""

    def encode(self, items: Any, /, *, width: int, is_training: bool) -> Float[Array, "N X"]:
        """Return the vectors of items; call inside ``hk.transform_with_state``.

        Args:
          items: [N, ...], those of all sequences of a batch. Images are uint8 [N, H, W] in 0..255, or floats in 0..1,
            beyond it where there is noise.
          width: D, that of the vectors that are wanted.
          is_training: whether this is a step of training, in which batch norm takes the statistics of these items and
            enters them in the running ones.

        Returns:
          Floats [N, D]; ``IdentityEncoder`` alone returns vectors of another width.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearEncoder:
    """Flatten the image and multiply it by a matrix (Chan et al. 2022, their "linear" embedding).

    It takes images in colour and vectors, too.
    """

    def encode(
        self, images: UInt8[Array, "N *shape"] | Float[Array, "N *shape"], *, width: int, is_training: bool
    ) -> Float[Array, "N D"]:
        """Return the vectors of images; see ``Encoder``."""
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
        layers = {len(self.channels), len(self.kernels), len(self.strides)}
        if layers == {0} or len(layers) > 1 or min(self.channels + self.kernels + self.strides) < 1:
            raise ValueError(
                "channels, kernels and strides want one number of at least 1 for each convolution, "
                f"got {self.channels}, {self.kernels} and {self.strides}."
            )

    def encode(self, images: Images, *, width: int, is_training: bool) -> Float[Array, "N D"]:
        """Return the vectors of images; see ``Encoder``.

        Raises:
          ValueError: items that are no images of one channel.
        """
        _check_images(self, images)
        maps = to_unit_range(images)[..., None]
        for number, layer in enumerate(zip(self.channels, self.kernels, self.strides, strict=True)):
            maps = Convolution(*layer, name=f"conv_{number}")(maps)
            maps = jax.nn.relu(layer_norm(maps, f"norm_{number}"))
        return hk.Linear(width, name="linear")(hk.Flatten()(maps))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResNetEncoder:
    """The ResNet of Chan et al. (2022); its batch norm keeps running statistics in the Haiku state.

    Attributes:
      flatten: lay the last map flat, 4 x 4 of width / 16 channels, instead of the mean over it of width channels.
    """

    flatten: bool = False

    def encode(self, images: Images, *, width: int, is_training: bool) -> Float[Array, "N D"]:
        """Return the vectors of images; see ``Encoder``.

        Raises:
          ValueError: items that are no images of one channel, a width that does not suit, or images whose last map is
            not 4 x 4 if that is laid flat.
        """
        _check_images(self, images)
        pixels = math.ceil(images.shape[1] / 32) * math.ceil(images.shape[2] / 32) if self.flatten else 1
        if self.flatten and pixels != 16:
            raise ValueError(
                f"To lay the last map flat, it must have 4 x 4 pixels, got images of {images.shape[1:]}; "
                "use sides of 97 to 128 pixels or flatten=False."
            )
        if width % (4 * pixels):
            raise ValueError(f"The width must be a multiple of {4 * pixels} with flatten={self.flatten}, got {width}.")
        return ResNet(width // pixels, flatten=self.flatten, name="resnet")(to_unit_range(images), is_training)


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
        if self.num_items < 1 or self.scale <= 0:
            raise ValueError(f"num_items must be at least 1 and scale above 0, got {self.num_items} and {self.scale}.")

    def encode(self, items: Integer[Array, " N"], *, width: int, is_training: bool) -> Float[Array, "N D"]:
        """Return the vectors of items, integers in 0..num_items-1; see ``Encoder``.

        Raises:
          ValueError: items that are no integers, or more than one number each.
        """
        hint = "other items want another encoder, LinearEncoder() for vectors and images"
        check_given("items [N] of an EmbeddingEncoder", items, (None,), jnp.integer, hint)
        return hk.Embed(self.num_items, width, w_init=hk.initializers.TruncatedNormal(self.scale), name="items")(items)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IdentityEncoder:
    """Leave items that are vectors as they are."""

    def encode(self, items: Shaped[Array, "N ..."], *, width: int, is_training: bool) -> Float[Array, "N X"]:
        """Return the items, floats [N, X]; some layouts want X to be the width. See ``Encoder``.

        Raises:
          ValueError: items that are not vectors of floats.
        """
        if items.ndim != 2 or not jnp.issubdtype(items.dtype, jnp.floating):
            raise ValueError(
                f"IdentityEncoder wants items that are float vectors, got {items.dtype} of shape {items.shape[1:]}; "
                "use another encoder, or make vectors of them first."
            )
        return items


def to_unit_range(images: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return uint8 0..255 as floats 0..1, and floats as they are, in the dtype of the computations around.

    Raises:
      ValueError: numbers of another kind, which have no range to go by.
    """
    if images.dtype != jnp.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"Images must be uint8 in 0..255 or floats in 0..1, got {outline(images)}; use images.astype(np.uint8) or "
            "(images / largest).astype(np.float32), and an EmbeddingEncoder for items that are symbols."
        )
    scaled = images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images.astype(jnp.float32)
    return to_compute_dtype(scaled)


def _check_images(encoder: Encoder, images: Shaped[Array, "N ..."]) -> None:
    if images.ndim != 3:
        hints = {
            1: "use an EmbeddingEncoder for items that are symbols",
            2: "use IdentityEncoder() or LinearEncoder() for items that are vectors",
            4: "make images in colour grey, images.mean(-1).astype(images.dtype), or use LinearEncoder()",
        }
        raise ValueError(
            f"{type(encoder).__name__} wants images of one channel, [height, width] each, got {images.dtype} of shape "
            f"{images.shape[1:]}; {hints.get(images.ndim, 'use LinearEncoder(), or an encoder of your own')}."
        )
