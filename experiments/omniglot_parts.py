"""From the configuration of experiments/omniglot.py to its parts: classes, streams of sequences, model."""

import functools
from typing import Literal

import grain
import numpy as np
from jaxtyping import Array

import icl_data as data
import icl_eval as evaluation
import icl_models as models
from omniglot_presets import DataConfig, EvaluationName, ModelConfig, OmniglotConfig

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
    """Draw or read the images, and split their classes."""
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
    """Say how training sequences are labelled."""
    return data.Ordered() if config.labels_per_class == 1 else data.Polysemy(config.labels_per_class)


def make_label_sets(config: DataConfig, split: data.ClassSplit) -> evaluation.LabelSets:
    """Say what the labels stand for in training."""
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


def make_evaluations(config: OmniglotConfig, split: data.ClassSplit, *, final: bool) -> list[evaluation.Evaluation]:
    """List what a run is evaluated by: the original's names, each with the labels that are possible there."""
    sets = make_label_sets(config.data, split)
    of_set = {"rare": sets.rare, "common": sets.common, "zipfian": range(len(sets.rare) + len(sets.common))}
    listed = []
    for name in evaluation_names(config, final=final):
        form, class_set = EVALUATIONS[name]
        listed.append(evaluation.Evaluation(name, sets.few_shot if form == "few_shot" else of_set[class_set]))
    return listed


def evaluation_names(config: OmniglotConfig, *, final: bool) -> list[EvaluationName]:
    """List the evaluations at intervals, or those of the trained model."""
    also = config.eval.also_with_zipf if config.data.zipf_exponent > 0 else config.eval.also
    finally_also = config.eval.finally_also if final else ()
    if config.data.ways < 2:  # labels are swapped between ways
        finally_also = tuple(name for name in finally_also if not name.startswith("swapped"))
    return list(dict.fromkeys(("fewshot_holdout", "no_support_zipfian", *also, *finally_also)))


def make_kind(config: DataConfig, name: EvaluationName) -> data.SequenceKind:
    """Give the sequences of an evaluation."""
    form, class_set = EVALUATIONS[name]
    ways, shots, labels = config.ways, (config.length - 1) // config.ways, make_labelling(config)
    if form == "few_shot":
        return data.FewShot(classes=class_set, shots=shots, ways=ways)
    if form == "swapped":
        return data.SwappedLabels(classes=class_set, shots=shots, ways=ways, labels=labels)
    return (data.NoSupport if form == "no_support" else data.LabelElsewhere)(classes=class_set, labels=labels)


def make_streams(
    config: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit, *, shard: tuple[int, int] = (0, 1)
) -> dict[str, grain.IterDataset]:
    """Make the training batches, of which this host has a shard, and those of the evaluations, by name."""
    bursty = data.Bursty(
        p_bursty=config.data.p_bursty,
        shots=config.data.shots,
        ways=config.data.ways,
        p_bursty_zipfian=config.data.p_bursty_zipfian,
        p_bursty_common=config.data.p_bursty_common,
        non_bursty=config.data.non_bursty,
        labels=make_labelling(config.data),
    )
    kinds: dict[str, data.SequenceKind] = {"train": bursty}
    kinds |= {name: make_kind(config.data, name) for name in evaluation_names(config, final=True)}
    sampler = functools.partial(
        data.SequenceSampler,
        split=split,
        exemplar_counts=bank.counts,
        length=config.data.length,
        seed=config.train.seed,
    )
    return {
        name: data.batches(
            data.BatchSource(
                sampler=sampler(kind=kind, stream=name),
                bank=bank,
                batch_size=config.data.batch_size if name == "train" else config.eval.batch_size,
                shard=shard[0] if name == "train" else 0,
                shard_count=shard[1] if name == "train" else 1,
            ),
            steps=make_steps(config, name),
        )
        for name, kind in kinds.items()
    }


def make_steps(config: OmniglotConfig, stream: str) -> list[data.Step]:
    """List what is done to the images of a stream: each has noise and random images of its own."""
    steps: list[data.Step] = []
    if config.data.random_rare:
        steps.append(data.RandomRareImages(seed=config.train.seed, stream=stream))
    if config.data.noise:
        steps.append(data.PixelNoise(scale=config.data.noise, seed=config.train.seed, stream=stream))
    return steps


def make_model(of_run: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit) -> models.SequenceClassifier:
    """Put the classifier together, with logits of what the loss is of."""
    labels = data.num_labels(split, make_labelling(of_run.data))
    config = of_run.model
    if (config.encoder == "embedding") != (bank.key == "items"):
        raise ValueError(f"model.encoder embedding is for data.source symbols alone, got {config.encoder}.")
    encoders: dict[str, models.Encoder] = {
        "conv": models.ConvEncoder(),
        "resnet": models.ResNetEncoder(flatten=config.flatten),
        "linear": models.LinearEncoder(),
        "embedding": models.EmbeddingEncoder(num_items=bank.num_classes),
    }
    layouts: dict[str, models.Layout] = {
        "interleaved": models.Interleaved(),
        "concatenated": models.Concatenated(),
        "previous_label": models.PreviousLabel(),
    }
    layers, hidden = config.layers, config.width
    trunks: dict[str, models.Trunk] = {
        "transformer": models.Transformer(
            layers=layers,
            heads=config.heads,
            key_size=config.key_size,
            mask=config.mask,
            mlp=not config.attention_only,
            repeats=config.repeats,
            dropout=config.dropout,
        ),
        "lstm": models.LSTM(layers=layers, hidden=hidden),
        "vanilla_rnn": models.VanillaRNN(layers=layers, hidden=hidden),
        "outer_product_lstm": models.OuterProductLSTM(layers=layers, hidden=hidden),
        "mlp": models.MLP(layers=layers, hidden=hidden),
    }
    return models.SequenceClassifier(
        num_labels=labels,
        encoder=encoders[config.encoder],
        layout=layouts[config.layout],
        trunk=trunks[config.trunk],
        width=config.width,
        positions=config.positions,
        outputs="query" if config.loss == "query" else "every_item",
        label_scale=config.label_scale,
        item_dropout=config.item_dropout,
        position_dropout=config.position_dropout,
        compute_dtype=config.compute_dtype,
    )


def training_loss(config: ModelConfig, logits: Array, labels: Array) -> tuple[Array, dict[str, Array]]:
    """Give the loss and the accuracies."""
    if config.loss == "weighted":
        return models.weighted_cross_entropy(logits, labels, context_weight=config.context_weight)
    if config.loss == "every_item":
        return models.every_item_cross_entropy(logits, labels)
    return models.query_cross_entropy(logits, labels[:, -1])
