"""What learners that are fitted step by step make of the same context: the Lasso, a tree, a small network.

Axes: B tasks in a batch, N points, X inputs, Y outputs, H hidden units.
"""

import dataclasses
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from icl_eval.baselines.context import Inputs, Points, Queries, Targets, points
from icl_eval.checks import check_positive, check_whole


@dataclasses.dataclass(frozen=True)
class Lasso:
    """Linear least squares with a penalty on the sum of absolute slopes, for functions of few of their inputs.

    Attributes:
      penalty: times the sum of absolute slopes, beside half the mean of squared errors; above 0.
      intercept: whether to fit one; it is not penalised.

    Raises:
      ValueError: if the penalty is not above 0.

    Source: Garg et al. (2022), arXiv 2208.01066, section 5 (without intercept); fitted by scikit-learn.

    >>> inputs = np.array([[[-1.0], [1.0], [2.0]]])
    >>> Lasso(0.5).predict(inputs, 3 * inputs, np.array([[False, False, True]]))[0, 2]
    array([5.])
    """

    penalty: float
    intercept: bool = True

    def __post_init__(self) -> None:
        check_positive("penalty", self.penalty)

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        # Imported here, as in `DecisionTree`: a report needs no scikit-learn, which is slow to import.
        from sklearn.linear_model import Lasso as Estimator

        tasks = points(inputs, targets, is_query)
        return _task_by_task(tasks, Estimator(alpha=self.penalty, fit_intercept=self.intercept, max_iter=10_000))


