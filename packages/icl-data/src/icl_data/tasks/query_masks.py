"""Which points of a task are queries: their targets are what a learner must predict from the other points."""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from icl_data.checks import check_whole


@runtime_checkable
class QueryMask(Protocol):
    """What a mask is; bring your own by writing this one function."""

    def mask(self, uniforms: Float[np.ndarray, "B more"]) -> Bool[np.ndarray, "B N"]:
        """Return which of N points are queries, by N + 1 uniforms in [0, 1) for each task.

        Raises:
          ValueError: fewer points than it wants.
        """


@dataclasses.dataclass(frozen=True)
class LastQueries:
    """The last ``count`` points.

    Attributes:
      count: how many, at least 1.

    >>> LastQueries(2).mask(np.zeros((1, 5))).astype(int)
    array([[0, 0, 1, 1]])
    """

    count: int

    def __post_init__(self) -> None:
        check_whole("count, of the queries,", self.count, least=1)

    def mask(self, uniforms: Float[np.ndarray, "B more"]) -> Bool[np.ndarray, "B N"]:
        """See ``QueryMask``."""
        N = uniforms.shape[1] - 1
        _check_room(self, self.count, N)
        return np.tile(np.arange(N) >= N - self.count, (len(uniforms), 1))


@dataclasses.dataclass(frozen=True)
class RandomQueries:
    """``count`` points anywhere.

    Attributes:
      count: how many, at least 1.
    """

    count: int

    def __post_init__(self) -> None:
        check_whole("count, of the queries,", self.count, least=1)

    def mask(self, uniforms: Float[np.ndarray, "B more"]) -> Bool[np.ndarray, "B N"]:
        """See ``QueryMask``."""
        _check_room(self, self.count, uniforms.shape[1] - 1)
        return _ranks(uniforms) < self.count


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomFraction:
    """A random number of points anywhere, uniform between two fractions of all; at least one, but never all.

    Attributes:
      low: smallest fraction of queries, in 0..1.
      high: largest, at least ``low``.
    """

    low: float = 0.1
    high: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"Wanted 0 <= low <= high <= 1, got low={self.low} and high={self.high}.")

    def mask(self, uniforms: Float[np.ndarray, "B more"]) -> Bool[np.ndarray, "B N"]:
        """See ``QueryMask``."""
        N = uniforms.shape[1] - 1
        _check_room(self, 1, N)
        fewest, most = (min(max(round(share * N), 1), N - 1) for share in (self.low, self.high))
        counts = fewest + (uniforms[:, -1] * (most - fewest + 1)).astype(np.int64)
        return _ranks(uniforms) < counts[:, None]


def _ranks(uniforms: Float[np.ndarray, "B more"]) -> np.ndarray:
    """Return each point's place in a random order."""
    return uniforms[:, :-1].argsort(axis=1).argsort(axis=1)


def _check_room(mask: QueryMask, queries: int, points: int) -> None:
    if queries >= points:
        raise ValueError(f"{mask} wants more than {queries} points, so that some are left to learn from, got {points}.")
