"""What a batch is, and what makes one: the contracts between samplers, transforms and streams."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer

Batch = dict[str, np.ndarray]
Arrays = dict[str, Any]  # a batch of NumPy's arrays, or of jax's
Transform = Callable[[Arrays], Arrays]  # must not change the batch that it is given
Expand = Callable[[Any, Mapping[str, Any]], Arrays]


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


@runtime_checkable
class Expandable(Sampler, Protocol):
    """A sampler of numbers, small, and of what they mean: ``sample(i)`` is ``expand(resident, numbers(i))``.

    So a host sends numbers alone to an accelerator, which makes the arrays.
    """

    @property
    def resident(self) -> Any:
        """What ``expand`` reads for every batch: a bank, a pytree of NumPy arrays, or None; always the same object."""

    @property
    def expand(self) -> Expand:
        """The pure function ``expand(resident, numbers) -> batch``; of NumPy's arrays it makes NumPy's, of jax's jax's.

        Samplers of which it is equal share a compiled program. What the members of an ensemble differ in must be in
        ``numbers`` therefore, and not in it.
        """

    def numbers(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return what tells those with these indices from others, arrays [B, ...]."""


@dataclasses.dataclass(frozen=True, eq=False)
class NumbersOf:
    """The sampler of numbers alone: for a stream whose batches are expanded where they are used.

    Attributes:
      sampler: whose numbers.

    >>> from icl_data import FunctionSampler, Sine
    >>> sampler = FunctionSampler(family=Sine())
    >>> numbers = NumbersOf(sampler).sample(np.arange(4))
    >>> np.array_equal(sampler.expand(sampler.resident, numbers)["targets"], sampler.sample(np.arange(4))["targets"])
    True
    """

    sampler: Expandable

    @property
    def block_size(self) -> int:
        """How many are best made in one call: from 512 on its own cost hardly counts."""
        return 512

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the numbers of those with these indices."""
        return self.sampler.numbers(indices)
