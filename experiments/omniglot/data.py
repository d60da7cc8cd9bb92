"""What omniglot trains on and is evaluated on: classes, kinds of sequences, samplers."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

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
    if config.scale != 1:
        bank = dataclasses.replace(bank, items=bank.items * np.float32(config.scale))
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


def make_samplers(config: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit) -> dict[str, data.Sampler]:
    """Return the sequences of training and of the evaluations, with their items, by name."""
    labels, transforms = make_trained_labels(config.data, split), make_transforms(config.data)
    make = functools.partial(
        data.SequenceSampler,
        split=split,
        exemplar_counts=bank.counts,
        length=config.data.length,
        seed=config.train.seed,
    )
    samplers: dict[str, data.Sampler] = {lab.TRAIN: data.WithItems(make_training(config, make), bank, transforms)}
    for name in evaluation_names(config, at_end=True):
        if name == "as_trained":
            samplers[name] = lab.AtStep(
                lambda step: data.WithItems(
                    make_training(config, make, stream="as_trained", at_step=step), bank, transforms
                )
            )
        else:
            kind = make_kind(config.data, name, labels=labels)
            sampler: data.Sampler
            if config.eval.every_sequence and isinstance(kind, data.WithDistractor):
                sampler = make_list(config, kind, split, bank, stream=name)
            else:
                sampler = make(kind=kind, stream=name)
            samplers[name] = data.WithItems(sampler, bank, transforms)
    return samplers


def make_list(
    config: OmniglotConfig, kind: data.WithDistractor, split: data.ClassSplit, bank: data.ExemplarBank, *, stream: str
) -> data.EverySequence:
    """Return all sequences of a kind, in an order of the stream's own.

    Raises:
      ValueError: a context with items beside the two classes, what cannot be listed (`icl_data.EverySequence`), and an
        evaluation of more sequences than there are, which would count some more often than others.
    """
    if config.data.length != 2 * kind.shots + 1:
        raise ValueError(
            f"eval.every_sequence wants a context of the two classes alone, data.length {2 * kind.shots + 1} with "
            f"data.shots {kind.shots}, got {config.data.length}."
        )
    listed = data.EverySequence(
        kind=kind, split=split, exemplar_counts=bank.counts, seed=config.train.seed, stream=stream
    )
    if (asked := max(config.eval.count, config.eval.final_count)) > len(listed):
        raise ValueError(
            f"eval.every_sequence lists {len(listed):,} sequences of {stream}, but eval.count or eval.final_count "
            f"asks for {asked:,}; ask for fewer, or leave {stream} out of this evaluation."
        )
    return listed


def make_training(
    config: OmniglotConfig,
    make: Callable[..., data.SequenceSampler],
    *,
    stream: str = lab.TRAIN,
    at_step: int | None = None,
) -> data.Sampler:
    """Return what training sees, one stage after another.

    Args:
      config: of the run; its batch size turns steps into numbers of sequences.
      make: a sampler of a ``kind`` and ``stream``.
      stream: of the sequences.
      at_step: for all sequences to be of the distribution at this step; None for each to be of that at its own.
    """
    train, kinds, size = config.data.train, make_training_kinds(config.data), config.data.batch_size
    stages = [
        make(
            kind=data.MixtureOf(
                kinds=[kinds[place] for place in places],
                shares=[train.shares[place] for place in places] if train.shares else (),
            ),
            stream=stream,
        )
        for places in train.stages().values()
    ]
    if len(stages) == 1:
        return stages[0]
    return data.Curriculum(
        stages=stages,
        starts=[start * size for start in train.stages()],
        blends=[0, *[train.blend * size] * (len(stages) - 1)],
        seed=config.train.seed,
        stream=stream,
        at=None if at_step is None else at_step * size,
    )


def make_transforms(config: DataConfig) -> list[data.Transform]:
    """Return what is done to images."""
    transforms: list[data.Transform] = [data.RandomRareImages()] if config.random_rare else []
    return [*transforms, data.PixelNoise(scale=config.noise)] if config.noise else transforms
