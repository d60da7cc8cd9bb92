"""The gpicl experiment, from a configuration."""

import functools
from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, PyTree

import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from experiments.gpicl.at_end import evaluations_at_end
from experiments.gpicl.config import PRESETS, GpiclConfig
from experiments.gpicl.data import META, OTHER, SEEN_IMAGES, fingerprints, make_samplers, make_sets, read_banks
from experiments.gpicl.model import make_model
from experiments.gpicl.sweeps import SWEEPS

HEADLINES = (
    evaluation.Headline(
        name="unseen",
        evaluation=lab.UNSEEN,
        metric="accuracy_last",
        title="Unseen tasks",
        sentence="Accuracy after all examples on tasks never trained on: only the examples can tell the labels.",
    ),
    evaluation.Headline(
        name="seen",
        evaluation=lab.SEEN,
        metric="accuracy_last",
        title="Seen tasks",
        sentence="Accuracy after all examples on tasks trained on: the weights may remember them.",
    ),
)


def build(config: GpiclConfig) -> lab.Experiment[GpiclConfig]:
    """Return the experiment of a configuration."""
    banks = read_banks(config.data)
    sets = make_sets(config.data, banks)
    num_labels = config.data.ways or next(iter(sets.values()))[0].num_classes
    classifier = make_model(config.model, num_labels)
    model = classifier.build()
    samplers = functools.partial(make_samplers, sets=sets, num_labels=num_labels)

    def init(rng: Array, batch: Mapping[str, Any]) -> tuple[PyTree, PyTree]:
        return model.init(rng, batch["items"], batch["labels"])

    def loss_fn(
        params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Any]
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        logits, state = model.apply(params, state, rng, batch["items"], batch["labels"], is_training=True)
        if config.model.trunk == "mlp":
            loss, metrics = models.query_cross_entropy(logits, batch["labels"][:, -1])
        else:
            loss, metrics = models.every_item_cross_entropy(logits, batch["labels"])
        return loss, (metrics, state)

    def predict(params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Array]) -> Array:
        logits = model.apply(params, state, None, batch["items"], batch["labels"])[0]
        return logits[:, None] if logits.ndim == 2 else logits

    measure = functools.partial(evaluation.evaluate_labels, num_labels=num_labels)
    at_end = [name for name in samplers(config) if name not in (lab.TRAIN, META)]
    if not config.eval.other_datasets:
        at_end = [name for name in at_end if not name.startswith(OTHER) and not name.endswith(SEEN_IMAGES)]
    return lab.Experiment(
        init=init,
        loss_fn=loss_fn,
        predict=predict,
        inputs=("items", "labels"),
        samplers=samplers,
        at_intervals=lab.evaluations((lab.SEEN, lab.UNSEEN), measure, count=config.eval.count),
        at_end=evaluations_at_end(config, at_end, num_labels=num_labels),
        headlines=HEADLINES,
        model=classifier,
        fingerprints=fingerprints(config.data, banks),
        learner=lab.SEEN_AND_UNSEEN,
        takes=lab.TakesVectors(
            num_inputs=next(iter(sets.values()))[0].items.shape[1], num_labels=num_labels, length=config.data.length
        ),
    )


GPICL = lab.Definition("gpicl", build, PRESETS, sweeps=SWEEPS)
