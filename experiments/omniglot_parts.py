"""From the configuration of experiments/omniglot.py to its parts: classes, streams of sequences, model."""

import functools

import grain
import haiku as hk
from jaxtyping import Array

import icl_data as data
import icl_eval as evaluation
import icl_models as models
from omniglot_presets import DataConfig, EvaluationName, ModelConfig, OmniglotConfig

# What an evaluation's name means: whether it has support, and which classes it draws.
EVALUATIONS: dict[EvaluationName, tuple[bool, data.ClassSet]] = {
    "fewshot_common": (True, "common"),
    "fewshot_rare": (True, "rare"),
    "fewshot_zipfian": (True, "zipfian"),
    "fewshot_holdout": (True, "holdout"),
    "no_support_common": (False, "common"),
    "no_support_rare": (False, "rare"),
    "no_support_zipfian": (False, "zipfian"),
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


def make_evaluations(config: OmniglotConfig, split: data.ClassSplit) -> list[evaluation.Evaluation]:
    """List what a run is evaluated by: the original's names, each with the labels that are possible there."""
    trained = range(split.rare + split.common)
    of_set = {"rare": trained[: split.rare], "common": trained[split.rare :], "zipfian": trained}
    listed = []
    for name in _names(config):
        has_support, class_set = EVALUATIONS[name]
        listed.append(evaluation.Evaluation(name, range(config.data.ways) if has_support else of_set[class_set]))
    return listed


def _names(config: OmniglotConfig) -> list[EvaluationName]:
    also = config.eval.also_with_zipf if config.data.zipf_exponent > 0 else config.eval.also
    return list(dict.fromkeys(("fewshot_holdout", "no_support_zipfian", *also)))


def make_streams(
    config: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit, *, shard: tuple[int, int] = (0, 1)
) -> dict[str, grain.IterDataset]:
    """Make the training batches, of which this host has a shard, and those of the evaluations, by name."""
    ways, length = config.data.ways, config.data.length
    bursty = data.Bursty(
        p_bursty=config.data.p_bursty,
        shots=config.data.shots,
        ways=ways,
        p_bursty_zipfian=config.data.p_bursty_zipfian,
        p_bursty_common=config.data.p_bursty_common,
        non_bursty=config.data.non_bursty,
    )
    kinds: dict[str, data.SequenceKind] = {"train": bursty}
    for name in _names(config):
        has_support, class_set = EVALUATIONS[name]
        few_shot = data.FewShot(classes=class_set, shots=(length - 1) // ways, ways=ways)
        kinds[name] = few_shot if has_support else data.NoSupport(classes=class_set)
    sampler = functools.partial(
        data.SequenceSampler, split=split, exemplar_counts=bank.counts, length=length, seed=config.train.seed
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


def make_model(
    config: ModelConfig, bank: data.ExemplarBank, split: data.ClassSplit, *, is_training: bool = True
) -> hk.TransformedWithState:
    """Build the classifier: with logits of what the loss is of, or of the query alone, by the same parameters."""
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
        num_labels=data.num_labels(split),
        encoder=encoders[config.encoder],
        layout=layouts[config.layout],
        trunk=trunks[config.trunk],
        width=config.width,
        positions=config.positions,
        outputs="query" if config.loss == "query" or not is_training else "every_item",
        label_scale=config.label_scale,
        item_dropout=config.item_dropout,
        position_dropout=config.position_dropout,
        compute_dtype=config.compute_dtype,
    ).build()


def training_loss(config: ModelConfig, logits: Array, labels: Array) -> tuple[Array, dict[str, Array]]:
    """Give the loss and the accuracies."""
    if config.loss == "weighted":
        return models.weighted_cross_entropy(logits, labels, context_weight=config.context_weight)
    if config.loss == "every_item":
        return models.every_item_cross_entropy(logits, labels)
    return models.query_cross_entropy(logits, labels[:, -1])
