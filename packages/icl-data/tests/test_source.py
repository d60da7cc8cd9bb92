"""Batches and sequences by number, without Grain."""

import copy
import dataclasses
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import grain
import numpy as np
import pytest

from icl_data import BatchSource, Bursty, SequenceSampler, SequenceSource, bank_from_arrays, batches


@pytest.fixture
def counted(source):
    """Return the source with a sampler that notes the indices of each call."""
    fields = {field.name: getattr(source.sampler, field.name) for field in dataclasses.fields(source.sampler)}
    sampler = CountingSampler(**fields)
    sampler.calls.clear()  # it may have tried itself out
    return dataclasses.replace(source, sampler=sampler)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class CountingSampler(SequenceSampler):
    calls: list = dataclasses.field(default_factory=list, init=False)

    def sample(self, indices):
        self.calls.append(indices)
        return super().sample(indices)


def same(one, two):
    return one.keys() == two.keys() and all(
        np.array_equal(one[name], two[name]) and one[name].dtype == two[name].dtype for name in one
    )


def sequences(batch):
    """Cut a batch into {index: sequence}."""
    return {int(index): {name: batch[name][row] for name in batch} for row, index in enumerate(batch["index"])}


def drawn_alone(source, index):
    """Return one sequence by the sampler and the bank, without a source."""
    batch = source.sampler.sample(np.array([index]))
    return sequences({**batch, "images": source.bank.gather(batch["classes"], batch["exemplars"])})[index]


def test_images_are_those_of_the_classes_and_exemplars(source):
    batch = source[3]
    for row, place in [(0, 0), (2, 8), (5, 4)]:
        cls, exemplar = batch["classes"][row, place], batch["exemplars"][row, place]
        image = source.bank.gather(np.array([cls]), np.array([exemplar]))[0]
        assert np.array_equal(batch["images"][row, place], image)
    assert "images" not in dataclasses.replace(source, bank=None)[3]


def test_items_that_are_no_images_come_under_their_own_name(source):
    vectors = bank_from_arrays(list(np.random.default_rng(0).normal(size=(96, 5, 7)).astype(np.float32)))
    batch = dataclasses.replace(source, bank=vectors)[3]
    assert "images" not in batch
    assert np.array_equal(batch["items"], vectors.gather(batch["classes"], batch["exemplars"]))


@pytest.mark.parametrize("batch_size", [1, 7, 32, 512, 600])
def test_a_sequence_is_the_same_in_batches_of_any_size_and_across_blocks(source, batch_size):
    sized = dataclasses.replace(source, batch_size=batch_size)
    for index in (0, 5, 511, 512, 513, 1023, 1024, 10**6, 2**40 + 3):
        batch = sized[index // batch_size]
        assert len(batch["index"]) == batch_size
        assert same(sequences(batch)[index], drawn_alone(source, index))


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("number", [5, 84, 85, 86, 400])
def test_shards_laid_together_are_the_whole_batch(source, shards, number):
    parts = [dataclasses.replace(source, shard=shard, shard_count=shards)[number] for shard in range(shards)]
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert same(together, source[number])


def test_forwards_backwards_and_jumping_give_the_same_batches(source):
    numbers = list(range(80, 90))
    forwards = {number: source[number] for number in numbers}
    fresh = dataclasses.replace(source)
    assert all(same(fresh[number], forwards[number]) for number in reversed(numbers))
    jumps = np.random.default_rng(0).integers(0, 10, 40).tolist()
    for jump in jumps:
        source[jump * 10_000]
        assert same(source[80 + jump], forwards[80 + jump])


@pytest.mark.parametrize(
    ("batch_size", "shard_count", "per_block"), [(6, 1, 86), (6, 3, 256), (512, 1, 1), (600, 1, 1)]
)
def test_sequences_are_drawn_in_whole_batches_512_or_more_at_once(counted, batch_size, shard_count, per_block):
    counted = dataclasses.replace(counted, batch_size=batch_size, shard=shard_count - 1, shard_count=shard_count)
    for number in range(per_block + 1):
        counted[number]
    first, second = counted.sampler.calls
    rows = batch_size // shard_count
    assert len(first) == len(second) == per_block * rows >= 512
    assert len(first) - rows < 512
    assert second[0] == per_block * batch_size + (shard_count - 1) * rows
    assert np.all(first % batch_size >= (shard_count - 1) * rows)  # this shard's rows only


def test_a_block_is_drawn_once_for_neighbours_in_either_direction(counted):
    for number in [*range(85, 172), *reversed(range(85, 172))]:
        counted[number]
    assert len(counted.sampler.calls) == 2


def test_few_blocks_are_kept(counted):
    for block in range(50):
        counted[block * 86]
    assert len(counted._latest._blocks) <= 4
    counted[49 * 86 + 1]
    assert len(counted.sampler.calls) == 50


def test_the_block_that_was_asked_for_longest_ago_goes_first(counted):
    for block in (0, 1, 2, 3, 0, 4, 0):
        counted[block * 86]
    assert len(counted.sampler.calls) == 5
    counted[86]
    assert len(counted.sampler.calls) == 6


def test_threads_share_a_block(counted, monkeypatch):
    draw = CountingSampler.sample
    # Long enough for the other threads to come and find the block missing.
    monkeypatch.setattr(CountingSampler, "sample", lambda self, indices: (time.sleep(0.05), draw(self, indices))[1])
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(counted.__getitem__, range(80)))
    assert len(counted.sampler.calls) == 1
    assert [batch["index"][0] for batch in made] == list(range(0, 480, 6))


