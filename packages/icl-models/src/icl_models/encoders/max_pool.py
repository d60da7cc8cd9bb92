"""The max-pool of a ResNet's stem: the greatest of 3 x 3 positions, with stride 2 and "SAME" padding.

Axes: F channels, h and w positions after the max-pool.
"""

import functools
import itertools
import math

import haiku as hk
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Of a map: even or odd rows, even or odd columns."""

WINNERS = "winners"
"""Name of what the gradient needs, for policies of `jax.checkpoint`."""


def max_pool_xla(maps: Float[Array, "N H W F"]) -> Float[Array, "N h w F"]:
    """Return the maxima by XLA's own operation, whose gradient looks for them again in the whole map."""
    return hk.max_pool(maps, window_shape=(1, 3, 3, 1), strides=(1, 2, 2, 1), padding="SAME")


def max_pool_compared(maps: Float[Array, "N H W F"]) -> Float[Array, "N h w F"]:
    """Return the same by comparisons, whose gradient needs one byte for each maximum and not the map."""
    edges = [window_pads(side) for side in maps.shape[1:3]]
    maps = jnp.pad(maps, ((0, 0), *edges, (0, 0)), constant_values=-jnp.inf)
    return max_pool_of_quarters([maps[:, row::2, column::2] for row, column in QUARTERS])


def window_pads(side: int) -> tuple[int, int]:
    """Return how many positions to add before and after, for two of each window and of one window more.

    Window i holds positions 2 i, 2 i + 1 and 2 i + 2, counted from the first that "SAME" padding puts before them.
    """
    ((before, _),) = jax.lax.padtype_to_pads((side,), (3,), (2,), "SAME")
    return before, 2 * math.ceil(side / 2) + 2 - before - side


@jax.custom_vjp
def max_pool_of_quarters(quarters: list[Float[Array, "N rows columns F"]]) -> Float[Array, "N h w F"]:
    """Return the maxima of a map that is in quarters.

    Its gradient goes to the first of equals, as that of ``hk.max_pool``, in a fraction of the time.

    Args:
      quarters: the positions of even rows and columns, even rows and odd columns, and so on; with -inf at the edges.
    """
    return functools.reduce(jnp.maximum, _windows(quarters))


def _max_pool_forward(quarters: list[Array]) -> tuple[Array, Array]:
    pooled = max_pool_of_quarters(quarters)
    winners = jnp.zeros(pooled.shape, jnp.uint8)
    for number, window in reversed(list(enumerate(_windows(quarters)))):
        winners = jnp.where(window == pooled, jnp.uint8(number), winners)
    return pooled, checkpoint_name(winners, WINNERS)


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


max_pool_of_quarters.defvjp(_max_pool_forward, _max_pool_backward)


def _windows(quarters: list[Float[Array, "N rows columns F"]]) -> list[Float[Array, "N h w F"]]:
    """Return the nine maps to compare: the first position of each window, the second, ..., row by row."""
    height, width = (side - 1 for side in quarters[0].shape[1:3])
    return [
        quarters[2 * (row % 2) + column % 2][:, row // 2 : row // 2 + height, column // 2 : column // 2 + width]
        for row, column in itertools.product(range(3), repeat=2)
    ]
