"""The model of gpicl, as icl-models has it."""

import icl_lab as lab
import icl_models as models
from experiments.gpicl.config import ModelConfig


def make_model(config: ModelConfig, num_labels: int) -> models.SequenceClassifier:
    """Return the classifier of every item, or of the query alone where the trunk has but one output."""
    return models.SequenceClassifier(
        num_labels=num_labels,
        encoder=models.IdentityEncoder(),
        layout=models.PreviousLabel(),
        trunk=lab.make_trunk(
            config.trunk, layers=config.layers, width=config.width, heads=config.heads, key_size=config.key_size
        ),
        width=config.width,
        positions=config.positions,
        outputs="query" if config.trunk == "mlp" else "every_item",
        compute_dtype=config.compute_dtype,
    )
