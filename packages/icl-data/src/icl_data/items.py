"""Sequences with their items: a sampler of classes and exemplars, the bank that these are of, and transforms."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Integer

from icl_data.bank import ExemplarBank
from icl_data.batch import Arrays, Batch, Sampler, Transform
from icl_data.device_bank import DeviceBank
from icl_data.sequences.sampler import SequenceSampler


@dataclasses.dataclass(frozen=True, eq=False)
class WithItems:
    """A sampler of sequences together with the bank of their items: an ``Expandable``.

    Attributes:
      sampler: gives ``classes`` and ``exemplars``.
      bank: of the items.
      transforms: what is done to batches with their items, in this order.

    Raises:
      ValueError: a bank that the sampler does not draw from.

    >>> from icl_data import Bursty, ClassSplit, SequenceSampler, ToFloat, glyphs
    >>> bank, split = glyphs(10, cache=False), ClassSplit(num_classes=10, rare=8)
    >>> sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts)
    >>> WithItems(sampler, bank, (ToFloat(),)).sample(np.arange(4))["images"].shape
    (4, 9, 28, 28)
    """

    sampler: Sampler
    bank: ExemplarBank
    transforms: Sequence[Transform] = ()

    def __post_init__(self) -> None:
        check_bank(self.bank, self.sampler)

    @property
    def block_size(self) -> int:
        """How many are best made in one call: few, since items are large."""
        return min(self.sampler.block_size, 32)

    @property
    def resident(self) -> ExemplarBank:
        """The bank."""
        return self.bank

    @property
    def expand(self) -> "ItemsExpansion":
        """From classes and exemplars to batches with their items."""
        return ItemsExpansion(tuple(self.transforms))

    def numbers(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return what the sampler gives."""
        return self.sampler.sample(indices)

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return it with the items, and transformed."""
        return self.expand(self.bank, self.numbers(indices))


@dataclasses.dataclass(frozen=True)
class ItemsExpansion:
    """``expand`` with its transforms.

    Attributes:
      transforms: applied in this order.
    """

    transforms: tuple[Transform, ...]

    def __call__(self, bank: ExemplarBank | DeviceBank, numbers: Mapping[str, Any]) -> Arrays:
        """Return the batch that numbers mean."""
        return expand(bank, numbers, transforms=self.transforms)


def expand(
    bank: ExemplarBank | DeviceBank, numbers: Mapping[str, Any], *, transforms: Sequence[Transform] = ()
) -> Arrays:
    """Return the batch that numbers mean: with their items, and what transforms make of it.

    Pure, and the same on an accelerator as in NumPy: with a ``device_bank`` it can run under ``jax.jit``.

    Args:
      bank: of the items.
      numbers: a batch with ``classes`` and ``exemplars``, integers `[*batch, S]`, of ``BatchSource(bank=None)``.
      transforms: applied in this order.

    >>> from icl_data import bank_from_arrays
    >>> numbers = {"classes": np.array([[0, 1]]), "exemplars": np.array([[1, 0]])}
    >>> expand(bank_from_arrays([np.array([5, 6]), np.array([7])]), numbers)["items"]
    array([[6, 7]])
    """
    batch: Arrays = {**numbers, bank.key: bank.gather(numbers["classes"], numbers["exemplars"])}
    for transform in transforms:
        batch = transform(batch)
    return batch


def checked_sample(sampler: Sampler, indices: Int[np.ndarray, " B"]) -> Batch:
    """Return what a sampler makes of indices, once it is a batch: a sampler of one's own may make anything."""
    batch = sampler.sample(indices)
    name = f"{type(sampler).__name__}.sample"
    if not isinstance(batch, Mapping):
        raise ValueError(f"{name} must return a dictionary of arrays [B, ...], got {type(batch).__name__}.")
    for key, values in batch.items():
        if np.shape(values)[:1] != indices.shape:
            raise ValueError(
                f"{name} must return arrays [B, ...] with a row for each of {len(indices)} indices, got {key!r} of "
                f"shape {list(np.shape(values))}."
            )
    return dict(batch)


def check_bank(bank: ExemplarBank, sampler: Sampler) -> None:
    """Check that a bank's items are those that the sampler's numbers mean.

    Raises:
      ValueError: a sampler of tasks, which needs no bank; another number of classes, fewer exemplars, or classes of
        one group on both sides of the split. Of a sampler of one's own, only what its first sequence has is looked at.
    """
    if not isinstance(sampler, SequenceSampler):
        _check_first(bank, sampler)
        return
    split = sampler.split
    if bank.num_classes != split.num_classes or (np.asarray(sampler.exemplar_counts) > bank.counts).any():
        raise ValueError(
            f"The sampler draws from {split.num_classes} classes with up to {np.max(sampler.exemplar_counts)} "
            f"exemplars, but the bank has {bank.num_classes} with up to {bank.counts.max()}; make split and sampler "
            "for this bank: num_classes=bank.num_classes, exemplar_counts=bank.counts."
        )
    if split.holdout and split.group % bank.group:
        raise ValueError(
            f"Classes of the bank belong together in groups of {bank.group} (views of one character, for example), "
            f"but the split was made with group={split.group}, so that some would be trained and others held out; "
            "make it with group=bank.group."
        )


def _check_first(bank: ExemplarBank, sampler: Sampler) -> None:
    """Check that a bank has the items of the first sequence of a sampler."""
    first, name = checked_sample(sampler, np.zeros(1, np.int64)), type(sampler).__name__
    if not {"classes", "exemplars"} <= first.keys() or bank.key in first:
        raise ValueError(
            f"{name} gives {', '.join(first)}: a bank adds {bank.key!r} to batches with 'classes' and 'exemplars'. If "
            f"{name} makes whole tasks, it needs no bank; pass bank=None."
        )
    try:
        bank.gather(first["classes"], first["exemplars"])
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(f"The first sequence of {name} is not of this bank's items: {error}") from error
