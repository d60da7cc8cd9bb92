"""Endless streams of batches or single sequences, through Grain."""

from collections.abc import Sequence

import grain

from icl_data.batch import Batch, Transform
from icl_data.checks import check_whole
from icl_data.source import BatchSource


def batches(
    source: BatchSource, *, transforms: Sequence[Transform] = (), prefetch: int = 2, workers: int = 0
) -> grain.IterDataset[Batch]:
    """Return a Grain dataset of batches, computed ahead by one thread or by worker processes.

    Its iterator has ``get_state()`` and ``set_state(state)``. The state is ``{"next_index": batches consumed}``, fit
    for JSON, and the same whatever ``prefetch`` and ``workers``: a run may go on with other numbers of either.

    Worker processes pay only where the transforms are slow. They start at the first batch, and again after
    ``set_state``: about a second, or five where jax is installed. Each gets a copy of the source and its bank. A
    script needs its ``if __name__ == "__main__":`` then and, where jax is installed, absl's flags parsed
    (``absl.flags.FLAGS.mark_as_parsed()``). Close the iterator (``close()``) to end them.

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
        return batch


class _WorkersDataset(grain.IterDataset[Batch]):
    """Batches made by worker processes."""

    def __init__(self, dataset: _Batches, *, workers: int, prefetch: int) -> None:
        super().__init__()
        self._dataset, self._workers, self._prefetch = dataset, workers, prefetch

    def __iter__(self) -> grain.DatasetIterator[Batch]:
        return _WorkersIterator(self)

    def start_at(self, position: int) -> grain.DatasetIterator[Batch]:
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
        batch = next(self._batches)
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
