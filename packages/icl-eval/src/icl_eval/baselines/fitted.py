"""What learners that are fitted step by step make of the same context: those of scikit-learn, and a small network."""

import dataclasses
import warnings
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import threadpoolctl  # type: ignore[import-untyped]
from jaxtyping import Array, Float

from icl_eval.baselines.context import Inputs, Labels, Queries, Targets, labelled, points
from icl_eval.checks import check_positive, check_whole


@dataclasses.dataclass(frozen=True)
class Sklearn:
    """A learner of scikit-learn, as a `Regressor` and a `Classifier`: a fresh one is fitted to each task.

    A task without context gets 0 everywhere; one whose context has one label only gets that one. A fit that is short
    of its tolerance is still what the learner makes of the context, and no warning.

    Attributes:
      estimator: the learner, or a function without arguments that makes it, where its import is to wait for its use.

    >>> from sklearn.tree import DecisionTreeRegressor
    >>> inputs, targets = np.array([[[0.0], [1.0], [0.6]]]), np.array([[[5.0], [7.0], [np.nan]]])
    >>> Sklearn(DecisionTreeRegressor(random_state=0)).predict(inputs, targets, np.isnan(targets[:, :, 0]))[0, 2]
    array([7.])
    """

    estimator: Any

    def predict(
        self, inputs: Inputs, targets: Targets | Labels, is_query: Queries, num_labels: int | None = None
    ) -> np.ndarray:
        """Return what `Regressor.predict` does, or with a number of labels what `Classifier.predict` does."""
        # Imported here: a report needs no scikit-learn, which is slow to import.
        from sklearn.base import BaseEstimator, clone
        from sklearn.exceptions import ConvergenceWarning

        arrays = inputs, targets, is_query
        tasks = points(*arrays) if num_labels is None else labelled(*arrays, num_labels)
        estimator = self.estimator if isinstance(self.estimator, BaseEstimator) else self.estimator()
        predictions = np.zeros(tasks.targets.shape, np.float64 if num_labels is None else np.int32)
        # One thread: a task is too small to share, and threads that wait for one another take many times as long.
        with threadpoolctl.threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for prediction, of_all, answers, shown in zip(predictions, *tasks, strict=True):
                known = answers[shown]
                if num_labels is not None and len(np.unique(known)) == 1:
                    prediction[:] = known[0]
                elif len(known):
                    # A column of targets is a plain list of them to most learners.
                    known = known.ravel() if known[0].size == 1 else known
                    fitted = clone(estimator).fit(of_all[shown], known)
                    prediction[:] = fitted.predict(of_all).reshape(prediction.shape)
        return predictions


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


class _Weights(NamedTuple):
    inner: Float[Array, "X H"]
    inner_bias: Float[Array, " H"]
    outer: Float[Array, "H Y"]
    outer_bias: Float[Array, " Y"]


def _initial(seed: int, inputs: int, hidden: int, outputs: int) -> _Weights:
    """Return weights and biases drawn uniformly from +-1/sqrt(fan-in): the kinks then lie spread over the inputs."""
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
    """Return what a network predicts everywhere that was trained on the points shown."""
    import optax  # here for the same reason as above

    share = shown / jnp.maximum(shown.sum(), 1)
    gradient_of = jax.grad(lambda weights: (share[:, None] * jnp.square(_values(weights, inputs) - targets)).sum())
    # Falling to 0: at a constant rate Adam dances about the minimum, and rounding decides where it stops.
    adam = optax.adam(lambda number: learning_rate * (1 - number / steps))

    def step(_: Array, state: tuple[_Weights, Any]) -> tuple[_Weights, Any]:
        weights, moments = state
        updates, moments = adam.update(gradient_of(weights), moments)
        return cast(_Weights, optax.apply_updates(weights, updates)), moments

    trained, _ = jax.lax.fori_loop(0, steps, step, (weights, adam.init(weights)))
    return _values(trained, inputs)


_fitted_values = jax.jit(jax.vmap(_fitted_values_of_one, in_axes=(None, 0, 0, 0, None, None)))
