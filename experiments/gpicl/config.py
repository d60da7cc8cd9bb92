"""The configuration of the gpicl experiment, and its presets."""

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

import icl_lab as lab
from icl_train import OptimizerConfig, TrainConfig

_READ_BY = {
    "images": ("source", ("idx",)),
    "labels": ("source", ("idx",)),
    "tfds": ("source", ("tfds",)),
    "transposed": ("source", ("idx", "tfds")),
    "glyphs": ("source", ("glyphs",)),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which labelled set, which tasks of it, which sequences.

    Attributes:
      source: Scikit-learn's digits of 8 x 8 pixels; MNIST or its kin from IDX files; a set that TFDS has; or invented
        characters.
      images: For idx: the file of images, such as train-images-idx3-ubyte.gz.
      labels: For idx: the file of their labels.
      tfds: For tfds: name of the set, such as mnist, fashion_mnist, kmnist, cifar10 or svhn_cropped; its split train.
      transposed: For idx and tfds: whether the images are stored column by column, as EMNIST's are, and to be turned
        back.
      glyphs: For glyphs: how many characters.
      tfds_dir: Where TFDS has its sets.
      extra_tfds: Further sets that TFDS has, to be evaluated on as data never seen.
      extra_idx: Further sets, a file of images and one of labels for each, to be evaluated on as data never seen.
      extra_transposed: For each set of extra_idx, then of extra_tfds, whether its images are stored column by column;
        none if all are stored upright.
      extra: Further sets that need no files, to be evaluated on as data never seen: scikit-learn's digits, or as many
        invented characters as the training set has classes.
      extra_omniglot: Alphabets of Omniglot, such as Greek, to be evaluated on as data never seen: as many of its
        first characters as the training set has classes.
      zips: For extra_omniglot: images_background.zip, images_evaluation.zip, or the small ones; a folder of them, or a
        TFDS directory.
      side: Side in pixels to which all images are resized, colours averaged; by default that of the training images.
      components: Principal components of the training images that are kept; None keeps all pixels. Other sets have
        their own.
      test_share: Share of each class's images that are never trained on.
      num_tasks: Number of tasks in the pool; None makes fresh ones for ever.
      ways: Classes of a task, drawn for each; None for all that the set has.
      length: Items in a sequence.
      p_identity: Probability that a sequence has fixed classes with themselves as labels, which shortens the plateau.
      batch_size: Sequences in a training batch, over all devices and hosts.
    """

    source: Literal["digits", "idx", "tfds", "glyphs"] = "digits"
    images: Path | None = None
    labels: Path | None = None
    tfds: str = "mnist"
    transposed: bool = False
    glyphs: int = 10
    tfds_dir: Path = Path("~/tensorflow_datasets")
    extra_tfds: tuple[str, ...] = ()
    extra_idx: tuple[Path, ...] = ()
    extra_transposed: tuple[bool, ...] = ()
    extra: tuple[Literal["digits", "glyphs"], ...] = ()
    extra_omniglot: tuple[str, ...] = ()
    zips: tuple[Path, ...] = ()
    side: int | None = None
    components: int | None = 8
    test_share: float = 0.2
    num_tasks: int | None = None
    ways: int | None = 4
    length: int = 16
    p_identity: float = 0.0
    batch_size: int = 64

    def __post_init__(self) -> None:
        """Refuse options that the source would not read, and sets of which a file is missing."""
        lab.check_read("data", self, _READ_BY)
        if self.side is not None and self.side < 1:
            raise ValueError(f"data.side must be at least 1, got {self.side}.")
        if (self.source == "idx") != (self.images is not None and self.labels is not None):
            raise ValueError("data.source idx wants --data.images and --data.labels, two files.")
        if len(self.extra_idx) % 2:
            raise ValueError(
                f"data.extra_idx wants an images file and a labels file for each set, got {self.extra_idx}."
            )
        if bool(self.extra_omniglot) != bool(self.zips):
            raise ValueError(
                "data.extra_omniglot and data.zips want each other: alphabets, and where they are; got "
                f"{len(self.extra_omniglot)} alphabets and {len(self.zips)} paths."
            )
        extra = len(self.extra_idx) // 2 + len(self.extra_tfds)
        if len(self.extra_transposed) not in (0, extra):
            raise ValueError(
                f"data.extra_transposed wants true or false for each of the {extra} further sets, or nothing, got "
                f"{len(self.extra_transposed)}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A trunk over tokens of an item and the label before it.

    Attributes:
      trunk: What runs over the tokens: a Transformer, one whose attention is linear, or another.
      width: Width of the tokens, and units of each layer of any trunk that is no Transformer.
      layers: Layers of the trunk.
      heads: For a Transformer: number of attention heads.
      key_size: For a Transformer: size of each head's keys; by default width / heads.
      positions: What is added to the tokens to tell where they stand.
      compute_dtype: Of the computations; parameters are float32.
    """

    trunk: lab.TrunkName = "transformer"
    width: int = 64
    layers: int = 3
    heads: int = 8
    key_size: int | None = None
    positions: Literal["sinusoidal", "learned", "none"] = "learned"
    compute_dtype: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        """Refuse an option that nothing would read."""
        lab.check_read("model", self, {"key_size": ("trunk", lab.TRANSFORMERS)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpiclEvalConfig(lab.TaskEvalConfig):
    """When and on how many tasks to evaluate, and on what else; the rest is of `TaskEvalConfig`.

    Attributes:
      other_datasets: At the end, evaluate on images that were trained on and on other labelled sets, too.
      shifts: At the end, evaluate on unseen tasks with other projections, noise in the labels that are shown, and
        labels of uneven frequency, too.
      longer: At the end, evaluate on sequences of so many items, more than in training, too; 0 for none. Learned
        positions know no more than those of training, and an MLP one length alone.
      maml_steps: With baselines, steps by which one of them, MAML, is meta-trained before the first evaluation at the
        end, on the tasks of training; 0 leaves it out.
    """

    other_datasets: bool = True
    shifts: bool = False
    longer: int = 0
    maml_steps: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if self.maml_steps < 0:
            raise ValueError(f"eval.maml_steps must be at least 0, got {self.maml_steps}.")
        if self.maml_steps and not self.baseline_count:
            raise ValueError("eval.maml_steps is for a baseline, but eval.baseline_count is 0; leave one of them out.")


_EVAL = GpiclEvalConfig(every=100, count=512, final_count=2_048, baseline_count=200)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpiclConfig(lab.ExperimentConfig):
    """General-purpose in-context learning on projected labelled sets (Kirsch et al. 2022).

    All else is of `ExperimentConfig`.

    Attributes:
      model: A trunk over tokens of an item and the label before it.
    """

    same_program: ClassVar = lab.ExperimentConfig.same_program | {"data.num_tasks", "data.p_identity"}

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(schedule="trapezoid", learning_rate=2e-3, warmup_steps=100)
    train: TrainConfig = TrainConfig(steps=2_000)
    eval: GpiclEvalConfig = _EVAL

    def __post_init__(self) -> None:
        """Refuse longer sequences that are not, or that the model cannot read."""
        super().__post_init__()
        longer, length = self.eval.longer, self.data.length
        if longer and longer <= length:
            raise ValueError(f"eval.longer wants more than the data.length={length} items of training, got {longer}.")
        if longer and (self.model.positions == "learned" or self.model.trunk == "mlp"):
            raise ValueError(
                f"eval.longer {longer} is for a model that is not bound to the length of training, got model.positions "
                f"{self.model.positions} and model.trunk {self.model.trunk}; ask for --model.positions none or "
                "sinusoidal, and another trunk than mlp."
            )


_LAPTOP = GpiclConfig()

# Kirsch et al. (2022); what they do not give (learning rate, steps) is ours.
_PAPER = GpiclConfig(
    data=DataConfig(source="tfds", components=None, ways=None, length=100, batch_size=512, num_tasks=2**16, side=28),
    model=ModelConfig(width=256, layers=4, heads=8, key_size=32),
    optimizer=OptimizerConfig(schedule="constant", learning_rate=3e-4, warmup_steps=1_000),
    train=TrainConfig(steps=100_000, log_every=100, checkpoint_every=5_000),
    eval=dataclasses.replace(_EVAL, every=5_000, final_count=4_096, shifts=True, maml_steps=10_000),
)

PRESETS = {"laptop": _LAPTOP, "paper": _PAPER}
