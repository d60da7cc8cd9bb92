"""The kinds of learner, and the rules that tell them apart by scores with intervals."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

from icl_eval.results.against_bar import as_estimate, difference, reaches
from icl_eval.results.estimate import Estimate

LearnerKind = Literal[
    "task memorization", "task identification", "general learning to learn", "fails to meta-train", "undecided"
]
Score = float | Estimate

_LOSS = "the share by which the loss at the end of training is below that of guessing"


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What counts as better, and what as the plateau; each above 0 and at most 1.

    Attributes:
      margin: by how much a score must pass chance, and the last score the first, in accuracy or (for functions) in
        explained variance.
      plateau: the share of the loss of guessing by which the loss is at least lower once the plateau is left.
      tail: the share of training, at its end, over which the loss is averaged.

    >>> Thresholds()
    Thresholds(margin=0.1, plateau=0.1, tail=0.1)
    """

    margin: float = 0.1
    plateau: float = 0.1
    tail: float = 0.1

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 < value <= 1:
                raise ValueError(f"Wanted a {name} above 0 and at most 1, got {value}.")


STATED = Thresholds()
"""The thresholds of every report and summary."""


@dataclasses.dataclass(frozen=True)
class LearnerType:
    """What kind of learner a model is, with the reason.

    Attributes:
      kind: one of the five.
      reason: one sentence with the numbers.

    >>> LearnerType("undecided", "The loss is not known.").kind
    'undecided'
    """

    kind: LearnerKind
    reason: str

    def __post_init__(self) -> None:
        if self.kind not in get_args(LearnerKind):
            raise ValueError(f"Wanted a kind of {get_args(LearnerKind)}, got {self.kind!r}.")


class _Progress(NamedTuple):
    """A score, higher is better, on one kind of tasks."""

    first: Estimate | None  # without examples; not known of a model that predicts the query alone
    last: Estimate  # after the last examples

    def __str__(self) -> str:
        last = f"{self.last.value:.2f}"
        return last if self.first is None else f"{self.first.value:.2f} at first and {last} at last"


class _Condition(NamedTuple):
    """A number that must reach a bar, or stay below it."""

    what: str
    number: Estimate
    bar: float
    above: bool = True

    @property
    def holds(self) -> bool | None:
        """Whether it holds; None where the interval does not say."""
        reached = reaches(self.number, self.bar)
        return reached if self.above or reached is None else not reached

    def __str__(self) -> str:
        if math.isnan(self.number.value):
            return f"{self.what} is not known"
        if self.holds is None:
            return f"{self.what}, {self.number}, has {self.bar:.2f} within its interval"
        return f"{self.what} is {self.number.value:.2f}, not {'as much as' if self.above else 'below'} {self.bar:.2f}"


