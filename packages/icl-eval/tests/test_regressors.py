import dataclasses
import itertools
from typing import Any, ClassVar

import jaxtyping
import numpy as np
import pytest
import sklearn.gaussian_process
import sklearn.linear_model
import sklearn.tree
import threadpoolctl

from icl_eval import (
    REGRESSORS,
    Averaging,
    Constant,
    GaussianProcess,
    LeastSquares,
    NearestNeighbours,
    Regressor,
    Ridge,
    Sklearn,
    TrainedMLP,
)
from icl_eval.baselines import fitted as fitted_regressors_module

Tasks = tuple[np.ndarray, np.ndarray, np.ndarray]
TABLE = REGRESSORS | {"trained MLP": TrainedMLP(hidden=20, steps=100)}  # soon rather than well
# The network is the one in float32.
CLOSE = {name: 2e-3 if name == "trained MLP" else 1e-9 for name in TABLE}


def tasks(*contexts: int, points: int = 12, inputs: int = 3, outputs: int = 2, seed: int = 0) -> Tasks:
    """Make a task for each number of context points, which lie anywhere among the queries."""
    generator = np.random.default_rng(seed)
    B = len(contexts)
    x = generator.uniform(-2, 2, size=(B, points, inputs)).astype(np.float32)
    slopes = generator.normal(size=(B, inputs, outputs))
    y = (np.sin(x @ slopes) + 0.5).astype(np.float32)
    is_query = np.ones((B, points), bool)
    for row, context in zip(is_query, contexts, strict=True):
        row[generator.permutation(points)[:context]] = False
    return x, y, is_query


