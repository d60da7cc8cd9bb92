"""Where the points of a task lie."""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int

from icl_data.checks import check_whole
from icl_data.draws import check_bounds, normal_rows, scale_to, uniform_rows

Indices = Int[np.ndarray, " B"]
Points = Float32[np.ndarray, "B N X"]


@runtime_checkable
class InputDistribution(Protocol):
    """What a distribution of inputs is; bring your own by writing this one function."""

    def points(self, *, seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
        """Return N points for each index; those of one index depend on nothing else.

        Args:
          seed: of the sequences.
          stream: name of these inputs; other names are independent.
          indices: int64 [B], of the sequences.
          num_points: N.
          num_inputs: X.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniformInputs:
    """Each coordinate uniform between two bounds.

    Attributes:
      low: lower bound.
      high: upper bound, at least as high.
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_bounds("low and high", (self.low, self.high))

    def points(self, *, seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
        """See ``InputDistribution``."""
        uniforms = uniform_rows(seed, stream, indices, width=num_points * num_inputs)
        return scale_to(uniforms, (self.low, self.high)).reshape(len(indices), num_points, num_inputs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NormalInputs:
    """Each coordinate normal with mean 0.

    Attributes:
      scale: standard deviation, above 0.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf:
            raise ValueError(f"scale must be above 0 and finite, got {self.scale}.")

    def points(self, *, seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
        """See ``InputDistribution``."""
        normals = normal_rows(seed, stream, indices, width=num_points * num_inputs)
        return (normals * np.float32(self.scale)).reshape(len(indices), num_points, num_inputs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContextThenGrid:
    """For pictures of functions of one input: the first points as in another distribution, the others an even grid.

    Attributes:
      context: distribution of the first points.
      grid: how many points the grid has, at least 2.
      low: its first point.
      high: its last.
    """

    context: InputDistribution = UniformInputs()
    grid: int = 128
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_whole("grid", self.grid, least=2)
        check_bounds("low and high", (self.low, self.high))

    def points(self, *, seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
        """See ``InputDistribution``.

        Raises:
          ValueError: several inputs, or no points besides the grid.
        """
        if num_inputs != 1 or num_points <= self.grid:
            raise ValueError(
                f"ContextThenGrid wants one input and more points than its grid of {self.grid}, got {num_inputs} "
                f"inputs and {num_points} points."
            )
        shown = num_points - self.grid
        context = self.context.points(seed=seed, stream=stream, indices=indices, num_points=shown, num_inputs=1)
        grid = np.linspace(self.low, self.high, self.grid, dtype=np.float32)[None, :, None]
        return np.concatenate([context, np.repeat(grid, len(indices), axis=0)], axis=1)
