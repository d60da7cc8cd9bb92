"""The sweep by its name: ``nox -s sweep -- omniglot properties --workdir runs/properties``."""

import dataclasses

import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.presets import PRESETS
from experiments.omniglot.properties.pictures import draw
from experiments.omniglot.properties.settings import named_settings

_LAPTOP = PRESETS["laptop"]
_CONFIG = dataclasses.replace(
    _LAPTOP,
    data=dataclasses.replace(_LAPTOP.data, p_bursty=0.9, rare=1_600),
    train=dataclasses.replace(_LAPTOP.train, steps=16_000),
    eval=dataclasses.replace(
        _LAPTOP.eval,
        every=400,
        final_count=4_000,
        extra_with_zipf=("no_support_common", "no_support_rare"),
        extra_at_end=(),
        heads_count=0,
        ablation_count=0,
    ),
)

PROPERTIES: lab.SweepPreset[OmniglotConfig] = lab.SweepPreset(
    config=_CONFIG, settings=named_settings, seeds=4, same_program=frozenset({"train.seed"}), draw=draw
)
