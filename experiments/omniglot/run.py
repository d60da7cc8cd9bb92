"""The omniglot experiment, from a configuration."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, PyTree

import icl_lab as lab
import icl_models as models
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.data import make_classes, make_samplers
from experiments.omniglot.evaluations import Evaluations, make_functions, make_headlines
from experiments.omniglot.model import make_model, training_loss
from experiments.omniglot.presets import PRESETS
from experiments.omniglot.sweeps import SWEEPS


def build(config: OmniglotConfig) -> lab.Experiment[OmniglotConfig]:
    """Return the experiment of a configuration."""
    bank, split = make_classes(config.data)
    classifier = make_model(config, bank, split)
    model, key = classifier.build(), bank.key
    interventions = config.interventions.model
    apply = models.intervene(classifier, interventions)
    functions = make_functions(classifier, key, interventions if config.eval.intervened else ())
    evaluations = Evaluations(config, split, functions, classifier.layout, has_images=key == "images")

    def init(rng: Array, batch: Mapping[str, Any]) -> tuple[PyTree, PyTree]:
        return model.init(rng, batch[key], batch["labels"])

    def loss_fn(
        params: PyTree, state: PyTree, rng: Array, batch: Mapping[str, Any]
    ) -> tuple[Array, tuple[dict[str, Array], PyTree]]:
        asked = batch[key], batch["labels"], batch["classes"]
        logits, state = apply(params, state, rng, *asked, is_training=True)
        loss, metrics = training_loss(config.model, logits, batch["labels"])
        return loss, (metrics, state)

    return lab.Experiment(
        init=init,
        loss_fn=loss_fn,
        predict=lambda *asked: functions.answer(*asked)[0],
        inputs=(key, "labels", *(("classes",) if config.eval.intervened else ())),
        samplers=lambda config: make_samplers(config, bank, split),
        at_intervals=evaluations.listed(at_end=False),
        at_end=evaluations.listed(at_end=True),
        headlines=make_headlines(config),
        model=classifier,
        interventions=interventions,
        fingerprints={"items": bank.fingerprint()} if config.data.source in ("omniglot", "vectors") else {},
    )


OMNIGLOT = lab.Definition("omniglot", build, PRESETS, sweeps=SWEEPS)
