"""Projected classification: the variance of A, permutations, pools, seen and unseen."""

import collections
import dataclasses

import numpy as np
import pytest

from icl_data import (
    UNSEEN,
    BatchSource,
    NormalProjection,
    ProjectedSampler,
    TaskRandomness,
    Tasks,
    bank_from_labels,
    batches,
    random_vectors,
    task_keys,
)
from icl_data.tasks.projected import task_classes

BANK = random_vectors(6, exemplars=40, dimensions=8, seed=1)
SAMPLER = ProjectedSampler(bank=BANK, tasks=Tasks(count=50), ways=4, length=20, seed=2)


def draws_of(seed, numbers):
    return TaskRandomness(task_keys(seed, numbers))


def rows_of(batch, bank, task_seed):
    """Find which row of the bank each item is, by undoing the projection."""
    matrices = NormalProjection().matrices(draws_of(task_seed, batch["task"]), bank.items.shape[1])
    back = np.linalg.solve(matrices.astype(np.float64), batch["items"].transpose(0, 2, 1)).transpose(0, 2, 1)
    distances = np.abs(back[:, :, None] - bank.items[None, None]).max(axis=3)
    assert distances.min(axis=2).max() < 1e-2
    return distances.argmin(axis=2)


@pytest.mark.parametrize("dimensions", [8, 64, 784])
def test_the_entries_of_a_have_variance_one_over_their_number_of_columns(dimensions):
    matrices = (
        NormalProjection()
        .matrices(draws_of(0, np.arange(max(2, 20_000 // dimensions**2))), dimensions)
        .astype(np.float64)
    )
    n = matrices.size
    assert abs(matrices.mean()) < 4 / np.sqrt(n * dimensions)
    assert abs(matrices.var() * dimensions - 1) < 4 * np.sqrt(2 / n)
    # So a projected vector is about as long as it was; with 1 / X for the standard deviation it would be far shorter.
    x = np.random.default_rng(0).normal(size=dimensions)
    lengths = np.square(matrices @ x).sum(axis=1) / np.square(x).sum()
    assert abs(lengths.mean() - 1) < 4 * np.sqrt(2 / (dimensions * len(matrices)))


def test_items_are_projected_and_labels_permuted_as_the_task_says():
    batch = SAMPLER.sample(np.arange(100))
    rows = rows_of(batch, BANK, 2)
    assert np.array_equal(rows // 40, batch["classes"])
    order = task_classes(draws_of(2, batch["task"]), 6)
    for row in range(100):
        assert np.array_equal(order[row][batch["labels"][row]], batch["classes"][row])
    assert batch["labels"].min() == 0 and batch["labels"].max() == 3
    assert batch["items"].dtype == np.float32 and batch["labels"].dtype == np.int32


def test_orders_of_classes_are_permutations_each_as_likely():
    order = task_classes(draws_of(0, np.arange(6_000)), 3)
    assert np.array_equal(np.sort(order, axis=1), np.tile(np.arange(3), (6_000, 1)))
    times = collections.Counter(map(tuple, order))
    assert len(times) == 6 and all(abs(count - 1_000) < 5 * np.sqrt(1_000) for count in times.values())


def test_items_of_a_sequence_are_all_different_and_labels_are_balanced():
    batch = SAMPLER.sample(np.arange(200))
    rows = rows_of(batch, BANK, 2)
    assert all(len(set(row)) == 20 for row in rows)
    assert np.abs(np.bincount(batch["labels"].ravel()) / batch["labels"].size - 0.25).max() < 0.025


def test_a_task_has_one_projection_and_one_permutation_and_a_pool_has_n():
    batch = SAMPLER.sample(np.arange(600))
    assert set(batch["task"]) == set(range(50))
    labels = collections.defaultdict(set)
    for task, classes, given in zip(batch["task"], batch["classes"], batch["labels"], strict=True):
        labels[task] |= set(zip(classes.tolist(), given.tolist(), strict=True))
    assert all(len(pairs) == 4 for pairs in labels.values())
    assert len({frozenset(pairs) for pairs in labels.values()}) > 30


def test_seen_tasks_can_be_asked_about_with_other_images_and_unseen_ones_are_others():
    train, test = BANK.split_exemplars(0.25)
    seen = dataclasses.replace(SAMPLER, bank=test, stream="seen")
    assert (rows_of(dataclasses.replace(SAMPLER, bank=train).sample(np.arange(50)), BANK, 2) % 40 < 30).all()
    assert (rows_of(seen.sample(np.arange(50)), BANK, 2) % 40 >= 30).all()
    unseen = dataclasses.replace(seen, tasks=Tasks(first=UNSEEN))
    assert set(unseen.sample(np.arange(50))["task"]) == set(range(UNSEEN, UNSEEN + 50))
    assert not np.allclose(
        NormalProjection().matrices(draws_of(2, np.array([UNSEEN])), 8),
        NormalProjection().matrices(draws_of(2, np.array([0])), 8),
        atol=0.1,
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_sequences_has_the_identity_permutation(share):
    batch = dataclasses.replace(SAMPLER, tasks=Tasks(), p_identity=share).sample(np.arange(2_000))
    plain = (batch["classes"] == batch["labels"]).all(axis=1).mean()
    # Of 6 * 5 * 4 * 3 choices and orders of 4 classes, one is the identity by chance.
    expected = share + (1 - share) / 360
    assert abs(plain - expected) < 4 * np.sqrt(expected / 2_000) + 1e-9
    rows_of({name: values[:100] for name, values in batch.items()}, BANK, 2)  # the projections stay


def test_a_batch_is_its_sequences_one_by_one_and_memory_is_bounded():
    block = SAMPLER.sample(np.array([4, 0, 2**40]))
    for place, index in enumerate((4, 0, 2**40)):
        for name, values in SAMPLER.sample(np.array([index])).items():
            assert np.allclose(values[0], block[name][place], atol=1e-5), name
    wide = ProjectedSampler(bank=random_vectors(10, exemplars=10, dimensions=3_000), length=3)
    assert wide.block_size == 1 and wide.sample(np.arange(3))["items"].shape == (3, 3, 3_000)
    assert SAMPLER.block_size == 512


def test_a_stream_of_tasks_is_cut_into_batches():
    stream = iter(batches(BatchSource(sampler=SAMPLER, bank=None, batch_size=6)))
    for start in (0, 6):
        whole, batch = SAMPLER.sample(np.arange(start, start + 6)), next(stream)
        assert all(np.allclose(batch[name], whole[name], atol=1e-5) for name in whole)


@pytest.mark.parametrize(
    "options", [{"ways": 7}, {"ways": 0}, {"length": 0}, {"p_identity": 1.5}, {"seed": -1}, {"task_seed": -1}]
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        dataclasses.replace(SAMPLER, **options)


def test_items_that_are_no_vectors_are_refused():
    images = bank_from_labels(np.zeros((4, 3, 3), np.uint8), np.array([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="fit_vectors"):
        ProjectedSampler(bank=images)
