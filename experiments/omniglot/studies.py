"""Studies of what keeps or ends in-context learning: a sweep for each, at a two-core size."""

import dataclasses
import functools
from collections.abc import Mapping

import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.courses import LEARNING, STRATEGIES, draw
from experiments.omniglot.presets import PRESETS
from icl_train import Forget, OptimizerConfig, TrainConfig

_LAPTOP = PRESETS["laptop"]
_CONSTANT = OptimizerConfig(schedule="constant", learning_rate=1e-3)  # a rate that falls would keep what there is
_EVAL = dataclasses.replace(
    _LAPTOP.eval, spacing="log", count=1_000, final_count=2_000, extra_at_end=(), heads_count=0, ablation_count=0
)


def forgetting_settings(config: OmniglotConfig) -> Mapping[str, lab.Setting]:
    """Return the settings of Anand et al. (2024), arXiv 2406.00053: item vectors drawn anew never, always, or at first.

    Structural ICL is that on symbols whose vectors were never trained.
    """
    always, first = Forget(params="^encoder/", every=100), Forget(params="^encoder/", every=100, until=1_000)
    return {
        "no forgetting": {},
        "active forgetting": {"intervene": (lab.words_of(always),)},
        "temporary forgetting": {"intervene": (lab.words_of(first),)},
    }


def transience_settings(config: OmniglotConfig) -> Mapping[str, lab.Setting]:
    """Return the settings of Singh et al. (2023), arXiv 2311.08360: without and with an L2 penalty, which keeps ICL."""
    return {"no penalty": {}, "L2 penalty": {"optimizer.l2": 1e-4}}


def coopetition_settings(config: OmniglotConfig) -> Mapping[str, lab.Setting]:
    """Return the settings of Singh et al. (2025), arXiv 2503.05631: any exemplars, or matched ones, which keep ICL."""
    return {"any exemplars": {}, "matched exemplars": {"data.exemplar_choice": "matched"}}


# 120,000 steps in all, of 20 ms of one core: 20 minutes on two (--members 1, and two processes on the folder).
FORGETTING: lab.SweepPreset[OmniglotConfig] = lab.SweepPreset(
    config=dataclasses.replace(
        _LAPTOP,
        data=dataclasses.replace(_LAPTOP.data, source="symbols"),
        model=dataclasses.replace(_LAPTOP.model, encoder="embedding"),
        optimizer=_CONSTANT,
        train=TrainConfig(steps=20_000, log_every=100, checkpoint_every=5_000),
        # At equal distances, each just before vectors are drawn anew: others would fall anywhere between two resets.
        eval=dataclasses.replace(_EVAL, spacing="equal", every=500, extra=("fewshot_zipfian",)),
    ),
    settings=forgetting_settings,
    seeds=2,
    draw=functools.partial(draw, settings=forgetting_settings, lines=LEARNING),
)

# 144,000 steps in all, of 18 ms of one core: 22 minutes on two.
TRANSIENCE: lab.SweepPreset[OmniglotConfig] = lab.SweepPreset(
    config=dataclasses.replace(
        _LAPTOP,
        data=dataclasses.replace(_LAPTOP.data, source="gaussian", scale=8.0),
        model=dataclasses.replace(_LAPTOP.model, encoder="linear"),
        optimizer=_CONSTANT,
        train=TrainConfig(steps=36_000, log_every=100, checkpoint_every=9_000),
        eval=_EVAL,
    ),
    settings=transience_settings,
    seeds=2,
    draw=functools.partial(draw, settings=transience_settings, lines=LEARNING),
)

# 120,000 steps in all, of 16 ms of one core: 16 minutes on two.
COOPETITION: lab.SweepPreset[OmniglotConfig] = lab.SweepPreset(
    config=PRESETS["coopetition"],
    settings=coopetition_settings,
    seeds=2,
    draw=functools.partial(draw, settings=coopetition_settings, lines=STRATEGIES),
)