@pytest.fixture
def unchecked() -> Any:
    """Switch jaxtyping's checks off: what a caller without them is told."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


table = pytest.mark.parametrize("name", TABLE)


@table
def test_predictions_are_finite_float64_for_all_points_of_contexts_of_any_size(name: str) -> None:
    x, y, is_query = tasks(0, 1, 2, 3, 7, 12)
    predicted = TABLE[name].predict(x, y, is_query)
    assert predicted.shape == y.shape
    assert predicted.dtype == np.float64
    assert np.isfinite(predicted).all()
    assert not predicted[0].any()
    assert np.all(np.abs(predicted[3:]).sum(axis=(1, 2)) > 0)


@table
def test_targets_of_queries_are_not_read_and_those_of_the_context_are(name: str) -> None:
    x, y, is_query = tasks(1, 4, 8)
    predicted = TABLE[name].predict(x, y, is_query)
    hidden = np.where(is_query[:, :, None], np.float32(np.nan), y)
    np.testing.assert_array_equal(TABLE[name].predict(x, hidden, is_query), predicted)
    assert np.all(np.abs(TABLE[name].predict(x, y + 1, is_query) - predicted).max(axis=(1, 2)) > 1e-3)


@table
def test_the_order_of_the_points_does_not_matter(name: str) -> None:
    x, y, is_query = tasks(2, 5, 9)
    order = np.random.default_rng(1).permutation(x.shape[1])
    there = TABLE[name].predict(x[:, order], y[:, order], is_query[:, order])
    np.testing.assert_allclose(there, TABLE[name].predict(x, y, is_query)[:, order], atol=CLOSE[name])


@table
def test_a_task_alone_is_predicted_as_in_a_batch_of_contexts_of_other_sizes(name: str) -> None:
    x, y, is_query = tasks(3, 0, 10, 1)
    together = TABLE[name].predict(x, y, is_query)
    for b in range(len(x)):
        alone = TABLE[name].predict(x[b : b + 1], y[b : b + 1], is_query[b : b + 1])
        np.testing.assert_allclose(alone[0], together[b], atol=CLOSE[name])


@table
def test_other_queries_do_not_matter(name: str) -> None:
    x, y, is_query = tasks(4, 4, points=10)
    kept = np.array([np.concatenate([np.flatnonzero(~row), np.flatnonzero(row)[:2]]) for row in is_query])
    rows = np.arange(2)[:, None]
    fewer = TABLE[name].predict(x[rows, kept], y[rows, kept], is_query[rows, kept])
    np.testing.assert_allclose(fewer, TABLE[name].predict(x, y, is_query)[rows, kept], atol=CLOSE[name])


@table
def test_more_inputs_than_points_and_repeated_points_do_no_harm(name: str) -> None:
    x, y, is_query = tasks(5, 5, points=8, inputs=20)
    assert np.isfinite(TABLE[name].predict(x, y, is_query)).all()
    same = np.repeat(x[:, :1], 8, axis=1)
    predicted = TABLE[name].predict(same, y, is_query)
    assert np.abs(predicted).max() < 100


@pytest.mark.parametrize("seed", range(5))
def test_nearest_neighbours_agree_with_a_loop_and_ties_go_to_the_lowest_number(seed: int) -> None:
    generator = np.random.default_rng(seed)
    k = int(generator.integers(1, 5))
    _, y, is_query = tasks(0, 2, 5, 9, points=9, seed=seed)
    x = generator.integers(-1, 2, size=(4, 9, 2)).astype(np.float32)
    predicted = NearestNeighbours(k).predict(x, y, is_query)
    for b, n in itertools.product(range(4), range(9)):
        context = [m for m in range(9) if not is_query[b, m]]
        nearest = sorted(context, key=lambda m: (float(((x[b, m] - x[b, n]) ** 2).sum()), m))[:k]
        expected = np.mean([y[b, m] for m in nearest], axis=0, dtype=np.float64) if nearest else np.zeros(2)
        np.testing.assert_allclose(predicted[b, n], expected, atol=1e-6)


def test_the_nearest_neighbour_of_a_context_point_is_itself() -> None:
    x, y, is_query = tasks(6)
    predicted = NearestNeighbours(1).predict(x, y, is_query)
    np.testing.assert_allclose(predicted[~is_query], y[~is_query])


def test_constant_and_averaging_by_hand() -> None:
    x = np.array([[[1.0, 0.0], [0.0, 2.0], [3.0, 5.0]]])
    y = np.array([[[2.0], [4.0], [99.0]]])
    is_query = np.array([[False, False, True]])
    np.testing.assert_allclose(Constant().predict(x, y, is_query), np.full((1, 3, 1), 3.0))
    # w = ((2, 0) + (0, 8)) / 2 = (1, 4)
    np.testing.assert_allclose(Averaging().predict(x, y, is_query)[0, :, 0], [1, 8, 23])
    np.testing.assert_allclose(Averaging(variance=0.5).predict(x, y, is_query)[0, :, 0], [2, 16, 46])


@pytest.mark.parametrize("intercept", [False, True])
def test_least_squares_recovers_linear_maps_exactly_and_extrapolates(intercept: bool) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4, 9, 5))
    x[:, 6:] *= 100
    truth = x @ generator.normal(size=(4, 5, 2)) + (3.0 if intercept else 0.0)
    is_query = np.tile(np.arange(9) >= 6, (4, 1))
    shown = np.where(is_query[:, :, None], np.nan, truth)
    np.testing.assert_allclose(LeastSquares(intercept).predict(x, shown, is_query), truth, rtol=1e-6)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize(("context", "inputs"), [(10, 3), (4, 9), (1, 2), (5, 4), (5, 5), (5, 20), (12, 20)])
def test_linear_learners_agree_with_scikit_learn(intercept: bool, context: int, inputs: int) -> None:
    x, y, is_query = tasks(context, context, inputs=inputs)
    pairs: list[tuple[Regressor, Any]] = [
        (LeastSquares(intercept), sklearn.linear_model.LinearRegression(fit_intercept=intercept)),
        (Ridge(0.3, intercept), sklearn.linear_model.Ridge(alpha=0.3, fit_intercept=intercept)),
    ]
    for ours, theirs in pairs:
        predicted = ours.predict(x, y, is_query)
        for b in range(2):
            shown = ~is_query[b]
            theirs.fit(x[b, shown].astype(np.float64), y[b, shown].astype(np.float64))
            np.testing.assert_allclose(predicted[b], theirs.predict(x[b].astype(np.float64)), atol=1e-6)


def test_ridge_solves_the_normal_equations() -> None:
    x, y, is_query = tasks(7, points=9)
    shown = x[0, ~is_query[0]].astype(np.float64)
    weights = np.linalg.inv(shown.T @ shown + 0.25 * np.eye(3)) @ shown.T @ y[0, ~is_query[0]]
    np.testing.assert_allclose(Ridge(0.25, intercept=False).predict(x, y, is_query)[0], x[0] @ weights, atol=1e-9)


def orthogonal(*, noise: float = 0.3) -> Tasks:
    """Make a task of 8 points with X^T X = 8 I, which do not have the mean 0, and of two queries."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 3)) + 1)
    x = np.sqrt(8) * rotation
    y = x @ [[1.5], [0.0], [-0.02]] + 2 + noise * np.random.default_rng(1).normal(size=(8, 1))
    queries = np.random.default_rng(2).normal(size=(2, 3))
    return np.concatenate([x, queries])[None], np.concatenate([y, [[np.nan]] * 2])[None], np.arange(10)[None] >= 8


