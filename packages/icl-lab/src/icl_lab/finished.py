"""Whether a run has come to its end, as its summary says."""

import json
from typing import Any

from icl_lab.config import ExperimentConfig


def is_finished(run: ExperimentConfig) -> bool:
    """Return whether a run was trained to its end, or to the step at which it failed: its summary is written last."""
    train = _summary_of_training(run)
    try:
        return "failed_at" in train or train["steps"] >= run.train.steps
    except (KeyError, TypeError):
        return False


def failed_at(run: ExperimentConfig) -> int | None:
    """Return the step at which the loss or gradient of a finished run was not finite; None if all were."""
    step = _summary_of_training(run).get("failed_at")
    return step if isinstance(step, int) else None


def _summary_of_training(run: ExperimentConfig) -> dict[str, Any]:
    try:
        train = json.loads((run.workdir / "summary.json").read_text(encoding="utf-8"))["train"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return train if isinstance(train, dict) else {}