def classify_learner(
    *,
    seen: tuple[Score | None, Score],
    unseen: tuple[Score | None, Score],
    chance: float,
    positions: Sequence[Score] = (),
    loss_drop: Score | None = None,
    score: str = "score",
    thresholds: Thresholds = STATED,
) -> LearnerType:
    """Return the kind of learner that scores show, by the first of these rules that holds.

    1. *general learning to learn*: on unseen tasks the last score is at least chance + margin, and at least margin
       above the first.
    2. *task identification*: the same on seen tasks.
    3. *task memorization*: on seen tasks the last score is at least chance + margin, but without that gain over the
       first.
    4. *fails to meta-train*: on seen tasks no score at any position is at least chance + margin, and the loss is on the
       plateau, less than the share `plateau` below that of guessing. It is said of the model as it was by the end of
       this run: one that would have left the plateau later has failed so far.
    5. *undecided*: the first rule that is not rejected hangs on a number that may be on either side; or all are, as for
       a model whose loss fell, by what neither evaluation shows.

    A number with an interval is past a bar if all of the interval is, and short of it if none is; where the bar lies
    within, or the number is NaN, the model is undecided, and the reason names that number. More tasks, evaluated, make
    intervals narrower, and turn no verdict but *undecided* into another while the values stay the same. Numbers without
    an interval are taken by their values. The gain has an interval of its own from those of both scores.

    For a model that predicts the query alone there is no first score, and no telling whether it learnt within the
    context: unseen tasks above chance + margin are *general learning to learn*, seen tasks alone *task memorization*.

    Args:
      seen: the first and the last score, higher is better, on tasks of the training set; the first is None where it is
        not known.
      unseen: the same on fresh tasks.
      chance: the score of guessing.
      positions: the scores on seen tasks at further positions, as far as they are known.
      loss_drop: by which share of the loss of guessing the loss is below it at the end of training: 0 on the plateau, 1
        without any loss. None where it is not known: then no model is said to fail.
      score: what the score is called in the reason.
      thresholds: what counts as better.

    Raises:
      ValueError: if one has a first score and the other has not.

    Source: Kirsch et al. (2022), arXiv 2212.04458: the phases by number of tasks, told apart by the gain over the
    context on seen and on unseen tasks; and the three outcomes of meta-training, to generalise, to memorise and to fail
    to meta-train, of which one stays on the plateau of the loss. The rules are theirs in words; the numbers are ours.

    >>> classify_learner(seen=(0.1, 0.7), unseen=(0.1, 0.12), chance=0.1).kind
    'task identification'
    >>> classify_learner(seen=(0.1, 0.11), unseen=(0.1, 0.1), chance=0.1, loss_drop=0.01).kind
    'fails to meta-train'
    >>> few, many = (Estimate(0.3, 0.3 - width, 0.3 + width, count) for width, count in ((0.15, 40), (0.02, 2000)))
    >>> [classify_learner(seen=(0.1, last), unseen=(0.1, last), chance=0.1).kind for last in (few, many)]
    ['undecided', 'general learning to learn']
    """
    known, fresh = _progress(seen), _progress(unseen)
    if (known.first is None) != (fresh.first is None):
        raise ValueError(
            f"Wanted first scores for both kinds of tasks or for neither, got seen {known} and unseen {fresh}; "
            "evaluate both with the same predictor and options."
        )
    bar = chance + thresholds.margin
    gain = "" if known.first is None else f" and a gain of {thresholds.margin:.2f}"
    said = (
        f"The {score} is {fresh} on unseen tasks, {known} on seen ones; wanted {bar:.2f} (chance {chance:.2f} + "
        f"{thresholds.margin:.2f}){gain}"
    )
    drop = as_estimate(math.nan if loss_drop is None else loss_drop)
    rules: dict[LearnerKind, list[_Condition]] = {
        "general learning to learn": list(_learning(fresh, f"{score} on unseen tasks", bar, thresholds)),
        "task identification": list(_learning(known, f"{score} on seen tasks", bar, thresholds)),
        "task memorization": [_Condition(f"the last {score} on seen tasks", known.last, bar)],
        "fails to meta-train": list(_failing(known, positions, drop, score, bar, thresholds)),
    }
    if known.first is None:
        del rules["task identification"]
    for kind, conditions in rules.items():
        held = [condition.holds for condition in conditions]
        if all(held):
            return LearnerType(kind, f"{said}{_plateau(conditions) if kind == 'fails to meta-train' else ''}.")
        if False not in held:
            return LearnerType("undecided", f"{said}; {conditions[held.index(None)]}.")
    return LearnerType("undecided", f"{said}; {conditions[held.index(False)]}.")


def _progress(scores: tuple[Score | None, Score]) -> _Progress:
    first, last = scores
    return _Progress(None if first is None else as_estimate(first), as_estimate(last))


def _learning(progress: _Progress, score: str, bar: float, thresholds: Thresholds) -> Iterator[_Condition]:
    yield _Condition(f"the last {score}", progress.last, bar)
    if progress.first is not None:
        yield _Condition(f"the gain in {score}", difference(progress.last, progress.first), thresholds.margin)


def _failing(
    seen: _Progress, positions: Sequence[Score], drop: Estimate, score: str, bar: float, thresholds: Thresholds
) -> Iterator[_Condition]:
    """Yield that each score is below the bar, the highest first, and then that the loss is on the plateau."""
    scores = [*filter(None, seen), *map(as_estimate, positions)]
    ordered = sorted(scores, key=lambda each: -math.inf if math.isnan(each.value) else -each.value)
    for place, each in enumerate(ordered):
        what = f"the best {score} at any position" if place == 0 else f"the {score} at a position"
        yield _Condition(f"{what} of seen tasks", each, bar, above=False)
    yield _Condition(_LOSS, drop, thresholds.plateau, above=False)


def _plateau(conditions: Sequence[_Condition]) -> str:
    best, loss = conditions[0], conditions[-1]
    return (
        f"; {best.what} is {best.number.value:.2f}, and {_LOSS} is {loss.number.value:.2f}, where {loss.bar:.2f} would "
        "be off the plateau"
    )
