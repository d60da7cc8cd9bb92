"""Endless streams through Grain: the batches of a source, wherever they are made and however often resumed."""

import functools
import json
import re
import subprocess
import sys

import grain
import numpy as np
import pytest
from absl import flags

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
    stream = iter(batches(source, transforms=[RandomRareImages(), ToFloat()]))
    for number in range(3):
        assert same(next(stream), ToFloat()(RandomRareImages()(source[number])))
    doubled, raised = (lambda batch: {"index": batch["index"] * 2}), (lambda batch: {"index": batch["index"] + 1})
    assert next(iter(batches(source, transforms=[doubled, raised])))["index"].tolist() == [1, 3, 5, 7, 9, 11]


@pytest.fixture
def unparsed_flags():
    """Leave absl's flags as they are before anybody parsed them; Grain's workers ask for them where jax is."""
    was_parsed = flags.FLAGS.is_parsed()
    flags.FLAGS.unparse_flags()
    yield
    if was_parsed:
        flags.FLAGS.mark_as_parsed()
    else:
        flags.FLAGS.unparse_flags()


@pytest.mark.usefixtures("unparsed_flags")
def test_worker_processes_give_the_same_batches_and_states(source):
    transforms = [RandomRareImages(), ToFloat()]
    expected = [ToFloat()(RandomRareImages()(source[number])) for number in range(8)]
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


@pytest.mark.usefixtures("unparsed_flags")
def test_flags_that_somebody_parsed_are_left_alone(source, monkeypatch):
    monkeypatch.setattr(grain.IterDataset, "mp_prefetch", lambda self, options: self)
    flags.FLAGS(["program", "--grain_py_debug_mode"])
    try:
        next(iter(batches(source, workers=1)))
        assert flags.FLAGS.grain_py_debug_mode
    finally:
        flags.FLAGS["grain_py_debug_mode"].unparse()


UNGUARDED = """
from icl_data import BatchSource, Bursty, ClassSplit, SequenceSampler, batches
import numpy as np
sampler = SequenceSampler(kind=Bursty(), split=ClassSplit(num_classes=9, rare=9), exemplar_counts=np.full(9, 9))
next(iter(batches(BatchSource(sampler=sampler, bank=None, batch_size=4), workers=1)))
"""


def test_a_script_without_its_guard_is_told_so_by_worker_and_script(tmp_path):
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if "Error: " in line]
    assert [re.split(r"[:;]", line)[1].strip() for line in errors if "__main__" in line] == [
        "Workers start no workers",
        "A worker process ended by itself",
    ]
    assert errors[-1].endswith('`if __name__ == "__main__":`, since each worker process imports it first.')


class Forgetful:
    def __call__(self, batch):
        batch["labels"] = batch["labels"] + 1


def forgets(batch):
    Forgetful()(batch)


@pytest.mark.parametrize("transform", [forgets, Forgetful(), functools.partial(forgets)])
@pytest.mark.parametrize("options", [{}, {"prefetch": 0}])
def test_a_transform_that_returns_nothing_is_named(source, transform, options):
    name = "partial" if isinstance(transform, functools.partial) else "forgets|Forgetful"
    with pytest.raises(TypeError, match=rf"Transform ({name}) must return a batch, .* but returned None"):
        next(iter(batches(source, transforms=[ToFloat(), transform, ToFloat()], **options)))


@pytest.mark.parametrize("numbers", [{"prefetch": -1}, {"workers": -1}, {"prefetch": 0, "workers": 2}])
def test_a_stream_of_impossible_numbers_is_refused(source, numbers):
    with pytest.raises(ValueError, match="prefetch of at least 1 for workers, got"):
        batches(source, **numbers)


def test_a_state_before_the_beginning_is_refused_by_workers_too(source):
    iterator = iter(batches(source, workers=1))
    with pytest.raises(ValueError, match="next_index of the state must be a whole number of at least 0, got -2"):
        iterator.set_state({"next_index": -2})
