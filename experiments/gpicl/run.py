"""The gpicl experiment, from a configuration."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, PyTree

import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from experiments.gpicl.config import PRESETS, GpiclConfig
from experiments.gpicl.data import OTHER, SEEN_IMAGES, fingerprints, make_samplers, make_sets, read_banks
from experiments.gpicl.model import make_model
from experiments.gpicl.shifts import LONGER, ROTATIONS, SHIFTED, SHIFTED_TASKS
from experiments.gpicl.sweeps import SWEEPS

BASELINES = ("1-NN", "3-NN", "ridge", "logistic regression", "majority label")

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

OTHER_DATA = evaluation.Family(title="Unseen data", sentence="Labelled sets that were not trained on, in unseen tasks.")


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
    at_end = [name for name in samplers(config) if name != lab.TRAIN]
    if not config.eval.other_datasets:
        at_end = [name for name in at_end if not name.startswith(OTHER) and not name.endswith(SEEN_IMAGES)]
    return lab.Experiment(
        init=init,
        loss_fn=loss_fn,
        predict=predict,
        inputs=("items", "labels"),
        samplers=samplers,
        at_intervals=lab.evaluations((lab.SEEN, lab.UNSEEN), measure, count=config.eval.count),
        at_end=tuple(final_evaluation(config, name, num_labels) for name in at_end),
        headlines=HEADLINES,
        model=classifier,
        fingerprints=fingerprints(config.data, banks),
        learner=lab.SEEN_AND_UNSEEN,
    )


def final_evaluation(config: GpiclConfig, name: str, num_labels: int) -> lab.Evaluation:
    """Return an evaluation of the trained model, beside baselines."""
    count = config.eval.final_count
    count = min(count, ROTATIONS) if name == f"{SHIFTED}rotation" else count
    length = config.eval.longer if name == LONGER else config.data.length
    measure = functools.partial(
        evaluation.evaluate_labels,
        name=name,
        num_labels=num_labels,
        **make_baselines(min(count, config.eval.baseline_count), length=length, num_labels=num_labels),
    )
    is_shifted = name.startswith((SHIFTED, LONGER))
    family = SHIFTED_TASKS if is_shifted else OTHER_DATA if name.startswith(OTHER) else None
    return lab.Evaluation(name, (name,), count, measure, family)


def make_baselines(count: int, *, length: int, num_labels: int) -> dict[str, Any]:
    """Return what the model is compared with, at a few positions, as arguments of `icl_eval.evaluate_labels`.

    Args:
      count: of the tasks that baselines are asked about.
      length: of the sequences.
      num_labels: of a task.
    """
    if not count:
        return {}

    def ask(classifier: evaluation.Classifier, items: np.ndarray, labels: np.ndarray, positions: Any) -> np.ndarray:
        return evaluation.labels_by_position(classifier, items, labels, num_labels=num_labels, positions=positions)

    last = range(length - max(1, length // 8), length)  # what the model's last accuracy is the mean over
    positions = sorted({2**power for power in range(length.bit_length()) if 2**power < length} | set(last))
    asked = {name: functools.partial(ask, evaluation.CLASSIFIERS[name]) for name in BASELINES}
    return {"baselines": asked, "baseline_positions": positions, "baseline_count": count}


GPICL = lab.Definition("gpicl", build, PRESETS, sweeps=SWEEPS)
