"""The configuration of experiments/omniglot.py, and its presets."""

import dataclasses
from pathlib import Path
from typing import Literal

from command_line import Session
from icl_data import Polarity
from icl_train import OptimizerConfig, TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which images, which classes, which sequences."""

    source: Literal["glyphs", "omniglot"] = "glyphs"
    """Invented characters, which need no download, or real ones."""

    zips: tuple[Path, ...] = ()
    """For omniglot: images_background.zip, images_evaluation.zip, or the small ones. Overlaps are merged."""

    characters: int = 1_936
    """For glyphs: how many to draw."""

    size: int = 28
    """Side of the images in pixels."""

    polarity: Polarity = "ink_is_one"
    """For omniglot: whether strokes are bright on dark or, as in the paper, dark on bright."""

    augmented: bool = False
    """Make 8 classes of each character: flipped or not, rotated by 0, 90, 180, 270 degrees."""

    rare: int | None = None
    """Number of rare classes (after augmentation); by default all that common and holdout leave."""

    common: int = 0
    """Number of common classes."""

    holdout: int = 336
    """Number of classes never trained on (after augmentation)."""

    zipf_exponent: float = 0.0
    """Of the class frequencies in training; 0 is uniform."""

    split_seed: int = 1337
    """Of the order of the classes, and so of which are held out."""

    length: int = 9
    """Items in a sequence, the query included."""

    p_bursty: float = 1.0
    """Probability of a bursty training sequence."""

    shots: int = 3
    """Items of each burst class in the context of a bursty training sequence."""

    ways: int = 2
    """Number of burst classes, and of classes in a few-shot evaluation."""

    batch_size: int = 32
    """Sequences in a training batch, over all devices and hosts."""

    def __post_init__(self) -> None:
        """Refuse options that the source would not read."""
        if self.source == "glyphs" and (self.zips or self.polarity != "ink_is_one"):
            raise ValueError(
                "zips and polarity are for real images, but the source is glyphs; "
                "use the preset laptop_omniglot or --data.source omniglot."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A causal Transformer on interleaved item and label tokens."""

    encoder: Literal["conv", "linear"] = "conv"
    """What makes a vector of an image."""

    width: int = 64
    """Width of the tokens."""

    layers: int = 2
    """Number of Transformer blocks."""

    heads: int = 4
    """Number of attention heads."""

    label_scale: float = 0.3
    """Standard deviation of the label embeddings at initialisation (0.02 in the paper)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """When and on how many sequences to evaluate."""

    every: int = 200
    """Steps between evaluations during training."""

    count: int = 1_000
    """Sequences of each evaluation during training."""

    final_count: int = 4_000
    """Sequences of each evaluation of the trained model."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.every, self.count, self.final_count) < 1:
            raise ValueError(
                "eval.every, eval.count and eval.final_count must be at least 1, "
                f"got {self.every}, {self.count} and {self.final_count}; --mode train leaves evaluations out."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OmniglotConfig(Session):
    """Emergent in-context learning on sequences of character images and labels (Chan et al. 2022)."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(schedule="trapezoid")
    train: TrainConfig = TrainConfig(steps=3_200)
    eval: EvalConfig = EvalConfig()


_LAPTOP = OmniglotConfig()

PRESETS = {
    "laptop": _LAPTOP,
    "laptop_omniglot": dataclasses.replace(
        _LAPTOP, data=dataclasses.replace(_LAPTOP.data, source="omniglot", augmented=True, holdout=192)
    ),
    # 400 trained classes: with the 1,600 of laptop, learning them by heart takes several times as long.
    "laptop_iwl": dataclasses.replace(
        _LAPTOP, data=dataclasses.replace(_LAPTOP.data, p_bursty=0.0, characters=536, holdout=136)
    ),
}
