"""The stem of a ResNet: a strided convolution, its statistics and a max-pool, where most of the time goes.

Axes: K side of the kernel, F channels, h and w positions after the max-pool.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from icl_models.encoders.convolution import Convolve, conv_im2col, conv_xla, multiply_columns
from icl_models.encoders.forms import StemForm
from icl_models.encoders.max_pool import (
    QUARTERS,
    WINNERS,
    max_pool_compared,
    max_pool_of_quarters,
    max_pool_xla,
    window_pads,
)

_IMAGES_PER_CHUNK = 4  # what a chunk needs is a few megabytes, as the cache of one core


class Stem(NamedTuple):
    """The greatest of 3 x 3 positions of a convolution, with stride 2, and its statistics over images and positions."""

    pooled: Float[Array, "N h w F"]
    mean: Float[Array, " F"]  # float32, as the variance
    variance: Float[Array, " F"]


def stem_whole(
    images: Float[Array, "N H W"],
    weights: Float[Array, "K K 1 F"],
    *,
    convolve: Convolve,
    max_pool: Callable[[Array], Array],
) -> Stem:
    """Return the stem of all images at once: convolution and max-pool with stride 2 and "SAME" padding."""
    maps = convolve(images[..., None], weights, 2)
    wide = maps.astype(jnp.float32)
    mean = wide.mean((0, 1, 2))
    return Stem(max_pool(maps), mean, jnp.square(wide).mean((0, 1, 2)) - jnp.square(mean))


def stem_in_chunks(images: Float[Array, "N H W"], weights: Float[Array, "K K 1 F"]) -> Stem:
    """Return the same by a matrix product over patches (im2col), a few images at a time.

    A CPU spends its time here on memory, since the map before the max-pool is the largest of all. So it never leaves
    the cache: the backward pass makes it again, and keeps of the max-pool only which position won. The rows of the
    product are the windows of the max-pool, with four positions each, so that these lie side by side.
    """
    count, height, width = images.shape
    kernel, features = len(weights), weights.shape[-1]
    axes = _Axis(height, kernel), _Axis(width, kernel)
    # The kernels of the four positions, two pixels apart, within the patch that holds them all; columns first.
    kernels = [
        jnp.pad(weights[:, :, 0].swapaxes(0, 1), ((2 * column, 2 - 2 * column), (2 * row, 2 - 2 * row), (0, 0)))
        for row, column in QUARTERS
    ]

    def step(sums: Array, chunk: Array) -> tuple[Array, Array]:
        patches = _patches(chunk, axes, kernel)
        columns = patches.reshape(-1, math.prod(patches.shape[2:]))
        quarters = []
        for (row, column), weights in zip(QUARTERS, kernels, strict=True):
            maps = multiply_columns(columns, weights.reshape(-1, features)).reshape(*patches.shape[2:], features)
            exists = np.outer(axes[0].exists[row::2], axes[1].exists[column::2])[..., None]
            measured = jnp.where(exists, maps, 0).astype(jnp.float32)
            sums += jnp.stack([measured.sum((0, 1, 2)), jnp.square(measured).sum((0, 1, 2))])
            quarters.append(jnp.where(exists, maps, -jnp.inf))
        return sums, max_pool_of_quarters(quarters)

    step = jax.checkpoint(step, policy=jax.checkpoint_policies.save_only_these_names(WINNERS))
    # Black images fill the last chunk: they add nothing to the sums.
    chunks = jnp.pad(images, ((0, -count % _IMAGES_PER_CHUNK), (0, 0), (0, 0)))
    chunks = chunks.reshape(-1, _IMAGES_PER_CHUNK, height, width)
    sums, pooled = jax.lax.scan(step, jnp.zeros((2, features), jnp.float32), chunks)
    mean, mean_of_squares = sums / (count * axes[0].positions * axes[1].positions)
    return Stem(pooled.reshape(-1, *pooled.shape[2:])[:count], mean, mean_of_squares - jnp.square(mean))


class _Axis:
    """Where windows, positions and pixels lie along one axis.

    Window i of the max-pool holds positions 2 i, 2 i + 1 and 2 i + 2 of the convolution, counted from the first that
    is there or that "SAME" padding puts before it; so do pixels under positions.
    """

    def __init__(self, side: int, kernel: int) -> None:
        self.positions, self.windows = math.ceil(side / 2), math.ceil(side / 4)
        ((pixels_before, _),) = jax.lax.padtype_to_pads((side,), (kernel,), (2,), "SAME")
        before, _ = window_pads(self.positions)
        numbers = np.arange(2 * self.windows + 2) - before
        self.exists = (numbers >= 0) & (numbers < self.positions)
        pixels_before += 2 * before
        self.pixel_pads = pixels_before, max(0, 4 * self.windows + kernel + 2 - pixels_before - side)


def _patches(
    images: Float[Array, "N H W"], axes: tuple[_Axis, _Axis], kernel: int
) -> Float[Array, "side side N rows columns"]:
    """Return the K + 2 columns of K + 2 pixels under positions 2 i and 2 i + 1, for all windows i and one more."""
    pixels = jnp.pad(images, ((0, 0), *(axis.pixel_pads for axis in axes)))
    last_row, last_column = (4 * axis.windows + 1 for axis in axes)
    pixels = jnp.stack([pixels[:, shift : shift + last_row : 4] for shift in range(kernel + 2)])
    return jnp.stack([pixels[..., shift : shift + last_column : 4] for shift in range(kernel + 2)])


STEMS: Mapping[StemForm, Callable[[Array, Array], Stem]] = {
    "xla": functools.partial(stem_whole, convolve=conv_xla, max_pool=max_pool_xla),
    "compared": functools.partial(stem_whole, convolve=conv_xla, max_pool=max_pool_compared),
    "product": functools.partial(stem_whole, convolve=conv_im2col, max_pool=max_pool_compared),
    "chunks": stem_in_chunks,
}
"""The stem by its form: of images [N, H, W] and weights [K, K, 1, F]."""
