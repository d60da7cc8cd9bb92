"""Items as vectors, and vectors that have nothing in common."""

import numpy as np
import pytest

from icl_data import ExemplarBank, ProjectedSampler, bank_from_labels, fit_vectors, random_vectors


def images(seed=0):
    generator = np.random.default_rng(seed)
    base = generator.normal(size=(60, 3)) @ generator.normal(size=(3, 16)) * 20 + 120
    return np.clip(base + generator.normal(size=base.shape), 0, 255).astype(np.uint8).reshape(60, 4, 4)


def test_vectors_have_mean_0_and_variance_1_and_components_are_scikit_learns():
    bank = bank_from_labels(images(), np.arange(60) % 3)
    plain = fit_vectors(bank.items).apply(bank).items
    assert (
        plain.shape == (60, 16) and np.abs(plain.mean(axis=0)).max() < 1e-5 and abs(np.square(plain).mean() - 1) < 1e-5
    )
    few = fit_vectors(bank.items, components=3)
    found = few.apply(bank).items
    centred = bank.items.reshape(60, 16) - bank.items.reshape(60, 16).mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:3]
    expected = centred @ directions.T
    assert np.allclose(np.abs(found) * few.scale, np.abs(expected), atol=1e-3)
    assert abs(np.square(found).mean() - 1) < 1e-5 and (np.diff(found.var(axis=0)) < 0).all()


def test_vectors_of_other_items_are_made_in_the_same_way():
    bank = bank_from_labels(images(), np.arange(60) % 3)
    train, test = bank.split_exemplars(0.5)
    way = fit_vectors(train.every_item(), components=3)
    assert len(train.every_item()) == 30
    assert np.array_equal(way.apply(train).items, way.apply(test).items)  # views of one array
    assert not np.allclose(way.mean, fit_vectors(test.every_item(), components=3).mean)


def test_vectors_refuse_what_cannot_be():
    for items, components, message in (
        (np.zeros((5, 4)), None, "differ"),
        (np.zeros((1, 4)), None, "two items"),
        (np.eye(5), 6, "components"),
        (np.eye(5), 0, "components"),
        (np.full((5, 2), 1j), None, "numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_vectors(items, components=components)
    bank = bank_from_labels(images(), np.arange(60) % 3)
    with pytest.raises(ValueError, match="numbers"):
        fit_vectors(np.eye(5)).apply(bank)
    with pytest.raises(ValueError, match="augmented"):
        fit_vectors(bank.items).apply(bank.augmented())


def test_random_vectors_have_nothing_in_common():
    bank = random_vectors(4, exemplars=3, dimensions=500)
    assert isinstance(bank, ExemplarBank) and bank.counts.tolist() == [3] * 4
    correlations = np.corrcoef(bank.items) - np.eye(12)
    assert np.abs(correlations).max() < 5 / np.sqrt(500) and abs(bank.items.std() - 1) < 0.05
    assert not np.array_equal(bank.items, random_vectors(4, exemplars=3, dimensions=500, seed=1).items)
    with pytest.raises(ValueError, match="exemplars"):
        random_vectors(4, exemplars=0, dimensions=5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("components", [None, 2])
def test_items_that_are_not_finite_are_named(bad, components):
    items = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    way = fit_vectors(items, components=components)
    items[[2, 5], 1] = bad
    with pytest.raises(ValueError, match="finite items, got 2 of 6 with NaN or infinity"):
        fit_vectors(items, components=components)
    bank = bank_from_labels(items, np.arange(6) % 2)
    with pytest.raises(ValueError, match="finite items, got 2 of 6"):
        way.apply(bank)
    with pytest.raises(ValueError, match="finite vectors, got some with NaN or infinity"):
        ProjectedSampler(bank=bank)
