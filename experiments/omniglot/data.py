"""What omniglot trains on and is evaluated on: classes, kinds of sequences, samplers."""

import functools

import icl_data as data
import icl_lab as lab
from experiments.omniglot.config import DataConfig, OmniglotConfig
from experiments.omniglot.kinds import make_kind, make_training_kinds
from experiments.omniglot.labels import make_trained_labels
from experiments.omniglot.sequences import ALWAYS_EVALUATED, SequenceName


def make_classes(config: DataConfig) -> tuple[data.ExemplarBank, data.ClassSplit]:
    """Return the items, made or read, and the split of their classes."""
    if config.source == "glyphs":
        bank = data.glyphs(config.characters, size=config.size)
    elif config.source == "omniglot":
        bank = data.omniglot(config.zips, size=config.size, polarity=config.polarity)
    elif config.source == "gaussian":
        bank = data.gaussian(config.characters, dimensions=config.dimensions, within=config.within)
    elif config.source == "one_hot":
        bank = data.one_hot(config.characters)
    elif config.source == "vectors":
        bank = data.bank_from_numpy(*config.vectors)
    else:
        bank = data.symbols(config.characters)
    if config.exemplars == "single":
        bank = bank.first_exemplars(1)
    elif config.exemplars == "separated":
        bank = bank.separated()
    bank = bank.augmented() if config.augmented else bank
    rare = bank.num_classes - config.common - config.holdout if config.rare is None else config.rare
    if rare < 1 and config.rare is None:
        raise ValueError(
            f"common={config.common} and holdout={config.holdout} leave none of the {bank.num_classes} classes to be "
            "rare; lower them or use more characters."
        )
    split = data.ClassSplit(
        num_classes=bank.num_classes,
        rare=rare,
        common=config.common,
        holdout=config.holdout,
        zipf_exponent=config.zipf_exponent,
        group=bank.group,
        seed=config.split_seed,
    )
    return bank, split


def evaluation_names(config: OmniglotConfig, *, at_end: bool) -> list[SequenceName]:
    """Return the evaluations at intervals, or those of the trained model, by name."""
    extra = config.eval.extra_with_zipf if config.data.zipf_exponent > 0 else config.eval.extra
    extra_at_end = config.eval.extra_at_end if at_end else ()
    if config.data.ways < 2:  # labels are swapped between ways
        extra_at_end = tuple(name for name in extra_at_end if not name.startswith("swapped"))
    return list(dict.fromkeys((*ALWAYS_EVALUATED, *extra, *extra_at_end)))


def make_samplers(config: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit) -> dict[str, data.WithItems]:
    """Return the sequences of training and of the evaluations, with their items, by name."""
    trained, labels = make_training_kinds(config.data), make_trained_labels(config.data, split)
    kinds: dict[str, data.SequenceKind] = {lab.TRAIN: data.MixtureOf(kinds=trained, shares=config.data.train.shares)}
    kinds |= {name: make_kind(config.data, name, labels=labels) for name in evaluation_names(config, at_end=True)}
    sampler = functools.partial(
        data.SequenceSampler,
        split=split,
        exemplar_counts=bank.counts,
        length=config.data.length,
        seed=config.train.seed,
    )
    transforms = make_transforms(config.data)
    return {name: data.WithItems(sampler(kind=kind, stream=name), bank, transforms) for name, kind in kinds.items()}


def make_transforms(config: DataConfig) -> list[data.Transform]:
    """Return what is done to images."""
    transforms: list[data.Transform] = [data.RandomRareImages()] if config.random_rare else []
    return [*transforms, data.PixelNoise(scale=config.noise)] if config.noise else transforms
