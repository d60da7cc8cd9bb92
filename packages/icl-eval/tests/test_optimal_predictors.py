"""Optimal predictors, each against the obvious loop over tasks and positions."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import sklearn.tree

from icl_eval import (
    REGRESSORS,
    LeastSquares,
    NearestNeighbours,
    Ridge,
    Sklearn,
    at_every_position,
    chain_posterior,
    dmmse,
    stationary,
    symbol_counts,
    transition_counts,
    urn_posterior,
)

B, N, X, M, K, T = 3, 7, 3, 11, 4, 9
FORMS = pytest.mark.parametrize("form", ["numpy", "jax"])


def regression(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make tasks of a pool, with noise of variance 0.25."""
    rng = np.random.default_rng(seed)
    pool = rng.normal(size=(M, X))
    inputs = rng.normal(size=(B, N, X))
    weights = pool[rng.integers(M, size=B)]
    targets = inputs @ weights[:, :, None] + 0.5 * rng.normal(size=(B, N, 1))
    return inputs, targets, pool


def formed(form: str, function: Any, *arrays: np.ndarray, **options: Any) -> tuple[np.ndarray, float]:
    """Return what NumPy makes in float64, or jax in float32 under jit, and how close to the truth that should be."""
    if form == "numpy":
        found = function(*arrays, **options)
        assert isinstance(found, np.ndarray) and found.dtype == np.float64
        return found, 1e-9
    single = [jnp.asarray(each, jnp.float32 if each.dtype.kind == "f" else jnp.int32) for each in arrays]
    found = jax.jit(lambda *arrays: function(*arrays, **options))(*single)
    assert found.dtype == jnp.float32
    return np.asarray(found), 1e-4


def test_ridge_at_every_position_is_the_posterior_mean_under_normal_weights() -> None:
    inputs, targets, _ = regression()
    found = at_every_position(Ridge(0.25, intercept=False), inputs, targets)
    assert found.shape == (B, N, 1)
    for task, i in itertools.product(range(B), range(N)):
        x, y = inputs[task, :i], targets[task, :i, 0]
        # Of jointly normal numbers: the covariance with the context's targets, times the inverse of theirs.
        covariance = x @ x.T + 0.25 * np.eye(i)
        expected = inputs[task, i] @ x.T @ np.linalg.inv(covariance) @ y if i else 0
        assert found[task, i, 0] == pytest.approx(expected, abs=1e-9)


def test_least_squares_at_every_position_is_the_smallest_of_those_that_fit() -> None:
    inputs, targets, _ = regression()
    found = at_every_position(LeastSquares(intercept=False), inputs, targets)
    for task, i in itertools.product(range(B), range(N)):
        expected = inputs[task, i] @ np.linalg.pinv(inputs[task, :i]) @ targets[task, :i, 0] if i else 0
        assert found[task, i, 0] == pytest.approx(expected, abs=1e-9)


def test_three_neighbours_a_tree_and_the_lasso_at_every_position() -> None:
    inputs, targets, _ = regression()
    near = at_every_position(NearestNeighbours(3), inputs, targets)
    grown = at_every_position(Sklearn(sklearn.tree.DecisionTreeRegressor(random_state=0)), inputs, targets)
    sparse = at_every_position(REGRESSORS["Lasso without intercept"], inputs, targets)
    for task, i in itertools.product(range(B), range(1, N)):
        closest = sorted(range(i), key=lambda j: math.dist(inputs[task, i], inputs[task, j]))[:3]
        assert near[task, i, 0] == pytest.approx(np.mean([targets[task, j, 0] for j in closest]), abs=1e-9)
        tree = sklearn.tree.DecisionTreeRegressor(random_state=0).fit(inputs[task, :i], targets[task, :i, 0])
        assert grown[task, i, 0] == tree.predict(inputs[task, i : i + 1])[0]
    lone = REGRESSORS["Lasso without intercept"].predict(inputs, targets, np.arange(N)[None].repeat(B, 0) == N - 1)
    np.testing.assert_allclose(sparse[:, -1], lone[:, -1], atol=1e-9)


@FORMS
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_dmmse_is_the_posterior_mean_over_the_pool(form: str, chunk: int) -> None:
    inputs, targets, pool = regression()
    found, close = formed(form, dmmse, inputs, targets, pool, noise_variance=0.25, chunk=chunk)
    assert found.shape == (B, N, 1)
    for task, i in itertools.product(range(B), range(N)):
        likelihoods = [
            math.prod(
                math.exp(-((targets[task, j, 0] - inputs[task, j] @ w) ** 2) / (2 * 0.25)) / math.sqrt(math.pi / 2)
                for j in range(i)
            )
            for w in pool
        ]
        mean = sum(likelihood * w for likelihood, w in zip(likelihoods, pool, strict=True)) / sum(likelihoods)
        assert found[task, i, 0] == pytest.approx(inputs[task, i] @ mean, abs=close)


@FORMS
def test_dmmse_of_almost_no_noise_is_the_task_that_fits_where_every_likelihood_is_zero(form: str) -> None:
    inputs, targets, pool = regression()
    found, _ = formed(form, dmmse, inputs, targets, pool, noise_variance=1e-5, chunk=4)
    for task, i in itertools.product(range(B), range(1, N)):
        sums = ((targets[task, :i] - inputs[task, :i] @ pool.T) ** 2).sum(axis=0)
        assert found[task, i, 0] == pytest.approx(inputs[task, i] @ pool[sums.argmin()], abs=1e-5)


