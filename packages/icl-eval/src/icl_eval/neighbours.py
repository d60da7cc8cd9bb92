"""Neighbours: the context points nearest to each point.

Axes: B tasks in a batch, N points, X inputs, K neighbours.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Neighbours(NamedTuple):
    """The K nearest context points of each point, the nearest first.

    Attributes:
      numbers: which points they are, in 0..N-1; of equally near ones the lowest number comes first.
      exist: False where a task has fewer than K context points; `numbers` means nothing there.
    """

    numbers: Int[np.ndarray, "B N K"]
    exist: Bool[np.ndarray, "B N K"]

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return the neighbours' values [B, N, K, ...], given those of all points [B, N, ...]."""
        return values[np.arange(len(values))[:, None, None], self.numbers]


def squared_distances(inputs: Float[np.ndarray, "B N X"]) -> Float[np.ndarray, "B N N"]:
    """Return the squared Euclidean distances between the points of each task.

    They are sums of squared differences, one input at a time: equal points are at distance 0 exactly, so that ties
    are ties, which x.x - 2 x.y + y.y does not promise.

    >>> squared_distances(np.array([[[0.0, 0.0], [3.0, 4.0]]])).tolist()
    [[[0.0, 25.0], [25.0, 0.0]]]
    """
    B, N, _ = inputs.shape
    total = np.zeros((B, N, N))
    for column in np.moveaxis(inputs, -1, 0):
        total += np.square(column[:, :, None] - column[:, None, :])
    return total


def nearest(inputs: Float[np.ndarray, "B N X"], shown: Bool[np.ndarray, "B N"], k: int) -> Neighbours:
    """Return the k context points nearest to each point; a context point is the first neighbour of itself.

    Args:
      inputs: of all points.
      shown: which of them are context points.
      k: how many neighbours, at least 1; K is k, or N where that is less.

    >>> found = nearest(np.array([[[0.0], [5.0], [1.0]]]), np.array([[True, True, False]]), 2)
    >>> found.numbers[0, 2], found.exist[0, 2]
    (array([0, 1]), array([ True,  True]))
    """
    distances = np.where(shown[:, None, :], squared_distances(inputs), np.inf)
    numbers = np.argsort(distances, axis=-1, kind="stable")[:, :, :k]
    return Neighbours(numbers, np.take_along_axis(distances, numbers, axis=-1) < np.inf)
