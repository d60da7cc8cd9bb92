"""What experiments on tasks share: seen and unseen tasks, and regression of the query points of functions."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, PyTree

import icl_data as data
import icl_models as models
from icl_lab.config import ExperimentConfig
from icl_lab.experiment import Predict
from icl_lab.streams import TRAIN
from icl_train import LossFunction

SEEN, UNSEEN = "seen_tasks", "unseen_tasks"
"""Evaluations on tasks that were trained on, and on tasks that never were."""

SEEN_AND_UNSEEN = {"seen": SEEN, "unseen": UNSEEN}
"""`Experiment.learner` of an experiment that has both."""


def task_pools(config: ExperimentConfig, num_tasks: int | None) -> dict[str, data.Tasks]:
    """Return the tasks of training and of both evaluations, by the names of their streams.

    Args:
      config: of the run.
      num_tasks: size of the pool that is trained on; None for fresh tasks for ever, of which those count as seen that
        are trained on before the first evaluation.
    """
    early = min(config.train.steps, config.eval.every) * config.data.batch_size
    return {
        TRAIN: data.Tasks(count=num_tasks),
        SEEN: data.Tasks(count=num_tasks or early),
        UNSEEN: data.Tasks(first=data.UNSEEN),
    }


def context_sizes(context: int) -> list[int]:
    """Return after how many examples a learner is measured: none, powers of two, all.

    >>> context_sizes(12)
    [0, 1, 2, 4, 8, 12]
    """
    return sorted({0, context, *(2**power for power in range(context.bit_length()))})


class Regression(NamedTuple):
    """The first fields of an `Experiment` that fits functions."""

    init: Callable[[Array, Mapping[str, Any]], tuple[PyTree, PyTree]]
    loss_fn: LossFunction
    predict: Predict
    inputs: tuple[str, ...]


def regression(regressor: models.PointRegressor) -> Regression:
    """Return how a regressor begins, learns from the squared error at query points, and predicts."""
    model, inputs = regressor.build(), ("inputs", "targets", "is_query")

    def init(rng: Array, batch: Mapping[str, Any]) -> tuple[PyTree, PyTree]:
        return model.init(rng, *(batch[key] for key in inputs))

    def loss_fn(
        params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Any]
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        predictions, state = model.apply(params, state, rng, *(batch[key] for key in inputs), is_training=True)
        loss, metrics = models.masked_squared_error(predictions, batch["targets"], batch["is_query"])
        return loss, (metrics, state)

    def predict(params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Array]) -> Array:
        return model.apply(params, state, None, *(batch[key] for key in inputs))[0]

    return Regression(init, loss_fn, predict, inputs)
