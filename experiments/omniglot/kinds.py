"""Kinds of sequences and their labellings, as icl-data has them, from the options of omniglot."""

import dataclasses

import icl_data as data
from experiments.omniglot.config import DataConfig
from experiments.omniglot.sequences import DISTRACTORS, SEQUENCES, Form, LabelsName, SequenceName
from icl_data.sequences.relabelling import Pairs


def make_labelling(config: DataConfig, name: LabelsName | None = None) -> data.Labelling:
    """Return a labelling by its name; by default the one of all that is not few-shot."""
    if name == "unfixed":
        return data.RandomLabels()
    if name == "offset":
        return data.Offset(config.label_offset)
    if "original" in config.train.labels:
        return data.Original()
    return data.Ordered() if config.labels_per_class == 1 else data.Polysemy(config.labels_per_class)


def make_kind(
    config: DataConfig, name: SequenceName, *, labels: data.Labelling, few_shot_labels: data.Labelling | None = None
) -> data.SequenceKind:
    """Return a kind of sequence by its name.

    Args:
      config: of the data.
      name: of the kind.
      labels: how it is labelled.
      few_shot_labels: how few-shot problems are, but for those of mixed sequences; by default anew in each sequence.
    """
    form, class_set = SEQUENCES[name]
    ways, shots = config.ways, (config.length - 1) // config.ways
    few_shot = data.FewShot(
        classes="rare" if form == "mixed" else class_set,
        shots=shots,
        ways=ways,
        grouped=config.grouped,
        distinct_ways=config.distinct_ways,
    )
    if form == "few_shot":
        return dataclasses.replace(few_shot, labels=few_shot_labels or few_shot.labels)
    if form == "swapped":
        return data.SwappedLabels(classes=class_set, shots=shots, ways=ways, labels=labels)
    if form == "elsewhere":
        return data.LabelElsewhere(classes=class_set, distinct_fillers=config.distinct_fillers, labels=labels)
    if form in DISTRACTORS:
        return data.WithDistractor(
            classes=class_set,
            shots=config.shots,
            exemplars=config.exemplar_choice,
            distinct_fillers=config.distinct_fillers,
            label_noise=config.label_noise,
            labels=distractor_labels(config, form, labels),
        )
    if form == "no_support":
        return data.NoSupport(classes=class_set, distinct_fillers=config.distinct_fillers, labels=labels)
    if form == "iid":
        return data.Iid(classes=class_set, distinct_fillers=config.distinct_fillers, labels=labels)
    if form == "mixed":
        iid = data.Iid(classes="common", distinct_fillers=config.distinct_fillers, labels=labels)
        return data.Mixed(p_few_shot=config.p_few_shot, few_shot=few_shot, iid=iid)
    return data.Bursty(
        p_bursty=config.p_bursty,
        shots=config.shots,
        ways=ways,
        p_bursty_zipfian=config.p_bursty_zipfian,
        p_bursty_common=config.p_bursty_common,
        non_bursty=config.non_bursty,
        distinct_ways=config.distinct_ways,
        exemplars=config.exemplar_choice,
        label_noise=config.label_noise,
        labels=labels,
    )


def label_pairs(config: DataConfig) -> tuple[Pairs, Pairs]:
    """Return the pairs of labels that training sees, and those that it never does."""
    return data.label_pairs(config.pair_labels, held_out=config.held_out_pairs, seed=config.split_seed)


def distractor_labels(config: DataConfig, form: Form, labels: data.Labelling) -> data.Labelling:
    """Return the labels of the two classes of a sequence with a distractor, whose others have the given ones."""
    if form == "distractor":
        return labels
    if form == "distractor_swapped":
        return data.Exchanged(labels)
    trained, held_out = ((), ()) if form == "distractor_unfixed" else label_pairs(config)
    pairs = {
        "distractor_unfixed": ((0, 1), (1, 0)),
        "distractor_pairs": trained,
        "distractor_held_out_pairs": held_out,
    }
    return data.PairLabels(pairs=pairs[form], others=labels)


def make_training_kinds(config: DataConfig) -> list[data.SequenceKind]:
    """Return the kinds that training sees, each with its options and its labels."""
    train, kinds = config.train, []
    for place, name in enumerate(train.kinds):
        own = make_labelling(config, train.labels[place]) if train.labels else None
        options = dataclasses.replace(config, **train.own_options(place))
        kinds.append(make_kind(options, name, labels=own or make_labelling(config), few_shot_labels=own))
    return kinds
