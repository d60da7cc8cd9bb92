"""Linear regression in context: options, data, measures and presets."""

import dataclasses
import functools
from typing import ClassVar

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from icl_train import OptimizerConfig, TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which linear functions are trained on.

    Attributes:
      num_inputs: Dimensions of x, which is N(0, I), as w is; y = w x.
      noise: Standard deviation of noise on all targets.
      num_tasks: Number of tasks in the pool; None makes fresh ones for ever.
      points: Points of a task, queries included.
      queries: Points that are queries, the last ones.
      batch_size: Tasks in a training batch, over all devices and hosts.
    """

    num_inputs: int = 5
    noise: float = 0.0
    num_tasks: int | None = None
    points: int = 16
    queries: int = 4
    batch_size: int = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A Transformer over points, without positions.

    Attributes:
      width: Width of the tokens.
      layers: Blocks.
      heads: Attention heads.
    """

    width: int = 64
    layers: int = 3
    heads: int = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearConfig(lab.ExperimentConfig):
    """Linear regression in context, at points of a linear function; what is not here is of `ExperimentConfig`.

    Attributes:
      model: A Transformer over points, without positions.
    """

    same_program: ClassVar = lab.ExperimentConfig.same_program | {"data.num_tasks", "data.noise"}

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(schedule="cosine", warmup_steps=200)
    train: TrainConfig = TrainConfig(steps=3_000)
    eval: lab.TaskEvalConfig = lab.TaskEvalConfig()


PRESETS = {
    "laptop": LinearConfig(),
    # Garg et al. (2022), section 3 and appendix A, in the masked form: 20 dimensions, twice as many points and one.
    "garg": LinearConfig(
        data=DataConfig(num_inputs=20, points=41, queries=1),
        model=ModelConfig(width=256, layers=12, heads=8),
        optimizer=OptimizerConfig(schedule="constant", learning_rate=1e-4, warmup_steps=0, clip_norm=None),
        train=TrainConfig(steps=500_000, log_every=100, checkpoint_every=10_000),
        eval=lab.TaskEvalConfig(every=10_000, final_count=1_280),
    ),
}

HEADLINES = tuple(
    evaluation.Headline(name=name, evaluation=stream, metric="squared_error", title=title, sentence=sentence)
    for name, stream, title, sentence in (
        ("unseen", lab.UNSEEN, "Unseen tasks", "Squared error on linear functions that were not trained on."),
        ("seen", lab.SEEN, "Seen tasks", "Squared error on linear functions that were trained on."),
    )
)


def make_samplers(config: LinearConfig) -> dict[str, data.FunctionSampler]:
    """Return the tasks of training and of each evaluation."""
    sampler = functools.partial(
        data.FunctionSampler,
        family=data.Linear(num_inputs=config.data.num_inputs),
        num_points=config.data.points,
        queries=data.LastQueries(config.data.queries),
        inputs=data.NormalInputs(),
        noise=config.data.noise,
        standardise=False,
        seed=config.train.seed,
    )
    return {
        name: sampler(tasks=tasks, stream=name) for name, tasks in lab.task_pools(config, config.data.num_tasks).items()
    }


def build(config: LinearConfig) -> lab.Experiment[LinearConfig]:
    """Return the experiment of a configuration."""
    X, context, options = config.data.num_inputs, config.data.points - config.data.queries, config.model
    trunk = models.Transformer(mask="prefix", layers=options.layers, heads=options.heads)
    regressor = models.PointRegressor(num_outputs=1, trunk=trunk, width=options.width)
    baselines: dict[str, evaluation.Regressor] = {
        "least squares": evaluation.LeastSquares(intercept=False),
        "3-NN": evaluation.NearestNeighbours(k=3),
    }
    asked = min(config.eval.final_count, config.eval.baseline_count)
    measure = evaluation.evaluate_functions
    compared = functools.partial(
        measure,
        context_sizes=lab.context_sizes(context),
        baselines={name: each.predict for name, each in baselines.items() if asked},
        baseline_count=asked or None,
    )
    names = lab.SEEN, lab.UNSEEN
    return lab.Experiment(
        *lab.regression(regressor),
        samplers=make_samplers,
        at_intervals=lab.evaluations(names, measure, count=config.eval.count),
        at_end=lab.evaluations(names, compared, count=config.eval.final_count),
        headlines=HEADLINES,
        model=regressor,
        learner=lab.SEEN_AND_UNSEEN,
        takes=lab.TakesPoints(num_inputs=X, context=context, inputs="normal", target_std=X**0.5),
    )


LINEAR = lab.Definition("linear", build, PRESETS)