def test_dmmse_of_a_million_tasks_is_near_ridge_of_which_they_are_a_sample() -> None:
    rng = np.random.default_rng(0)
    inputs, pool = rng.normal(size=(1, 4, 2)), rng.normal(size=(2**20, 2))
    targets = inputs @ rng.normal(size=(1, 2, 1)) + 0.5 * rng.normal(size=(1, 4, 1))
    found, _ = formed("jax", dmmse, inputs, targets, pool, noise_variance=0.25, chunk=2**16)
    np.testing.assert_allclose(found, at_every_position(Ridge(0.25, intercept=False), inputs, targets), atol=0.02)


def test_predictions_read_nothing_from_their_own_position_on() -> None:
    inputs, targets, pool = regression()
    changed = targets.copy()
    changed[:, 4:] += 9
    for predict in (
        lambda targets: dmmse(inputs, targets, pool, noise_variance=0.25),
        lambda targets: at_every_position(Ridge(0.25), inputs, targets),
    ):
        before, after = predict(targets), predict(changed)
        np.testing.assert_array_equal(before[:, :5], after[:, :5])
        assert (before[:, 5:] != after[:, 5:]).all()


def sequences(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (
        rng.integers(K, size=(B, T)),
        rng.dirichlet(np.ones(K), size=M),
        rng.dirichlet(np.ones(K), size=(M, K)),
    )


@FORMS
@pytest.mark.parametrize("chunk", [3, 100])
def test_the_posterior_over_urns_is_bayes_rule(form: str, chunk: int) -> None:
    symbols, urns, _ = sequences()
    found, close = formed(form, urn_posterior, symbols, urns, chunk=chunk)
    for sequence, i in itertools.product(range(B), range(T)):
        likelihoods = [math.prod(urn[symbol] for symbol in symbols[sequence, :i]) for urn in urns]
        expected = sum(each * urn for each, urn in zip(likelihoods, urns, strict=True)) / sum(likelihoods)
        np.testing.assert_allclose(found[sequence, i], expected, atol=close)


@FORMS
@pytest.mark.parametrize("chunk", [3, 100])
def test_the_posterior_over_chains_is_bayes_rule(form: str, chunk: int) -> None:
    symbols, _, chains = sequences()
    found, close = formed(form, chain_posterior, symbols, chains, chunk=chunk)
    np.testing.assert_allclose(found[:, 0], 1 / K)
    for sequence, i in itertools.product(range(B), range(1, T)):
        past = symbols[sequence, :i]
        likelihoods = [math.prod(chain[a, b] for a, b in itertools.pairwise(past)) for chain in chains]
        rows = [chain[past[-1]] for chain in chains]
        expected = sum(each * row for each, row in zip(likelihoods, rows, strict=True)) / sum(likelihoods)
        np.testing.assert_allclose(found[sequence, i], expected, atol=close)


@FORMS
def test_counts_are_counted(form: str) -> None:
    symbols, _, _ = sequences()
    singles, close = formed(form, symbol_counts, symbols, num_symbols=K)
    pairs, _ = formed(form, transition_counts, symbols, num_symbols=K)
    np.testing.assert_allclose(pairs[:, 0], 1 / K)
    for sequence, i in itertools.product(range(B), range(T)):
        past = symbols[sequence, :i].tolist()
        np.testing.assert_allclose(singles[sequence, i], [(past.count(k) + 1) / (i + K) for k in range(K)], atol=close)
        if i:
            after = [b for a, b in itertools.pairwise(past) if a == past[-1]]
            expected = [(after.count(k) + 1) / (len(after) + K) for k in range(K)]
            np.testing.assert_allclose(pairs[sequence, i], expected, atol=close)


@FORMS
def test_the_stationary_distribution_is_where_a_chain_ends(form: str) -> None:
    _, _, chains = sequences()
    found, close = formed(form, stationary, chains)
    for chain, often in zip(chains, found, strict=True):
        np.testing.assert_allclose(np.linalg.matrix_power(chain, 200)[0], often, atol=close)


def test_counts_are_the_posterior_under_very_many_urns() -> None:
    rng = np.random.default_rng(0)
    symbols = rng.integers(3, size=(2, 6))
    found = urn_posterior(symbols, rng.dirichlet(np.ones(3), size=100_000))
    np.testing.assert_allclose(found, symbol_counts(symbols, 3), atol=0.01)


def test_a_symbol_that_no_urn_has_leaves_numbers() -> None:
    urns = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    found = urn_posterior(np.array([[1, 2, 2, 1]]), urns)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, 1], urns[1], atol=1e-9)  # the first is out


@pytest.fixture
def unchecked() -> Any:
    """Switch jaxtyping's checks off: what a caller without them is told."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def test_mistakes(unchecked: None) -> None:
    inputs, targets, pool = regression()
    with pytest.raises(ValueError, match=r"a pool \[M, X\].*\[11, 2\]"):
        dmmse(inputs, targets, pool[:, :2], noise_variance=0.25)
    with pytest.raises(ValueError, match="noise_variance must be a finite number above 0, got 0"):
        dmmse(inputs, targets, pool, noise_variance=0)
    with pytest.raises(ValueError, match="at least 1 task, got none"):
        dmmse(inputs, targets, pool[:0], noise_variance=0.25)
    with pytest.raises(ValueError, match="chunk must be a whole number of at least 1, got 0"):
        dmmse(inputs, targets, pool, noise_variance=0.25, chunk=0)
    with pytest.raises(ValueError, match=r"symbols in 0..3, got some in 0..4; a start token"):
        symbol_counts(np.array([[0, 4]]), 4)
    with pytest.raises(ValueError, match=r"chains \[M, K, K\], got the shape \[2, 3, 4\]"):
        chain_posterior(np.array([[0, 1]]), np.ones((2, 3, 4)))