def test_those_without_intercept_are_the_closed_forms_through_0_of_garg_et_al() -> None:
    """With X^T X = n I the Lasso of (1 / 2n) |y - X w|^2 + a |w| is X^T y / n, each slope nearer to 0 by a."""
    x, y, is_query = orthogonal()
    seen, targets = x[0, :8], y[0, :8]
    assert abs(seen.mean(axis=0)).max() > 0.1 < abs(targets.mean())  # else an intercept would change nothing
    averaged = (seen * targets).mean(axis=0)[:, None]
    slopes = {
        "least squares without intercept": np.linalg.lstsq(seen, targets)[0],
        "ridge without intercept": np.linalg.inv(seen.T @ seen + 0.1 * np.eye(3)) @ seen.T @ targets,
        "Lasso without intercept": np.sign(averaged) * np.maximum(abs(averaged) - 0.01, 0),
        "averaging": averaged,
    }
    for name, expected in slopes.items():
        np.testing.assert_allclose(REGRESSORS[name].predict(x, y, is_query)[0], x[0] @ expected, atol=1e-9)


def test_those_that_have_an_intercept_are_the_closed_forms_of_a_further_input_that_is_1() -> None:
    x, y, is_query = orthogonal()
    wide = np.concatenate([x[0], np.ones((10, 1))], axis=1)
    seen, targets = wide[:8], y[0, :8]
    free = np.diag([0.1, 0.1, 0.1, 0.0])  # the intercept is not penalised
    least = np.linalg.lstsq(seen, targets)[0]
    np.testing.assert_allclose(REGRESSORS["least squares"].predict(x, y, is_query)[0], wide @ least, atol=1e-9)
    ridge = np.linalg.inv(seen.T @ seen + free) @ seen.T @ targets
    np.testing.assert_allclose(REGRESSORS["ridge"].predict(x, y, is_query)[0], wide @ ridge, atol=1e-9)
    # Stationarity of the Lasso: the mean residual is 0 with an intercept, and not without.
    residuals = {name: (REGRESSORS[name].predict(x, y, is_query) - y)[0, :8].mean() for name in REGRESSORS}
    assert abs(residuals["Lasso"]) < 1e-9 < 0.1 < abs(residuals["Lasso without intercept"])


def test_ridge_goes_from_least_squares_to_the_constant_as_the_penalty_grows() -> None:
    x, y, is_query = tasks(8, 3)
    np.testing.assert_allclose(Ridge(1e-9).predict(x, y, is_query), LeastSquares().predict(x, y, is_query), atol=1e-5)
    np.testing.assert_allclose(Ridge(1e9).predict(x, y, is_query), Constant().predict(x, y, is_query), atol=1e-5)


def test_the_lasso_leaves_out_inputs_that_do_not_matter() -> None:
    x, _, is_query = tasks(10, inputs=6)
    y = 2 * x[:, :, :1]
    moved = x.copy()
    moved[is_query, 1:] += 5
    lasso = Sklearn(sklearn.linear_model.Lasso(0.1))
    np.testing.assert_allclose(
        lasso.predict(moved, y, is_query)[is_query], lasso.predict(x, y, is_query)[is_query], atol=1e-3
    )


def test_a_gaussian_process_on_two_points_by_hand() -> None:
    x, y = np.array([[[0.0], [2.0], [0.5]]]), np.array([[[1.0], [5.0], [np.nan]]])
    process = GaussianProcess(length_scale=2.0, noise=0.5)
    near, middle, far = (np.exp(-(d**2) / 8) for d in (0.5, 1.5, 2.0))
    # Around the mean 3 the targets are -2 and 2: by symmetry the weights are -a and a, a (1 + 0.5 - k(2)) = 2.
    expected = 3 + 2 / (1.5 - far) * (middle - near)
    assert process.predict(x, y, np.isnan(y[:, :, 0]))[0, 2, 0] == pytest.approx(expected, rel=1e-12)


