"""The verdict: has a model memorised its tasks, learnt to tell which one it is in, or learnt to learn?"""

import dataclasses
from typing import Literal, get_args

from icl_eval.results.result import Result

Verdict = Literal["memorises", "identifies the task", "learns to learn", "undecided"]

_ROUNDING = 1e-9  # 0.3 - 0.2 is a little less than 0.1


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What counts as better.

    Attributes:
      margin: by how much a score must pass chance, and the last score the first; above 0, in accuracy or (for
        functions) in explained variance.

    Raises:
      ValueError: if the margin is not in 0..1, 0 excluded.

    >>> Thresholds()
    Thresholds(margin=0.1)
    """

    margin: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.margin <= 1:
            raise ValueError(f"Wanted a margin above 0 and at most 1, got {self.margin}.")


@dataclasses.dataclass(frozen=True)
class Progress:
    """A score, higher is better, on one kind of tasks.

    Attributes:
      first: without examples; None for a model that predicts the query alone, where it is not known.
      last: after the last examples.

    >>> Progress(first=0.1, last=0.7)
    Progress(first=0.1, last=0.7)
    """

    first: float | None
    last: float

    def __str__(self) -> str:
        return f"{self.last:.2f}" if self.first is None else f"{self.first:.2f} at first and {self.last:.2f} at last"


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A verdict with its reason.

    Attributes:
      verdict: one of the four.
      reason: one sentence with the numbers.

    Raises:
      ValueError: if the verdict is not one of the four.

    >>> Judgement("undecided", "Nothing was learnt.").verdict
    'undecided'
    """

    verdict: Verdict
    reason: str

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict):
            raise ValueError(f"Wanted a verdict of {get_args(Verdict)}, got {self.verdict!r}.")


def judge(
    *, seen: Progress, unseen: Progress, chance: float, score: str = "score", thresholds: Thresholds = Thresholds()
) -> Judgement:
    """Return the verdict on a model, by the first of these rules that holds.

    1. *learns to learn*: on unseen tasks the last score is at least chance + margin, and at least margin above the
       first.
    2. *identifies the task*: the same on seen tasks.
    3. *memorises*: on seen tasks the last score is at least chance + margin, but without that gain over the first.
    4. *undecided*: none of these; the model has not learnt yet, or a number is NaN.

    For a model that predicts the query alone there is no first score, and no telling whether it learnt within the
    context: unseen tasks above chance + margin are *learns to learn*, seen tasks alone are *memorises*.

    Args:
      seen: the scores on tasks of the training set.
      unseen: the scores on fresh tasks.
      chance: the score of guessing.
      score: what the score is called in the reason.
      thresholds: what counts as better.

    Raises:
      ValueError: if one has a first score and the other has not.

    Source: Kirsch et al. (2022), arXiv 2212.04458, the phases by number of tasks: memorisation, task identification and
    general learning to learn, told apart by the gain over the context on seen and on unseen tasks. The rules are
    theirs in words; the margin is ours.

    >>> judge(seen=Progress(0.1, 0.7), unseen=Progress(0.1, 0.12), chance=0.1).verdict
    'identifies the task'
    """
    if (seen.first is None) != (unseen.first is None):
        raise ValueError(
            f"Wanted first scores for both kinds of tasks or for neither, got seen {seen} and unseen {unseen}; "
            "evaluate both with the same predictor and options."
        )
    bar = chance + thresholds.margin
    verdict: Verdict = "undecided"
    if _learns(unseen, bar, thresholds):
        verdict = "learns to learn"
    elif seen.first is not None and _learns(seen, bar, thresholds):
        verdict = "identifies the task"
    elif _reaches(seen.last, bar):
        verdict = "memorises"
    wanted = f"{bar:.2f} (chance {chance:.2f} + {thresholds.margin:.2f})"
    gain = "" if seen.first is None else f" and a gain of {thresholds.margin:.2f}"
    return Judgement(verdict, f"The {score} is {unseen} on unseen tasks, {seen} on seen ones; wanted {wanted}{gain}.")


def judge_labels(seen: Result, unseen: Result, thresholds: Thresholds = Thresholds()) -> Judgement:
    """Return the verdict from the results of `evaluate_labels` on seen and on unseen tasks.

    The scores are `accuracy_first` and `accuracy_last`; the chance is that of `accuracy_last`.

    Raises:
      ValueError: if a result lacks `accuracy_last`, only one has `accuracy_first`, or their chances differ.

    >>> from icl_eval.results.estimate import proportion
    >>> metrics = {"accuracy_first": proportion(10, 100), "accuracy_last": proportion(70, 100)}
    >>> result = Result("tasks", metrics, {"accuracy_last": 0.1})
    >>> print(judge_labels(result, result).reason)
    The accuracy is 0.10 at first and 0.70 at last on unseen tasks, 0.10 at first and 0.70 at last on seen ones;
    wanted 0.20 (chance 0.10 + 0.10) and a gain of 0.10.
    """
    chances = {result.chance.get("accuracy_last") for result in (seen, unseen)}
    chance = chances.pop()
    if chance is None or chances:
        raise ValueError(
            "Wanted the same chance of accuracy_last on seen and on unseen tasks, got "
            f"{seen.chance.get('accuracy_last')} and {unseen.chance.get('accuracy_last')}; "
            "pass two results of evaluate_labels with the same num_labels."
        )
    scores = [
        Progress(
            first=result.metrics["accuracy_first"].value if "accuracy_first" in result.metrics else None,
            last=_value(result, "accuracy_last", advice="pass a result of evaluate_labels"),
        )
        for result in (seen, unseen)
    ]
    return judge(seen=scores[0], unseen=scores[1], chance=chance, score="accuracy", thresholds=thresholds)


def judge_functions(seen: Result, unseen: Result, thresholds: Thresholds = Thresholds()) -> Judgement:
    """Return the verdict from the results of `evaluate_functions` on seen and on unseen tasks.

    The score is the explained variance, 1 - normalised error: chance, the best constant of each task, is 0.

    Raises:
      ValueError: if a result lacks `normalised_error` or `normalised_error_first`.

    >>> from icl_eval.results.estimate import Estimate
    >>> first, last = Estimate(1.0, 0.9, 1.1, 50), Estimate(0.2, 0.1, 0.3, 50)
    >>> metrics = {"normalised_error_first": first, "normalised_error": last}
    >>> judge_functions(Result("a", metrics, {}), Result("b", metrics, {})).verdict
    'learns to learn'
    """
    advice = "evaluate with evaluate_functions(..., context_sizes=(0, ...))"
    scores = [
        Progress(
            first=1 - _value(result, "normalised_error_first", advice=advice),
            last=1 - _value(result, "normalised_error", advice=advice),
        )
        for result in (seen, unseen)
    ]
    return judge(seen=scores[0], unseen=scores[1], chance=0.0, score="explained variance", thresholds=thresholds)


def _learns(progress: Progress, bar: float, thresholds: Thresholds) -> bool:
    improves = progress.first is None or _reaches(progress.last - progress.first, thresholds.margin)
    return _reaches(progress.last, bar) and improves


def _reaches(value: float, bar: float) -> bool:
    return value >= bar - _ROUNDING


def _value(result: Result, metric: str, *, advice: str) -> float:
    if metric not in result.metrics:
        raise ValueError(
            f"{result.evaluation}: wanted the metric {metric}, got {', '.join(sorted(result.metrics))}; {advice}."
        )
    return result.metrics[metric].value
