"""The stem of a ResNet: a strided convolution, its statistics and a max-pool, where most of the time goes.

Axes: K side of the kernel, F channels, h and w positions after the max-pool.
"""

import functools
import itertools
import math
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from icl_models.encoders.convolution import conv_xla, multiply_columns

_IMAGES_PER_CHUNK = 4  # what a chunk needs is a few megabytes, as the cache of one core
_QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))  # of a map: even or odd rows, even or odd columns
_WINNERS = "winners"


class Stem(NamedTuple):
    """The greatest of 3 x 3 positions of a convolution, with stride 2, and its statistics over images and positions."""

    pooled: Float[Array, "N h w F"]
    mean: Float[Array, " F"]  # float32, as the variance
    variance: Float[Array, " F"]


def stem_xla(images: Float[Array, "N H W"], weights: Float[Array, "K K 1 F"]) -> Stem:
    """Return the stem: convolution and max-pool with stride 2 and "SAME" padding, by XLA's own operations."""
    maps = conv_xla(images[..., None], weights, 2)
    wide = maps.astype(jnp.float32)
    mean = wide.mean((0, 1, 2))
    pooled = hk.max_pool(maps, window_shape=(1, 3, 3, 1), strides=(1, 2, 2, 1), padding="SAME")
    return Stem(pooled, mean, jnp.square(wide).mean((0, 1, 2)) - jnp.square(mean))


def stem_im2col(images: Float[Array, "N H W"], weights: Float[Array, "K K 1 F"]) -> Stem:
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
        for row, column in _QUARTERS
    ]

    def step(sums: Array, chunk: Array) -> tuple[Array, Array]:
        patches = _patches(chunk, axes, kernel)
        columns = patches.reshape(-1, math.prod(patches.shape[2:]))
        quarters = []
        for (row, column), weights in zip(_QUARTERS, kernels, strict=True):
            maps = multiply_columns(columns, weights.reshape(-1, features)).reshape(*patches.shape[2:], features)
            exists = np.outer(axes[0].exists[row::2], axes[1].exists[column::2])[..., None]
            measured = jnp.where(exists, maps, 0).astype(jnp.float32)
            sums += jnp.stack([measured.sum((0, 1, 2)), jnp.square(measured).sum((0, 1, 2))])
            quarters.append(jnp.where(exists, maps, -jnp.inf))
        return sums, max_pool(quarters)

    step = jax.checkpoint(step, policy=jax.checkpoint_policies.save_only_these_names(_WINNERS))
    # Black images fill the last chunk: they add nothing to the sums.
    chunks = jnp.pad(images, ((0, -count % _IMAGES_PER_CHUNK), (0, 0), (0, 0)))
    chunks = chunks.reshape(-1, _IMAGES_PER_CHUNK, height, width)
    sums, pooled = jax.lax.scan(step, jnp.zeros((2, features), jnp.float32), chunks)
    mean, mean_of_squares = sums / (count * axes[0].positions * axes[1].positions)
    return Stem(pooled.reshape(-1, *pooled.shape[2:])[:count], mean, mean_of_squares - jnp.square(mean))


@jax.custom_vjp
def max_pool(quarters: list[Float[Array, "N rows columns F"]]) -> Float[Array, "N h w F"]:
    """Return the greatest of 3 x 3 positions, with stride 2.

    Its gradient goes to the first of equals, as that of ``hk.max_pool``, in a fraction of the time.

    Args:
      quarters: the positions of even rows and columns, even rows and odd columns, and so on; with -inf at the edges.
    """
    return functools.reduce(jnp.maximum, _windows(quarters))


def _max_pool_forward(quarters: list[Array]) -> tuple[Array, Array]:
    pooled = max_pool(quarters)
    winners = jnp.zeros(pooled.shape, jnp.uint8)
    for number, window in reversed(list(enumerate(_windows(quarters)))):
        winners = jnp.where(window == pooled, jnp.uint8(number), winners)
    return pooled, checkpoint_name(winners, _WINNERS)


def _max_pool_backward(winners: Array, cotangents: Array) -> tuple[list[Array]]:
    # Padded first, so that every position finds its up to four windows without a branch.
    edges = ((0, 0), (1, 1), (1, 1), (0, 0))
    winners, cotangents = jnp.pad(winners, edges), jnp.pad(cotangents, edges)
    last_row, last_column = winners.shape[1:3]
    quarters = [jnp.zeros((), cotangents.dtype)] * 4
    for number, (row, column) in enumerate(itertools.product(range(3), repeat=2)):
        up, left = row // 2, column // 2  # the third of a window is the first of the next, and of the next row
        window = slice(None), slice(1 - up, last_row - up), slice(1 - left, last_column - left)
        quarters[2 * (row % 2) + column % 2] += jnp.where(winners[window] == number, cotangents[window], 0)
    return (quarters,)


max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def _windows(quarters: list[Float[Array, "N rows columns F"]]) -> list[Float[Array, "N h w F"]]:
    """Return the nine maps to compare: the first position of each window, the second, ..., row by row."""
    height, width = (side - 1 for side in quarters[0].shape[1:3])
    return [
        quarters[2 * (row % 2) + column % 2][:, row // 2 : row // 2 + height, column // 2 : column // 2 + width]
        for row, column in itertools.product(range(3), repeat=2)
    ]


class _Axis:
    """Where windows, positions and pixels lie along one axis.

    Window i of the max-pool holds positions 2 i, 2 i + 1 and 2 i + 2 of the convolution, counted from the first that
    is there or that "SAME" padding puts before it; so do pixels under positions.
    """

    def __init__(self, side: int, kernel: int) -> None:
        self.positions, self.windows = math.ceil(side / 2), math.ceil(side / 4)
        ((pixels_before, _),) = jax.lax.padtype_to_pads((side,), (kernel,), (2,), "SAME")
        ((before, _),) = jax.lax.padtype_to_pads((self.positions,), (3,), (2,), "SAME")
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
