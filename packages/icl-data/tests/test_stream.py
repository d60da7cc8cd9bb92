"""Endless streams through Grain: the batches of a source, wherever they are made and however often resumed."""

import json

import numpy as np
import pytest

from icl_data import (
    RandomRareImages,
    ToFloat,
    batches,
    stream,
)


def same(one, two):
    return one.keys() == two.keys() and all(
        np.array_equal(one[name], two[name]) and one[name].dtype == two[name].dtype for name in one
    )


def test_batch_t_holds_sequences_t_b_and_on(source):
    batch = next(iter(batches(source)))
    assert batch["images"].shape == (6, 9, 28, 28)
    assert batch["images"].dtype == np.uint8
    assert source[7]["index"].tolist() == list(range(42, 48))
    iterator = iter(batches(source))
    assert all(same(next(iterator), source[number]) for number in range(5))


@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_a_restored_iterator_goes_on_where_it_was(source, prefetch):
    iterator = iter(batches(source, prefetch=prefetch))
    for _ in range(4):
        next(iterator)
    state = json.loads(json.dumps(iterator.get_state()))
    assert state == {"next_index": 4}
    expected = [next(iterator) for _ in range(3)]
    fresh = iter(batches(source, prefetch=4 - prefetch))
    next(fresh)
    fresh.set_state(state)
    assert all(same(next(fresh), batch) for batch in expected)
    assert expected[0]["index"][0] == 24


def test_transforms_are_applied_in_their_order(source):
    stream = iter(batches(source, transforms=[RandomRareImages(seed=3), ToFloat()]))
    for number in range(3):
        assert same(next(stream), ToFloat()(RandomRareImages(seed=3)(source[number])))
    doubled, raised = (lambda batch: {"index": batch["index"] * 2}), (lambda batch: {"index": batch["index"] + 1})
    assert next(iter(batches(source, transforms=[doubled, raised])))["index"].tolist() == [1, 3, 5, 7, 9, 11]


@pytest.fixture
def parsed_flags():
    """Parse absl's flags, which Grain's workers ask for where jax is installed."""
    flags = pytest.importorskip("absl.flags", reason="absl comes with Grain").FLAGS
    was_parsed = flags.is_parsed()
    flags.mark_as_parsed()
    yield
    if not was_parsed:
        flags.unparse_flags()


@pytest.mark.usefixtures("parsed_flags")
def test_worker_processes_give_the_same_batches_and_states(source):
    transforms = [RandomRareImages(seed=3), ToFloat()]
    expected = [ToFloat()(RandomRareImages(seed=3)(source[number])) for number in range(8)]
    alone, workers = (iter(batches(source, transforms=transforms, prefetch=2, workers=count)) for count in (0, 2))
    assert workers.get_state() == {"next_index": 0}
    for _ in range(3):
        next(alone)
    workers.set_state(json.loads(json.dumps(alone.get_state())))
    assert all(same(next(workers), batch) for batch in expected[3:6])
    state = json.loads(json.dumps(workers.get_state()))
    workers.close()
    assert state == {"next_index": 6}
    alone.set_state(state)
    assert all(same(next(alone), batch) for batch in expected[6:])


def test_workers_start_anew_wherever_the_state_says(source, monkeypatch):
    started = []

    def start_at(self, position):
        started.append(position)
        return iter(self._dataset.slice(slice(position, None)).to_iter_dataset())

    monkeypatch.setattr(stream._WorkersDataset, "start_at", start_at)
    iterator = iter(batches(source, workers=2))
    assert all(same(next(iterator), source[number]) for number in range(3))
    for number in (1, 7):
        iterator.set_state({"next_index": number})
        assert iterator.get_state() == {"next_index": number}
        assert same(next(iterator), source[number])
        assert same(next(iterator), source[number + 1])
        assert iterator.get_state() == {"next_index": number + 2}
    assert started == [0, 1, 7]
    iterator.close()
    with pytest.raises(ValueError, match="closed"):
        next(iterator)


@pytest.mark.parametrize("numbers", [{"prefetch": -1}, {"workers": -1}, {"prefetch": 0, "workers": 2}])
def test_a_stream_of_impossible_numbers_is_refused(source, numbers):
    with pytest.raises(ValueError, match="prefetch of at least 1 for workers, got"):
        batches(source, **numbers)


def test_a_state_before_the_beginning_is_refused_by_workers_too(source):
    iterator = iter(batches(source, workers=1))
    with pytest.raises(ValueError, match="next_index of the state must be a whole number of at least 0, got -2"):
        iterator.set_state({"next_index": -2})
