"""The model of omniglot, as icl-models has it, and what it is trained on."""

from jaxtyping import Array

import icl_data as data
import icl_lab as lab
import icl_models as models
from experiments.omniglot.config import ModelConfig, OmniglotConfig
from experiments.omniglot.labels import make_num_labels

READ_BY_ENCODERS = {
    "numbers": ("embedding",),
    "vectors": ("linear", "identity"),
    "images": ("conv", "resnet", "linear"),
}
"""Which encoders there are for what a bank holds."""

LAYOUTS: dict[str, models.Layout] = {
    "interleaved": models.Interleaved(),
    "concatenated": models.Concatenated(),
    "previous_label": models.PreviousLabel(),
}


def make_model(of_run: OmniglotConfig, bank: data.ExemplarBank, split: data.ClassSplit) -> models.SequenceClassifier:
    """Return the classifier, with logits of what the loss is of."""
    labels = make_num_labels(of_run.data, split)
    config = of_run.model
    kind = {1: "numbers", 2: "vectors"}.get(bank.items.ndim, "images")
    if config.encoder not in READ_BY_ENCODERS[kind]:
        raise ValueError(
            f"data.source {of_run.data.source} has {kind}, for which model.encoder is one of "
            f"{', '.join(READ_BY_ENCODERS[kind])}, got {config.encoder}."
        )
    encoders: dict[str, models.Encoder] = {
        "conv": models.ConvEncoder(channels=config.channels),
        "resnet": models.ResNetEncoder(flatten=config.flatten),
        "linear": models.LinearEncoder(),
        "identity": models.IdentityEncoder(),
        "embedding": models.EmbeddingEncoder(num_items=bank.num_classes),
    }
    trunk = lab.make_trunk(
        config.trunk,
        layers=config.layers,
        width=config.width,
        heads=config.heads,
        key_size=config.key_size,
        mlp_ratio=config.mlp_ratio,
        rotary=config.rotary,
        projection_bias=config.projection_bias,
        mask=config.mask,
        mlp=not config.attention_only,
        num_loops=config.num_loops,
        dropout=config.dropout,
    )
    return models.SequenceClassifier(
        num_labels=labels,
        encoder=encoders[config.encoder],
        layout=LAYOUTS[config.layout],
        trunk=trunk,
        width=config.width,
        positions=models.OneHotPositions(config.one_hot_length) if config.positions == "one_hot" else config.positions,
        outputs="query" if config.loss == "query" else "every_item",
        label_init_std=config.label_init_std,
        item_dropout=config.item_dropout,
        position_dropout=config.position_dropout,
        compute_dtype=config.compute_dtype,
    )


def training_loss(config: ModelConfig, logits: Array, labels: Array) -> tuple[Array, dict[str, Array]]:
    """Return the loss and the accuracies."""
    if config.loss == "weighted":
        return models.weighted_cross_entropy(logits, labels, context_weight=config.context_weight)
    if config.loss == "every_item":
        return models.every_item_cross_entropy(logits, labels)
    return models.query_cross_entropy(logits, labels[:, -1])