def test_a_gaussian_process_without_noise_passes_through_the_context_and_returns_to_its_mean_far_away() -> None:
    x, y, is_query = tasks(6, 9)
    x[:, 0], is_query[:, 0] = 1e3, True
    predicted = GaussianProcess(length_scale=0.7, noise=0.0).predict(x, y, is_query)
    np.testing.assert_allclose(predicted[~is_query], y[~is_query], atol=1e-6)
    np.testing.assert_allclose(predicted[:, 0], Constant().predict(x, y, is_query)[:, 0])


def test_a_gaussian_process_agrees_with_scikit_learn() -> None:
    x, y, is_query = tasks(8, 3)
    predicted = GaussianProcess(length_scale=0.7, noise=0.02).predict(x, y, is_query)
    for b in range(2):
        shown, mean = ~is_query[b], y[b, ~is_query[b]].astype(np.float64).mean(axis=0)
        kernel = sklearn.gaussian_process.kernels.RBF(0.7)
        theirs = sklearn.gaussian_process.GaussianProcessRegressor(kernel, alpha=0.02, optimizer=None)
        theirs.fit(x[b, shown], y[b, shown] - mean)
        np.testing.assert_allclose(predicted[b], theirs.predict(x[b]) + mean, atol=1e-6)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_gaussian_process_has_for_each_task_the_length_scale_that_scikit_learn_finds_most_probable(
    outputs: int,
) -> None:
    scales, rng = (0.1, 0.4, 1.5, 5.0), np.random.default_rng(0)
    x = rng.normal(size=(40, 14, 2))
    # From slowly to fast varying functions, so that no one scale is the best of all.
    y = np.stack([np.sin(x.sum(axis=2) * rng.uniform(0.1, 6, size=(40, 1)) + each) for each in range(outputs)], axis=2)
    is_query = rng.uniform(size=(40, 14)) < 0.3
    predicted = GaussianProcess(length_scale=scales, noise=0.02).predict(x, y, is_query)
    chosen = []
    for b in range(40):
        shown = ~is_query[b]
        mean = y[b, shown].mean(axis=0)
        theirs = [
            sklearn.gaussian_process.GaussianProcessRegressor(
                sklearn.gaussian_process.kernels.RBF(scale), alpha=0.02, optimizer=None
            ).fit(x[b, shown], y[b, shown] - mean)
            for scale in scales
        ]
        best = int(np.argmax([each.log_marginal_likelihood_value_ for each in theirs]))
        chosen.append(best)
        expected = theirs[best].predict(x[b]).reshape(14, outputs) + mean
        np.testing.assert_allclose(predicted[b], expected, atol=1e-6)
    assert len(set(chosen)) >= 3


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_learner_of_scikit_learn_is_fitted_to_each_task_alone(outputs: int) -> None:
    x, y, is_query = tasks(9, 12, 0, outputs=outputs)
    given = sklearn.tree.DecisionTreeRegressor(random_state=0)
    predicted = Sklearn(given).predict(x, y, is_query)
    for b in range(2):
        shown = ~is_query[b]
        theirs = sklearn.tree.DecisionTreeRegressor(random_state=0).fit(x[b, shown], y[b, shown])
        np.testing.assert_allclose(predicted[b], theirs.predict(x[b]).reshape(12, outputs))
    assert not predicted[2].any()
    assert not hasattr(given, "tree_")  # what was handed over is not fitted
    np.testing.assert_array_equal(Sklearn(lambda: given).predict(x, y, is_query), predicted)


class Spy(sklearn.linear_model.LinearRegression):
    """Note how many threads it is given."""

    threads: ClassVar[list[int]] = []

    def fit(self, *arguments: Any) -> "Spy":
        self.threads.extend(pool["num_threads"] for pool in threadpoolctl.threadpool_info())
        return super().fit(*arguments)


def test_a_learner_of_scikit_learn_has_one_thread_and_its_warnings_stay_its_own() -> None:
    x, y, is_query = tasks(5)
    Sklearn(Spy()).predict(x, y, is_query)
    assert set(Spy.threads) == {1}
    unfinished = sklearn.linear_model.Lasso(alpha=1e-6, max_iter=1)
    assert np.isfinite(Sklearn(unfinished).predict(x, y, is_query)).all()  # a warning is an error in these tests


