"""Endless streams of batches, through Grain."""

import dataclasses
import sys

import grain
import numpy as np

from icl_data.bank import ExemplarBank
from icl_data.sampler import Batch, SequenceSampler


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class BatchSource:
    """Batches by number: batch t holds the sequences t * batch_size .. (t + 1) * batch_size - 1.

    Of S shards (hosts), each makes its own rows of every batch; laid one after another they are the whole batch,
    so the data that training sees does not depend on the number of hosts.

    Attributes:
      sampler: makes the sequences.
      bank: gives their images; None leaves them out.
      batch_size: sequences in a whole batch, over all shards.
      shard: number of this shard, in 0..shard_count-1.
      shard_count: number of shards; divides ``batch_size``.
    """

    sampler: SequenceSampler
    bank: ExemplarBank | None
    batch_size: int
    shard: int = 0
    shard_count: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}.")
        if not 0 <= self.shard < self.shard_count:
            raise ValueError(f"shard must be in 0..shard_count-1, got {self.shard} of {self.shard_count}.")
        if self.batch_size % self.shard_count:
            raise ValueError(
                f"batch_size must be a multiple of the number of shards, got {self.batch_size} over {self.shard_count}."
            )

    def __len__(self) -> int:
        """Give the number of batches whose indices fit in an int64."""
        return sys.maxsize // self.batch_size

    def __getitem__(self, number: int) -> Batch:
        """Make this shard's rows of batch ``number``."""
        rows = self.batch_size // self.shard_count
        first = int(number) * self.batch_size + self.shard * rows
        batch = self.sampler.sample(np.arange(first, first + rows))
        if self.bank is not None:
            batch["images"] = self.bank.gather(batch["classes"], batch["exemplars"])
        return batch


def batches(source: BatchSource, *, prefetch: int = 4) -> grain.IterDataset[Batch]:
    """Make a Grain dataset of batches, computed ahead by one thread.

    Its iterator has ``get_state()`` and ``set_state(state)``; the state is the number of batches consumed.

    Args:
      source: makes a batch from its number.
      prefetch: how many batches are made ahead, at least 1.

    >>> from icl_data import Bursty, ClassSplit, glyphs
    >>> bank = glyphs(20, num_exemplars=9, cache=False)
    >>> split = ClassSplit(num_classes=20, rare=16, holdout=4)
    >>> sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts, seed=0)
    >>> batch = next(iter(batches(BatchSource(sampler=sampler, bank=bank, batch_size=32))))
    >>> batch["images"].shape, batch["images"].dtype
    ((32, 9, 28, 28), dtype('uint8'))
    """
    # Grain's own defaults (16 threads, 500 elements ahead) suit small elements, not whole batches.
    return grain.MapDataset.source(source).to_iter_dataset(
        grain.ReadOptions(num_threads=1, prefetch_buffer_size=prefetch)
    )
