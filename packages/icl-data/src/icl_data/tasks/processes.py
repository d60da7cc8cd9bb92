"""What draws symbols: urns, and Markov chains, each from the uniform distribution of all such (Dirichlet of all 1).

Probabilities are the gaps between uniform numbers in order, which are of that distribution, and a symbol is the gap
that one more uniform number falls into. So nothing is rounded, and NumPy and jax make the same symbols to the bit.

K symbols, T of them in a sequence.
"""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32

from icl_data.arrays import array_module
from icl_data.checks import check_whole
from icl_data.tasks.pool import TaskRandomness


@runtime_checkable
class Process(Protocol):
    """What a task of symbols is; bring your own by writing these three, hashable and for NumPy's and jax's arrays."""

    @property
    def num_symbols(self) -> int:
        """K, at least 1."""

    def probabilities(self, draws: TaskRandomness) -> Float32[Any, "B ..."]:
        """Return what tells B tasks apart."""

    def symbols(self, draws: TaskRandomness, uniforms: Float32[Any, "B T"]) -> Int32[Any, "B T"]:
        """Return a sequence of each task, symbols in 0..K-1, from uniforms in [0, 1)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Urns:
    """Symbols are drawn from an urn, each independent of the others (Wurgaft et al. 2025, arXiv 2506.17859).

    Attributes:
      num_symbols: K, at least 2; 8, 12 or 16 in the source.
    """

    num_symbols: int = 8

    def __post_init__(self) -> None:
        check_whole("num_symbols", self.num_symbols, least=2)

    def probabilities(self, draws: TaskRandomness) -> Float32[Any, "B K"]:
        """Return the share of each symbol in each urn; they sum to 1 exactly."""
        return _gaps(self._bounds(draws))

    def symbols(self, draws: TaskRandomness, uniforms: Float32[Any, "B T"]) -> Int32[Any, "B T"]:
        """See ``Process``."""
        return _places(uniforms[:, :, None], self._bounds(draws)[:, None, :])

    def _bounds(self, draws: TaskRandomness) -> Float32[Any, "B bounds"]:
        return _in_order(draws.uniforms("urn", self.num_symbols - 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MarkovChains:
    """Each symbol is drawn by the one before it; the first is uniform (Park et al. 2024, arXiv 2412.01003).

    Attributes:
      num_symbols: K, at least 2.
    """

    num_symbols: int = 10

    def __post_init__(self) -> None:
        check_whole("num_symbols", self.num_symbols, least=2)

    def probabilities(self, draws: TaskRandomness) -> Float32[Any, "B K K"]:
        """Return the transition matrices: of each symbol, a row, the probabilities of the next; rows sum to 1."""
        return _gaps(self._bounds(draws))

    def symbols(self, draws: TaskRandomness, uniforms: Float32[Any, "B T"]) -> Int32[Any, "B T"]:
        """See ``Process``."""
        bounds, first = self._bounds(draws), (uniforms[:, 0] * self.num_symbols).astype(np.int32)
        if array_module(uniforms) is not np:
            return _walk_with_jax(bounds, first, uniforms)
        symbols, rows = np.empty(uniforms.shape, np.int32), np.arange(len(uniforms))
        symbols[:, 0] = first
        for place in range(1, uniforms.shape[1]):
            symbols[:, place] = _places(uniforms[:, place, None], bounds[rows, symbols[:, place - 1]])
        return symbols

    def _bounds(self, draws: TaskRandomness) -> Float32[Any, "B K bounds"]:
        K = self.num_symbols
        return _in_order(draws.uniforms("chain", K * (K - 1)).reshape(-1, K, K - 1))


def _walk_with_jax(bounds: Any, first: Any, uniforms: Any) -> Any:
    import jax

    def step(state: Any, uniform: Any) -> tuple[Any, Any]:
        row = jax.numpy.take_along_axis(bounds, state[:, None, None], axis=1)[:, 0]
        state = _places(uniform[:, None], row)
        return state, state

    _, others = jax.lax.scan(step, first, uniforms[:, 1:].T)
    return jax.numpy.concatenate([first[:, None], others.T], axis=1)


def _in_order(uniforms: Any) -> Any:
    return array_module(uniforms).sort(uniforms, axis=-1)


def _gaps(bounds: Float32[Any, "*shape"]) -> Float32[Any, "*longer"]:
    """Return the gaps between bounds in order, from 0 to 1; exact, since all are multiples of 2^-24."""
    xp = array_module(bounds)
    ends = bounds[..., :1]
    return xp.diff(xp.concatenate([xp.zeros_like(ends), bounds, xp.ones_like(ends)], axis=-1), axis=-1)


def _places(uniforms: Any, bounds: Any) -> Any:
    """Return in which gap each uniform lies."""
    return (uniforms >= bounds).sum(axis=-1, dtype=np.int32)
