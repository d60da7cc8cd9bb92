import dataclasses
import json

import numpy as np
import pytest

from icl_data import BatchSource, Bursty, ClassSplit, SequenceSampler, batches, glyphs


@pytest.fixture(scope="module")
def source():
    bank = glyphs(12, num_exemplars=5, cache=False).augmented()
    split = ClassSplit(num_classes=96, rare=80, holdout=16, group=8)
    sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts, seed=4)
    return BatchSource(sampler=sampler, bank=bank, batch_size=6)


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def test_batch_t_holds_sequences_t_b_and_on(source):
    batch = next(iter(batches(source)))
    assert batch["images"].shape == (6, 9, 28, 28)
    assert batch["images"].dtype == np.uint8
    assert source[7]["index"].tolist() == list(range(42, 48))
    iterator = iter(batches(source))
    assert all(same(next(iterator), source[number]) for number in range(5))


def test_images_are_those_of_the_classes_and_exemplars(source):
    batch = source[3]
    for row, place in [(0, 0), (2, 8), (5, 4)]:
        cls, exemplar = batch["classes"][row, place], batch["exemplars"][row, place]
        image = source.bank.gather(np.array([cls]), np.array([exemplar]))[0]
        assert np.array_equal(batch["images"][row, place], image)
    assert "images" not in dataclasses.replace(source, bank=None)[3]


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_shards_laid_together_are_the_whole_batch(source, shards):
    parts = [dataclasses.replace(source, shard=shard, shard_count=shards)[5] for shard in range(shards)]
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert same(together, source[5])


def test_a_restored_iterator_goes_on_where_it_was(source):
    iterator = iter(batches(source))
    for _ in range(4):
        next(iterator)
    state = json.loads(json.dumps(iterator.get_state()))
    expected = [next(iterator) for _ in range(3)]
    fresh = iter(batches(source))
    next(fresh)
    fresh.set_state(state)
    assert all(same(next(fresh), batch) for batch in expected)
    assert expected[0]["index"][0] == 24


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"batch_size": 0}, "at least 1"),
        ({"shard": 2, "shard_count": 2}, "got 2 of 2"),
        ({"shard_count": 4}, "multiple of the number of shards, got 6 over 4"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(source, numbers, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(source, **numbers)
