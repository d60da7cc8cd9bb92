"""The configuration of experiments/omniglot.py, and its presets."""

import dataclasses
from pathlib import Path
from typing import Literal

from command_line import Session
from icl_data import NonBursty, Polarity
from icl_train import EnsembleConfig, HostsConfig, MeshConfig, OptimizerConfig, TrainConfig, member_folder

EvaluationName = Literal[
    "fewshot_common",
    "fewshot_rare",
    "fewshot_zipfian",
    "fewshot_holdout",
    "no_support_common",
    "no_support_rare",
    "no_support_zipfian",
    "swapped_common",
    "swapped_rare",
    "swapped_zipfian",
    "label_elsewhere",
]


# Which sources read an option; all read the others.
_READ_BY = {"zips": ("omniglot",), "polarity": ("omniglot",), "characters": ("glyphs", "symbols")} | dict.fromkeys(
    ("size", "augmented", "exemplars", "noise", "random_rare"), ("glyphs", "omniglot")
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which images, which classes, which sequences."""

    source: Literal["glyphs", "omniglot", "symbols"] = "glyphs"
    """Invented characters, which need no download; real ones; or integers (with --model.encoder embedding)."""

    zips: tuple[Path, ...] = ()
    """For omniglot: images_background.zip, images_evaluation.zip, or the small ones; a folder of them, or a TFDS
    directory, will do as well. Overlaps are merged."""

    characters: int = 1_936
    """For glyphs and symbols: how many to make."""

    size: int = 28
    """Side of the images in pixels."""

    polarity: Polarity = "ink_is_one"
    """For omniglot: whether strokes are bright on dark or, as in the paper, dark on bright."""

    augmented: bool = False
    """Make 8 classes of each character: flipped or not, rotated by 0, 90, 180, 270 degrees."""

    exemplars: Literal["all", "single", "separated"] = "all"
    """Images of each class: all, only the first, or each a class of its own (which makes 20 times the classes)."""

    noise: float = 0.0
    """Standard deviation of Gaussian noise on pixels of 0..1, new for each item."""

    random_rare: bool = False
    """Show a rare class as a fresh random binary image in every sequence."""

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

    labels_per_class: int = 1
    """Labels of each rare class, of which every burst and every other item has one."""

    length: int = 9
    """Items in a sequence, the query included."""

    p_bursty: float = 1.0
    """Probability of a bursty training sequence."""

    shots: int = 3
    """Items of each burst class in the context of a bursty training sequence."""

    ways: int = 2
    """Number of burst classes, and of classes in a few-shot evaluation."""

    p_bursty_zipfian: float = 1.0
    """Share of bursty sequences whose classes and fillers are drawn by the class frequencies."""

    p_bursty_common: float = 0.0
    """Share of bursty sequences of common classes among rare fillers; the rest: rare ones among common fillers."""

    non_bursty: NonBursty = "zipfian"
    """What sequences without bursts are made of."""

    batch_size: int = 32
    """Sequences in a training batch, over all devices and hosts."""

    def __post_init__(self) -> None:
        """Refuse options that the source would not read."""
        for field in dataclasses.fields(self):
            sources = _READ_BY.get(field.name, (self.source,))
            if self.source not in sources and getattr(self, field.name) != field.default:
                raise ValueError(
                    f"data.{field.name} is for {' and '.join(sources)}, but data.source is {self.source}; "
                    f"leave it out, or ask for --data.source {sources[-1]}."
                )


# Which part of a model reads an option; heads of the presets are passed over by other trunks.
_READ_WITH = {"flatten": ("encoder", "resnet"), "context_weight": ("loss", "weighted")} | dict.fromkeys(
    ("key_size", "mask", "attention_only", "repeats", "dropout"), ("trunk", "transformer")
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """An encoder of items, tokens, and a trunk over them."""

    encoder: Literal["conv", "resnet", "linear", "embedding"] = "conv"
    """What makes a vector of an item: embedding for symbols, another for images."""

    flatten: bool = False
    """For the ResNet: lay its last map flat instead of taking the mean."""

    layout: Literal["interleaved", "concatenated", "previous_label"] = "interleaved"
    """Tokens: item, label, item, ...; item and label in one; or item and the label before it in one."""

    positions: Literal["sinusoidal", "learned", "none"] = "sinusoidal"
    """What is added to the tokens to tell where they stand."""

    trunk: Literal["transformer", "lstm", "vanilla_rnn", "outer_product_lstm", "mlp"] = "transformer"
    """What runs over the tokens."""

    width: int = 64
    """Width of item and label vectors, and units of each layer of any other trunk than the Transformer."""

    layers: int = 2
    """Layers of the trunk."""

    heads: int = 4
    """For the Transformer: number of attention heads."""

    key_size: int | None = None
    """For the Transformer: size of each head's keys; by default width / heads."""

    mask: Literal["causal", "prefix", "full"] = "causal"
    """For the Transformer: whether a token sees what is before it, all but the query, or everything."""

    attention_only: bool = False
    """For the Transformer: leave the MLPs out."""

    repeats: int = 1
    """For the Transformer: how often its layers run in a row, with the same parameters."""

    dropout: float = 0.0
    """For the Transformer: rate of dropout in training, on what its layers add to the residual stream."""

    item_dropout: float = 0.0
    """Rate of dropout on item vectors, in training and evaluation: noise in the data."""

    position_dropout: float = 0.0
    """Rate of dropout on position vectors, in training."""

    label_scale: float = 0.3
    """Standard deviation of the label embeddings at initialisation (0.02 in the paper)."""

    loss: Literal["query", "weighted", "every_item"] = "query"
    """What is trained on: the query, query and context with context_weight, or all items alike."""

    context_weight: float = 0.0
    """For the weighted loss: weight of the context's own items; the rest is the query's."""

    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the computations; parameters are float32."""

    def __post_init__(self) -> None:
        """Refuse options that nothing would read."""
        for field in dataclasses.fields(self):
            part, choice = _READ_WITH.get(field.name, ("trunk", self.trunk))
            if getattr(self, part) != choice and getattr(self, field.name) != field.default:
                raise ValueError(
                    f"model.{field.name} is for model.{part}={choice}, but model.{part} is {getattr(self, part)}."
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """When and on how many sequences to evaluate."""

    every: int = 200
    """Steps between evaluations during training."""

    count: int = 1_000
    """Sequences of each evaluation during training."""

    final_count: int = 10_000
    """Sequences of each evaluation of the trained model, and with --mode eval."""

    batch_size: int = 500
    """Sequences that are evaluated at once; it changes no number but under model.item_dropout."""

    also: tuple[EvaluationName, ...] = ()
    """Evaluations besides fewshot_holdout and no_support_zipfian, which every run has."""

    also_with_zipf: tuple[EvaluationName, ...] = ()
    """The same for runs with data.zipf_exponent above 0."""

    finally_also: tuple[EvaluationName, ...] = ("fewshot_zipfian", "swapped_zipfian", "label_elsewhere")
    """Evaluations of the trained model, and with --mode eval, besides these; swapped labels want two ways."""

    heads_count: int = 250
    """Sequences that the scores of a Transformer's attention heads are of; 0 leaves them out."""

    ablation_count: int = 1_000
    """Sequences that the trained Transformer is evaluated on without each of its heads; 0 leaves that out."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.heads_count, self.ablation_count) < 0:
            raise ValueError(
                "eval.heads_count and eval.ablation_count must be at least 0, "
                f"got {self.heads_count} and {self.ablation_count}."
            )
        numbers = self.every, self.count, self.final_count, self.batch_size
        if min(numbers) < 1:
            raise ValueError(
                "eval.every, eval.count, eval.final_count and eval.batch_size must be at least 1, "
                f"got {', '.join(map(str, numbers))}; --mode train leaves evaluations out."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VaryConfig:
    """What the members of an ensemble differ in besides their seeds: train.seed, train.seed + 1, ..."""

    learning_rate: tuple[float, ...] = ()
    """A learning rate for each member, in place of optimizer.learning_rate."""

    weight_decay: tuple[float, ...] = ()
    """A weight decay for each member, in place of optimizer.weight_decay."""

    p_bursty: tuple[float, ...] = ()
    """A share of bursty sequences for each member, in place of data.p_bursty."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OmniglotConfig(Session):
    """Emergent in-context learning on sequences of character images and labels (Chan et al. 2022)."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig(schedule="trapezoid")
    train: TrainConfig = TrainConfig(steps=3_200)
    eval: EvalConfig = EvalConfig()
    vary: VaryConfig = VaryConfig()
    start_from: Path | None = None
    """Folder of another run, whose parameters this one begins with wherever they fit."""

    def __post_init__(self) -> None:
        """Refuse an ensemble that does not have a value for each member."""
        members = self.train.ensemble.members
        if members > 1 and (self.hosts != HostsConfig() or self.train.mesh != MeshConfig()):
            raise ValueError("train.ensemble.members above 1 is for one host and no mesh: devices share the members.")
        for field in dataclasses.fields(self.vary):
            values = getattr(self.vary, field.name)
            if values and (len(values) != members or members == 1):
                raise ValueError(
                    f"vary.{field.name} wants a value for each of the train.ensemble.members={members} members, "
                    f"which are at least two, got {len(values)}."
                )
        if members > 1 and self.start_from is not None:
            raise ValueError("start_from is for a lone model; leave it out with train.ensemble.members above 1.")

    def members(self) -> list["OmniglotConfig"]:
        """Give what each member of an ensemble would be configured as if it were alone; of a lone model, itself."""
        if self.train.ensemble.members == 1:
            return [self]

        def of(name: str, member: int, default: float) -> float:
            values = getattr(self.vary, name)
            return values[member] if values else default

        return [
            dataclasses.replace(
                self,
                workdir=member_folder(self.workdir, member),
                vary=VaryConfig(),
                data=dataclasses.replace(self.data, p_bursty=of("p_bursty", member, self.data.p_bursty)),
                optimizer=dataclasses.replace(
                    self.optimizer,
                    learning_rate=of("learning_rate", member, self.optimizer.learning_rate),
                    weight_decay=of("weight_decay", member, self.optimizer.weight_decay),
                ),
                train=dataclasses.replace(self.train, seed=self.train.seed + member, ensemble=EnsembleConfig()),
            )
            for member in range(self.train.ensemble.members)
        ]


_LAPTOP = OmniglotConfig()

# The settings of Chan et al. (2022) and of their code.
_ALL_EXEMPLARS = OmniglotConfig(
    data=DataConfig(
        source="omniglot",
        size=105,
        polarity="paper_is_one",
        rare=1_603,
        common=10,
        holdout=10,
        p_bursty=0.9,
    ),
    model=ModelConfig(encoder="resnet", layers=12, heads=8, label_scale=0.02),
    optimizer=OptimizerConfig(schedule="inverse_sqrt", learning_rate=3e-4, warmup_steps=4_000),
    train=TrainConfig(steps=500_000, log_every=100, checkpoint_every=10_000),
    eval=EvalConfig(
        every=10_000,
        batch_size=100,
        also=("fewshot_zipfian",),
        also_with_zipf=("fewshot_rare", "fewshot_common"),
    ),
)

PRESETS = {
    "laptop": _LAPTOP,
    "laptop_omniglot": dataclasses.replace(
        _LAPTOP, data=dataclasses.replace(_LAPTOP.data, source="omniglot", augmented=True, holdout=192)
    ),
    # 400 trained classes: with the 1,600 of laptop, learning them by heart takes several times as long.
    "laptop_iwl": dataclasses.replace(
        _LAPTOP, data=dataclasses.replace(_LAPTOP.data, p_bursty=0.0, characters=536, holdout=136)
    ),
    "all_exemplars": _ALL_EXEMPLARS,
    "augmented": dataclasses.replace(
        _ALL_EXEMPLARS,
        data=dataclasses.replace(_ALL_EXEMPLARS.data, augmented=True, rare=12_700, common=100, holdout=80),
        eval=dataclasses.replace(_ALL_EXEMPLARS.eval, also_with_zipf=("no_support_rare", "no_support_common")),
    ),
    "identical": dataclasses.replace(_ALL_EXEMPLARS, data=dataclasses.replace(_ALL_EXEMPLARS.data, exemplars="single")),
    "symbolic": dataclasses.replace(
        _ALL_EXEMPLARS,
        data=dataclasses.replace(
            _ALL_EXEMPLARS.data, source="symbols", size=28, polarity="ink_is_one", characters=1_000, rare=980
        ),
        model=dataclasses.replace(_ALL_EXEMPLARS.model, encoder="embedding"),
    ),
}
