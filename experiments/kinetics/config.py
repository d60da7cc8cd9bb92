"""The configuration of the kinetics experiment, and its presets."""

import dataclasses

import icl_lab as lab
from icl_train import OptimizerConfig, TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which classes, and how many of them in a context.

    Attributes:
      classes: K, how many there are; None for fresh ones in every sequence, for ever.
      context: N, items before the query.
      dimensions: Of a class's mean, whose entries are N(0, 1 / dimensions); all items of a class are its mean.
      labels: How many labels there are, of which each class has one at random.
      batch_size: Sequences in a training batch, over all devices and hosts.
    """

    classes: int | None = None
    context: int = 16
    dimensions: int = 63
    labels: int = 2
    batch_size: int = 64

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.context, self.dimensions) < 1 or self.labels < 2:
            raise ValueError(
                "data.context and data.dimensions must be at least 1 and data.labels at least 2, got "
                f"{self.context}, {self.dimensions} and {self.labels}."
            )
        if self.classes is not None and self.classes < 2:
            raise ValueError(f"data.classes must be at least 2, or None for fresh ones, got {self.classes}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One layer of attention and a network.

    Attributes:
      hidden: Units of each layer of the network.
    """

    hidden: tuple[int, ...] = (128, 128)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KineticsEvalConfig(lab.EvalConfig):
    """When and on how many sequences to evaluate; see `EvalConfig`."""

    every: int = 100
    count: int = 1_000
    final_count: int = 5_000
    batch_size: int = 250


@dataclasses.dataclass(frozen=True, kw_only=True)
class KineticsConfig(lab.ExperimentConfig):
    """When a minimal model learns in context (Nguyen and Reddy 2024); what is not here is of `ExperimentConfig`.

    Attributes:
      model: One layer of attention and a network.
    """

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(method="sgd", learning_rate=0.1, warmup_steps=0, clip_norm=None)
    train: TrainConfig = TrainConfig(steps=6_400, log_every=100, checkpoint_every=6_400)
    eval: KineticsEvalConfig = KineticsEvalConfig()


PRESETS = {
    "laptop": KineticsConfig(),
    # Nguyen & Reddy (2024), arXiv 2412.00104: 1,000 epochs of 469 steps.
    "full": KineticsConfig(
        data=DataConfig(context=100, batch_size=128),
        model=ModelConfig(hidden=(512, 512)),
        optimizer=OptimizerConfig(method="sgd", learning_rate=0.01, warmup_steps=0, weight_decay=1e-10, clip_norm=None),
        train=TrainConfig(steps=469_000, log_every=469, checkpoint_every=46_900),
        eval=KineticsEvalConfig(every=469),
    ),
}
