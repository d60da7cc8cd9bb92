"""From the configuration of experiments/omniglot.py to its parts: classes, streams of sequences, model."""

import functools

import haiku as hk
import jax

import icl_data as data
import icl_models as models
from omniglot_presets import DataConfig, ModelConfig, OmniglotConfig

ENCODERS: dict[str, models.Encoder] = {"conv": models.ConvEncoder(), "linear": models.LinearEncoder()}
EVALUATION_BATCH = 500


def make_classes(config: DataConfig) -> tuple[data.ExemplarBank, data.ClassSplit]:
    """Draw or read the images, and split their classes."""
    if config.source == "glyphs":
        bank = data.glyphs(config.characters, size=config.size)
    else:
        bank = data.omniglot(config.zips, size=config.size, polarity=config.polarity)
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


def make_streams(
    config: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit
) -> dict[str, data.BatchSource]:
    """Make the training batches and those of the evaluations, by name."""
    ways, length = config.data.ways, config.data.length
    if config.data.batch_size % jax.device_count():
        raise ValueError(
            f"data.batch_size must be a multiple of the {jax.device_count()} devices, got {config.data.batch_size}."
        )
    kinds: dict[str, data.SequenceKind] = {
        "train": data.Bursty(p_bursty=config.data.p_bursty, shots=config.data.shots, ways=ways),
        "fewshot_holdout": data.FewShot(classes="holdout", shots=(length - 1) // ways, ways=ways),
        "no_support_zipfian": data.NoSupport(classes="zipfian"),
    }
    sampler = functools.partial(
        data.SequenceSampler, split=split, exemplar_counts=bank.counts, length=length, seed=config.train.seed
    )
    return {
        name: data.BatchSource(
            sampler=sampler(kind=kind, stream=name),
            bank=bank,
            batch_size=config.data.batch_size if name == "train" else EVALUATION_BATCH,
        )
        for name, kind in kinds.items()
    }


def make_model(config: ModelConfig, split: data.ClassSplit) -> hk.TransformedWithState:
    """Build the classifier."""
    return models.SequenceClassifier(
        num_labels=data.num_labels(split),
        encoder=ENCODERS[config.encoder],
        trunk=models.Transformer(layers=config.layers, heads=config.heads),
        width=config.width,
        label_scale=config.label_scale,
    ).build()
