"""A strided convolution that is fast on every backend."""

import haiku as hk
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Convolution(hk.Module):
    """A two-dimensional convolution with "SAME" padding: the parameters and the outputs of ``hk.Conv2D``.

    XLA's convolution of few channels, and above all its gradient, is slow on CPUs, so that there the same
    sum is made by a matrix product over patches (``tools/bench_models.py`` shows the ratio).
    """

    def __init__(self, channels: int, kernel: int, stride: int, name: str | None = None) -> None:
        """Set the number of output channels, the side of the kernel and the stride."""
        super().__init__(name=name)
        self._channels, self._kernel, self._stride = channels, kernel, stride

    def __call__(self, maps: Float[Array, "N H W C"]) -> Float[Array, "N h w F"]:
        """Convolve maps, float32 [N, H, W, C]."""
        shape = (self._kernel, self._kernel, maps.shape[-1], self._channels)
        fan_in = self._kernel**2 * maps.shape[-1]
        weights = hk.get_parameter("w", shape, init=hk.initializers.TruncatedNormal(fan_in**-0.5))
        offsets = hk.get_parameter("b", (self._channels,), init=jnp.zeros)
        convolve = convolve_by_products if jax.default_backend() == "cpu" else convolve_by_library
        return convolve(maps, weights, self._stride) + offsets[None, None, None]


def convolve_by_library(
    maps: Float[Array, "N H W C"], weights: Float[Array, "K K C F"], stride: int
) -> Float[Array, "N h w F"]:
    """Convolve with XLA's own operation."""
    return jax.lax.conv_general_dilated(
        maps, weights, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def convolve_by_products(
    maps: Float[Array, "N H W C"], weights: Float[Array, "K K C F"], stride: int
) -> Float[Array, "N h w F"]:
    """Convolve by one matrix product: lay the K * K shifted maps side by side, and multiply."""
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
