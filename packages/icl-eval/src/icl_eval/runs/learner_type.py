"""The learner type of a run: has its model memorised tasks, learnt to tell them apart, learnt to learn, or none?"""

import math

import numpy as np

from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, mean
from icl_eval.results.result import Result
from icl_eval.results.saved_arrays import MODEL
from icl_eval.runs.learner_kinds import STATED, LearnerType, Thresholds, classify_learner
from icl_eval.runs.reading import Run


def learner_type(run: Run, *, thresholds: Thresholds = STATED) -> LearnerType | None:
    """Return what kind of learner the last evaluations of a run show; see `classify_learner` for the rules.

    Its config.json names the evaluations on seen and on unseen tasks (`Run.learner`). The score is the accuracy, from
    `accuracy_first` to `accuracy_last`, or for functions the explained variance, 1 - `normalised_error`, of which the
    best constant has 0.

    Of a classifier, the accuracy at every position of seen tasks is known where the run was read with its arrays. Its
    loss is on the plateau while it is less than a tenth (`Thresholds.plateau`) below log V, that of guessing among V
    labels, as chance 1 / V tells them. The loss is that on seen tasks; where it was not measured, that of training,
    averaged over its last tenth (`Thresholds.tail`), with an interval over the steps that were logged. Of functions,
    the loss of guessing is that of the best constant, so that what is below it is the explained variance itself, of
    seen tasks at last.

    None if the run names no such evaluations, or they lack those metrics or differ in their chance.

    >>> learner_type(Run("a")) is None
    True
    """
    latest = {name: result for name, (_, result) in run.latest().items()}
    asked = [latest.get(run.learner.get(kind, "")) for kind in ("seen", "unseen")]
    results = [result for result in asked if result is not None]
    if len(results) < 2:
        return None
    if all("accuracy_last" in result.metrics for result in results):
        return _of_classifier(run, *results, thresholds=thresholds)
    if all({"normalised_error", "normalised_error_first"} <= result.metrics.keys() for result in results):
        errors = ("normalised_error_first", "normalised_error")
        seen, unseen = (tuple(_explained(each.metrics[error]) for error in errors) for each in results)
        return classify_learner(
            seen=(seen[0], seen[1]), unseen=(unseen[0], unseen[1]), chance=0.0, loss_drop=seen[1],
            score="explained variance", thresholds=thresholds,
        )  # fmt: skip
    return None


def _of_classifier(run: Run, seen: Result, unseen: Result, *, thresholds: Thresholds) -> LearnerType | None:
    chances = {result.chance.get("accuracy_last") for result in (seen, unseen)}
    firsts = [result.metrics.get("accuracy_first") for result in (seen, unseen)]
    chance = chances.pop()
    if chance is None or chances or (firsts[0] is None) != (firsts[1] is None):
        return None
    shots = run.shots.get(seen.evaluation)
    curve = shots.curves.get(MODEL) if shots is not None and shots.measure == "accuracy" else None
    return classify_learner(
        seen=(firsts[0], seen.metrics["accuracy_last"]),
        unseen=(firsts[1], unseen.metrics["accuracy_last"]),
        chance=chance,
        positions=[] if shots is None or curve is None else _estimates(curve, count=shots.count),
        loss_drop=_loss_drop(run, seen, chance=chance, tail=thresholds.tail),
        score="accuracy",
        thresholds=thresholds,
    )


def _estimates(curve: ScalarCurve, *, count: int) -> list[Estimate]:
    # Arrays out of a file may be in any order; an estimate wants its value within its interval.
    ends = zip(curve.values, np.minimum(curve.low, curve.values), np.maximum(curve.high, curve.values), strict=True)
    return [Estimate(float(value), float(low), float(high), max(1, count)) for value, low, high in ends]


def _loss_drop(run: Run, seen: Result, *, chance: float, tail: float) -> Estimate | None:
    """Return by which share of the loss of guessing the loss is below it at the end; None if it is not known."""
    if not 0 < chance < 1:
        return None
    if (loss := seen.metrics.get("loss")) is not None:
        low, value, high = (1 + end / math.log(chance) for end in (loss.high, loss.value, loss.low))
        return Estimate(value, low, high, loss.count)
    curve = run.training_curve("loss")
    if curve is None:
        return None
    last = curve.where(curve.steps > (1 - tail) * curve.steps.max())
    return mean(1 + (curve if last is None else last).values / math.log(chance))


def _explained(error: Estimate) -> Estimate:
    """Return 1 less a share of error."""
    return Estimate(1 - error.value, 1 - error.high, 1 - error.low, error.count)
