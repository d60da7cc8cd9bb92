"""The presets of the omniglot experiment: laptop sizes, and the settings of the paper."""

import dataclasses

import icl_lab as lab
import icl_models as models
from experiments.omniglot.config import DataConfig, ModelConfig, OmniglotConfig, OmniglotEvalConfig
from experiments.omniglot.sequences import TrainingSequences
from icl_train import OptimizerConfig, TrainConfig

# With twice the channels the encoder learns more of its training images by heart, and held-out ones are told less well.
_LAPTOP = OmniglotConfig(model=ModelConfig(channels=(16, 32, 64)))

# The settings of Chan et al. (2022) and of their code, which never clips gradients (nothing reads its clip_level) and
# counts steps from 0. What still differs from that code is in docs/experiments.md.
_ALL_EXEMPLARS = OmniglotConfig(
    data=DataConfig(
        source="omniglot",
        size=105,
        polarity="paper_is_one",
        rare=1_603,
        common=10,
        holdout=10,
        p_bursty=0.9,
    ),
    model=ModelConfig(encoder="resnet", layers=12, heads=8, label_init_std=0.02),
    optimizer=OptimizerConfig(
        schedule="inverse_sqrt", learning_rate=3e-4, warmup_steps=4_000, first_step=0, clip_norm=None
    ),
    train=TrainConfig(steps=500_000, log_every=100, checkpoint_every=10_000),
    eval=OmniglotEvalConfig(
        every=10_000,
        batch_size=100,
        extra=("fewshot_zipfian",),
        extra_with_zipf=("fewshot_rare", "fewshot_common"),
    ),
)

# The 2-layer runs of Singh et al. (2025, arXiv 2503.05631), in which strategies compete and cooperate: 12,800 classes x
# 20 exemplars in 512 numbers, there features of a frozen network (--data.source vectors), here points around means;
# 20 million sequences. One-hot labels go through a linear map there, which starts with a deviation of 1 / sqrt(12,800).
_COOPETITION_FULL = OmniglotConfig(
    data=DataConfig(
        source="gaussian",
        characters=12_800 + 336,
        dimensions=512,
        length=3,
        train=TrainingSequences(kinds=("distractor",)),
        shots=1,
        exemplar_choice="with_replacement",
        distinct_fillers=True,
    ),
    model=ModelConfig(
        encoder="linear",
        positions="learned",
        heads=8,
        attention_only=True,
        projection_bias=False,
        label_init_std=0.009,
    ),
    optimizer=OptimizerConfig(schedule="constant", learning_rate=1e-5, warmup_steps=0, clip_norm=None),
    train=TrainConfig(steps=625_000, log_every=500, checkpoint_every=25_000),
    eval=OmniglotEvalConfig(
        every=6_250,
        count=5_000,
        extra=("as_trained", "distractor_unfixed", "distractor_swapped", "label_elsewhere"),
        extra_at_end=(),
    ),
)

# A two-core size: a quarter of the classes, in fewer numbers, and a rate that is thirty times as high. With 400 classes
# and 1e-3 a label is copied from the context within 500 steps (CIWL 1.00), and ICL stays at chance for 10,000.
_COOPETITION = dataclasses.replace(
    _COOPETITION_FULL,
    data=dataclasses.replace(_COOPETITION_FULL.data, characters=3_264, dimensions=64, holdout=64, batch_size=128),
    model=dataclasses.replace(_COOPETITION_FULL.model, label_init_std=0.018),
    optimizer=dataclasses.replace(_COOPETITION_FULL.optimizer, learning_rate=3e-4),
    train=TrainConfig(steps=30_000, log_every=100, checkpoint_every=5_000),
    eval=dataclasses.replace(_COOPETITION_FULL.eval, every=1_000, count=1_000, final_count=5_000),
)

# Singh et al. (2024), arXiv 2404.07129: a two-layer model without MLPs, on which an induction circuit forms, with one
# head left in its second layer, and labels in pairs out of 0..4 of which some are held out. Here points stand for
# features of a frozen network, and Adam is 30 times as fast, for a tenth of the steps.
_INDUCTION = OmniglotConfig(
    data=DataConfig(
        source="gaussian",
        characters=60,
        dimensions=512,
        scale=22.6,  # the numbers of a point vary by 1; with points of length 1 the plateau outlasts these steps
        exemplars="single",
        holdout=10,
        length=3,
        train=TrainingSequences(kinds=("distractor_pairs",)),
        shots=1,
    ),
    model=ModelConfig(
        encoder="linear", positions="learned", heads=8, attention_only=True, projection_bias=False, label_init_std=0.45
    ),
    optimizer=OptimizerConfig(schedule="constant", learning_rate=3e-4, warmup_steps=0, clip_norm=None),
    train=TrainConfig(steps=3_125, log_every=25, checkpoint_every=3_125),
    eval=OmniglotEvalConfig(
        every=3_125,
        final_count=2_000,
        extra_at_end=("distractor_pairs", "distractor_held_out_pairs"),
        heads_count=0,
        ablation_count=0,
    ),
    intervene=(lab.words_of(models.Ablate(layer=1, heads=tuple(range(1, 8)))),),
)

PRESETS = {
    "laptop": _LAPTOP,
    "laptop_omniglot": dataclasses.replace(
        _LAPTOP, data=dataclasses.replace(_LAPTOP.data, source="omniglot", augmented=True, holdout=192)
    ),
    # 400 trained classes: with the 1,600 of laptop, learning them by heart takes several times as long.
    "laptop_iwl": dataclasses.replace(
        _LAPTOP, data=dataclasses.replace(_LAPTOP.data, p_bursty=0.0, characters=536, holdout=136)
    ),
    "all_exemplars": _ALL_EXEMPLARS,
    "augmented": dataclasses.replace(
        _ALL_EXEMPLARS,
        data=dataclasses.replace(_ALL_EXEMPLARS.data, augmented=True, rare=12_700, common=100, holdout=80),
        eval=dataclasses.replace(_ALL_EXEMPLARS.eval, extra_with_zipf=("no_support_rare", "no_support_common")),
    ),
    "identical": dataclasses.replace(_ALL_EXEMPLARS, data=dataclasses.replace(_ALL_EXEMPLARS.data, exemplars="single")),
    "induction": _INDUCTION,
    "symbolic": dataclasses.replace(
        _ALL_EXEMPLARS,
        data=dataclasses.replace(
            _ALL_EXEMPLARS.data, source="symbols", size=28, polarity="ink_is_one", characters=1_000, rare=980
        ),
        model=dataclasses.replace(_ALL_EXEMPLARS.model, encoder="embedding"),
    ),
    "coopetition": _COOPETITION,
    "coopetition_matched": dataclasses.replace(
        _COOPETITION, data=dataclasses.replace(_COOPETITION.data, exemplar_choice="matched")
    ),
    "coopetition_full": _COOPETITION_FULL,
}
