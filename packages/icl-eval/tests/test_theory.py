"""The error curve of linear attention, and linear attention itself, against what is solved or simulated here."""

import math
from typing import Any

import jaxtyping
import numpy as np
import pytest

from icl_eval import Regressor, fit_linear_attention, linear_attention_error
from icl_eval.theory.error_curve import _m
from icl_eval.theory.linear_attention import LinearAttention

CASE = {"tau": 0.5, "alpha": 1.0, "kappa": 0.5, "rho": 0.01}


def simulated(*, d: int, tau: float, alpha: float, kappa: float, rho: float, seed: int) -> float:
    """Return the error on fresh tasks of a model that is fitted to what the theory is about."""
    rng, L = np.random.default_rng(seed), round(alpha * d)

    def draw(count: int, pool: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        w = rng.normal(size=(count, d)) if pool is None else pool[rng.integers(len(pool), size=count)]
        w *= math.sqrt(d) / np.linalg.norm(w, axis=1, keepdims=True)
        x = rng.normal(size=(count, L + 1, d)) / math.sqrt(d)
        return x, x @ w[:, :, None] + math.sqrt(rho) * rng.normal(size=(count, L + 1, 1)), w

    pool = None if kappa == math.inf else rng.normal(size=(round(kappa * d), d))
    fitted = fit_linear_attention(*draw(round(tau * d**2), pool)[:2])
    x, y, w = draw(1000, None)
    slopes = fitted.slopes(x, y, np.broadcast_to(np.arange(L + 1) == L, (1000, L + 1)))
    return float(np.square(w - slopes).mean()) + rho


@pytest.mark.parametrize(
    ("case", "sizes"),
    [(CASE, (16, 32)), (CASE | {"tau": 2.0, "kappa": 2.0}, (10, 20)), (CASE | {"kappa": math.inf}, (12, 28))],
)
def test_the_simulated_error_comes_nearer_to_the_theory_as_d_grows(case: dict[str, float], sizes: tuple[int]) -> None:
    theory = linear_attention_error(**case)
    few, many = (np.mean([simulated(d=d, **case, seed=seed) for seed in range(3)]) / theory - 1 for d in sizes)
    assert abs(many) < 0.7 * abs(few) and abs(many) < 5 / max(sizes)


@pytest.mark.parametrize("q", [0.5, 1.0, 3.0])
def test_m_is_the_trace_of_the_resolvent_of_a_large_pool(q: float) -> None:
    d, x = 400, 0.7
    pool = np.random.default_rng(0).normal(size=(round(q * d), d))
    trace = np.trace(np.linalg.inv(pool.T @ pool / len(pool) + x * np.eye(d))) / d
    assert _m(q, x) == pytest.approx(trace, rel=0.01)


def test_limits_of_the_error() -> None:
    assert linear_attention_error(**CASE) == pytest.approx(1.261, abs=5e-4)  # the number of the source's own check
    assert linear_attention_error(**CASE | {"tau": 1e-9}) == pytest.approx(1.01)  # of predicting 0
    assert linear_attention_error(**CASE | {"tau": 1.0}) == math.inf
    for tau in (0.999, 1.001):
        assert linear_attention_error(**CASE | {"tau": tau}) > 100
    for tau in (0.5, 2.0):
        fresh = linear_attention_error(**CASE | {"tau": tau, "kappa": math.inf})
        assert linear_attention_error(**CASE | {"tau": tau, "kappa": 1e9}) == pytest.approx(fresh)
    much = {"tau": 1e7, "alpha": 1e5, "kappa": math.inf, "rho": 0.25}
    assert linear_attention_error(**much) == pytest.approx(0.25, abs=1e-3)  # nothing but the noise is left


@pytest.mark.parametrize("sequences", [8, 15, 60])
def test_it_is_ridge_regression_on_the_features_written_out(sequences: int) -> None:
    rng, d, L, penalty = np.random.default_rng(1), 3, 5, 0.3
    x, y = rng.normal(size=(sequences, L + 1, d)), rng.normal(size=(sequences, L + 1, 1))
    features = np.empty((sequences, d, d + 1))
    for i in range(sequences):
        read = [d / L * sum(y[i, j, 0] * x[i, j, a] for j in range(L)) for a in range(d)]
        read.append(sum(y[i, j, 0] ** 2 for j in range(L)) / L)
        features[i] = [[x[i, L, a] * v for v in read] for a in range(d)]
    flat = features.reshape(sequences, -1)
    expected = np.linalg.solve(flat.T @ flat + penalty * np.eye(flat.shape[1]), flat.T @ y[:, -1, 0])
    fitted = fit_linear_attention(x, y, penalty=penalty)
    np.testing.assert_allclose(fitted.gamma.ravel(), expected, atol=1e-9)
    is_query = np.arange(L + 1)[None].repeat(sequences, 0) == L
    np.testing.assert_allclose(fitted.predict(x, y, is_query)[:, -1, 0], flat @ expected, atol=1e-9)
    smallest = np.linalg.pinv(flat) @ y[:, -1, 0]  # without a penalty: of minimum norm
    np.testing.assert_allclose(fit_linear_attention(x, y).gamma.ravel(), smallest, atol=1e-5)


def test_it_is_a_regressor_that_reads_no_query() -> None:
    rng = np.random.default_rng(2)
    attention = LinearAttention(rng.normal(size=(2, 3)))
    assert isinstance(attention, Regressor)
    x, y, is_query = rng.normal(size=(3, 6, 2)), rng.normal(size=(3, 6, 1)), rng.random((3, 6)) < 0.5
    hidden = np.where(is_query[:, :, None], np.nan, y)
    np.testing.assert_array_equal(attention.predict(x, y, is_query), attention.predict(x, hidden, is_query))
    assert not attention.predict(x, y, np.ones((3, 6), bool)).any()


@pytest.fixture
def unchecked() -> Any:
    """Switch jaxtyping's checks off: what a caller without them is told."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_mistakes(unchecked: None) -> None:
    with pytest.raises(ValueError, match="tau must be a finite number above 0, got -1"):
        linear_attention_error(**CASE | {"tau": -1})
    with pytest.raises(ValueError, match="kappa must be a finite number above 0, got 0"):
        linear_attention_error(**CASE | {"kappa": 0})
    with pytest.raises(ValueError, match="rho must be a finite variance of at least 0, got"):
        linear_attention_error(**CASE | {"rho": -0.1})
    with pytest.raises(ValueError, match=r"2 points or more, got the shapes \[4, 1, 2\]"):
        fit_linear_attention(np.ones((4, 1, 2)), np.ones((4, 1, 1)))
    with pytest.raises(ValueError, match="penalty must be a finite number above 0, or None"):
        fit_linear_attention(np.ones((4, 3, 2)), np.ones((4, 3, 1)), penalty=0)
