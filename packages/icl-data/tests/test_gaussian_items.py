"""Points without a bank: a class's mean is its number's, on the host and on the device; fresh ones never come again."""

import dataclasses

import numpy as np
import pytest

from icl_data import (
    Bursty,
    ClassSplit,
    Expandable,
    FewShot,
    FunctionSampler,
    GaussianItems,
    NumbersOf,
    SequenceSampler,
    Sine,
)

C = 6
SPLIT = ClassSplit(num_classes=C, rare=C)


def items_of(*, kind=None, exemplars=50, **options):
    sampler = SequenceSampler(
        kind=kind or FewShot(classes="rare"), split=SPLIT, exemplar_counts=np.full(C, exemplars), seed=2
    )
    return GaussianItems(**{"sampler": sampler, "dimensions": 400} | options)


def test_a_class_and_an_exemplar_have_one_point_wherever_they_come():
    found = {}
    sampler = items_of(fresh=False, kind=Bursty(), exemplars=3)
    batch = sampler.sample(np.arange(60))
    for classes, exemplars, items in zip(batch["classes"], batch["exemplars"], batch["items"], strict=True):
        for cls, exemplar, item in zip(classes.tolist(), exemplars.tolist(), items, strict=True):
            assert np.array_equal(found.setdefault((cls, exemplar), item), item)
    assert len(found) == 18 and len({item.tobytes() for item in found.values()}) == 18
    other = dataclasses.replace(sampler, seed=1).sample(np.arange(1))["items"]
    assert not np.isclose(other, batch["items"][:1]).any(axis=2).all()


def test_points_have_the_distances_of_the_definition():
    for within in (0.0, 0.5, 2.0):
        batch = items_of(within=within).sample(np.arange(200))
        items, classes = batch["items"].astype(np.float64), batch["classes"]
        assert abs((items**2).sum(axis=2).mean() - 1) < 0.02  # of length 1, whatever the noise
        products = np.einsum("bsd,btd->bst", items, items)
        same = (classes[:, :, None] == classes[:, None, :]) & ~np.eye(9, dtype=bool)
        assert abs(products[same].mean() - 1 / (1 + within**2)) < 0.03
        assert abs(products[classes[:, :, None] != classes[:, None, :]].mean()) < 0.05


def test_fresh_classes_are_told_by_sequence_and_class_and_never_come_again():
    sampler = items_of(within=0.0)
    batch = sampler.sample(np.array([7, 0, 7, 10**15]))
    assert np.array_equal(batch["items"][0], batch["items"][2])
    means = {item.tobytes() for row in batch["items"] for item in row}
    assert len(means) == 3 * 2  # of each sequence two
    assert np.array_equal(sampler.class_numbers(batch)[0], 7 * C + batch["classes"][0])


def test_no_fresh_class_of_one_stream_or_seed_is_another_one_s():
    sampler = items_of(within=0.0)
    series = [sampler] + [
        dataclasses.replace(sampler, sampler=dataclasses.replace(sampler.sampler, **changes))
        for changes in ({"stream": "fewshot_holdout"}, {"seed": 1})
    ]
    means = [{item.tobytes() for row in each.sample(np.arange(50))["items"] for item in row} for each in series]
    assert all(len(each) == 50 * 2 for each in means) and len(set.union(*means)) == 3 * 50 * 2


def test_the_device_makes_the_same_points():
    jax = pytest.importorskip("jax")
    for options in ({}, {"within": 0.0}, {"fresh": False, "within": 1.0}):
        sampler = items_of(**options)
        assert isinstance(sampler, Expandable)
        indices = np.array([5, 0, 2**40, 5])
        there = jax.jit(sampler.expand)(sampler.resident, sampler.numbers(indices))
        np.testing.assert_allclose(there["items"], sampler.sample(indices)["items"], atol=5e-5)


def test_the_numbers_are_small_and_hold_what_members_differ_in():
    sampler = items_of()
    numbers = NumbersOf(sampler).sample(np.arange(4))
    assert "items" not in numbers and numbers["class_keys"].shape == (4, 9, 2)
    assert dataclasses.replace(sampler, seed=9, fresh=False).expand == sampler.expand
    other = dataclasses.replace(sampler, seed=9).numbers(np.arange(4))
    assert not np.array_equal(other["class_keys"], numbers["class_keys"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: items_of(dimensions=0), "dimensions must be a whole number of at least 1"),
        (lambda: items_of(within=-1.0), "within must be at least 0"),
        (lambda: GaussianItems(sampler=FunctionSampler(family=Sine())), "gives no 'classes'; use a SequenceSampler"),
        (lambda: GaussianItems(sampler=NumbersOf(items_of())), "has no split; use a SequenceSampler, or fresh=False"),
        (lambda: items_of().sample(np.array([2**62])), "whole numbers in 0"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_golden_points():
    items = items_of(dimensions=3).sample(np.array([11]))["items"]
    assert np.allclose(items[0, :2], GOLDEN, atol=1e-5)


GOLDEN = [[-0.073066, -0.141565, -0.81411], [0.100637, 1.087539, 0.35145]]
