"""The learner type: has a model memorised its tasks, learnt to tell which one it is in, or learnt to learn?"""

import dataclasses
from typing import Literal, NamedTuple, get_args

from icl_eval.results.result import Result
from icl_eval.runs.reading import Run

LearnerKind = Literal["task memorization", "task identification", "general learning to learn", "undecided"]

_ROUNDING = 1e-9  # 0.3 - 0.2 is a little less than 0.1


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What counts as better.

    Attributes:
      margin: by how much a score must pass chance, and the last score the first; above 0, in accuracy or (for
        functions) in explained variance.

    >>> Thresholds()
    Thresholds(margin=0.1)
    """

    margin: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.margin <= 1:
            raise ValueError(f"Wanted a margin above 0 and at most 1, got {self.margin}.")


class Progress(NamedTuple):
    """A score, higher is better, on one kind of tasks."""

    first: float | None  # without examples; not known of a model that predicts the query alone
    last: float  # after the last examples

    def __str__(self) -> str:
        return f"{self.last:.2f}" if self.first is None else f"{self.first:.2f} at first and {self.last:.2f} at last"


@dataclasses.dataclass(frozen=True)
class LearnerType:
    """What kind of learner a model is, with the reason.

    Attributes:
      kind: one of the four.
      reason: one sentence with the numbers.

    >>> LearnerType("undecided", "Nothing was learnt.").kind
    'undecided'
    """

    kind: LearnerKind
    reason: str

    def __post_init__(self) -> None:
        if self.kind not in get_args(LearnerKind):
            raise ValueError(f"Wanted a kind of {get_args(LearnerKind)}, got {self.kind!r}.")


def learner_type(run: Run, *, thresholds: Thresholds = Thresholds()) -> LearnerType | None:
    """Return what kind of learner the last evaluations of a run show.

    Its config.json names the evaluations on seen and on unseen tasks (`Run.learner`). The score is the accuracy, from
    `accuracy_first` to `accuracy_last`, or for functions the explained variance, 1 - `normalised_error`, of which the
    best constant has 0.

    None if the run names no such evaluations, or they lack those metrics or differ in their chance.

    >>> learner_type(Run("a")) is None
    True
    """
    latest = {name: result for name, (_, result) in run.latest().items()}
    asked = [latest.get(run.learner.get(kind, "")) for kind in ("seen", "unseen")]
    results = [result for result in asked if result is not None]
    if len(results) < 2:
        return None
    chances = {result.chance.get("accuracy_last") for result in results}
    if all("accuracy_last" in result.metrics for result in results):
        seen, unseen = (
            Progress(_value(each, "accuracy_first"), each.metrics["accuracy_last"].value) for each in results
        )
        score, chance = "accuracy", chances.pop()
    elif all({"normalised_error", "normalised_error_first"} <= result.metrics.keys() for result in results):
        errors = ("normalised_error_first", "normalised_error")
        seen, unseen = (Progress(*(1 - each.metrics[error].value for error in errors)) for each in results)
        score, chance, chances = "explained variance", 0.0, set()
    else:
        return None
    if chance is None or chances or (seen.first is None) != (unseen.first is None):
        return None
    return classify_learner(seen=seen, unseen=unseen, chance=chance, score=score, thresholds=thresholds)


def classify_learner(
    *,
    seen: tuple[float | None, float],
    unseen: tuple[float | None, float],
    chance: float,
    score: str = "score",
    thresholds: Thresholds = Thresholds(),
) -> LearnerType:
    """Return the kind of learner that scores show, by the first of these rules that holds.

    1. *general learning to learn*: on unseen tasks the last score is at least chance + margin, and at least margin
       above the first.
    2. *task identification*: the same on seen tasks.
    3. *task memorization*: on seen tasks the last score is at least chance + margin, but without that gain over the
       first.
    4. *undecided*: none of these; the model has not learnt yet, or a number is NaN.

    For a model that predicts the query alone there is no first score, and no telling whether it learnt within the
    context: unseen tasks above chance + margin are *general learning to learn*, seen tasks alone *task memorization*.

    Args:
      seen: the first and the last score, higher is better, on tasks of the training set; the first is None where it is
        not known.
      unseen: the same on fresh tasks.
      chance: the score of guessing.
      score: what the score is called in the reason.
      thresholds: what counts as better.

    Raises:
      ValueError: if one has a first score and the other has not.

    Source: Kirsch et al. (2022), arXiv 2212.04458, the phases by number of tasks, told apart by the gain over the
    context on seen and on unseen tasks. The rules are theirs in words; the margin is ours.

    >>> classify_learner(seen=(0.1, 0.7), unseen=(0.1, 0.12), chance=0.1).kind
    'task identification'
    """
    seen, unseen = Progress(*seen), Progress(*unseen)
    if (seen.first is None) != (unseen.first is None):
        raise ValueError(
            f"Wanted first scores for both kinds of tasks or for neither, got seen {seen} and unseen {unseen}; "
            "evaluate both with the same predictor and options."
        )
    bar = chance + thresholds.margin
    kind: LearnerKind = "undecided"
    if _learns(unseen, bar, thresholds):
        kind = "general learning to learn"
    elif seen.first is not None and _learns(seen, bar, thresholds):
        kind = "task identification"
    elif _reaches(seen.last, bar):
        kind = "task memorization"
    wanted = f"{bar:.2f} (chance {chance:.2f} + {thresholds.margin:.2f})"
    gain = "" if seen.first is None else f" and a gain of {thresholds.margin:.2f}"
    return LearnerType(kind, f"The {score} is {unseen} on unseen tasks, {seen} on seen ones; wanted {wanted}{gain}.")


def _learns(progress: Progress, bar: float, thresholds: Thresholds) -> bool:
    improves = progress.first is None or _reaches(progress.last - progress.first, thresholds.margin)
    return _reaches(progress.last, bar) and improves


def _reaches(value: float, bar: float) -> bool:
    return value >= bar - _ROUNDING


def _value(result: Result, metric: str) -> float | None:
    return result.metrics[metric].value if metric in result.metrics else None
