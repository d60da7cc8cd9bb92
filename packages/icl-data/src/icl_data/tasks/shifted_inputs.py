"""Inputs to be tested on, other than those of training: uneven spectra, quadrants, and queries far from the context.

Source: Garg et al. (2022), arXiv 2208.01066, section 4 and their code. There the query at each position is such; here
the last ones are. Besides, they scale x and y by 1/3, 1/2, 2 and 3: ``NormalInputs(scale=...)``.
"""

import dataclasses
from typing import Literal

import numpy as np

from icl_data.checks import check_choice, check_whole
from icl_data.draws import normal_rows, uniform_rows
from icl_data.tasks.inputs import Indices, Points

Quadrant = Literal["any", "opposite"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpectrumInputs:
    """Normal inputs that vary unevenly: along direction i by i^-decay, and along some directions not at all.

    The directions are random for each sequence, and the mean variance of a coordinate is 1. ``SpectrumInputs(decay=1)``
    is the skewed covariance of the source, ``SpectrumInputs(share=0.5)`` its half subspace.

    Attributes:
      decay: of the standard deviations; 0 makes all equal.
      share: of the directions along which inputs vary, above 0 and up to 1; at least one is left.
    """

    decay: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.decay < np.inf or not 0 < self.share <= 1:
            raise ValueError(
                f"Wanted a finite decay of at least 0 and a share in (0, 1], got decay={self.decay} and "
                f"share={self.share}."
            )

    def points(self, *, seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
        """See ``InputDistribution``."""
        B, N, X = len(indices), num_points, num_inputs
        kept = max(1, int(self.share * X + 1e-9))  # 0.29 of 100 are 29
        deviations = np.arange(1, kept + 1, dtype=np.float64) ** -self.decay
        deviations *= np.sqrt(X / np.square(deviations).sum())
        turns = normal_rows(seed, f"{stream} directions", indices, width=X * X).reshape(B, X, X)
        # Of normal numbers, whose directions are uniform; the signs make no difference to what normal inputs are of.
        directions = np.linalg.qr(turns.astype(np.float64))[0][:, :, :kept]
        normals = normal_rows(seed, stream, indices, width=N * kept).reshape(B, N, kept)
        return (normals @ (deviations[:, None] * directions.mT)).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuadrantInputs:
    """Normal inputs, of which the context's have the signs of one quadrant, random for each sequence.

    Attributes:
      queries: how many of the last points are queries, at least 1.
      quadrant: where queries lie: ``"any"``, each its own, or ``"opposite"`` to the context.
    """

    queries: int = 1
    quadrant: Quadrant = "any"

    def __post_init__(self) -> None:
        check_whole("queries", self.queries, least=1)
        check_choice("quadrant", self.quadrant, Quadrant)

    def points(self, *, seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
        """See ``InputDistribution``."""
        shown = _shown(self, self.queries, num_points)
        points = _normals(seed, stream, indices, num_points, num_inputs)
        upper = uniform_rows(seed, f"{stream} quadrant", indices, width=num_inputs)[:, None] < 0.5
        signs = np.where(upper, np.float32(1), np.float32(-1))
        points[:, :shown] = np.abs(points[:, :shown]) * signs
        if self.quadrant == "opposite":
            points[:, shown:] = np.abs(points[:, shown:]) * -signs
        return points


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrthogonalQueries:
    """Normal inputs, of which the queries are orthogonal to all of the context and of length sqrt(X).

    Of such a query the context of a linear function says nothing.

    Attributes:
      queries: how many of the last points are queries, at least 1.
    """

    queries: int = 1

    def __post_init__(self) -> None:
        check_whole("queries", self.queries, least=1)

    def points(self, *, seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
        """See ``InputDistribution``.

        Raises:
          ValueError: as many points in the context as inputs, or more, which leave no direction.
        """
        shown = _shown(self, self.queries, num_points)
        if shown >= num_inputs:
            raise ValueError(f"{self} wants fewer points in the context than the {num_inputs} inputs, got {shown}.")
        points = _normals(seed, stream, indices, num_points, num_inputs)
        basis = np.linalg.qr(points[:, :shown].mT.astype(np.float64))[0]
        rest = points[:, shown:] - (points[:, shown:] @ basis) @ basis.mT
        points[:, shown:] = rest * (np.sqrt(num_inputs) / np.linalg.norm(rest, axis=2, keepdims=True))
        return points


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepeatedQueries:
    """Normal inputs, of which each query is a random point of the context again.

    Attributes:
      queries: how many of the last points are queries, at least 1.
    """

    queries: int = 1

    def __post_init__(self) -> None:
        check_whole("queries", self.queries, least=1)

    def points(self, *, seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
        """See ``InputDistribution``."""
        shown = _shown(self, self.queries, num_points)
        points = _normals(seed, stream, indices, num_points, num_inputs)
        again = (uniform_rows(seed, f"{stream} again", indices, width=self.queries) * shown).astype(np.int64)
        points[:, shown:] = np.take_along_axis(points, again[:, :, None], axis=1)
        return points


def _normals(seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
    normals = normal_rows(seed, stream, indices, width=num_points * num_inputs)
    return np.ascontiguousarray(normals).reshape(len(indices), num_points, num_inputs)


def _shown(inputs: object, queries: int, points: int) -> int:
    """Return how many points the context has."""
    if queries >= points:
        raise ValueError(
            f"{inputs} wants more than {queries} points, so that some are left to learn from, got {points}."
        )
    return points - queries
