"""The sweeps by their names, such as ``nox -s sweep -- omniglot emergence --workdir runs/emergence``."""

import dataclasses
from collections.abc import Mapping

import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.induction import INDUCTION
from experiments.omniglot.properties.sweep import PROPERTIES
from experiments.omniglot.studies import COOPETITION, FORGETTING, TRANSIENCE

# When ICL emerges, by how many classes are trained and how bursty the sequences are.
EMERGENCE: lab.SweepPreset[OmniglotConfig] = lab.SweepPreset(
    config=dataclasses.replace(
        PROPERTIES.config,
        train=dataclasses.replace(PROPERTIES.config.train, steps=8_000),
        eval=dataclasses.replace(PROPERTIES.config.eval, every=200, count=500, final_count=1_000),
    ),
    grid={"data.rare": (200, 400, 800, 1_600), "data.p_bursty": (0.8, 0.9, 1.0)},
    seeds=4,
)

SWEEPS: Mapping[str, lab.SweepPreset[OmniglotConfig]] = {
    "properties": PROPERTIES,
    "emergence": EMERGENCE,
    "induction": INDUCTION,
    "forgetting": FORGETTING,
    "transience": TRANSIENCE,
    "coopetition": COOPETITION,
}
