"""The linear functions: of training, of evaluations, and of a curriculum that begins with few inputs and points."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, Bool

import icl_data as data
import icl_lab as lab
from experiments.linear.config import DataConfig, LinearConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstInputs:
    """Normal inputs, but 0 beyond the first inputs of the first points: a stage of a curriculum (Garg et al. 2022).

    Their code leaves later points out. Here they are at 0, so that all batches have one shape: a causal model predicts
    the others as it would without them, and the loss is the mean over those that `are_shown`.

    Attributes:
      shown_inputs: how many inputs are not 0.
      shown_points: how many points are not.
    """

    shown_inputs: int
    shown_points: int

    def points(self, *, seed: int, stream: str, indices: np.ndarray, num_points: int, num_inputs: int) -> np.ndarray:
        """See `icl_data.InputDistribution`."""
        drawn = data.NormalInputs().points(
            seed=seed, stream=stream, indices=indices, num_points=num_points, num_inputs=num_inputs
        )
        shown = np.zeros((num_points, num_inputs), np.float32)
        shown[: self.shown_points, : self.shown_inputs] = 1
        return drawn * shown[None]


def are_shown(batch: Mapping[str, Any]) -> Bool[Array | np.ndarray, "B N"]:
    """Return which points a stage of the curriculum has: those whose inputs are not all 0."""
    return (batch["inputs"] != 0).any(axis=2)


def make_samplers(config: LinearConfig) -> dict[str, data.Sampler]:
    """Return the tasks of training and of each evaluation, and the pool itself for predictors that know it."""
    options = config.data
    sampler = functools.partial(
        data.FunctionSampler,
        family=data.Linear(num_inputs=options.num_inputs),
        num_points=options.points,
        queries=data.LastQueries(options.queries),
        inputs=data.NormalInputs(),
        noise=options.noise,
        standardise=False,
        seed=config.train.seed,
    )
    pools = lab.task_pools(config, options.num_tasks)
    samplers = {name: sampler(tasks=tasks, stream=name) for name, tasks in pools.items()}
    train = samplers[lab.TRAIN]
    if options.curriculum is None:
        return samplers | {lab.POOL: pool_of(train)}
    stages = [dataclasses.replace(train, inputs=inputs) for inputs in stages_of(options)]
    starts = [number * options.curriculum[1] * options.batch_size for number in range(len(stages))]
    return samplers | {
        lab.TRAIN: data.ExpandableCurriculum(stages=stages, starts=starts),
        lab.POOL: pool_of(train),
    }


def pool_of(sampler: data.FunctionSampler) -> lab.PoolSampler:
    """Return the weights w of the tasks of a sampler, float32 [M, X]."""

    def weights(numbers: np.ndarray) -> np.ndarray:
        return np.asarray(data.draw_functions(sampler.family, seed=sampler.seed, numbers=numbers).specs["weights"])

    return lab.PoolSampler(tasks=sampler.tasks, describe=weights)


def stages_of(options: DataConfig) -> list[data.InputDistribution]:
    """Return where points lie in each stage of the curriculum: one input and two points more in each."""
    assert options.curriculum is not None
    return [
        FirstInputs(shown_inputs=shown, shown_points=options.points - 2 * (options.num_inputs - shown))
        for shown in range(options.curriculum[0], options.num_inputs)
    ] + [data.NormalInputs()]