def test_a_trained_network_fits_what_no_line_can() -> None:
    x = np.linspace(-2, 2, 41)[None, :, None]
    y = np.abs(x) - 1
    is_query = np.arange(41)[None] % 3 == 1
    error = {
        regressor: np.square(regressor.predict(x, y, is_query) - y)[is_query].mean()
        for regressor in (TrainedMLP(), TrainedMLP(steps=1), LeastSquares())
    }
    assert error[TrainedMLP()] < 0.01 < 0.1 < error[LeastSquares()]
    assert error[TrainedMLP(steps=1)] > 0.1


@pytest.mark.parametrize(("steps", "moved"), [(1, 0.001), (2, 0.0015)])  # the rate falls to 0: 1, then 1 / 2
def test_a_step_of_adam_moves_every_live_weight_by_the_learning_rate(steps: int, moved: float) -> None:
    # One ReLU that is on at x = 1: prediction = v relu(w x + c) + d. Adam's first step is the sign of the gradient.
    weights = fitted_regressors_module._initial(0, 1, 1, 1)._replace(
        inner=np.float32([[0.5]]), inner_bias=np.float32([0.2]), outer=np.float32([[2.0]]), outer_bias=np.float32([0.0])
    )
    x, y, shown = np.float32([[[1.0]]]), np.float32([[[9.0]]]), np.float32([[1.0]])
    values = fitted_regressors_module._fitted_values(weights, x, y, shown, steps, 0.001)
    assert float(values[0, 0, 0]) == pytest.approx((2.0 + moved) * (0.7 + 2 * moved) + moved, rel=1e-5)


def test_the_network_is_compiled_once_for_batches_of_one_shape() -> None:
    x, y, is_query = tasks(3, 4, points=7)
    TrainedMLP(hidden=5, steps=3).predict(x, y, is_query)
    compiled = fitted_regressors_module._fitted_values._cache_size()
    other = tasks(0, 6, points=7, seed=1)
    changed = TrainedMLP(hidden=5, steps=9, learning_rate=0.1, seed=3).predict(*other)
    assert fitted_regressors_module._fitted_values._cache_size() == compiled
    assert np.abs(changed - TrainedMLP(hidden=5, steps=3).predict(*other)).max() > 0


@pytest.mark.parametrize(
    ("regressor", "field", "values"),
    [
        (NearestNeighbours(), "k", [0, 1.5]),
        (Ridge(1.0), "penalty", [0.0, -1.0, np.nan, np.inf]),
        (GaussianProcess(), "length_scale", [0.0, (), (1.0, -1.0)]),
        (GaussianProcess(), "noise", [-1.0, np.nan]),
        (TrainedMLP(), "hidden", [0]),
        (TrainedMLP(), "steps", [0]),
        (TrainedMLP(), "seed", [-1]),
        (TrainedMLP(), "learning_rate", [0.0]),
    ],
)
def test_options_out_of_range_are_refused_by_name(
    regressor: Any, field: str, values: list[Any], unchecked: None
) -> None:
    for value in values:
        with pytest.raises(ValueError, match=rf"{field} must be .*, got "):
            dataclasses.replace(regressor, **{field: value})


@table
def test_wrong_arrays_are_refused(name: str, unchecked: None) -> None:
    x, y, is_query = tasks(3, 4)
    wrong = [
        ((x[0], y[0], is_query[0]), r"\[12, 3\], \[12, 2\] and \[12\]; a single task"),
        ((x, y[:, :-1], is_query), r"targets \[B, N, Y\] .* \[2, 11, 2\]"),
        ((x, y, is_query[:1]), r"\[1, 12\]"),
        ((x, y[:, :, 0], is_query), r"\[2, 12\] and"),
        ((x, y, is_query.astype(np.int32)), "is_query as bool, got int32"),
        ((x[:, :0], y[:, :0], is_query[:, :0]), r"at least one of everything in inputs, got the shape \[2, 0, 3\]"),
        ((np.where(x > 1, np.nan, x), y, is_query), "inputs hold"),
        ((x, np.full_like(y, np.inf), is_query), "targets of context points hold 14 others"),
    ]
    for arrays, message in wrong:
        with pytest.raises(ValueError, match=message):
            TABLE[name].predict(*arrays)
