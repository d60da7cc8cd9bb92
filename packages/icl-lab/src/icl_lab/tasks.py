"""What experiments on tasks share: seen and unseen tasks, pools as streams, and regression of points of functions."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Integer, PyTree, Shaped

import icl_data as data
import icl_models as models
from icl_lab.config import ExperimentConfig
from icl_lab.experiment import Predict
from icl_lab.streams import TRAIN
from icl_train import LossFunction

SEEN, UNSEEN = "seen_tasks", "unseen_tasks"
"""Evaluations on tasks that were trained on, and on tasks that never were."""

POOL = "pool"
"""The stream of the tasks of the pool themselves, see `PoolSampler`."""

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


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PoolSampler:
    """The tasks of a pool one after another, as a stream: what a predictor that has memorised the pool must know.

    A measure cannot hold the pool itself: members of an ensemble share their measures, and may each have another pool.

    Attributes:
      tasks: the pool; of fresh tasks for ever there is none, and `read_pool` gives None.
      describe: from numbers of tasks, integers [M], to what tells these apart, an array [M, ...].

    >>> sampler = PoolSampler(tasks=data.Tasks(count=3), describe=lambda numbers: 10 * numbers)
    >>> sampler.sample(np.arange(4))["pool"].tolist()
    [0, 10, 20, 0]
    """

    tasks: data.Tasks
    describe: Callable[[Integer[np.ndarray, " M"]], Shaped[np.ndarray, "M ..."]]

    @property
    def block_size(self) -> int:
        """How many are best made in one call."""
        return 512

    def sample(self, indices: Integer[np.ndarray, " B"]) -> data.Batch:
        """Return ``pool`` [B, ...], ``size`` (the tasks in it, 0 for no pool) and ``index`` int64 [B]."""
        count = self.tasks.count or 0
        numbers = indices % max(count, 1) + self.tasks.first
        return {"pool": self.describe(numbers), "size": np.full(len(indices), count), "index": indices}


def read_pool(batches: Iterable[Mapping[str, Any]]) -> Shaped[np.ndarray, "M ..."] | None:
    """Return all tasks of a pool, from the batches of a `PoolSampler`; None if there is no pool.

    >>> sampler = PoolSampler(tasks=data.Tasks(count=3), describe=lambda numbers: 10 * numbers)
    >>> read_pool([sampler.sample(np.arange(2)), sampler.sample(np.arange(2, 4))])
    array([ 0, 10, 20])
    """
    parts: list[np.ndarray] = []
    for batch in batches:
        size = int(batch["size"][0])
        parts.append(np.asarray(batch["pool"]))
        if sum(map(len, parts)) >= size:
            return np.concatenate(parts)[:size] if size else None
    raise ValueError(f"Wanted all tasks of a pool, but the batches ended after {sum(map(len, parts))} of them.")


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


def regression(
    regressor: models.PointRegressor,
    *,
    counted: Callable[[Mapping[str, Any]], Bool[Array | np.ndarray, "B N"]] | None = None,
) -> Regression:
    """Return how a regressor begins, learns from the squared error, and predicts.

    Args:
      regressor: the model.
      counted: from a training batch to which of its points the loss is the mean of; by default the queries or, with a
        layout that predicts the context, too, all points of a task.
    """
    model, inputs = regressor.build(), ("inputs", "targets", "is_query")
    which = counted or (_every_point if regressor.layout.predicts_context else _queries)

    def init(rng: Array, batch: Mapping[str, Any]) -> tuple[PyTree, PyTree]:
        return model.init(rng, *(batch[key] for key in inputs))

    def loss_fn(
        params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Any]
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        predictions, state = model.apply(params, state, rng, *(batch[key] for key in inputs), is_training=True)
        loss, metrics = models.masked_squared_error(predictions, batch["targets"], which(batch))
        return loss, (metrics, state)

    def predict(params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Array]) -> Array:
        return model.apply(params, state, None, *(batch[key] for key in inputs))[0]

    return Regression(init, loss_fn, predict, inputs)


def _queries(batch: Mapping[str, Any]) -> Bool[Array, "B N"]:
    return batch["is_query"]


def _every_point(batch: Mapping[str, Any]) -> Bool[Array, "B N"]:
    return jnp.ones_like(batch["is_query"])
