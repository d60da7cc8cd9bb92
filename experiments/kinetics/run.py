"""The kinetics experiment, from a configuration: sequences, model, measures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, PyTree

import icl_data as data
import icl_eval as evaluation
import icl_lab as lab
import icl_models as models
from experiments.kinetics.config import PRESETS, KineticsConfig
from experiments.kinetics.model import LabelBeside, QueryAttention
from experiments.kinetics.sequences import SharedLabels, WithQuery
from experiments.kinetics.sweeps import SWEEPS

ICL, IWL = "new_classes", "no_support"

HEADLINES = tuple(
    evaluation.Headline(name=name, evaluation=stream, metric="accuracy_closed", title=title, sentence=sentence)
    for name, stream, title, sentence in (
        ("icl", ICL, "In context (ICL)", "Accuracy on classes never trained on: only the context tells the label."),
        ("iwl", IWL, "In weights (IWL)", "Accuracy on trained classes that the context does not show."),
    )
)

_FRESH = 2**16  # classes that a sequence of fresh ones draws from: few enough to list, and hardly one comes twice


def make_samplers(config: KineticsConfig) -> dict[str, data.Sampler]:
    """Return the sequences of training, of new classes and, of classes that are trained on, without support."""
    options, seed = config.data, config.train.seed
    labels = SharedLabels(num=options.labels, seed=seed)
    with_query = WithQuery(labels=labels, among=options.classes)

    def make(stream: str, *, classes: int | None, kind: data.SequenceKind = with_query) -> data.Sampler:
        count = classes or _FRESH
        sampler = data.SequenceSampler(
            kind=kind,
            split=data.ClassSplit(num_classes=count, rare=count),
            exemplar_counts=np.ones(count, np.int64),
            length=options.context + 1,
            seed=seed,
            stream=stream,
        )
        return data.GaussianItems(
            sampler=sampler, dimensions=options.dimensions, within=0.0, fresh=classes is None, seed=seed
        )

    samplers = {lab.TRAIN: make(lab.TRAIN, classes=options.classes), ICL: make(ICL, classes=None)}
    if options.classes is not None:
        samplers[IWL] = make(IWL, classes=options.classes, kind=data.NoSupport(classes="rare", labels=labels))
    return samplers


def build(config: KineticsConfig) -> lab.Experiment[KineticsConfig]:
    """Return the experiment of a configuration."""
    classifier = models.SequenceClassifier(
        num_labels=config.data.labels,
        encoder=models.IdentityEncoder(),
        layout=LabelBeside(num_labels=config.data.labels),
        trunk=QueryAttention(hidden=config.model.hidden),
        width=config.data.dimensions,
        positions="none",
    )
    model = classifier.build()

    def init(rng: Array, batch: Mapping[str, Any]) -> tuple[PyTree, PyTree]:
        return model.init(rng, batch["items"], batch["labels"])

    def loss_fn(
        params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Any]
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        logits, state = model.apply(params, state, rng, batch["items"], batch["labels"], is_training=True)
        loss, metrics = models.query_cross_entropy(logits, batch["labels"][:, -1])
        return loss, (metrics, state)

    def predict(params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Array]) -> Array:
        return model.apply(params, state, None, batch["items"], batch["labels"])[0]

    def measure(predictor: lab.Model, batches: Any, *, name: str, count: int) -> evaluation.Result:
        asked = evaluation.Evaluation(name, range(config.data.labels))
        return evaluation.evaluate(predictor, batches, asked, count=count)

    names = (ICL,) if config.data.classes is None else (ICL, IWL)
    return lab.Experiment(
        init=init,
        loss_fn=loss_fn,
        predict=predict,
        inputs=("items", "labels"),
        samplers=make_samplers,
        at_intervals=lab.evaluations(names, measure, count=config.eval.count),
        at_end=lab.evaluations(names, measure, count=config.eval.final_count),
        headlines=HEADLINES[: len(names)],
        model=classifier,
    )


KINETICS = lab.Definition("kinetics", build, PRESETS, sweeps=SWEEPS)
