"""The configuration of the omniglot experiment."""

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

import icl_lab as lab
from experiments.omniglot.sequences import (
    ALWAYS_EVALUATED,
    DISTRACTORS,
    READ_BY,
    SEQUENCES,
    SequenceName,
    TrainingSequences,
    readers,
    reads,
)
from icl_data import Exemplars, NonBursty, Polarity
from icl_train import OptimizerConfig, TrainConfig

# Which sources read an option; all read the others.
_READ_BY_SOURCES = (
    {
        "zips": ("source", ("omniglot",)),
        "polarity": ("source", ("omniglot",)),
        "characters": ("source", ("glyphs", "symbols", "gaussian", "one_hot")),
        "vectors": ("source", ("vectors",)),
    }
    | dict.fromkeys(("dimensions", "within"), ("source", ("gaussian",)))
    | {"scale": ("source", ("gaussian", "vectors"))}
    | dict.fromkeys(("size", "augmented", "noise", "random_rare"), ("source", ("glyphs", "omniglot")))
    | {"exemplars": ("source", ("glyphs", "omniglot", "gaussian", "vectors"))}
)

# Which part of a model reads an option; heads and channels of the presets are passed over by others.
_READ_BY_PARTS = {
    "flatten": ("encoder", ("resnet",)),
    "context_weight": ("loss", ("weighted",)),
    "one_hot_length": ("positions", ("one_hot",)),
} | dict.fromkeys(
    ("key_size", "mlp_ratio", "mask", "rotary", "projection_bias", "attention_only", "num_loops", "dropout"),
    ("trunk", lab.TRANSFORMERS),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which images, which classes, which sequences.

    Attributes:
      source: Invented characters, which need no download; real ones; integers (with --model.encoder embedding); or
        vectors (with --model.encoder linear or identity): points around class means, unit vectors, or those of a file.
      zips: For omniglot: images_background.zip, images_evaluation.zip, or the small ones; a folder of them, or a TFDS
        directory, will do as well. Overlaps are merged.
      characters: For all that is made: how many.
      vectors: For vectors: a .npz file of items and labels, or a .npy of items and one of labels, such as the features
        of a frozen network.
      dimensions: For gaussian: numbers of a point.
      within: For gaussian: how much the 20 exemplars of a class differ, as a share of how much classes do.
      scale: For gaussian and vectors: what all numbers of the items are multiplied by. Points have a length of about 1;
        the square root of their dimensions gives their numbers a variance of 1, as features of a network about have.
      size: Side of the images in pixels.
      polarity: For omniglot: whether strokes are bright on dark or, as in the paper, dark on bright.
      augmented: Make 8 classes of each character: flipped or not, rotated by 0, 90, 180, 270 degrees.
      exemplars: Images of each class: all, only the first, or each a class of its own (which makes 20 times the
        classes).
      noise: Standard deviation of Gaussian noise on pixels of 0..1, new for each item.
      random_rare: Show a rare class as a fresh random binary image in every sequence.
      rare: Number of rare classes (after augmentation); by default all that common and holdout leave.
      common: Number of common classes.
      holdout: Number of classes never trained on (after augmentation).
      zipf_exponent: Of the class frequencies in training; 0 is uniform.
      split_seed: Of the order of the classes, and so of which are held out.
      labels_per_class: Labels of each rare class, of which every burst and every other item has one.
      label_offset: First label of training sequences that are labelled by an offset.
      length: Items in a sequence, the query included.
      train: What training sees: one kind of sequence, or several, each with its share, its labels and its options, by
        default those that follow, which evaluations have in any case.
      p_bursty: Probability of bursts in a bursty sequence.
      shots: Items of each burst class in the context of a bursty sequence, or of one with a distractor.
      ways: Number of burst classes, and of classes in a few-shot problem.
      grouped: Whether each run of as many items as ways holds every class once in the context of a few-shot problem.
      distinct_ways: Whether the classes of bursts and of few-shot problems are all different; the original draws with
        replacement.
      distinct_fillers: Whether the classes of iid and no-support sequences all differ, label_elsewhere's too; and
        those of what stands beside query and distractor.
      p_few_shot: Probability of a few-shot problem in a mixed sequence (0.1 in the original).
      p_bursty_zipfian: Share of sequences with bursts whose classes and fillers are drawn by the class frequencies.
      p_bursty_common: Share of sequences with bursts of common classes among rare fillers; the rest: rare ones among
        common fillers.
      non_bursty: What sequences without bursts are made of.
      exemplar_choice: Which exemplars stand in a bursty sequence, or one with a distractor: all different; any, with
        replacement; matched: all items of a burst class, and the query, one; same: but for the query.
      label_noise: Probability, for each context item of these, that it is labelled as another class is.
      pair_labels: For distractor_pairs: how many labels the pairs are made of, 0, 1, ...
      held_out_pairs: For distractor_pairs: how many unordered pairs training never sees; distractor_held_out_pairs asks
        for them.
      batch_size: Sequences in a training batch, over all devices and hosts.
    """

    source: Literal["glyphs", "omniglot", "symbols", "gaussian", "one_hot", "vectors"] = "glyphs"
    zips: tuple[Path, ...] = ()
    characters: int = 1_936
    vectors: tuple[Path, ...] = ()
    dimensions: int = 64
    within: float = 0.1
    scale: float = 1.0
    size: int = 28
    polarity: Polarity = "ink_is_one"
    augmented: bool = False
    exemplars: Literal["all", "single", "separated"] = "all"
    noise: float = 0.0
    random_rare: bool = False
    rare: int | None = None
    common: int = 0
    holdout: int = 336
    zipf_exponent: float = 0.0
    split_seed: int = 1337
    labels_per_class: int = 1
    label_offset: int = 0
    length: int = 9
    train: TrainingSequences = TrainingSequences()

    p_bursty: float = 1.0
    shots: int = 3
    ways: int = 2
    grouped: bool = False
    distinct_ways: bool = True
    distinct_fillers: bool = False
    p_few_shot: float = 0.5
    p_bursty_zipfian: float = 1.0
    p_bursty_common: float = 0.0
    non_bursty: NonBursty = "zipfian"
    exemplar_choice: Exemplars = "distinct"
    label_noise: float = 0.0
    pair_labels: int = 5
    held_out_pairs: int = 2
    batch_size: int = 32

    def __post_init__(self) -> None:
        """Refuse options that the source would not read."""
        lab.check_read("data", self, _READ_BY_SOURCES)
        if self.source == "vectors" and len(self.vectors) not in (1, 2):
            raise ValueError(f"data.source vectors wants --data.vectors, one or two files, got {len(self.vectors)}.")
        if not self.scale > 0:
            raise ValueError(f"data.scale must be above 0, got {self.scale}.")
        if self.label_offset and "offset" not in self.train.labels:
            raise ValueError("data.label_offset is for data.train.labels offset; leave it out, or ask for that.")
        if self.labels_per_class > 1 and "original" in self.train.labels:
            raise ValueError("data.train.labels original gives a class one label, not data.labels_per_class.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """An encoder of items, tokens, and a trunk over them.

    Attributes:
      encoder: What makes a vector of an item: embedding for symbols, linear or identity for vectors, conv, resnet or
        linear for images.
      channels: For conv: channels of its three convolutions.
      flatten: For the ResNet: lay its last map flat instead of taking the mean.
      layout: Tokens: item, label, item, ...; item and label in one; or item and the label before it in one.
      positions: What is added to the tokens to tell where they stand, or one_hot, behind them and randomly shifted.
      one_hot_length: For one_hot: places in the one-hot, by which tokens become wider; 65 in Reddy 2023.
      trunk: What runs over the tokens: a Transformer, one whose attention is linear, or another.
      width: Width of item and label vectors, and units of each layer of any trunk that is no Transformer.
      layers: Layers of the trunk.
      heads: For a Transformer: number of attention heads.
      key_size: For a Transformer: size of each head's keys; by default width / heads.
      mlp_ratio: For a Transformer: hidden units of its MLPs, in widths.
      rotary: For a Transformer: base of the angles by which queries and keys are turned by their place, such as 10000;
        None for no turning. Positions may then be none.
      projection_bias: For a Transformer: whether queries, keys and values have biases.
      mask: For a Transformer: whether a token sees what is before it, all but the query, or everything.
      attention_only: For a Transformer: leave the MLPs out.
      num_loops: For a Transformer: how often its layers run in a row, with the same parameters.
      dropout: For a Transformer: rate of dropout in training, on what its layers add to the residual stream.
      item_dropout: Rate of dropout on item vectors, in training and evaluation: noise in the data.
      position_dropout: Rate of dropout on position vectors, in training.
      label_init_std: Standard deviation of the label embeddings at initialisation (0.02 in the paper).
      loss: What is trained on: the query, query and context with context_weight, or all items alike.
      context_weight: For the weighted loss: weight of the context's own items; the rest is the query's.
      compute_dtype: Of the computations; parameters are float32.
    """

    encoder: Literal["conv", "resnet", "linear", "identity", "embedding"] = "conv"
    channels: tuple[int, int, int] = (32, 64, 64)
    flatten: bool = False
    layout: Literal["interleaved", "concatenated", "previous_label"] = "interleaved"
    positions: Literal["sinusoidal", "learned", "none", "one_hot"] = "sinusoidal"
    one_hot_length: int = 64
    trunk: lab.TrunkName = "transformer"
    width: int = 64
    layers: int = 2
    heads: int = 4
    key_size: int | None = None
    mlp_ratio: int = 4
    rotary: float | None = None
    projection_bias: bool = True
    mask: Literal["causal", "prefix", "full"] = "causal"
    attention_only: bool = False
    num_loops: int = 1
    dropout: float = 0.0
    item_dropout: float = 0.0
    position_dropout: float = 0.0
    label_init_std: float = 0.3
    loss: Literal["query", "weighted", "every_item"] = "query"
    context_weight: float = 0.0
    compute_dtype: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        """Refuse options that nothing would read."""
        lab.check_read("model", self, _READ_BY_PARTS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OmniglotEvalConfig(lab.EvalConfig):
    """When, on how many sequences and by what to evaluate; the rest is of `EvalConfig`.

    Attributes:
      extra: Evaluations besides fewshot_holdout and no_support_zipfian, which every run has.
      extra_with_zipf: The same for runs with data.zipf_exponent above 0.
      extra_at_end: Evaluations of the trained model, and with --mode eval, besides these; swapped labels want two ways.
      intervened: Whether answers are those of the model with the interventions of training on its inner values; by
        default, and for what is asked of its heads, they are those of the model as it is.
      every_sequence: Whether evaluations with a distractor take their sequences from the list of all there are, each
        once: of as many as there are they are exact. Classes have one exemplar each then, all as frequent, and the
        context is of the two alone.
      heads_count: Sequences that the scores of a Transformer's attention heads are of; 0 leaves them out.
      ablation_count: Sequences that the trained Transformer is evaluated on without each of its heads; 0 leaves that
        out.
    """

    extra: tuple[SequenceName, ...] = ()
    extra_with_zipf: tuple[SequenceName, ...] = ()
    extra_at_end: tuple[SequenceName, ...] = ("fewshot_zipfian", "swapped_zipfian", "label_elsewhere")
    intervened: bool = False
    every_sequence: bool = False
    heads_count: int = 250
    ablation_count: int = 1_000

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if min(self.heads_count, self.ablation_count) < 0:
            raise ValueError(
                "eval.heads_count and eval.ablation_count must be at least 0, "
                f"got {self.heads_count} and {self.ablation_count}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OmniglotVaryConfig(lab.VaryConfig):
    """What the members of an ensemble differ in besides their seeds: a value for each; the rest is of `VaryConfig`.

    Attributes:
      p_bursty: A share of bursty sequences for each member, in place of data.p_bursty.
    """

    p_bursty: tuple[float, ...] = dataclasses.field(default=(), metadata={"option": "data.p_bursty"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class OmniglotConfig(lab.ExperimentConfig):
    """Emergent in-context learning on sequences of character images and labels (Chan et al. 2022).

    All else is of `ExperimentConfig`.

    Attributes:
      model: An encoder of items, tokens, and a trunk over them.
    """

    same_program: ClassVar = lab.ExperimentConfig.same_program | {
        "data.p_bursty",
        "data.train.p_bursty",
        "data.train.shares",
        "data.train.starts",
        "data.train.blend",
    }

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(schedule="trapezoid")
    train: TrainConfig = TrainConfig(steps=4_800)
    eval: OmniglotEvalConfig = OmniglotEvalConfig()
    vary: OmniglotVaryConfig = OmniglotVaryConfig()

    def __post_init__(self) -> None:
        """Refuse options of sequences that are neither trained nor evaluated on."""
        super().__post_init__()
        # What a preset sets may be read no more; p_bursty, which presets set, is let be until the preset is known.
        of_preset = self.preset.config["data"] if self.preset else {"p_bursty": self.data.p_bursty}
        if self.data.train.starts and max(self.data.train.starts) >= self.train.steps:
            raise ValueError(
                f"data.train.starts are steps below train.steps={self.train.steps}, got {max(self.data.train.starts)}."
            )
        if self.eval.intervened and not self.interventions.model:
            raise ValueError("eval.intervened is for clamp, ablate and preserve among --intervene, and there are none.")
        if self.eval.every_sequence and not any(SEQUENCES[name][0] in DISTRACTORS for name in self._evaluated):
            raise ValueError("eval.every_sequence is for evaluations with a distractor, and there are none here.")
        default = {field.name: field.default for field in dataclasses.fields(DataConfig)}
        given = [name for name in READ_BY if getattr(self.data, name) not in (default[name], of_preset.get(name))]
        extra = self._evaluated
        for option in [f"data.{name}" for name in given] + ["vary.p_bursty"] * bool(self.vary.p_bursty):
            name = option.partition(".")[2]
            read = self.data.train.read(name) or any(reads(each, name) for each in (*ALWAYS_EVALUATED, *extra))
            if not read:
                raise ValueError(
                    f"{option} is for {readers(name)} sequences, and none here read it; leave it out, "
                    f"or ask for --data.train {readers(name)}."
                )

    @property
    def _evaluated(self) -> set[SequenceName]:
        return {*self.eval.extra, *self.eval.extra_with_zipf, *self.eval.extra_at_end}
