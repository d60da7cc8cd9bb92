"""The ResNet of Chan et al. (2022): one image to one vector."""

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from icl_models.encoders.batch_norm import BatchNorm
from icl_models.encoders.convolution import CONVOLUTIONS
from icl_models.encoders.forms import current_forms
from icl_models.encoders.stem import STEMS

_STEM_CHANNELS = 64
_STEM_KERNEL = 7
_CHANNELS = (16, 32, 32)  # of all groups but the last
_STRIDES = (1, 2, 2, 2)
_BLOCKS_PER_GROUP = 2
_NARROWING = 4


class ResNet(hk.Module):
    """A stem, then four groups of two bottleneck blocks (version 1: He et al. 2016, arXiv 1512.03385, figure 5).

    Parameters and state are those of the same function in ``hk.Conv2D`` and ``hk.BatchNorm``, with
    the names of the original code but for "~/". On a CPU it is several times as fast.
    """

    def __init__(self, channels: int, *, flatten: bool, name: str | None = None) -> None:
        super().__init__(name=name)
        self._channels, self._flatten = channels, flatten

    def __call__(self, images: Float[Array, "N H W"], is_training: bool) -> Float[Array, "N D"]:
        """Return the vectors of images, floats in 0..1."""
        maps = _stem(images, is_training)
        for number, (channels, stride) in enumerate(zip((*_CHANNELS, self._channels), _STRIDES, strict=True)):
            with hk.experimental.name_scope(f"block_group_{number}"):
                for block in range(_BLOCKS_PER_GROUP):
                    with hk.experimental.name_scope(f"block_{block}"):
                        maps = _block(maps, channels, 1 if block else stride, block == 0, is_training)
        return maps.reshape(len(maps), -1) if self._flatten else maps.mean((1, 2))


def _stem(images: Float[Array, "N H W"], is_training: bool) -> Float[Array, "N h w F"]:
    """Return the images convolved, normalised, cut off at zero and pooled by maxima."""
    # The maxima come first, which is the same and reads a quarter of the map: what rises with its argument can be done
    # after a maximum as well. Where a negative scale makes it fall, the signs of the weights are flipped before.
    stem = STEMS[current_forms().stem]
    weights = _weights("initial_conv", (_STEM_KERNEL, _STEM_KERNEL, 1, _STEM_CHANNELS))
    norm = BatchNorm(_STEM_CHANNELS, name="initial_batchnorm")
    sign = 1 - 2 * (norm.scale < 0).astype(jnp.float32)
    pooled, mean, variance = stem(images, weights * sign.astype(weights.dtype))
    factor, shift = norm(mean * sign.ravel(), variance, is_training)
    return jax.nn.relu(factor * sign * pooled + shift).astype(images.dtype)


def _block(
    maps: Float[Array, "N H W C"], channels: int, stride: int, project: bool, is_training: bool
) -> Float[Array, "N h w F"]:
    inputs, narrow = maps.shape[-1], channels // _NARROWING
    convolve = CONVOLUTIONS[current_forms().block]
    shortcut = maps
    if project:
        shortcut = convolve(maps, _weights("shortcut_conv", (1, 1, inputs, channels)), stride)
        shortcut = _normalise(shortcut, "shortcut_batchnorm", is_training)
    maps = convolve(maps, _weights("conv_0", (1, 1, inputs, narrow)), 1)
    maps = jax.nn.relu(_normalise(maps, "batchnorm_0", is_training))
    maps = convolve(maps, _weights("conv_1", (3, 3, narrow, narrow)), stride)
    maps = jax.nn.relu(_normalise(maps, "batchnorm_1", is_training))
    maps = convolve(maps, _weights("conv_2", (1, 1, narrow, channels)), 1)
    # A block begins as its shortcut alone.
    return jax.nn.relu(_normalise(maps, "batchnorm_2", is_training, scale_init=jnp.zeros) + shortcut)


def _normalise(
    maps: Float[Array, "N H W C"], name: str, is_training: bool, scale_init: hk.initializers.Initializer = jnp.ones
) -> Float[Array, "N H W C"]:
    wide = maps.astype(jnp.float32)
    mean = wide.mean((0, 1, 2))
    variance = jnp.square(wide).mean((0, 1, 2)) - jnp.square(mean)
    factor, shift = BatchNorm(maps.shape[-1], name, scale_init)(mean, variance, is_training)
    return (factor * wide + shift).astype(maps.dtype)


def _weights(name: str, shape: tuple[int, int, int, int]) -> Float[Array, "K K C F"]:
    fan_in = shape[0] * shape[1] * shape[2]
    with hk.experimental.name_scope(name):
        return hk.get_parameter("w", shape, init=hk.initializers.TruncatedNormal(fan_in**-0.5))
