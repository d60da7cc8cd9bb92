"""How far a model is from predictors, and from their mixtures."""

import math
from typing import Any

import jaxtyping
import numpy as np
import pytest
import scipy.optimize

from icl_eval import (
    excess_by_shots,
    mean,
    nearest_mixture,
    relative_distance,
    squared_distance,
    symmetric_divergence,
)

RNG = np.random.default_rng(0)
MODEL, ONE, OTHER = RNG.normal(size=(3, 20, 4, 2))


def test_distances_are_those_of_a_loop() -> None:
    squares = squared_distance(MODEL, ONE)
    first, second = RNG.dirichlet(np.ones(3), size=(2, 5, 4))
    divergences = symmetric_divergence(first, second)
    for task in range(5):
        for i in range(4):
            assert squares[task, i] == pytest.approx(sum((MODEL[task, i] - ONE[task, i]) ** 2) / 2)
            p, q = first[task, i], second[task, i]
            there, back = sum(p * np.log(p / q)), sum(q * np.log(q / p))
            assert divergences[task, i] == pytest.approx((there + back) / 2, abs=1e-12)


def test_the_relative_distance_runs_from_0_at_the_memorising_predictor_to_1_at_the_other() -> None:
    def found(model: np.ndarray) -> float:
        return relative_distance(squared_distance(model, ONE), squared_distance(model, OTHER)).value

    assert (found(ONE), found(OTHER)) == (0.0, 1.0)
    assert found((ONE + OTHER) / 2) == pytest.approx(0.5)
    assert found(0.75 * ONE + 0.25 * OTHER) == pytest.approx(1 / 10)  # 1 / 16 of 1 / 16 and 9 / 16
    same = relative_distance(np.zeros((3, 2)), np.zeros((3, 2)))
    assert math.isnan(same.value)


def test_its_interval_holds_the_truth_in_95_of_100_samples() -> None:
    rng, held = np.random.default_rng(1), []
    for _ in range(400):
        found = relative_distance(rng.exponential(1, size=(60, 1)), rng.exponential(3, size=(60, 1)))
        held.append(found.low <= 0.25 <= found.high)
    assert 0.91 <= np.mean(held) <= 0.98


def test_the_nearest_mixture_is_what_a_minimiser_finds() -> None:
    third = RNG.normal(size=ONE.shape)
    known = np.stack([ONE, OTHER, third])
    model = 0.7 * ONE + 0.5 * OTHER - 0.2 * third + 0.3 * MODEL
    found = nearest_mixture(model, known)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1)
    for i in range(4):

        def residual(free: np.ndarray, i: int = i) -> float:
            weights = np.array([*free, 1 - free.sum()])
            return float(((model[:, i] - np.tensordot(weights, known[:, :, i], 1)) ** 2).mean())

        best = scipy.optimize.minimize(residual, np.zeros(2), tol=1e-12)
        np.testing.assert_allclose(found.weights[i, :2], best.x, atol=1e-5)
        assert found.residual[i] == pytest.approx(best.fun, abs=1e-9)


def test_a_mixture_is_found_again_and_predictors_that_agree_share_their_weight() -> None:
    found = nearest_mixture(0.9 * ONE + 0.1 * OTHER, np.stack([ONE, OTHER]))
    np.testing.assert_allclose(found.weights, [[0.9, 0.1]] * 4, atol=1e-9)
    np.testing.assert_allclose(found.residual, 0, atol=1e-12)
    same = nearest_mixture(MODEL, np.stack([ONE, ONE * (1 + 1e-15)]))
    np.testing.assert_allclose(same.weights, 0.5)
    assert nearest_mixture(MODEL, ONE[None]).weights.tolist() == [[1.0]] * 4


def test_the_excess_is_paired_so_that_what_both_find_hard_is_no_noise() -> None:
    hard = RNG.exponential(100, size=(50, 3))
    worse = RNG.uniform(0, 1, size=(50, 3))
    curve = excess_by_shots(hard + worse, hard, examples=np.array([0, 2, 5]))
    assert curve.steps.tolist() == [0, 2, 5]
    for i in range(3):
        expected = mean(worse[:, i])
        assert curve.values[i] == pytest.approx(expected.value) and curve.low[i] == pytest.approx(expected.low)


@pytest.fixture
def unchecked() -> Any:
    """Switch jaxtyping's checks off: what a caller without them is told."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_mistakes(unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"alike, got the shapes \[20, 4, 2\] and \[20, 3, 2\]"):
        squared_distance(MODEL, ONE[:, :3])
    with pytest.raises(ValueError, match="negative numbers; logits want a softmax"):
        symmetric_divergence(MODEL, ONE)
    with pytest.raises(ValueError, match=r"predictors \[K, B, N, Y\]"):
        nearest_mixture(MODEL, np.stack([ONE, OTHER])[:, :3])
    with pytest.raises(ValueError, match="alike"):
        excess_by_shots(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="alike"):
        relative_distance(np.ones((2, 3)), np.ones((2, 2)))
