"""Counts over many sequences: how often each class, and what repeats within a sequence."""

import dataclasses

import numpy as np
from jaxtyping import Int

from icl_data.batch import Batch
from icl_data.checks import check_whole
from icl_data.sequences.sampler import SequenceSampler

_ITEMS_AT_ONCE = 2**20  # about 100 MB


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


def statistics(sampler: SequenceSampler, *, count: int = 20_000) -> Statistics:
    """Return what occurs and what repeats in a sampler's sequences 0 .. count - 1.

    >>> from icl_data import ClassSplit, FewShot
    >>> split = ClassSplit(num_classes=50, rare=40, holdout=10)
    >>> sampler = SequenceSampler(kind=FewShot(), split=split, exemplar_counts=np.full(50, 20))
    >>> statistics(sampler, count=100).query_class
    array([  0,   0,   0,   0, 100,   0,   0,   0,   0])
    """
    check_whole("count, of the sequences,", count, least=1)
    rows = max(1, _ITEMS_AT_ONCE // sampler.length)
    parts = [
        statistics_of(sampler.sample(np.arange(start, min(start + rows, count))), sampler.exemplar_counts)
        for start in range(0, count, rows)
    ]
    added = {field.name for field in dataclasses.fields(Statistics)} - {"labels"}
    labels = np.unique(np.concatenate([part.labels for part in parts]))
    return Statistics(labels=labels, **{name: sum(getattr(part, name) for part in parts) for name in added})


def statistics_of(batch: Batch, exemplar_counts: Int[np.ndarray, " C"]) -> Statistics:
    """Return what occurs and what repeats in ``classes``, ``exemplars`` and ``labels`` [N, S] of a batch.

    >>> names = ("classes", "exemplars", "labels")
    >>> batch = dict(zip(names, np.array([[[2, 2, 0, 2]], [[5, 4, 0, 3]], [[1, 7, 0, 1]]])))
    >>> found = statistics_of(batch, np.full(3, 20))
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
    steps = np.diff(np.sort(classes, axis=1), axis=1) != 0
    return Statistics(
        class_counts=np.bincount(classes.ravel(), minlength=len(exemplar_counts)),
        labels=np.unique(labels),
        repeats=int(repeats.sum()),
        forced_repeats=int((twice.any(1) & ~repeats).sum()),
        query_class=np.bincount(of_same_class[:, -1] - 1, minlength=S),
        query_label=np.bincount((labels[:, :-1] == labels[:, -1:]).sum(1), minlength=S),
        different_classes=np.bincount(1 + steps.sum(1), minlength=S + 1),
    )
