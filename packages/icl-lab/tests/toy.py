"""An experiment of somebody else's: a model in plain JAX on linear functions, seconds from end to end."""

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
from icl_train import OptimizerConfig, TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Linear functions."""

    noise: float = 0.0
    num_tasks: int | None = None
    batch_size: int = 8  # which as many devices share, as other tests in one process may have made
    path: Path | None = None  # of a file that stands for data


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyConfig(lab.ExperimentConfig):
    """A toy."""

    same_program: ClassVar = lab.ExperimentConfig.same_program | {"data.num_tasks"}

    data: DataConfig = DataConfig()
    width: int = 3
    optimizer: OptimizerConfig = OptimizerConfig(schedule="constant", warmup_steps=0, learning_rate=0.1)
    train: TrainConfig = TrainConfig(steps=6, log_every=2, checkpoint_every=3)
    eval: lab.TaskEvalConfig = lab.TaskEvalConfig(every=3, count=8, final_count=12, batch_size=4, baseline_count=0)


FAMILY = evaluation.Family(title="Toys", sentence="Linear functions.")


def make_samplers(config: ToyConfig) -> dict[str, data.FunctionSampler]:
    """Return the tasks by stream."""
    sampler = functools.partial(
        data.FunctionSampler,
        family=data.Linear(),
        num_points=5,
        queries=data.LastQueries(2),
        noise=config.data.noise,
        standardise=False,
        seed=config.train.seed,
    )
    return {
        name: sampler(tasks=tasks, stream=name) for name, tasks in lab.task_pools(config, config.data.num_tasks).items()
    }


def build(config: ToyConfig) -> lab.Experiment[ToyConfig]:
    """Return the experiment."""
    if config.width < 1:
        raise ValueError(f"width must be at least 1, got {config.width}.")

    def init(rng, batch):
        return {"w": jax.random.normal(rng, (batch["inputs"].shape[-1], config.width))}, {}

    def predict(params, state, rng, batch):
        return (batch["inputs"] @ params["w"]).mean(axis=-1, keepdims=True)

    def loss_fn(params, state, rng, batch):
        return jnp.mean((predict(params, state, rng, batch) - batch["targets"]) ** 2), ({}, state)

    measure = functools.partial(evaluation.evaluate_functions, context_sizes=(0,))
    names = lab.SEEN, lab.UNSEEN
    return lab.Experiment(
        init=init,
        loss_fn=loss_fn,
        predict=predict,
        inputs=("inputs", "targets", "is_query"),
        samplers=make_samplers,
        at_intervals=lab.evaluations(names, measure, count=config.eval.count),
        at_end=lab.evaluations(names, measure, count=config.eval.final_count, family=FAMILY),
        headlines=(
            evaluation.Headline(
                name="unseen", evaluation=lab.UNSEEN, metric="squared_error", title="Unseen", sentence="An error."
            ),
        ),
        fingerprints={"file": config.data.path.read_text()} if config.data.path else {},
        learner=lab.SEEN_AND_UNSEEN,
        rules=(),
    )


PRESETS = {"toy": ToyConfig()}
TOY = lab.Definition("toy", build, PRESETS, "toy")
