"""What classifiers that are no networks make of the same items and labels."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from icl_eval.baselines.closed_form import linear_prediction, nearest
from icl_eval.baselines.context import Points, labelled
from icl_eval.checks import check_positive, check_whole

ItemArray = Float[np.ndarray, "B S X"]
LabelArray = Int[np.ndarray, "B S"]
QueryArray = Bool[np.ndarray, "B S"]


@runtime_checkable
class Classifier(Protocol):
    """Learns to name items from the context of a task, anew for each task.

    Predictions are for all items, from the context items alone: the labels of queries are not read, and need not be
    labels. Tasks in a batch may have different numbers of context items; one without any gets label 0 everywhere.
    The order of the items does not matter, but for ties.
    """

    def predict(self, items: ItemArray, labels: LabelArray, is_query: QueryArray, num_labels: int, /) -> LabelArray:
        """Return the predicted labels of all items.

        Args:
          items: floats [B, S, X].
          labels: integers [B, S], those of the context in 0..num_labels-1.
          is_query: bool [B, S]: which labels may not be read.
          num_labels: V, how many labels there are.

        Returns:
          int32 [B, S].

        Raises:
          ValueError: if the arrays are empty or do not fit together, an item is not finite or a label out of range.
        """
        ...


@dataclasses.dataclass(frozen=True)
class NearestLabels:
    """The label that most of the k nearest context items have, or of all where there are fewer.

    Of labels that equally many have, the one of the nearest item. Nearest by Euclidean distance, of equals those with
    the lowest numbers.

    Attributes:
      k: at least 1.

    >>> items, hidden = np.array([[[0.0], [1.0], [1.2], [0.3]]]), np.array([[False, False, False, True]])
    >>> labels = np.array([[4, 2, 2, 0]])
    >>> [int(NearestLabels(k).predict(items, labels, hidden, 5)[0, 3]) for k in (1, 3)]
    [4, 2]
    """

    k: int = 1

    def __post_init__(self) -> None:
        check_whole("k", self.k, least=1)

    def predict(self, items: ItemArray, labels: LabelArray, is_query: QueryArray, num_labels: int) -> LabelArray:
        """See `Classifier`."""
        tasks = labelled(items, labels, is_query, num_labels)
        neighbours = nearest(tasks.inputs, tasks.shown, self.k)
        theirs = neighbours.of(tasks.targets)
        votes = np.zeros((*tasks.targets.shape, num_labels), np.int64)
        for label, exists in zip(np.moveaxis(theirs, -1, 0), np.moveaxis(neighbours.exist, -1, 0), strict=True):
            votes += (label[..., None] == np.arange(num_labels)) & exists[..., None]
        # The first neighbour with the most votes: argmax takes the first of equals, and that is the nearest.
        support = np.where(neighbours.exist, np.take_along_axis(votes, theirs, axis=-1), 0)
        winner = np.take_along_axis(theirs, support.argmax(axis=-1)[..., None], axis=-1)[..., 0]
        return _or_zero(winner, tasks)


@dataclasses.dataclass(frozen=True)
class MajorityLabel:
    """The most frequent label of the context, whatever the item; the lowest of equals.

    >>> MajorityLabel().predict(np.zeros((1, 4, 1)), np.array([[2, 1, 2, 0]]), np.arange(4)[None] == 3, 3)
    array([[2, 2, 2, 2]], dtype=int32)
    """

    def predict(self, items: ItemArray, labels: LabelArray, is_query: QueryArray, num_labels: int) -> LabelArray:
        """See `Classifier`."""
        tasks = labelled(items, labels, is_query, num_labels)
        most = _one_hot(tasks, num_labels).sum(axis=1).argmax(axis=1)
        return _or_zero(np.broadcast_to(most[:, None], tasks.targets.shape), tasks)


@dataclasses.dataclass(frozen=True)
class RidgeLabels:
    """Ridge regression, with an intercept, on the one-hot labels; the label with the highest value.

    Attributes:
      penalty: times the sum of squared slopes, beside the sum of squared errors; above 0.

    >>> items, hidden = np.array([[[-1.0], [1.0], [0.4]]]), np.array([[False, False, True]])
    >>> RidgeLabels(1.0).predict(items, np.array([[3, 1, 0]]), hidden, 5)
    array([[3, 1, 1]], dtype=int32)
    """

    penalty: float = 1.0

    def __post_init__(self) -> None:
        check_positive("penalty", self.penalty)

    def predict(self, items: ItemArray, labels: LabelArray, is_query: QueryArray, num_labels: int) -> LabelArray:
        """See `Classifier`."""
        tasks = labelled(items, labels, is_query, num_labels)
        targets = Points(tasks.inputs, _one_hot(tasks, num_labels).astype(np.float64), tasks.shown)
        values = linear_prediction(targets, penalty=self.penalty, intercept=True)
        return _or_zero(values.argmax(axis=-1), tasks)


def labels_by_position(
    classifier: Classifier,
    items: Float[np.ndarray, "B S X"],
    labels: Int[np.ndarray, "B S"],
    *,
    num_labels: int,
    positions: Sequence[int],
) -> Int[np.ndarray, "B P"]:
    """Return what is predicted for the item at each position from the items and labels before it, and nothing else.

    That is what a causal sequence model has to go by, so that its accuracies can be compared position by position.

    Args:
      classifier: is fitted once for each position and task.
      items: of the whole sequences.
      labels: of the whole sequences, in 0..num_labels-1; the one at a position is not read for it.
      num_labels: V, how many labels there are.
      positions: which items to predict, in 0..S-1: the item at position p has p examples before it.

    Returns:
      int32: the predicted labels, one column for each position.

    Raises:
      ValueError: if a position is outside 0..S-1, or if `Classifier.predict` refuses the arrays.

    Source: Kirsch et al. (2022), arXiv 2212.04458, whose accuracies are by position.

    >>> items, labels = np.array([[[0.0], [0.1], [5.0], [5.1]]]), np.array([[1, 1, 2, 2]])
    >>> labels_by_position(NearestLabels(), items, labels, num_labels=3, positions=[0, 1, 2, 3])
    array([[0, 1, 1, 2]], dtype=int32)
    """
    outside = [position for position in positions if not 0 <= position < items.shape[1]]
    if outside or not len(positions):
        raise ValueError(f"Wanted one or more positions in 0..{items.shape[1] - 1}, got {list(positions)}.")
    columns = []
    for position in positions:
        seen = slice(0, position + 1)
        is_query = np.broadcast_to(np.arange(position + 1) == position, labels[:, seen].shape)
        columns.append(classifier.predict(items[:, seen], labels[:, seen], is_query, num_labels)[:, position])
    return np.stack(columns, axis=1)


def _one_hot(tasks: Points, num_labels: int) -> Bool[np.ndarray, "B S V"]:
    """Return the one-hot labels of the context, and zeros for the queries."""
    return (tasks.targets[:, :, None] == np.arange(num_labels)) & tasks.shown[:, :, None]


def _or_zero(predicted: LabelArray, tasks: Points) -> LabelArray:
    """Return the predictions as int32, with label 0 for tasks without context."""
    return np.where(tasks.shown.any(axis=1, keepdims=True), predicted, 0).astype(np.int32)