def test_writing_into_a_batch_spoils_no_other(source):
    expected = copy.deepcopy(source[2])
    batch = source[2]
    for values in batch.values():
        values[...] = 0
    assert same(source[2], expected)
    one = SequenceSource(sampler=source.sampler, bank=source.bank)
    one[13]["labels"][...] = -1
    assert np.array_equal(one[13]["labels"], expected["labels"][1])


def test_a_pickled_source_is_the_same_and_carries_no_blocks(source):
    bare = dataclasses.replace(source, bank=None)
    size = len(pickle.dumps(bare))
    expected = bare[100]
    assert len(pickle.dumps(bare)) == size
    assert same(pickle.loads(pickle.dumps(bare))[100], expected)


def test_the_last_batch_can_be_had_and_none_beyond(source):
    last = len(source) - 1
    assert source[last]["index"][-1] == last * 6 + 5 <= 2**63 - 1
    for number in (-1, last + 1):
        with pytest.raises(IndexError, match=f"got {number}"):
            source[number]


@pytest.mark.parametrize("batch_size", [1, 6])
def test_single_sequences_batched_by_grain_are_the_batches(source, batch_size):
    single = SequenceSource(sampler=source.sampler, bank=source.bank)
    assert single[7]["images"].shape == (9, 28, 28)
    assert single[7]["labels"].shape == (9,)
    assert np.array_equal(single[7]["index"], np.array(7))
    assert single[7]["index"].dtype == np.int64
    dataset = grain.MapDataset.source(single).batch(batch_size)
    whole = dataclasses.replace(source, batch_size=batch_size)
    assert len(dataset) > 2**50
    assert all(same(dataset[number], whole[number]) for number in (0, 1, 90, 85))


@pytest.mark.parametrize("hosts", [2, 3])
def test_single_sequences_are_sharded_by_slicing(source, hosts):
    dataset = grain.MapDataset.source(SequenceSource(sampler=source.sampler, bank=source.bank))
    parts = [dataset[host::hosts].batch(4)[3]["index"] for host in range(hosts)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(12 * hosts, 16 * hosts))


def test_views_of_one_character_cannot_be_on_both_sides_by_oversight(source):
    forgotten = dataclasses.replace(source.sampler.split, group=1)
    sampler = dataclasses.replace(source.sampler, split=forgotten)
    with pytest.raises(ValueError, match=r"groups of 8 .* group=1.* group=bank.group"):
        dataclasses.replace(source, sampler=sampler)
    dataclasses.replace(source, sampler=sampler, bank=None)
    no_holdout = dataclasses.replace(sampler, split=dataclasses.replace(forgotten, holdout=0), kind=Bursty())
    dataclasses.replace(source, sampler=no_holdout)


@pytest.mark.parametrize("view", [lambda bank: bank.subset(range(88)), lambda bank: bank.first_exemplars(2)])
def test_a_bank_that_is_not_the_samplers_is_refused(source, view):
    with pytest.raises(ValueError, match=r"num_classes=bank\.num_classes, exemplar_counts=bank\.counts"):
        dataclasses.replace(source, bank=view(source.bank))


@pytest.mark.parametrize("number", [1.5, -1, 2**63])
def test_what_is_no_number_of_a_batch_is_refused(source, number):
    with pytest.raises((TypeError, IndexError)):
        source[number]
    with pytest.raises((TypeError, IndexError)):
        SequenceSource(sampler=source.sampler, bank=None)[number]


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


