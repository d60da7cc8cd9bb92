"""The configuration of linear regression in context."""

import dataclasses
from typing import ClassVar, Literal

import icl_lab as lab
from icl_train import OptimizerConfig, TrainConfig

LayoutName = Literal["masked", "interleaved"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which linear functions are trained on.

    Attributes:
      num_inputs: Dimensions of x, which is N(0, I), as w is; y = w x.
      noise: Standard deviation of noise on all targets.
      num_tasks: Number of tasks in the pool; None makes fresh ones for ever.
      points: Points of a task, queries included.
      queries: Points that are queries, the last ones.
      curriculum: Inputs that training begins with, and the steps of a stage; each stage has one input more, and two
        points, until it has all. Inputs that a stage lacks are 0, and so are its points, which no loss counts. For the
        layout interleaved.
      batch_size: Tasks in a training batch, over all devices and hosts.
    """

    num_inputs: int = 5
    noise: float = 0.0
    num_tasks: int | None = None
    points: int = 16
    queries: int = 4
    curriculum: tuple[int, int] | None = None
    batch_size: int = 64

    def __post_init__(self) -> None:
        """Refuse a curriculum that cannot be."""
        if self.curriculum is None:
            return
        first, steps = self.curriculum
        if not 1 <= first <= self.num_inputs or steps < 1 or self.points - 2 * (self.num_inputs - first) < 2:
            raise ValueError(
                f"data.curriculum wants 1 to {self.num_inputs} inputs to begin with, which leave 2 points when there "
                f"are two points fewer for each input that is missing, and at least 1 step, got {first} and {steps}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A Transformer over points.

    Attributes:
      layout: masked, where a point is a token and queries lack their target; or interleaved, x, y, x, y, ..., where
        every point is predicted from those before it, in training and in evaluations.
      positions: What is added to tokens to tell where they stand; by default nothing where they are masked, and
        learned ones where they are interleaved.
      width: Width of the tokens.
      layers: Blocks.
      heads: Attention heads.
    """

    layout: LayoutName = "masked"
    positions: Literal["sinusoidal", "learned", "none"] | None = None
    width: int = 64
    layers: int = 3
    heads: int = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearConfig(lab.ExperimentConfig):
    """Linear regression in context, at points of a linear function; what is not here is of `ExperimentConfig`.

    Attributes:
      model: A Transformer over points.
    """

    # Not the noise: ridge regression and dMMSE, which members share, are told its variance.
    same_program: ClassVar = lab.ExperimentConfig.same_program | {"data.num_tasks"}

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(schedule="cosine", warmup_steps=200)
    train: TrainConfig = TrainConfig(steps=3_000)
    eval: lab.TaskEvalConfig = lab.TaskEvalConfig()

    def __post_init__(self) -> None:
        """Refuse several queries where all points are asked about anyway, and a curriculum where its points are not."""
        super().__post_init__()
        if self.data.curriculum is not None and self.model.layout != "interleaved":
            raise ValueError(
                f"data.curriculum leaves out the last points of a task, which model.layout {self.model.layout} asks "
                "about; it wants model.layout interleaved and data.queries 1."
            )
        if self.model.layout == "interleaved" and self.data.queries != 1:
            raise ValueError(
                f"model.layout interleaved predicts every point from those before it, so that the last alone has no "
                f"target to show: it wants data.queries 1, got {self.data.queries}."
            )


_CAUSAL = ModelConfig(layout="interleaved")

PRESETS = {
    "laptop": LinearConfig(),
    # The largest of 16 ratios to ridge is one of bad luck, too: of 256 tasks a model 3 % above ridge may show 7 %.
    "causal": LinearConfig(
        data=DataConfig(num_inputs=4, noise=0.5, queries=1),
        model=_CAUSAL,
        train=TrainConfig(steps=12_000, log_every=100, checkpoint_every=2_000),
        eval=lab.TaskEvalConfig(every=2_000, final_count=4_096, baseline_count=4_096),
    ),
    # Raventos et al. (2023), section 2, with a smaller model, trained for less long.
    "raventos": LinearConfig(
        data=DataConfig(num_inputs=8, noise=0.5, num_tasks=2**10, queries=1),
        model=_CAUSAL,
        train=TrainConfig(steps=10_000, log_every=100, checkpoint_every=5_000),
        eval=lab.TaskEvalConfig(every=5_000, final_count=2_048),
    ),
    # Garg et al. (2022), section 3 and appendix A.
    "garg": LinearConfig(
        data=DataConfig(num_inputs=20, points=41, queries=1, curriculum=(5, 2_000)),
        model=ModelConfig(layout="interleaved", width=256, layers=12, heads=8),
        optimizer=OptimizerConfig(schedule="constant", learning_rate=1e-4, warmup_steps=0, clip_norm=None),
        train=TrainConfig(steps=500_000, log_every=100, checkpoint_every=10_000),
        eval=lab.TaskEvalConfig(every=10_000, final_count=1_280),
    ),
}
