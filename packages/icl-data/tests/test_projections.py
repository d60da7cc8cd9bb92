"""What projected tasks are tested on: other projections, noise in the shown labels, uneven labels, longer sequences."""

import dataclasses

import numpy as np
import pytest

from icl_data import (
    NormalProjection,
    ProjectedSampler,
    Projection,
    Rotation,
    SparseProjection,
    TaskRandomness,
    Tasks,
    random_vectors,
    task_keys,
)

SAMPLER = ProjectedSampler(
    bank=random_vectors(6, exemplars=40, dimensions=8, seed=1), tasks=Tasks(count=50), ways=4, length=20, seed=2
)


def matrices(projection, count, dimensions):
    assert isinstance(projection, Projection)
    return projection.matrices(TaskRandomness(task_keys(0, np.arange(count))), dimensions).astype(np.float64)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_scaled_projection_is_that_of_training_times_a_factor(scale):
    np.testing.assert_allclose(
        matrices(NormalProjection(scale), 5, 12), scale * matrices(NormalProjection(), 5, 12), rtol=1e-6
    )


@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_a_sparse_projection_keeps_a_share_of_the_entries_and_the_variance(density):
    X, B = 20, 250
    found = matrices(SparseProjection(density), B, X)
    kept = found != 0
    n = found.size
    assert abs(kept.mean() - density) <= 4 * np.sqrt(density * (1 - density) / n)
    # An entry is a Bernoulli times a normal of variance 1 / (X density): its square has mean 1 / X, and X times it
    # variance 3 / density - 1.
    assert abs((found**2).mean() * X - 1) < 4 * np.sqrt((3 / density - 1) / n)
    normal = matrices(NormalProjection(), B, X)
    np.testing.assert_allclose(found[kept], normal[kept] * density**-0.5, rtol=1e-5)
    for rows in (kept[:, ::2], kept[:, :, ::2]):  # the same share everywhere
        assert abs(rows.mean() - density) <= 4 * np.sqrt(2 * density * (1 - density) / n)


def test_rotations_are_orthogonal_and_uniform():
    X, B = 5, 4_000
    found = matrices(Rotation(), B, X)
    assert np.abs(found @ found.swapaxes(1, 2) - np.eye(X)).max() < 1e-5
    signs = np.linalg.det(found)
    assert np.abs(np.abs(signs) - 1).max() < 1e-5 and abs((signs > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(B)
    # Of a uniform point of the sphere: means 0, squares 1 / X, fourth powers 3 / (X (X + 2)). So is every column and
    # row, the last as the first.
    for points in (found[:, :, 0], found[:, :, -1], found[:, 0], found[:, -1]):
        assert np.abs(points.mean(axis=0)).max() < 4.5 / np.sqrt(B * X)
        assert np.abs(np.square(points).mean(axis=0) - 1 / X).max() < 0.02
        assert abs((points**4).mean() - 3 / (X * (X + 2))) < 0.005
    assert abs(np.trace(found, axis1=1, axis2=2).mean()) < 4 / np.sqrt(B)  # not so without the signs of R


def test_a_coordinate_of_a_rotated_unit_vector_is_uniform_in_three_dimensions():
    B = 4_000
    found = np.sort(matrices(Rotation(), B, 3), axis=0)
    # Archimedes: zones of one height have one area. The bound is that of Kolmogorov and Smirnov at 1 in 1,000.
    distances = np.abs((1 + found) / 2 - (np.arange(B)[:, None, None] + 0.5) / B)
    assert distances.max(axis=0).max() < 2.4 / np.sqrt(B)


def test_a_rotation_keeps_the_lengths_and_angles_of_items():
    rotated = dataclasses.replace(SAMPLER, projection=Rotation()).sample(np.arange(10))
    rows = SAMPLER.bank.items.astype(np.float64)
    products = rotated["items"] @ rotated["items"].swapaxes(1, 2)
    lengths = np.sort(np.square(rows).sum(axis=1))
    found = np.diagonal(products, axis1=1, axis2=2).ravel()
    nearest = lengths[np.clip(np.searchsorted(lengths, found), 1, len(lengths) - 1) - [[0], [1]]]
    assert np.abs(nearest - found).min(axis=0).max() < 1e-3


@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_so_many_shown_labels_are_drawn_anew_and_the_true_ones_stay(noise):
    noisy = dataclasses.replace(SAMPLER, label_noise=noise).sample(np.arange(1_000))
    clean = SAMPLER.sample(np.arange(1_000))
    assert all(np.array_equal(noisy[name], values) for name, values in clean.items()) and "shown_labels" not in clean
    shown, true = noisy["shown_labels"], noisy["labels"]
    assert shown.dtype == np.int32 and shown.min() == 0 and shown.max() == 3
    expected = noise * 3 / 4  # one of four draws is the true one
    wrong = shown != true
    assert abs(wrong.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / wrong.size)
    assert np.abs(wrong.mean(axis=0) - expected).max() < 4.5 * np.sqrt(expected * (1 - expected) / 1_000)
    pairs = np.bincount((4 * true + shown)[wrong], minlength=16).reshape(4, 4)
    assert np.abs(pairs / pairs.sum() * 12 - (1 - np.eye(4))).max() < 0.15


@pytest.mark.parametrize("exponent", [0.5, 1.0, 3.0])
def test_labels_have_the_frequencies_of_their_weights_in_an_order_of_each_sequence(exponent):
    B, S, V = 600, 200, 4
    bank = random_vectors(6, exemplars=S, dimensions=2)
    batch = dataclasses.replace(SAMPLER, bank=bank, length=S, zipf_exponent=exponent).sample(np.arange(B))
    counts = np.stack([np.bincount(labels, minlength=V) for labels in batch["labels"]])
    weights = np.array([1, 2, 3, 4.0]) ** -exponent
    weights /= weights.sum()
    # All labels are as frequent over all sequences; in each, the sum of squares of the shares tells the weights.
    assert np.abs(counts.mean(axis=0) / S - 1 / V).max() < 4 * np.sqrt(np.square(weights).mean() / B)
    pairs = (counts * (counts - 1)).sum(axis=1) / (S * (S - 1))  # unbiased for that sum
    assert abs(pairs.mean() - np.square(weights).sum()) < 0.01
    if exponent == 3:  # so uneven that the counts tell the order
        shares = -np.sort(-counts, axis=1).mean(axis=0) / S
        assert np.abs(shares - weights).max() < 0.01
    first = counts.argmax(axis=1)
    assert np.array_equal(np.unique(first), np.arange(V))
    assert all(
        len(np.unique(row[labels == 0])) <= 1 for row, labels in zip(batch["classes"], batch["labels"], strict=True)
    )


@pytest.mark.parametrize("options", [{}, {"label_noise": 0.3}, {"zipf_exponent": 1.0}])
def test_longer_sequences_begin_as_shorter_ones_do(options):
    short = dataclasses.replace(SAMPLER, **options)
    longer = dataclasses.replace(short, length=37).sample(np.arange(50))
    for name, values in short.sample(np.arange(50)).items():
        begun = longer[name][:, :20] if values.ndim > 1 else longer[name]
        assert np.allclose(begun, values, atol=1e-6), name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NormalProjection(0.0), "scale"),
        (lambda: NormalProjection(np.inf), "scale"),
        (lambda: SparseProjection(0.0), "density"),
        (lambda: SparseProjection(1.1), "density"),
        (lambda: dataclasses.replace(SAMPLER, label_noise=1.5), "label_noise"),
        (lambda: dataclasses.replace(SAMPLER, zipf_exponent=-1.0), "zipf_exponent"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
