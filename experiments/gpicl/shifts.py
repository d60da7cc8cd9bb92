"""Unseen tasks that differ from those of training in one thing: what the trained model is tested on besides."""

import dataclasses
from typing import Any

import icl_data as data
import icl_eval as evaluation
from experiments.gpicl.config import GpiclEvalConfig

SHIFTED, LONGER = "shifted_", "longer"  # before the name of a shift; longer sequences

SHIFTS: dict[str, dict[str, Any]] = {
    "half_scale": {"projection": data.NormalProjection(0.5)},
    "double_scale": {"projection": data.NormalProjection(2.0)},
    "sparse": {"projection": data.SparseProjection(0.1)},
    "rotation": {"projection": data.Rotation()},
    "label_noise": {"label_noise": 0.2},
    "imbalance": {"zipf_exponent": 1.0},
}
"""Options of `icl_data.ProjectedSampler` that training has otherwise, by the name of the shift."""

ROTATION = f"{SHIFTED}rotation"
ROTATIONS = 512  # tasks, since each projection takes a QR decomposition

SHIFTED_TASKS = evaluation.Family(
    title="Shifted tasks",
    sentence="The sequences of unseen_tasks with one thing otherwise than in training: projections half or twice as "
    "large, sparse (a tenth of the entries) or rotations; a fifth of the labels in the context drawn anew, but graded "
    "by the true ones; labels of frequencies 1, 1/2, 1/3, ...; or more items.",
)


def shifted(config: GpiclEvalConfig, unseen: data.ProjectedSampler) -> dict[str, data.ProjectedSampler]:
    """Return the sequences that are asked for, by the names of their evaluations.

    Args:
      config: which are.
      unseen: the sequences that they differ from; what is not shifted stays as it is there.
    """
    samplers = {
        f"{SHIFTED}{name}": dataclasses.replace(unseen, **options) for name, options in SHIFTS.items() if config.shifts
    }
    return samplers | ({LONGER: dataclasses.replace(unseen, length=config.longer)} if config.longer else {})
