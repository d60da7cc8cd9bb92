"""What omniglot trains on and is evaluated on: classes, kinds of sequences, samplers."""

import functools
from typing import Literal

import numpy as np

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
from experiments.omniglot.config import DataConfig, EvaluationName, OmniglotConfig

# What an evaluation's name means: the form of its sequences, and which classes it draws.
Form = Literal["few_shot", "no_support", "swapped", "elsewhere"]
EVALUATIONS: dict[EvaluationName, tuple[Form, data.ClassSet]] = {
    "fewshot_common": ("few_shot", "common"),
    "fewshot_rare": ("few_shot", "rare"),
    "fewshot_zipfian": ("few_shot", "zipfian"),
    "fewshot_holdout": ("few_shot", "holdout"),
    "no_support_common": ("no_support", "common"),
    "no_support_rare": ("no_support", "rare"),
    "no_support_zipfian": ("no_support", "zipfian"),
    "swapped_common": ("swapped", "common"),
    "swapped_rare": ("swapped", "rare"),
    "swapped_zipfian": ("swapped", "zipfian"),
    "label_elsewhere": ("elsewhere", "zipfian"),
}


def make_classes(config: DataConfig) -> tuple[data.ExemplarBank, data.ClassSplit]:
    """Return the images, drawn or read, and the split of their classes."""
    if config.source == "glyphs":
        bank = data.glyphs(config.characters, size=config.size)
    elif config.source == "omniglot":
        bank = data.omniglot(config.zips, size=config.size, polarity=config.polarity)
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


def make_labelling(config: DataConfig) -> data.Labelling:
    """Return how training sequences are labelled."""
    return data.Ordered() if config.labels_per_class == 1 else data.Polysemy(config.labels_per_class)


def make_label_sets(config: DataConfig, split: data.ClassSplit) -> evaluation.LabelSets:
    """Return what the labels stand for in training."""
    of_rare, trained = split.rare * config.labels_per_class, split.rare + split.common
    distribution = split.distribution("zipfian")
    frequency = np.zeros(split.num_classes)
    frequency[split.classes[:trained]] = np.diff(distribution.cumulative)
    return evaluation.LabelSets(
        rare=range(of_rare),
        common=range(of_rare, of_rare + split.common),
        few_shot=range(config.ways),
        class_of_label=np.concatenate(
            [np.repeat(split.classes[: split.rare], config.labels_per_class), split.classes[split.rare : trained]]
        ),
        class_frequency=frequency,
    )


def evaluation_names(config: OmniglotConfig, *, at_end: bool) -> list[EvaluationName]:
    """Return the evaluations at intervals, or those of the trained model, by name."""
    extra = config.eval.extra_with_zipf if config.data.zipf_exponent > 0 else config.eval.extra
    extra_at_end = config.eval.extra_at_end if at_end else ()
    if config.data.ways < 2:  # labels are swapped between ways
        extra_at_end = tuple(name for name in extra_at_end if not name.startswith("swapped"))
    return list(dict.fromkeys(("fewshot_holdout", "no_support_zipfian", *extra, *extra_at_end)))


def make_kind(config: DataConfig, name: EvaluationName) -> data.SequenceKind:
    """Return the sequences of an evaluation."""
    form, class_set = EVALUATIONS[name]
    ways, shots, labels = config.ways, (config.length - 1) // config.ways, make_labelling(config)
    if form == "few_shot":
        return data.FewShot(classes=class_set, shots=shots, ways=ways)
    if form == "swapped":
        return data.SwappedLabels(classes=class_set, shots=shots, ways=ways, labels=labels)
    return (data.NoSupport if form == "no_support" else data.LabelElsewhere)(classes=class_set, labels=labels)


def make_samplers(
    config: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit
) -> dict[str, data.SequenceSampler]:
    """Return the sequences of training and of the evaluations, by name."""
    bursty = data.Bursty(
        p_bursty=config.data.p_bursty,
        shots=config.data.shots,
        ways=config.data.ways,
        p_bursty_zipfian=config.data.p_bursty_zipfian,
        p_bursty_common=config.data.p_bursty_common,
        non_bursty=config.data.non_bursty,
        labels=make_labelling(config.data),
    )
    kinds: dict[str, data.SequenceKind] = {lab.TRAIN: bursty}
    kinds |= {name: make_kind(config.data, name) for name in evaluation_names(config, at_end=True)}
    sampler = functools.partial(
        data.SequenceSampler,
        split=split,
        exemplar_counts=bank.counts,
        length=config.data.length,
        seed=config.train.seed,
    )
    return {name: sampler(kind=kind, stream=name) for name, kind in kinds.items()}


def make_transforms(config: OmniglotConfig, stream: str) -> list[data.Transform]:
    """Return what is done to the images of a stream: each has noise and random images of its own."""
    transforms: list[data.Transform] = []
    if config.data.random_rare:
        transforms.append(data.RandomRareImages(seed=config.train.seed, stream=stream))
    if config.data.noise:
        transforms.append(data.PixelNoise(scale=config.data.noise, seed=config.train.seed, stream=stream))
    return transforms
