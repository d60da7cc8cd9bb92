"""A strided convolution that is fast on every backend."""

from collections.abc import Callable, Mapping

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from icl_models.encoders.forms import ConvolutionForm, current_forms

Convolve = Callable[[Array, Array, int], Array]


class Convolution(hk.Module):
    """A two-dimensional convolution with "SAME" padding: the parameters and the outputs of ``hk.Conv2D``."""

    def __init__(self, channels: int, kernel: int, stride: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self._channels, self._kernel, self._stride = channels, kernel, stride

    def __call__(self, maps: Float[Array, "N H W C"]) -> Float[Array, "N h w F"]:
        """Return the convolution of maps, float32 [N, H, W, C]."""
        shape = (self._kernel, self._kernel, maps.shape[-1], self._channels)
        fan_in = self._kernel**2 * maps.shape[-1]
        weights = hk.get_parameter("w", shape, init=hk.initializers.TruncatedNormal(fan_in**-0.5))
        offsets = hk.get_parameter("b", (self._channels,), init=jnp.zeros)
        convolve = CONVOLUTIONS[current_forms().convolution]
        return convolve(maps, weights, self._stride) + offsets[None, None, None]


def conv_xla(maps: Float[Array, "N H W C"], weights: Float[Array, "K K C F"], stride: int) -> Float[Array, "N h w F"]:
    """Return the convolution with "SAME" padding, by XLA's own operation.

    Args:
      maps: floats [N, H, W, C].
      weights: floats [K, K, C, F].
      stride: how far the kernel moves, in pixels.

    Returns:
      Floats [N, ceil(H / stride), ceil(W / stride), F].
    """
    return jax.lax.conv_general_dilated(
        maps, weights, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def conv_im2col(
    maps: Float[Array, "N H W C"], weights: Float[Array, "K K C F"], stride: int
) -> Float[Array, "N h w F"]:
    """Return the same by one matrix product, with the K * K shifted maps laid side by side (im2col)."""
    kernel = weights.shape[0]
    pads = jax.lax.padtype_to_pads(maps.shape[1:3], (kernel, kernel), (stride, stride), "SAME")
    maps = jnp.pad(maps, ((0, 0), *pads, (0, 0)))
    height, width = ((side - kernel) // stride + 1 for side in maps.shape[1:3])
    patches = jnp.concatenate(
        [
            maps[:, row : row + (height - 1) * stride + 1 : stride, column : column + (width - 1) * stride + 1 : stride]
            for row in range(kernel)
            for column in range(kernel)
        ],
        axis=-1,
    )
    return patches @ weights.reshape(-1, weights.shape[-1])


def conv_banded(
    maps: Float[Array, "N H W C"], weights: Float[Array, "K K C F"], stride: int
) -> Float[Array, "N h w F"]:
    """Return the same by one matrix product over whole rows, with a matrix that is zero away from a band.

    Most of its sums are with zeros, and still it is the fastest on a CPU for few channels and small maps.
    """
    (height, width), kernel, features = maps.shape[1:3], weights.shape[0], weights.shape[-1]
    if kernel == 1:
        maps = maps[:, ::stride, ::stride]
        return multiply(maps.reshape(-1, maps.shape[-1]), weights[0, 0]).reshape(*maps.shape[:3], features)
    row_pads, (left, right) = jax.lax.padtype_to_pads((height, width), (kernel, kernel), (stride, stride), "SAME")
    outputs = (left + width + right - kernel) // stride + 1
    # taps[k, x, y] is 1 where tap k of the kernel joins column x to output column y.
    columns = np.arange(outputs) * stride - left + np.arange(kernel)[:, None]
    taps = jnp.asarray(columns[:, None] == np.arange(width)[:, None], weights.dtype)
    band = jnp.einsum("kxy,rkcf->rxcyf", taps, weights).reshape(-1, outputs * features)
    rows = jnp.pad(maps.reshape(*maps.shape[:2], -1), ((0, 0), row_pads, (0, 0)))
    last = rows.shape[1] - kernel
    rows = jnp.concatenate([rows[:, row : row + last + 1 : stride] for row in range(kernel)], axis=-1)
    products = multiply(rows.reshape(-1, rows.shape[-1]), band)
    return products.reshape(*rows.shape[:2], outputs, features)


@jax.custom_vjp
def multiply(rows: Float[Array, "M C"], matrix: Float[Array, "C F"]) -> Float[Array, "M F"]:
    """Return the product of a long array and a small matrix.

    JAX's own gradient of the matrix begins with the cotangents of all rows, which XLA transposes first on a CPU, at
    several times the cost of the product; this one begins with the rows.
    """
    return rows @ matrix


def _multiply_forward(rows: Array, matrix: Array) -> tuple[Array, tuple[Array, Array]]:
    return rows @ matrix, (rows, matrix)


def _multiply_backward(residuals: tuple[Array, Array], cotangents: Array) -> tuple[Array, Array]:
    rows, matrix = residuals
    return cotangents @ matrix.T, rows.T @ cotangents


multiply.defvjp(_multiply_forward, _multiply_backward)


@jax.custom_vjp
def multiply_columns(columns: Float[Array, "C M"], matrix: Float[Array, "C F"]) -> Float[Array, "M F"]:
    """Return what ``multiply`` does, of an array that is transposed already."""
    return columns.T @ matrix


def _multiply_columns_forward(columns: Array, matrix: Array) -> tuple[Array, tuple[Array, Array]]:
    return columns.T @ matrix, (columns, matrix)


def _multiply_columns_backward(residuals: tuple[Array, Array], cotangents: Array) -> tuple[Array, Array]:
    columns, matrix = residuals
    return matrix @ cotangents.T, columns @ cotangents


multiply_columns.defvjp(_multiply_columns_forward, _multiply_columns_backward)

CONVOLUTIONS: Mapping[ConvolutionForm, Convolve] = {"xla": conv_xla, "product": conv_im2col, "banded": conv_banded}
"""The convolution by its form: of maps [N, H, W, C], weights [K, K, C, F] and a stride."""