class OwnSampler:
    """What a reader of the protocol would write: two items of different classes, the first of them again as query."""

    block_size = 5

    def __init__(self, change=lambda batch: batch):
        self.change = change

    def sample(self, indices):
        classes = np.stack([indices % 3, (indices + 1) % 3, indices % 3], axis=1)
        exemplars = np.stack([indices % 2, indices % 2, 1 - indices % 2], axis=1)
        return self.change({"classes": classes, "exemplars": exemplars, "labels": classes, "index": indices})


def test_a_sampler_of_ones_own_can_have_a_bank():
    bank = bank_from_arrays(np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 2, 2))
    source = BatchSource(sampler=OwnSampler(), bank=bank, batch_size=4)
    batch = source[2]
    assert batch["index"].tolist() == [8, 9, 10, 11]
    for row, index in enumerate(range(8, 12)):
        pairs = [(index % 3, index % 2), ((index + 1) % 3, index % 2), (index % 3, 1 - index % 2)]
        assert np.array_equal(batch["images"][row], [bank.items[2 * cls + exemplar] for cls, exemplar in pairs])
    assert np.array_equal(next(iter(batches(source)))["images"], source[0]["images"])
    single = SequenceSource(sampler=OwnSampler(), bank=bank)[9]
    assert np.array_equal(single["images"], batch["images"][1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda batch: {"labels": batch["labels"]}, "OwnSampler gives labels: a bank adds 'images' to batches with"),
        (lambda batch: batch | {"images": batch["labels"]}, "a bank adds 'images' to batches with"),
        (
            lambda batch: batch | {"classes": batch["classes"] + 3},
            r"not of this bank's items: Classes must be in 0\.\.2",
        ),
        (lambda batch: batch | {"exemplars": batch["exemplars"] + 2}, "beyond its class's count"),
        (lambda batch: batch | {"classes": batch["classes"] / 2}, "not of this bank's items"),
        (lambda batch: batch | {"exemplars": np.zeros((1, 2), int)}, "not of this bank's items"),
        (lambda batch: None, "must return a dictionary of arrays .* got NoneType"),
        (lambda batch: batch | {"labels": np.zeros(7)}, r"for each of 1 indices, got 'labels' of shape \[7\]"),
    ],
)
def test_a_sampler_of_ones_own_that_does_not_fit_its_bank_is_refused_at_once(change, message):
    bank = bank_from_arrays(np.zeros((3, 2, 2, 2), np.uint8))
    with pytest.raises(ValueError, match=message):
        BatchSource(sampler=OwnSampler(change), bank=bank, batch_size=4)


def test_what_is_no_sampler_is_refused_at_once():
    with pytest.raises(ValueError, match=r"sampler must have block_size and sample\(indices\), got <class"):
        BatchSource(sampler=OwnSampler, bank=None, batch_size=4)
    without_blocks = OwnSampler()
    without_blocks.block_size = 0
    with pytest.raises(ValueError, match="block_size of OwnSampler must be a whole number of at least 1, got 0"):
        BatchSource(sampler=without_blocks, bank=None, batch_size=4)


def test_a_batch_of_too_few_rows_is_no_batch():
    source = BatchSource(
        sampler=OwnSampler(lambda batch: batch | {"labels": batch["labels"][:-1]}), bank=None, batch_size=4
    )
    with pytest.raises(
        ValueError, match=r"OwnSampler.sample must return arrays .* 8 indices, got 'labels' of shape \[7, 3\]"
    ):
        source[0]


def test_a_source_is_what_a_loader_of_map_style_data_sets_asks_for(source):
    # torch.utils.data: __getitem__ and __len__, and for its workers that it can be pickled; sampler gives the numbers.
    fetched = [pickle.loads(pickle.dumps(source))[number] for number in range(3, 6)]
    assert [batch["index"][0] for batch in fetched] == [18, 24, 30]
    assert all(same(batch, source[number]) for number, batch in enumerate(fetched, start=3))
    assert len(source) > 10**9 and all(isinstance(values, np.ndarray) for values in fetched[0].values())


def test_torchs_own_loader_gives_the_batches_in_their_order(source):
    data = pytest.importorskip("torch.utils.data", reason="torch is not of the packages that the tests need")
    loader = data.DataLoader(source, batch_size=None, sampler=range(3, 8), num_workers=2)
    assert [batch["index"][0].item() for batch in loader] == [18, 24, 30, 36, 42]
