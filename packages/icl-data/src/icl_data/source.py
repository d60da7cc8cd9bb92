"""Batches by number, without Grain: whatever reads them, they are the same."""

import dataclasses
import operator
import sys
import threading
from collections.abc import Callable

import numpy as np

from icl_data.bank import ExemplarBank
from icl_data.batch import Batch, Sampler
from icl_data.checks import check_whole
from icl_data.items import check_bank, checked_sample, expand
from icl_data.map_dataset import MapDataset

_KEPT_BLOCKS = 4  # forwards needs one; a few more serve several readers of one source


class _LatestBlocks:
    """The blocks that were asked for last, by number; safe to share between threads, pickled as empty."""

    def __init__(self) -> None:
        self._blocks: dict[int, Batch] = {}
        self._lock = threading.Lock()

    def get(self, number: int, draw: Callable[[int], Batch]) -> Batch:
        with self._lock:  # held while drawing, so that two threads never draw the same block
            block = self._blocks.pop(number, None)
            if block is None:
                block = draw(number)
            self._blocks[number] = block  # the last of the dictionary is the latest
            if len(self._blocks) > _KEPT_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            return block

    def __reduce__(self) -> tuple[type["_LatestBlocks"], tuple[()]]:
        return _LatestBlocks, ()


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class BatchSource(MapDataset[Batch]):
    """Batches by number: batch t holds the sequences t * batch_size .. (t + 1) * batch_size - 1.

    Of S shards (hosts), each makes its own rows of every batch; laid one after another they are the whole batch,
    so the data that training sees does not depend on the number of hosts.

    Any number may be asked for at any time. Neighbours are cheap: sequences are drawn in blocks (of 512 or more, for
    sequences of items), and the latest blocks are kept. Images are gathered for one batch at a time.

    It is a map-style data set, which ``torch.utils.data.DataLoader`` takes with ``batch_size=None``.

    Attributes:
      sampler: makes the sequences or tasks.
      bank: gives their images; None leaves them out, for a model that gathers them on its accelerator
        (``icl_data.device_bank``) or reads the numbers of classes.
      batch_size: sequences in a whole batch, over all shards.
      shard: number of this shard, in 0..shard_count-1.
      shard_count: number of shards; divides ``batch_size``.

    Raises:
      ValueError: numbers that do not fit together, a sampler whose batches are none, or a bank that
        it does not draw from.
    """

    sampler: Sampler
    bank: ExemplarBank | None
    batch_size: int
    shard: int = 0
    shard_count: int = 1
    _latest: _LatestBlocks = dataclasses.field(default_factory=_LatestBlocks, init=False, repr=False)

    def __post_init__(self) -> None:
        check_whole("batch_size", self.batch_size, least=1)
        check_whole("shard", self.shard)
        if self.shard >= self.shard_count:
            raise ValueError(f"shard must be in 0..shard_count-1, got {self.shard} of {self.shard_count}.")
        if self.batch_size % self.shard_count:
            raise ValueError(
                f"batch_size must be a multiple of the number of shards, got {self.batch_size} over {self.shard_count}."
            )
        if not isinstance(self.sampler, Sampler) or isinstance(self.sampler, type):
            raise ValueError(f"sampler must have block_size and sample(indices), got {self.sampler!r}.")
        check_whole(f"block_size of {type(self.sampler).__name__}", self.sampler.block_size, least=1)
        if self.bank is not None:
            check_bank(self.bank, self.sampler)

    def __len__(self) -> int:
        return sys.maxsize // self.batch_size  # batches whose indices fit in an int64

    def __getitem__(self, number: int) -> Batch:
        """Return this shard's rows of batch ``number``; the caller may write into them."""
        number = operator.index(number)
        if not 0 <= number < len(self):
            raise IndexError(f"Batches are numbered 0..{len(self) - 1}, got {number}.")
        block, place = divmod(number, self._batches_per_block)
        if self._batches_per_block == 1:  # nothing to keep for a neighbour
            batch = self._draw(number)
        else:
            rows = slice(place * self._rows, (place + 1) * self._rows)
            # Copies: who writes into a batch must not change the block that later batches are cut from.
            batch = {name: values[rows].copy() for name, values in self._latest.get(block, self._draw).items()}
        return batch if self.bank is None else expand(self.bank, batch)

    @property
    def _rows(self) -> int:
        return self.batch_size // self.shard_count

    @property
    def _batches_per_block(self) -> int:
        return -(-self.sampler.block_size // self._rows)

    def _draw(self, block: int) -> Batch:
        """Return this shard's rows of the batches of one block."""
        start = block * self._batches_per_block
        numbers = np.arange(start, min(start + self._batches_per_block, len(self)))
        own = self.shard * self._rows + np.arange(self._rows)
        return checked_sample(self.sampler, (numbers[:, None] * self.batch_size + own).ravel())


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SequenceSource(MapDataset[Batch]):
    """Single sequences by index, for a Grain pipeline of your own; batched, they are what ``BatchSource`` gives.

    Every element costs Grain some 40 microseconds, as much as a whole batch: prefer ``batches`` where it will do.

    Attributes:
      sampler: makes the sequences or tasks.
      bank: gives their images; None leaves them out.

    >>> import grain
    >>> from icl_data import Bursty, ClassSplit, SequenceSampler
    >>> split = ClassSplit(num_classes=20, rare=16, holdout=4)
    >>> sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=np.full(20, 9))
    >>> dataset = grain.MapDataset.source(SequenceSource(sampler=sampler, bank=None))
    >>> dataset.batch(32)[3]["index"][:4]
    array([96, 97, 98, 99])
    >>> dataset[1::2].batch(32)[3]["index"][:4]  # every other sequence, for the second of two hosts
    array([193, 195, 197, 199])
    """

    sampler: Sampler
    bank: ExemplarBank | None
    _batches_of_one: BatchSource = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_batches_of_one", BatchSource(sampler=self.sampler, bank=self.bank, batch_size=1))

    def __len__(self) -> int:
        return 2**62  # which Grain's batching divides without an error of rounding

    def __getitem__(self, index: int) -> Batch:
        """Return sequence ``index``: as in a batch, but without the batch axis (its ``index`` has no axis at all)."""
        if operator.index(index) >= len(self):
            raise IndexError(f"Sequences are numbered 0..{len(self) - 1}, got {index}.")
        return {name: values[0, ...] for name, values in self._batches_of_one[index].items()}
