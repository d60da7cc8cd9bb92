"""An experiment in a project of somebody else's: sines in context, from the wheels of the five packages alone.

``nox -s alone`` runs it where this repository cannot be imported. It is an experiment like those in ``experiments/``:

    python outside_experiment.py tiny --train.steps 200 --workdir runs/sines
    python outside_experiment.py runs/sines --resume --train.steps 400
"""

import dataclasses
import functools

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from icl_train import OptimizerConfig, TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which sines."""

    noise: float = 0.0
    """Standard deviation of noise on all targets."""

    batch_size: int = 16
    """Tasks in a training batch."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SinesConfig(lab.ExperimentConfig):
    """Sines in context."""

    data: DataConfig = DataConfig()
    width: int = 16
    """Width of the tokens."""

    optimizer: OptimizerConfig = OptimizerConfig(schedule="constant", warmup_steps=0)
    train: TrainConfig = TrainConfig(steps=40, log_every=20)
    eval: lab.TaskEvalConfig = lab.TaskEvalConfig(every=20, count=32, final_count=64)


def make_samplers(config: SinesConfig) -> dict[str, data.FunctionSampler]:
    """Return the tasks of training and of each evaluation."""
    sampler = functools.partial(
        data.FunctionSampler, family=data.Sine(), num_points=12, noise=config.data.noise, seed=config.train.seed
    )
    return {name: sampler(tasks=tasks, stream=name) for name, tasks in lab.task_pools(config, None).items()}


def build(config: SinesConfig) -> lab.Experiment[SinesConfig]:
    """Return the experiment of a configuration."""
    trunk = models.Transformer(mask="prefix", layers=1, heads=2)
    regressor = models.PointRegressor(num_outputs=1, trunk=trunk, width=config.width)
    measure = functools.partial(evaluation.evaluate_functions, context_sizes=(0,))
    neighbours = {"3-NN": evaluation.NearestNeighbours(k=3).predict}
    names = lab.SEEN, lab.UNSEEN
    return lab.Experiment(
        *lab.regression(regressor),
        samplers=make_samplers,
        at_intervals=lab.evaluations(names, measure, count=config.eval.count),
        at_end=lab.evaluations(names, functools.partial(measure, baselines=neighbours), count=config.eval.final_count),
        headlines=(
            evaluation.Headline(
                name="unseen",
                evaluation=lab.UNSEEN,
                metric="normalised_error",
                title="Unseen sines",
                sentence="Squared error as a share of the best constant's.",
            ),
        ),
        model=regressor,
        learner=lab.SEEN_AND_UNSEEN,
    )


SINES = lab.Definition("sines", build, {"tiny": SinesConfig()}, "tiny")

if __name__ == "__main__":
    lab.main(SINES, description=__doc__)
