"""What a batch is, and what makes one: the contracts between samplers, transforms and streams."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer

Batch = dict[str, np.ndarray]
Arrays = dict[str, Any]  # a batch of NumPy's arrays, or of jax's
Transform = Callable[[Arrays], Arrays]  # must not change the batch that it is given


@runtime_checkable
class Sampler(Protocol):
    """What makes sequences or tasks by index; bring your own by writing these two.

    Batches with ``classes`` and ``exemplars``, integers [B, S], can be given the items of a bank (``BatchSource``);
    ``PixelNoise`` and ``RandomRareImages`` also want a ``random_key`` for each sequence (``random_keys``).
    """

    @property
    def block_size(self) -> int:
        """How many are best made in one call: as many as make its own cost small, but fit in memory with ease."""

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return those with these indices, arrays [B, ...]; each is the same in whatever company it is asked for."""
