"""The Grain side of a stream: batches made in this process, by a thread ahead, or by worker processes."""

import grain

from icl_data.checks import check_whole
from icl_data.sampler import Batch
from icl_data.stream import BatchSource, Step


def pipeline(source: BatchSource, steps: tuple[Step, ...], *, prefetch: int, workers: int) -> grain.IterDataset[Batch]:
    """Make the dataset that ``icl_data.batches`` returns; the arguments are its."""
    dataset = _Batches(source, steps)
    if workers:
        return _WorkersDataset(dataset, workers=workers, prefetch=prefetch)
    return dataset.to_iter_dataset(_ahead(prefetch))


def _ahead(prefetch: int) -> grain.ReadOptions:
    # Grain's own defaults (16 threads, 500 elements ahead) suit small elements, not whole batches.
    return grain.ReadOptions(num_threads=min(prefetch, 1), prefetch_buffer_size=prefetch)


class _Batches(grain.MapDataset[Batch]):
    """A source and its steps, without the bookkeeping of ``MapDataset.source`` (27 us for each batch)."""

    def __init__(self, source: BatchSource, steps: tuple[Step, ...]) -> None:
        super().__init__()
        self._source, self._steps = source, steps

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int | slice) -> Batch:
        if isinstance(index, slice):
            return self.slice(index)
        batch = self._source[index % len(self)]
        for step in self._steps:
            batch = step(batch)
        return batch


class _WorkersDataset(grain.IterDataset[Batch]):
    """Batches made by worker processes."""

    def __init__(self, dataset: _Batches, *, workers: int, prefetch: int) -> None:
        super().__init__()
        self._dataset, self._workers, self._prefetch = dataset, workers, prefetch

    def __iter__(self) -> grain.DatasetIterator[Batch]:
        return _WorkersIterator(self)

    def start_at(self, position: int) -> grain.DatasetIterator[Batch]:
        """Make an iterator over the batches from ``position`` on."""
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
