"""Endless streams of batches or single sequences, through Grain."""

import multiprocessing
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from absl import flags

from icl_data.batch import Batch, Transform
from icl_data.checks import check_whole
from icl_data.quiet_grain import grain
from icl_data.source import BatchSource

_GUARD = 'what a script does must stand under `if __name__ == "__main__":`, since each worker process imports it first'


@runtime_checkable
class BatchIterator(Protocol):
    """An iterator over batches that can say where it is, and go there."""

    def __iter__(self) -> "BatchIterator":
        """Return itself."""

    def __next__(self) -> Batch:
        """Return the next batch."""

    def get_state(self) -> dict[str, Any]:
        """Return ``{"next_index": batches consumed}``, fit for JSON."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to where ``get_state`` was called."""

    def close(self) -> None:
        """End its thread or worker processes."""


@runtime_checkable
class BatchStream(Protocol):
    """What ``batches`` returns: a ``grain.IterDataset``, of which type checkers are told what loops need."""

    def __iter__(self) -> BatchIterator:
        """Return an iterator from the first batch on."""


def batches(
    source: BatchSource, *, transforms: Sequence[Transform] = (), prefetch: int = 2, workers: int = 0
) -> BatchStream:
    """Return a Grain dataset of batches, computed ahead by one thread or by worker processes.

    Its iterator has ``get_state()`` and ``set_state(state)``. The state is ``{"next_index": batches consumed}``, fit
    for JSON, and the same whatever ``prefetch`` and ``workers``: a run may go on with other numbers of either.

    Worker processes pay only where the transforms are slow. They start at the first batch, and again after
    ``set_state``: about a second, or five where jax is installed. Each gets a copy of the source and its bank. Each
    first imports the script that asks for it, so what a script does must stand under ``if __name__ == "__main__":``.
    Grain reads absl's flags then; if nobody has parsed them, they get their defaults. Close the iterator
    (``close()``) to end the processes.

    Args:
      source: makes a batch from its number.
      transforms: applied to each batch in this order, by whoever makes it; ``icl_data.transforms`` has some.
      prefetch: how many batches are made ahead; 0 makes each when it is asked for, without a thread. More than 2
        rarely helps, and large images then no longer wait in the processor's cache.
      workers: number of processes that make the batches, each ``prefetch`` ahead; 0 makes them in this process.

    Returns:
      A ``grain.IterDataset`` of batches, to iterate over or to transform further.

    Raises:
      ValueError: a negative number, or workers without prefetch.
      TypeError: a transform that returned nothing; raised by the iterator, as is the next.
      RuntimeError: a worker process that ended by itself, as all do without that line in the script.

    >>> from icl_data import Bursty, ClassSplit, SequenceSampler, glyphs
    >>> bank = glyphs(20, num_exemplars=9, cache=False)
    >>> split = ClassSplit(num_classes=20, rare=16, holdout=4)
    >>> sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts, seed=0)
    >>> batch = next(iter(batches(BatchSource(sampler=sampler, bank=bank, batch_size=32))))
    >>> batch["images"].shape, batch["images"].dtype
    ((32, 9, 28, 28), dtype('uint8'))
    """
    if prefetch < 0 or workers < 0 or (workers and not prefetch):
        raise ValueError(
            "batches wants prefetch and workers of at least 0, and a prefetch of at least 1 for workers, "
            f"got prefetch={prefetch} and workers={workers}."
        )
    dataset = _Batches(source, tuple(transforms))
    if workers:
        return _WorkersDataset(dataset, workers=workers, prefetch=prefetch)
    return dataset.to_iter_dataset(_ahead(prefetch))


def _ahead(prefetch: int) -> grain.ReadOptions:
    # Grain's own defaults (16 threads, 500 elements ahead) suit small elements, not whole batches.
    return grain.ReadOptions(num_threads=min(prefetch, 1), prefetch_buffer_size=prefetch)


class _Batches(grain.MapDataset[Batch]):
    """A source and its transforms, without the bookkeeping of ``MapDataset.source`` (27 us for each batch)."""

    def __init__(self, source: BatchSource, transforms: tuple[Transform, ...]) -> None:
        super().__init__()
        self._source, self._transforms = source, transforms

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int | slice) -> Batch:
        if isinstance(index, slice):
            return self.slice(index)
        batch = self._source[index % len(self)]
        for transform in self._transforms:
            batch = transform(batch)
            if batch is None:  # which Grain would take for a batch to be left out, and look for the next for ever
                name = getattr(transform, "__qualname__", type(transform).__qualname__)
                raise TypeError(f"Transform {name} must return a batch, changed or not, but returned None.")
        return batch


class _WorkersDataset(grain.IterDataset[Batch]):
    """Batches made by worker processes."""

    def __init__(self, dataset: _Batches, *, workers: int, prefetch: int) -> None:
        super().__init__()
        self._dataset, self._workers, self._prefetch = dataset, workers, prefetch

    def __iter__(self) -> grain.DatasetIterator[Batch]:
        return _WorkersIterator(self)

    def start_at(self, position: int) -> grain.DatasetIterator[Batch]:
        if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself asks
            raise RuntimeError(f"Workers start no workers: {_GUARD}.")
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        rest = self._dataset.slice(slice(position, None)).to_iter_dataset(_ahead(0))  # a worker needs no thread besides
        options = grain.MultiprocessingOptions(num_workers=self._workers, per_worker_buffer_size=self._prefetch)
        return iter(rest.mp_prefetch(options))


class _WorkersIterator(grain.DatasetIterator[Batch]):
    """Counts what was consumed: Grain's own state of a pipeline with workers is tied to their number."""

    def __init__(self, dataset: _WorkersDataset) -> None:
        super().__init__()
        self._dataset = dataset
        self._position = 0
        self._batches: grain.DatasetIterator[Batch] | None = None

    def __next__(self) -> Batch:
        self._assert_not_closed()
        if self._batches is None:
            self._batches = self._dataset.start_at(self._position)
        try:
            batch = next(self._batches)
        except RuntimeError as error:
            if "terminated unexpectedly" not in str(error):
                raise
            raise RuntimeError(
                f"A worker process ended by itself; its own words are above. Mind that {_GUARD}."
            ) from error
        self._position += 1
        return batch

    def get_state(self) -> dict[str, int]:
        return {"next_index": self._position}

    def set_state(self, state: dict[str, int]) -> None:
        check_whole("next_index of the state", state["next_index"])
        self._stop()
        self._position = state["next_index"]

    def close(self) -> None:
        self._closed = True
        self._stop()

    def _stop(self) -> None:
        if self._batches is not None:
            self._batches.close()
            self._batches = None
