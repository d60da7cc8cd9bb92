"""Inputs other than those of training lie where they should."""

import dataclasses
from typing import ClassVar

import jaxtyping
import numpy as np
import pytest

from icl_data import (
    DeviceNormalInputs,
    FunctionSampler,
    InputDistribution,
    LastQueries,
    Linear,
    LinearOnSphere,
    NormalInputs,
    OrthogonalQueries,
    QuadrantInputs,
    RepeatedQueries,
    SpectrumInputs,
    draw_functions,
)

ALL = [
    SpectrumInputs(decay=1.0),
    SpectrumInputs(share=0.5),
    QuadrantInputs(),
    QuadrantInputs(quadrant="opposite", queries=2),
    OrthogonalQueries(queries=2),
    RepeatedQueries(queries=2),
    DeviceNormalInputs(),
]


def points(inputs, *, count=300, N=6, X=8, stream="x"):
    return inputs.points(seed=0, stream=stream, indices=np.arange(count), num_points=N, num_inputs=X)


@pytest.mark.parametrize("inputs", ALL, ids=str)
def test_points_depend_on_their_index_alone(inputs):
    assert isinstance(inputs, InputDistribution)
    block = points(inputs, count=9)
    assert block.shape == (9, 6, 8) and block.dtype == np.float32
    alone = inputs.points(seed=0, stream="x", indices=np.array([5]), num_points=6, num_inputs=8)
    assert np.allclose(alone[0], block[5], atol=1e-6)
    assert not np.allclose(points(inputs, count=9, stream="y"), block)
    sampler = FunctionSampler(family=Linear(num_inputs=8), num_points=6, queries=LastQueries(2), inputs=inputs)
    assert np.isfinite(sampler.sample(np.arange(4))["targets"]).all()


def test_a_spectrum_is_that_of_the_covariance_in_directions_of_each_sequences_own():
    skewed = points(SpectrumInputs(decay=1.0), count=20, N=4_000)
    for task in range(20):
        variances = np.linalg.eigvalsh(np.cov(skewed[task].T))[::-1]
        expected = np.arange(1, 9) ** -2.0
        assert np.allclose(variances / variances.sum(), expected / expected.sum(), atol=0.03)
        assert variances.mean() == pytest.approx(1, rel=0.1)
    half = points(SpectrumInputs(share=0.5), N=12)
    ranks = np.linalg.matrix_rank(half, tol=1e-4)
    assert (ranks == 4).all() and half.var() == pytest.approx(1, abs=0.05)
    both = np.concatenate([half[0], half[1]])
    assert np.linalg.matrix_rank(both, tol=1e-4) == 8
    plain = points(SpectrumInputs(), count=2_000).reshape(-1, 8)
    assert np.allclose(np.cov(plain.T), np.eye(8), atol=0.06)


def test_a_context_lies_in_one_quadrant_and_queries_anywhere_or_opposite():
    anywhere, opposite = points(QuadrantInputs()), points(QuadrantInputs(quadrant="opposite", queries=2))
    for block, shown in ((anywhere, 5), (opposite, 4)):
        signs = np.sign(block)
        assert (signs[:, :shown] == signs[:, :1]).all() and len(np.unique(signs[:, 0], axis=0)) > 100
    assert (np.sign(opposite[:, 4:]) == -np.sign(opposite[:, :1])).all()
    assert abs((np.sign(anywhere[:, 5]) == np.sign(anywhere[:, 0])).mean() - 0.5) < 0.05
    assert anywhere.std() == pytest.approx(1, abs=0.05)


def test_queries_are_orthogonal_to_the_context_or_one_of_its_points():
    block = points(OrthogonalQueries(queries=2))
    products = block[:, :4] @ block[:, 4:].mT
    assert np.abs(products).max() < 1e-4 and np.allclose(np.square(block[:, 4:]).sum(axis=2), 8, rtol=1e-4)
    again = points(RepeatedQueries(queries=2))
    same = (again[:, 4:, None] == again[:, None, :4]).all(axis=3)
    assert (same.sum(axis=2) == 1).all() and np.allclose(same.mean(axis=(0, 1)), 1 / 4, atol=0.08)


def test_weights_on_the_sphere_have_its_radius_and_any_direction():
    weights = draw_functions(LinearOnSphere(num_inputs=5), seed=0, numbers=np.arange(4_000)).specs["weights"]
    assert np.allclose(np.linalg.norm(weights, axis=1), np.sqrt(5), rtol=1e-5)
    assert np.allclose(np.cov(weights.T), np.eye(5), atol=0.08) and np.abs(weights.mean(axis=0)).max() < 0.06
    sampler = FunctionSampler(family=LinearOnSphere(num_inputs=5), inputs=NormalInputs(scale=5**-0.5))
    assert sampler.sample(np.arange(500))["targets"].var() == pytest.approx(1, abs=0.05)


@pytest.fixture
def unchecked():
    """Switch jaxtyping's checks off: what a caller without them is told."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_points_that_a_device_draws_are_normal_and_not_among_the_numbers():
    inputs = DeviceNormalInputs(scale=2.0)
    block = points(inputs, count=2_000).reshape(-1, 8)
    assert np.allclose(np.cov(block.T), 4 * np.eye(8), atol=0.25) and np.abs(block.mean(axis=0)).max() < 0.1
    sampler = FunctionSampler(family=Linear(num_inputs=8), num_points=6, queries=LastQueries(2), inputs=inputs)
    assert "inputs" not in sampler.numbers(np.arange(4))
    expected = inputs.points(seed=0, stream="train inputs", indices=np.arange(4), num_points=6, num_inputs=8)
    assert np.array_equal(sampler.sample(np.arange(4))["inputs"], expected)
    host = FunctionSampler(family=OnTheHost(num_inputs=8), num_points=6, queries=LastQueries(2), inputs=inputs)
    batch = host.sample(np.arange(4))
    assert np.array_equal(batch["inputs"], expected) and (batch["targets"] == expected[:, :, :1]).all()


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnTheHost(Linear):
    """A family that works with NumPy alone."""

    on_device: ClassVar[bool] = False

    def values(self, specs, draws, inputs):
        return inputs[:, :, :1]


def test_mistakes(unchecked):
    with pytest.raises(ValueError, match=r"share in \(0, 1\], got decay=0.0 and share=0.0"):
        SpectrumInputs(share=0.0)
    with pytest.raises(ValueError, match="quadrant must be one of 'any', 'opposite', got 'same'"):
        QuadrantInputs(quadrant="same")
    with pytest.raises(ValueError, match="fewer points in the context than the 3 inputs, got 5"):
        points(OrthogonalQueries(), X=3)
    with pytest.raises(ValueError, match="to learn from, got 6"):
        points(RepeatedQueries(queries=6))
