"""Counts over many sequences: how often each class, and what repeats within a sequence."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from icl_data.batch import Batch
from icl_data.sequences.pattern import SequenceKind
from icl_data.sequences.split import ClassSplit


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Statistics:
    """Counts over N sequences of S items. The last three each add up to N.

    Attributes:
      class_counts: int64 [C], items of each of the bank's classes.
      labels: int64 [U], the different labels that items have, ascending.
      repeats: sequences that hold an exemplar twice though its class has enough of them for all of its items.
      forced_repeats: further sequences that hold an exemplar twice, of classes with too few.
      query_class: int64 [S], at n the sequences with n context items of the query's class.
      query_label: int64 [S], at n the sequences with n context items with the query's label.
      different_classes: int64 [S + 1], at n the sequences with n different classes, the query's included.
    """

    class_counts: Int[np.ndarray, " C"]
    labels: Int[np.ndarray, " U"]
    repeats: int
    forced_repeats: int
    query_class: Int[np.ndarray, " S"]
    query_label: Int[np.ndarray, " S"]
    different_classes: Int[np.ndarray, " counts"]

    @property
    def sequences(self) -> int:
        """Number of sequences N."""
        return int(self.query_class.sum())


def statistics(batch: Batch, exemplar_counts: Int[np.ndarray, " C"]) -> Statistics:
    """Count what occurs and what repeats in a batch.

    Args:
      batch: of a sampler or a stream; ``classes``, ``exemplars`` and ``labels`` [N, S] are read.
      exemplar_counts: int64 [C], exemplars of each of the bank's classes.

    >>> names = ("classes", "exemplars", "labels")
    >>> batch = dict(zip(names, np.array([[[2, 2, 0, 2]], [[5, 4, 0, 3]], [[1, 7, 0, 1]]])))
    >>> found = statistics(batch, np.full(3, 20))
    >>> found.query_class, found.query_label, found.class_counts
    (array([0, 0, 1, 0]), array([0, 1, 0, 0]), array([1, 0, 3]))
    """
    classes, exemplars, labels = (np.asarray(batch[name], np.int64) for name in ("classes", "exemplars", "labels"))
    S = classes.shape[1]
    of_same_class = np.zeros(classes.shape, np.int64)
    for place in range(S):
        of_same_class += classes == classes[:, place : place + 1]
    items = classes * int(exemplar_counts.max()) + exemplars
    order = np.argsort(items, axis=1, kind="stable")
    items = np.take_along_axis(items, order, 1)
    enough = np.take_along_axis(of_same_class <= exemplar_counts[classes], order, 1)[:, 1:]
    twice = items[:, 1:] == items[:, :-1]
    repeats = (twice & enough).any(1)
    sorted_classes = np.sort(classes, axis=1)
    return Statistics(
        class_counts=np.bincount(classes.ravel(), minlength=len(exemplar_counts)),
        labels=np.unique(labels),
        repeats=int(repeats.sum()),
        forced_repeats=int((twice.any(1) & ~repeats).sum()),
        query_class=np.bincount(of_same_class[:, -1] - 1, minlength=S),
        query_label=np.bincount((labels[:, :-1] == labels[:, -1:]).sum(1), minlength=S),
        different_classes=np.bincount(1 + (np.diff(sorted_classes, axis=1) != 0).sum(1), minlength=S + 1),
    )


def expected_shares(kind: SequenceKind, split: ClassSplit, length: int) -> Float[np.ndarray, " positions"]:
    """Give each class's expected share of all items, by the weights of the sets that the items are drawn from.

    What "all different" and "without the query's class" take away is left out: it changes nothing under equal weights
    within a set, and makes frequent classes a little less frequent under others.

    Returns:
      float64, by position in the split; the sum is 1.

    >>> from icl_data import FewShot
    >>> expected_shares(FewShot(), ClassSplit(num_classes=5, rare=3, holdout=2), 9)
    array([0. , 0. , 0. , 0.5, 0.5])
    """
    shares = np.zeros(split.num_positions)
    for probability, pattern in kind.mixture(split, length):
        in_bursts = pattern.ways * pattern.shots + (pattern.query == "burst")
        for drawn_from, items in ((pattern.classes, in_bursts), (pattern.others, length - in_bursts)):
            weights = np.diff(drawn_from.cumulative) / drawn_from.cumulative[-1]
            shares[drawn_from.first : drawn_from.first + drawn_from.size] += probability * items / length * weights
    return shares
