import hashlib

import numpy as np
import pytest

from icl_data import gaussian, symbols


def points(bank):
    return bank.items.reshape(bank.num_classes, bank.counts[0], -1).astype(np.float64)


@pytest.mark.parametrize("within", [0.0, 0.1, 0.75, 3.0])
def test_points_have_the_moments_of_the_paper(within):
    items = points(gaussian(1_000, within=within))  # 1000 x 20 x 63 numbers
    assert abs(items.mean()) < 4 / np.sqrt(63 * 1_000 * 63)
    assert np.isclose(items.var() * 63, 1, atol=0.02)  # a point has length 1, whatever epsilon
    within_class = items.var(1, ddof=1).mean() * 63
    assert np.isclose(within_class, within**2 / (1 + within**2), rtol=0.02, atol=1e-9)
    between = items.mean(1).var() * 63 - within_class / 20
    assert np.isclose(between, 1 / (1 + within**2), rtol=0.03)


def test_coordinates_exemplars_and_classes_are_independent_and_normal():
    items = points(gaussian(3_000, dimensions=6, num_exemplars=4)) * np.sqrt(6)
    means, noise = items.mean(1), (items - items.mean(1, keepdims=True))[:, :3]
    for draws in (means, means[:1500].repeat(1, 0), noise[:, 0], noise[:, 1], items[:, 2]):
        assert np.abs(np.corrcoef(draws.T) - np.eye(6)).max() < 0.09
    halves = np.corrcoef(means[0::2, 0], means[1::2, 0])[0, 1]
    assert abs(halves) < 0.09
    standardised = (items[:, 0] / items[:, 0].std()).ravel()
    assert abs((standardised**3).mean()) < 0.1 and abs((standardised**4).mean() - 3) < 0.25


def test_a_point_does_not_depend_on_how_many_are_made():
    many, few = points(gaussian(30, num_exemplars=7)), points(gaussian(12, num_exemplars=3))
    assert np.array_equal(many[:12, :3], few)
    assert len(np.unique(many.reshape(-1, 63), axis=0)) == 210
    assert not np.isclose(many, points(gaussian(30, num_exemplars=7, seed=1))).all(-1).any()


def test_without_noise_the_exemplars_of_a_class_are_its_mean():
    exact, noisy = points(gaussian(5, within=0.0, num_exemplars=3)), points(gaussian(5, within=1e-6, num_exemplars=3))
    assert np.array_equal(exact, exact[:, :1].repeat(3, 1))
    assert np.allclose(exact, noisy, atol=1e-5) and not np.array_equal(exact, noisy)


def test_the_noise_is_the_papers_unless_told_otherwise():
    assert np.array_equal(gaussian(4).items, gaussian(4, within=0.1).items)


def test_the_points_never_change():
    bank = gaussian(3, num_exemplars=2)
    assert (bank.items.dtype, bank.items.shape, bank.key) == (np.float32, (6, 63), "items")
    # Rounded, since the last bit of a logarithm or a cosine may differ between machines.
    digest = hashlib.sha256(np.round(bank.items.astype(np.float64), 4).astype("<f4").tobytes()).hexdigest()
    assert np.allclose(bank.items[[0, 1, 5], :2], [[0.0493, 0.0163], [0.0691, 0.0359], [0.1831, 0.0653]], atol=1e-4)
    assert digest[:16] == "32ba3ebb0990d9e9"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "at least 1, got 0, 63 and 20"),
        ({"dimensions": 0}, "at least 1, got 4, 0 and 20"),
        ({"num_exemplars": -1}, "at least 1, got 4, 63 and -1"),
        ({"within": -0.1}, "within must be at least 0 and finite, got -0.1"),
        ({"within": float("nan")}, "within must be at least 0 and finite, got nan"),
        ({"within": float("inf")}, "within must be at least 0 and finite, got inf"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    arguments = {"num_classes": 4, **options}
    with pytest.raises(ValueError, match=message):
        gaussian(arguments.pop("num_classes"), **arguments)


def test_item_c_is_the_integer_c():
    bank = symbols(7)
    assert (bank.items.dtype, bank.key, bank.num_classes, set(bank.counts)) == (np.int32, "items", 7, {1})
    classes = np.array([[6, 0, 3], [2, 2, 5]])
    assert np.array_equal(bank.gather(classes, np.zeros_like(classes)), classes)


@pytest.mark.parametrize("number", [0, -1, 2**31])
def test_a_number_of_classes_that_cannot_be_is_refused(number):
    with pytest.raises(ValueError, match=f"at least 1 and fit in an int32, got {number}"):
        symbols(number)
