"""What comes first, memorising or learning to learn: seen and unseen tasks over training, by setting."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import icl_eval as evaluation
import icl_lab as lab
from experiments.gpicl.config import GpiclConfig

LINES = {
    "seen, first": (lab.SEEN, "accuracy_first"),
    "seen, last": (lab.SEEN, "accuracy_last"),
    "unseen, last": (lab.UNSEEN, "accuracy_last"),
}
"""Without an example only the weights can tell a label; after all of them on a task never seen, only these can."""

_MOST = 6  # settings of a picture


def draw(folder: Path, base: GpiclConfig, runs: Sequence[GpiclConfig]) -> lab.Drawn:
    """Return the accuracies on seen and unseen tasks over training, a panel for each setting, at most six a picture.

    Args:
      folder: of the sweep.
      base: what all runs have in common.
      runs: those that are finished.
    """
    varied = lab.varied_among(runs)
    settings: dict[str, list[GpiclConfig]] = {}
    for run in sorted(runs, key=lambda run: [_order(lab.option_of(run, option)) for option in varied]):
        said = [f"{option.rpartition('.')[2].replace('_', ' ')} {lab.option_of(run, option)}" for option in varied]
        settings.setdefault(", ".join(said) or "all runs", []).append(run)
    names = list(settings)
    parts = [names[start : start + _MOST] for start in range(0, len(names), _MOST)]
    return lab.Drawn(
        pictures=[
            picture({name: courses(settings[name]) for name in part}, number) for number, part in enumerate(parts, 1)
        ]
    )


def _order(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return (not is_number, float(value) if is_number else 0.0, str(value))


def courses(runs: Sequence[GpiclConfig]) -> dict[str, evaluation.ScalarCurve]:
    """Return the lines of a setting, the mean over its seeds."""
    read = [evaluation.read_run(run.workdir, arrays=False) for run in runs]
    found = {}
    for name, (of, metric) in LINES.items():
        known = [curve for run in read if (curve := run.evaluation_curve(of, metric)) is not None]
        if (curve := evaluation.over_seeds(known)) is not None:
            found[name] = curve
    return found


def picture(curves: dict[str, dict[str, evaluation.ScalarCurve]], number: int) -> evaluation.Picture:
    """Return the picture of some settings."""
    told = [
        f"{setting}: {', '.join(f'{name} {curve.values[-1]:.2f}' for name, curve in of.items())}"
        for setting, of in curves.items()
    ]
    return evaluation.Picture(
        f"courses-{number}",
        "Memorised, then learnt",
        lambda: evaluation.groups_over_training(curves, colours=evaluation.group_colours(list(LINES))),
        "Accuracy over training, means over seeds in bands from the lowest to the highest: on seen tasks without an "
        "example, which only the weights can tell; on seen tasks after all examples; on unseen tasks after all "
        "examples, which only these can tell.",
        f"At the end, {'; '.join(told)}.",
    )
