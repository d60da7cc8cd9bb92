"""The measures of whole sequences: each a ratio of sums over sequences, with the words that say what it is."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from icl_eval.results.estimate import Estimate
from icl_eval.results.result import Measure
from icl_eval.results.saved_arrays import NO_LABEL
from icl_eval.results.tally import CONTEXT, HIDDEN, Arrays, Ratio, Tally
from icl_eval.sequences.label_sets import DECILES, LabelSets
from icl_eval.sequences.measures import Scores, score

CALIBRATION = f"{HIDDEN}calibration_"  # the gap in a bin
BINS = 15  # of the calibration error, as Guo et al. (2017) have it
CHANCE_IN_CONTEXT = f"{HIDDEN}chance_in_context"
LABELS_OF_CLASS = f"{HIDDEN}labels_of_class"  # of the query's class
Z_90 = 1.6448536269514722  # the 0.95 quantile of the standard normal distribution
# Mean, variance and third cumulant of the size of a standard normal number.
_HALF_NORMAL = (math.sqrt(2 / math.pi), 1 - 2 / math.pi, math.sqrt(2 / math.pi) * (4 / math.pi - 1))
_FEW = 32  # possible labels up to which picking them beats masking the others
_MOST_CONFUSED = 6  # possible labels up to which it is told which was taken for which


def _share(sentence: str, *, shown: str | None = None, detail: bool = False) -> Measure:
    return Measure(sentence=sentence, kind="proportion", shown=shown, detail=detail)


_SETS = {"common": "of a common class", "rare": "of a rare class", "fewshot": "of the few-shot problem"}

_OF_ITEMS = {  # what `_of_items` measures
    "accuracy_closed": _share(
        "Share of sequences that are right when the arg-max is taken over the labels that can occur in such a sequence "
        "(the number that the papers plot)."
    ),
    "accuracy_open": _share("Share that are right when the arg-max is taken over all labels."),
    "accuracy_any_label": _share("The open accuracy where any label of the query's class counts as right."),
    "accuracy_closed_any_label": _share("The closed accuracy where any label of the query's class counts as right."),
    "accuracy_in_context": _share("Share that are right when the arg-max is taken over the labels in the context."),
    "loss": Measure(sentence="Cross-entropy in nats.", kind="mean"),
    "probability_in_context": Measure(
        sentence="Probability that the model gives to the labels in the context together.", kind="mean"
    ),
    "follows_context": _share("Share whose prediction is what the context says, where the weights say another."),
    "follows_weights": _share("Share whose prediction is what the weights say, where the context says another."),
    **{f"from_{name}": _share(f"Share whose open arg-max is a label {what}.") for name, what in _SETS.items()},
    "from_context": _share("Share whose open arg-max is a label in the context."),
    **{
        f"from_context_{name}": _share(f"Share whose open arg-max is a label in the context and {what}.")
        for name, what in _SETS.items()
    },
    "from_none": _share("Share for which nothing was predicted, because the logits were not finite."),
}
_DECILE = _share(
    "Open accuracy on queries of a tenth of the classes, by their frequency: 10 is the most frequent tenth.",
    shown="accuracy_open_decile_1…10",
    detail=True,
)
_CONFUSION = _share(
    "Of the queries whose label is a, the share whose open arg-max is b; other is any other label.",
    shown="confusion_a_to_b",
    detail=True,
)
_CONTEXT = "The same measure for the items of the context in place of the query."

MEASURES: Mapping[str, Measure] = {
    **_OF_ITEMS,
    "calibration_error": Measure(
        sentence="How far the model's probabilities are from how often it is right; 0 is perfect.", kind="error"
    ),
    **{
        f"{CONTEXT}{name}": Measure(sentence=_CONTEXT, kind=words.kind, shown=f"{CONTEXT}…")
        for name, words in _OF_ITEMS.items()
    },
    **{f"accuracy_open_decile_{number + 1}": _DECILE for number in range(DECILES)},
    **{
        f"confusion_{label}_to_{other}": _CONFUSION
        for label in range(_MOST_CONFUSED)
        for other in (*range(_MOST_CONFUSED), "other")
    },
}
"""What each measure is, in the order in which a report lists them."""


class Sequences(NamedTuple):
    """A batch as the measures need it.

    Attributes:
      logits: of the last P items; with P = 1, or as [B, V], of the query alone.
      labels: the right labels of all items.
      classes: of all items, where they are known.
    """

    logits: Float[Arrays, "B *P V"]
    labels: Int[Arrays, "B S"]
    classes: Int[Arrays, "B S"] | None = None


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("possible", "rare", "common", "few_shot", "class_of_label", "labels_of_class", "deciles"),
    meta_fields=("confusable", "several_labels"),
)
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LabelLookups:
    """Label sets as arrays that jit takes; None for what is not known or not told apart.

    Attributes:
      possible: the labels that can be right, by number if they are few.
      rare, common, few_shot: which labels are such.
      class_of_label: the class of each label, -1 for none.
      labels_of_class: how many labels of its own each class has.
      deciles: the tenth by frequency that a class is in, -1 for none.
      confusable: if the possible labels are 0..n-1 with a small n, that n; else 0.
      several_labels: whether some class has several labels.
    """

    possible: Int[Arrays, " K"] | Bool[Arrays, " V"]
    rare: Bool[Arrays, " V"] | None
    common: Bool[Arrays, " V"] | None
    few_shot: Bool[Arrays, " V"] | None
    class_of_label: Int[Arrays, " V"] | None
    labels_of_class: Int[Arrays, " C"] | None
    deciles: Int[Arrays, " D"] | None
    confusable: int
    several_labels: bool

    @classmethod
    def of(cls, possible: Sequence[int], sets: LabelSets, num_labels: int) -> "LabelLookups":
        """Return which labels and which classes are what.

        Args:
          possible: the labels that can be right.
          sets: what the labels stand for in training.
          num_labels: V, how many the output has.

        Raises:
          ValueError: if the sets have labels that the output does not.
        """
        of_label = sets.class_of_label
        if of_label is not None and len(of_label) > num_labels:
            raise ValueError(f"Wanted classes of up to {num_labels} labels, got class_of_label of {len(of_label)}.")
        if of_label is not None:
            of_label = np.pad(of_label, (0, num_labels - len(of_label)), constant_values=NO_LABEL)
        few = len(possible) <= _MOST_CONFUSED and sorted(possible) == list(range(len(possible)))
        return cls(
            possible=np.asarray(possible, np.int32)
            if len(possible) <= _FEW
            else np.isin(np.arange(num_labels), possible),
            rare=sets.members("rare", num_labels),
            common=sets.members("common", num_labels),
            few_shot=sets.members("few_shot", num_labels),
            class_of_label=of_label,
            labels_of_class=None if of_label is None else np.bincount(of_label[of_label >= 0], minlength=1),
            deciles=sets.deciles(),
            confusable=len(possible) if few else 0,
            several_labels=sets.labels_per_class > 1,
        )


def measure(sequences: Sequences, lookups: LabelLookups) -> tuple[Scores, dict[str, Ratio]]:
    """Return what each sequence of a batch adds to each measure, and the scores of its query.

    Measures of the query have plain names; if all items are predicted, those of the context items begin with
    `context_`; those that begin with `_` are parts of others. The scores of the query are [B, 1].
    """
    logits, labels = jnp.asarray(sequences.logits), jnp.asarray(sequences.labels)
    logits = logits[:, None] if logits.ndim == 2 else logits
    scores = score(logits, labels, jnp.asarray(lookups.possible))
    query = jax.tree.map(lambda leaf: leaf[:, -1:], scores)
    own_class = None if sequences.classes is None else sequences.classes[:, -1:]
    measures = _of_items(query, labels[:, -1:], own_class, lookups)
    measures |= _confusion(query, labels[:, -1], lookups.confusable)
    measures |= _calibration(query, labels[:, -1])
    if own_class is not None and lookups.deciles is not None:
        of_class = lookups.class_of_label if lookups.several_labels else None
        right = query.predicted_open == labels[:, -1:]
        if of_class is not None:
            right = _is_of_class(query.predicted_open, own_class, of_class)
        measures |= _by_decile(right, own_class[:, 0], lookups.deciles)
    measures[CHANCE_IN_CONTEXT] = _counted(query.target_in_context / jnp.maximum(query.labels_in_context, 1), True)
    if scores.loss.shape[1] == labels.shape[1] > 1:
        context = jax.tree.map(lambda leaf: leaf[:, :-1], scores)
        of_context = None if sequences.classes is None else sequences.classes[:, :-1]
        found = _of_items(context, labels[:, :-1], of_context, lookups)
        found.pop(LABELS_OF_CLASS, None)
        measures |= {f"{CONTEXT}{name}": fraction for name, fraction in found.items()}
    return query, measures


def _of_items(
    scores: Scores, targets: Int[Arrays, "B P"], classes: Int[Arrays, "B P"] | None, lookups: LabelLookups
) -> dict[str, Ratio]:
    """Return the measures of items, the query or the context, each by itself."""
    predicted, shown = scores.predicted_open, scores.labels_in_context > 0
    found = {
        "accuracy_closed": _counted(scores.predicted_closed == targets, True),
        "accuracy_open": _counted(predicted == targets, True),
        "accuracy_in_context": _counted(scores.predicted_in_context == targets, shown),
        "loss": _counted(scores.loss, True),
        "probability_in_context": _counted(scores.probability_in_context, shown),
        "from_context": _counted(scores.from_context, shown),
        "from_none": _counted(predicted == NO_LABEL, True),
    }
    for name, members in (("common", lookups.common), ("rare", lookups.rare), ("fewshot", lookups.few_shot)):
        if members is not None:
            among = (predicted != NO_LABEL) & members[jnp.maximum(predicted, 0)]
            found[f"from_{name}"] = _counted(among, True)
            found[f"from_context_{name}"] = _counted(among & scores.from_context, shown)
    if classes is not None and lookups.class_of_label is not None and lookups.labels_of_class is not None:
        labels = _look_up(lookups.labels_of_class, classes, absent=0)
        own = _is_of_class(predicted, classes, lookups.class_of_label)
        if lookups.several_labels:
            found["accuracy_any_label"] = _counted(own, labels > 0)
            own_closed = _is_of_class(scores.predicted_closed, classes, lookups.class_of_label)
            found["accuracy_closed_any_label"] = _counted(own_closed, labels > 0)
            found[LABELS_OF_CLASS] = _counted(labels, labels > 0)
        # The context says one thing and the weights another.
        is_own = jnp.asarray(lookups.class_of_label)[targets] == classes
        disagree = (labels > 0) & scores.target_in_context & ~is_own
        found["follows_context"] = _counted(predicted == targets, disagree)
        found["follows_weights"] = _counted(own, disagree)
    return found


def _confusion(scores: Scores, targets: Int[Arrays, " B"], labels: int) -> dict[str, Ratio]:
    """Return which of the few possible labels was taken for which."""
    found: dict[str, Ratio] = {}
    for label in range(labels):
        asked = (targets == label)[:, None]
        taken = {str(other): scores.predicted_open == other for other in range(labels)}
        taken["other"] = (scores.predicted_open < 0) | (scores.predicted_open >= labels)
        found |= {f"confusion_{label}_to_{other}": _counted(was, asked) for other, was in taken.items()}
    return found


def _calibration(scores: Scores, targets: Int[Arrays, " B"]) -> dict[str, Ratio]:
    """Return what each sequence adds to the gap between confidence and accuracy in its bin of confidence."""
    confidence, correct = scores.confidence[:, 0], scores.predicted_open[:, 0] == targets
    bins = jnp.clip(jnp.ceil(confidence * BINS).astype(jnp.int32) - 1, 0, BINS - 1)
    everywhere = jnp.ones_like(confidence)
    return {
        f"{CALIBRATION}{number}": Ratio(jnp.where(bins == number, confidence - correct, 0), everywhere)
        for number in range(BINS)
    }


def sequence_estimates(tally: Tally, measures: Mapping[str, Measure] = MEASURES) -> dict[str, Estimate]:
    """Return all measures of sequences with their 95 % intervals, given the sums of what `measure` gave.

    Tallies of several hosts add up. The kinds of measures tell which interval they have.

    >>> tally = Tally.of({"accuracy_closed": Ratio(np.ones(4), np.ones(4))})
    >>> print(sequence_estimates(tally)["accuracy_closed"])
    1.000 (0.510-1.000, n=4)
    """
    found = tally.estimates(measures)
    error = calibration_error(tally)
    return found if error is None else found | {"calibration_error": error}


def calibration_error(tally: Tally) -> Estimate | None:
    """Return the sum over bins of confidence of how far it is from accuracy there, or None if that was not measured.

    Noise makes every bin's gap larger and none smaller, so an interval as of a mean would leave out the truth. The
    error cannot be off by more than the gaps are together: by the sum of the sizes of independent normal numbers, of
    which the 0.95 quantile is taken by its first three cumulants (exact to a thousandth where there is but one).

    Source: Guo, Pleiss, Sun and Weinberger (2017), arXiv 1706.04599, the error; Cornish and Fisher (1938), the
    quantile.
    """
    bins = [name for name in tally.names if name.startswith(CALIBRATION)]
    if not bins:
        return None
    gaps = np.array([tally.value(name) for name in bins], np.float64)
    value, count = float(np.abs(gaps).sum()), int(tally.counts[tally.names.index(bins[0])])
    if count == 1:
        return Estimate(value=value, low=math.nan, high=math.nan, count=1)
    deviations = np.sqrt([tally.variance(name) for name in bins])
    spread = float(np.sqrt(_HALF_NORMAL[1] * (deviations**2).sum()))
    skewness = _HALF_NORMAL[2] * float((deviations**3).sum()) / spread**3 if spread else 0.0
    off = _HALF_NORMAL[0] * float(deviations.sum()) + spread * (Z_90 + (Z_90**2 - 1) * skewness / 6)
    return Estimate(value=value, low=max(0.0, value - off), high=min(1.0, value + off), count=count)


def _by_decile(right: Bool[Arrays, "B 1"], classes: Int[Arrays, " B"], deciles: Int[Arrays, " C"]) -> dict[str, Ratio]:
    """Return the accuracy on classes of each tenth by frequency; any of a class's labels is right."""
    of_query = _look_up(deciles, classes, absent=-1)
    return {
        f"accuracy_open_decile_{number + 1}": _counted(right, (of_query == number)[:, None])
        for number in range(DECILES)
    }


def _is_of_class(
    predicted: Int[Arrays, "B P"], classes: Int[Arrays, "B P"], class_of_label: Int[Arrays, " V"]
) -> Bool[Array, "B P"]:
    """Return whether a predicted label is one that its item's class has in training."""
    return (predicted != NO_LABEL) & (jnp.asarray(class_of_label)[jnp.maximum(predicted, 0)] == classes)


def _counted(values: Shaped[Arrays, "B P"], where: Bool[Arrays, "B #P"] | bool) -> Ratio:
    """Return the sums over the items that count of each sequence: of the values, and of 1."""
    values = jnp.asarray(values, jnp.float32)
    counts = jnp.broadcast_to(jnp.asarray(where), values.shape)
    return Ratio(jnp.where(counts, values, 0).sum(axis=1), counts.astype(jnp.float32).sum(axis=1))


def _look_up(table: Arrays, places: Int[Arrays, "..."], *, absent: int | bool) -> Array:
    """Return what the table has at each place, or `absent` beyond its end."""
    inside = (places >= 0) & (places < len(table))
    return jnp.where(inside, jnp.asarray(table)[jnp.where(inside, places, 0)], absent)
