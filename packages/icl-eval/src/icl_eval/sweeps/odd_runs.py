"""Odd runs: those of a sweep that failed, are not finished, or ended far from the other seeds of their setting."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from icl_eval.results.estimate import Estimate, readable
from icl_eval.runs.reading import Run
from icl_eval.sweeps.arrangement import ended
from icl_eval.sweeps.progress import FINISHED, UNFINISHED, status
from icl_eval.sweeps.sweep_runs import SweepRuns
from icl_eval.sweeps.target import Target

LEAST_SEEDS = 5  # that a seed is judged among
FAR = 3.5  # modified z-scores

RULE = (
    f"A run is far from the others if its last value is more than {FAR} modified z-scores from the median of its "
    f"setting, of {LEAST_SEEDS} or more seeds (Iglewicz and Hoaglin 1993), and its 95 % interval does not overlap "
    "that of the seed in the middle."
)


class OddRun(NamedTuple):
    """A run that is odd, by its path, and in what."""

    path: str
    why: str


def odd_runs(sweep: SweepRuns, targets: Sequence[Target]) -> list[OddRun]:
    """Return what is odd of the runs, setting by setting; a run may be odd in several ways."""
    found = [OddRun(path, why) for path, run in sweep.runs.items() for why in _state(run, targets)]
    for runs in sweep.settings.values():
        complete = ended(runs)
        for target in targets:
            last = {path: _last(run, target) for path, run in complete.items()}
            found += _far({path: value for path, value in last.items() if value is not None}, target)
    order = list(sweep.runs)
    return sorted(found, key=lambda odd: order.index(odd.path))


def _state(run: Run, targets: Sequence[Target]) -> Iterator[str]:
    """Yield what is odd of a run by itself."""
    if (state := status(run)) != FINISHED:
        steps = max([*run.metrics, *(step for results in run.evaluations.values() for step in results)], default=0)
        yield f"unfinished, at step {steps:,}" if state == UNFINISHED else f"{state}, where the loss was not finite"
    if not run.evaluations:
        yield "never evaluated"
    for target in targets:
        value = target.last(run)
        if value is not None and not math.isfinite(value):
            yield f"{target.title} is not finite at the end"


def _last(run: Run, target: Target) -> Estimate | None:
    results = run.evaluations.get(target.evaluation, {})
    known = [result.metrics[target.metric] for result in results.values() if target.metric in result.metrics]
    return known[-1] if known and math.isfinite(known[-1].value) else None


def _far(last: dict[str, Estimate], target: Target) -> list[OddRun]:
    """Return the runs that ended far from the others of their setting; see `RULE`."""
    if len(last) < LEAST_SEEDS:
        return []
    values = np.array([estimate.value for estimate in last.values()])
    median = float(np.median(values))
    middle = min(last.values(), key=lambda estimate: abs(estimate.value - median))
    return [
        OddRun(
            path, f"{target.title} {readable(estimate.value)}, where the median of its setting is {readable(median)}"
        )
        for (path, estimate), score in zip(last.items(), modified_z_scores(values), strict=True)
        if abs(score) > FAR and (estimate.high < middle.low or estimate.low > middle.high)
    ]


def modified_z_scores(values: np.ndarray) -> np.ndarray:
    """Return how far numbers are from their median, in standard deviations that outliers do not widen.

    Where half of the numbers are equal, so that the median deviation is 0, the mean deviation takes its place.

    Source: Iglewicz and Hoaglin (1993), How to detect and handle outliers, chapter 3.

    >>> modified_z_scores(np.array([1.0, 2.0, 3.0, 4.0, 30.0])).round(2).tolist()
    [-1.35, -0.67, 0.0, 0.67, 18.21]
    """
    deviations = values - np.median(values)
    if middle := float(np.median(np.abs(deviations))):
        return 0.6745 * deviations / middle
    mean = float(np.abs(deviations).mean())
    return deviations / (1.253314 * mean) if mean else deviations