@dataclasses.dataclass(frozen=True)
class DecisionTree:
    """A regression tree, grown greedily on squared error.

    Attributes:
      max_depth: at least 1; None grows it until every leaf is pure.

    Raises:
      ValueError: if the depth is below 1.

    Source: Garg et al. (2022), arXiv 2208.01066, section 5; grown by scikit-learn.

    >>> inputs, targets = np.array([[[0.0], [1.0], [0.6]]]), np.array([[[5.0], [7.0], [np.nan]]])
    >>> DecisionTree().predict(inputs, targets, np.isnan(targets[:, :, 0]))[0, 2]
    array([7.])
    """

    max_depth: int | None = None

    def __post_init__(self) -> None:
        if self.max_depth is not None:
            check_whole("max_depth", self.max_depth, least=1)

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        from sklearn.tree import DecisionTreeRegressor

        tasks = points(inputs, targets, is_query)
        # The seed settles which of equally good splits is taken.
        return _task_by_task(tasks, DecisionTreeRegressor(max_depth=self.max_depth, random_state=0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedMLP:
    """A two-layer ReLU network, trained from scratch on the context of each task by Adam.

    All of the context is in every step, and the learning rate falls linearly to 0. The tasks are trained side by side
    in float32 and from the same initial weights, so that a task's prediction does not depend on its neighbours in the
    batch. One compilation serves all batches of one shape, whatever the options other than `hidden`.

    Attributes:
      hidden: hidden units, at least 1; 100 in the source.
      steps: of Adam, at least 1.
      learning_rate: at the start, above 0; 0.005 (constant) in the source.
      seed: of the initial weights, 0 or more.

    Raises:
      ValueError: if one of them is out of range.

    Source: Garg et al. (2022), arXiv 2208.01066, section 5.

    >>> inputs = np.linspace(-1, 1, 9)[None, :, None]
    >>> fitted = TrainedMLP().predict(inputs, np.abs(inputs), np.arange(9)[None] == 2)
    >>> bool(abs(fitted[0, 2, 0] - 0.5) < 0.1)
    True
    """

    hidden: int = 100
    steps: int = 1000
    learning_rate: float = 0.005
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("hidden", self.hidden, least=1)
        check_whole("steps", self.steps, least=1)
        check_whole("seed", self.seed, least=0)
        check_positive("learning_rate", self.learning_rate)

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        tasks = points(inputs, targets, is_query)
        initial = _initial(self.seed, tasks.inputs.shape[2], self.hidden, tasks.targets.shape[2])
        single = (values.astype(np.float32) for values in tasks)
        fitted = np.asarray(_fitted_values(initial, *single, self.steps, self.learning_rate), np.float64)
        return np.where(np.any(tasks.shown, axis=1)[:, None, None], fitted, 0.0)


def _task_by_task(tasks: Points, estimator: Any) -> Targets:
    """Fit a scikit-learn estimator to the context of one task after the other."""
    from sklearn.exceptions import ConvergenceWarning

    predictions = np.zeros(tasks.targets.shape)
    for prediction, inputs, targets, shown in zip(predictions, *tasks, strict=True):
        if not shown.any():
            continue
        with warnings.catch_warnings():
            # A fit that is short of its tolerance is still what this learner makes of the context.
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(inputs[shown], targets[shown])
        prediction[:] = estimator.predict(inputs).reshape(prediction.shape)
    return predictions


class _Weights(NamedTuple):
    inner: Float[Array, "X H"]
    inner_bias: Float[Array, " H"]
    outer: Float[Array, "H Y"]
    outer_bias: Float[Array, " Y"]


def _initial(seed: int, inputs: int, hidden: int, outputs: int) -> _Weights:
    """Draw weights and biases uniformly from +-1/sqrt(fan-in): the kinks then lie spread over the inputs."""
    generator = np.random.default_rng(seed)

    def draw(fan_in: int, *shape: int) -> Array:
        return jnp.asarray(generator.uniform(-1, 1, size=shape) / np.sqrt(fan_in), jnp.float32)

    return _Weights(
        draw(inputs, inputs, hidden), draw(inputs, hidden), draw(hidden, hidden, outputs), draw(hidden, outputs)
    )


def _values(weights: _Weights, inputs: Float[Array, "N X"]) -> Float[Array, "N Y"]:
    hidden = jax.nn.relu(inputs @ weights.inner + weights.inner_bias[None])
    return hidden @ weights.outer + weights.outer_bias[None]


def _fitted_values_of_one(
    weights: _Weights,
    inputs: Float[Array, "N X"],
    targets: Float[Array, "N Y"],
    shown: Float[Array, " N"],
    steps: int | Array,
    learning_rate: float | Array,
) -> Float[Array, "N Y"]:
    """Train on the points shown, by Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1), and predict all."""
    share = shown / jnp.maximum(shown.sum(), 1)
    gradient_of = jax.grad(lambda weights: (share[:, None] * jnp.square(_values(weights, inputs) - targets)).sum())

    def step(number: Array, state: tuple[_Weights, _Weights, _Weights]) -> tuple[_Weights, _Weights, _Weights]:
        weights, mean, square = state
        gradient = gradient_of(weights)
        mean = jax.tree.map(lambda mean, slope: 0.9 * mean + 0.1 * slope, mean, gradient)
        square = jax.tree.map(lambda square, slope: 0.999 * square + 0.001 * slope**2, square, gradient)
        mean_share, square_share = 1 - 0.9 ** (number + 1), 1 - 0.999 ** (number + 1)
        # Falling to 0: at a constant rate Adam dances about the minimum, and rounding decides where it stops.
        rate = learning_rate * (1 - number / steps)
        moved = jax.tree.map(
            lambda weight, mean, square: weight - rate * (mean / mean_share) / (jnp.sqrt(square / square_share) + 1e-8),
            weights,
            mean,
            square,
        )
        return moved, mean, square

    nothing = jax.tree.map(jnp.zeros_like, weights)
    trained, _, _ = jax.lax.fori_loop(0, steps, step, (weights, nothing, nothing))
    return _values(trained, inputs)


_fitted_values = jax.jit(jax.vmap(_fitted_values_of_one, in_axes=(None, 0, 0, 0, None, None)))
