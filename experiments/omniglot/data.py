"""What omniglot trains on and is evaluated on: classes, kinds of sequences, samplers."""

import functools
from typing import Literal

import numpy as np

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
from experiments.omniglot.config import DataConfig, LabelsName, OmniglotConfig, SequenceName

# What a name means: the form of sequences, and which classes they draw.
Form = Literal["bursty", "mixed", "iid", "few_shot", "no_support", "swapped", "elsewhere"]
SEQUENCES: dict[SequenceName, tuple[Form, data.ClassSet]] = {
    "bursty": ("bursty", "zipfian"),
    "mixed": ("mixed", "zipfian"),
    "iid_common": ("iid", "common"),
    "iid_rare": ("iid", "rare"),
    "iid_zipfian": ("iid", "zipfian"),
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


def make_labelling(config: DataConfig, name: LabelsName | None = None) -> data.Labelling:
    """Return a labelling by its name; by default the one that fixes the labels of trained classes."""
    if name == "unfixed":
        return data.RandomLabels()
    if name == "offset":
        return data.Offset(config.label_offset)
    if "original" in config.train.labels:
        return data.Original()
    return data.Ordered() if config.labels_per_class == 1 else data.Polysemy(config.labels_per_class)


def make_num_labels(config: DataConfig, split: data.ClassSplit) -> int:
    """Return V, enough for all labels of training and evaluation."""
    count = make_labelling(config).num_labels(split)
    return max(count, make_labelling(config, "offset").num_labels(split)) if "offset" in config.train.labels else count


def make_label_sets(config: DataConfig, split: data.ClassSplit) -> evaluation.LabelSets:
    """Return what the labels stand for in training."""
    trained = split.rare + split.common
    classes = split.classes[:trained]
    of_class = np.array([config.labels_per_class] * split.rare + [1] * split.common)
    if isinstance(make_labelling(config), data.Original):
        class_of_label = np.full(split.num_classes, -1)
        class_of_label[classes] = classes
        rare, common = classes[: split.rare].tolist(), classes[split.rare :].tolist()
    else:
        class_of_label, of_rare = np.repeat(classes, of_class), split.rare * config.labels_per_class
        rare, common = range(of_rare), range(of_rare, of_rare + split.common)
    distribution = split.distribution("zipfian")
    frequency = np.zeros(split.num_classes)
    frequency[classes] = np.diff(distribution.cumulative)
    return evaluation.LabelSets(
        rare=rare,
        common=common,
        few_shot=range(config.ways),
        class_of_label=class_of_label,
        class_frequency=frequency,
    )


def evaluation_names(config: OmniglotConfig, *, at_end: bool) -> list[SequenceName]:
    """Return the evaluations at intervals, or those of the trained model, by name."""
    extra = config.eval.extra_with_zipf if config.data.zipf_exponent > 0 else config.eval.extra
    extra_at_end = config.eval.extra_at_end if at_end else ()
    if config.data.ways < 2:  # labels are swapped between ways
        extra_at_end = tuple(name for name in extra_at_end if not name.startswith("swapped"))
    return list(dict.fromkeys(("fewshot_holdout", "no_support_zipfian", *extra, *extra_at_end)))


def make_kind(config: DataConfig, name: SequenceName, labels: data.Labelling | None = None) -> data.SequenceKind:
    """Return a kind of sequence by its name.

    Args:
      config: of the data.
      name: of the kind.
      labels: how it is labelled; by default few-shot problems anew in each sequence, and all else as in training.
    """
    form, class_set = SEQUENCES[name]
    ways, shots, fixed = config.ways, (config.length - 1) // config.ways, labels or make_labelling(config)
    few_shot = functools.partial(
        data.FewShot, shots=shots, ways=ways, grouped=config.grouped, distinct_ways=config.distinct_ways
    )
    if form == "few_shot":
        return few_shot(classes=class_set, labels=labels or data.RandomLabels())
    if form == "swapped":
        return data.SwappedLabels(classes=class_set, shots=shots, ways=ways, labels=fixed)
    if form == "elsewhere":
        return data.LabelElsewhere(classes=class_set, labels=fixed)
    if form == "no_support":
        return data.NoSupport(classes=class_set, distinct_fillers=config.distinct_fillers, labels=fixed)
    if form == "iid":
        return data.Iid(classes=class_set, distinct_fillers=config.distinct_fillers, labels=fixed)
    if form == "mixed":
        iid = data.Iid(classes="common", distinct_fillers=config.distinct_fillers, labels=fixed)
        return data.Mixed(p_few_shot=config.p_few_shot, few_shot=few_shot(classes="rare"), iid=iid)
    return data.Bursty(
        p_bursty=config.p_bursty,
        shots=config.shots,
        ways=ways,
        p_bursty_zipfian=config.p_bursty_zipfian,
        p_bursty_common=config.p_bursty_common,
        non_bursty=config.non_bursty,
        distinct_ways=config.distinct_ways,
        labels=fixed,
    )


def make_training_kind(config: DataConfig) -> data.SequenceKind:
    """Return the sequences of training: of one kind, or a mixture."""
    train = config.train
    named = zip(train.kinds, train.labels or [None] * len(train.kinds), strict=True)
    kinds = [make_kind(config, name, labels and make_labelling(config, labels)) for name, labels in named]
    return kinds[0] if len(kinds) == 1 else data.MixtureOf(kinds=kinds, shares=train.shares)


def make_samplers(
    config: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit
) -> dict[str, data.SequenceSampler]:
    """Return the sequences of training and of the evaluations, by name."""
    kinds: dict[str, data.SequenceKind] = {lab.TRAIN: make_training_kind(config.data)}
    kinds |= {name: make_kind(config.data, name) for name in evaluation_names(config, at_end=True)}
    sampler = functools.partial(
        data.SequenceSampler,
        split=split,
        exemplar_counts=bank.counts,
        length=config.data.length,
        seed=config.train.seed,
    )
    return {name: sampler(kind=kind, stream=name) for name, kind in kinds.items()}


def make_transforms(config: DataConfig) -> list[data.Transform]:
    """Return what is done to images."""
    transforms: list[data.Transform] = [data.RandomRareImages()] if config.random_rare else []
    return [*transforms, data.PixelNoise(scale=config.noise)] if config.noise else transforms
