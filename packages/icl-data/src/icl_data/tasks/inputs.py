"""Where the points of a task lie."""

import dataclasses
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int, UInt32

from icl_data.checks import check_whole
from icl_data.draws import check_bounds, normal_rows, scale_to, uniform_rows
from icl_data.random_keys import random_keys, random_normals

Indices = Int[np.ndarray, " B"]
Points = Float32[np.ndarray, "B N X"]


@runtime_checkable
class InputDistribution(Protocol):
    """What a distribution of inputs is; bring your own by writing this one function.

    One that has ``on_device = True`` besides, and is hashable, has ``from_keys(keys, num_points, num_inputs)``, which
    draws the points of sequences with these keys by NumPy or by jax (see ``random_keys``). Functions of a family that a
    device evaluates then get their points there.
    """

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
class DeviceNormalInputs:
    """The distribution of ``NormalInputs``, other numbers: drawn where functions are evaluated, also by an accelerator.

    So a host sends a key for each sequence instead of N X numbers, which it would take longer to draw than a
    generator without an index does.

    Attributes:
      scale: standard deviation, above 0.

    >>> DeviceNormalInputs().from_keys(random_keys(0, "x", np.arange(3)), 41, 20).shape
    (3, 41, 20)
    """

    on_device: ClassVar[bool] = True

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf:
            raise ValueError(f"scale must be above 0 and finite, got {self.scale}.")

    def points(self, *, seed: int, stream: str, indices: Indices, num_points: int, num_inputs: int) -> Points:
        """See ``InputDistribution``."""
        return self.from_keys(random_keys(seed, stream, indices), num_points, num_inputs)

    def from_keys(self, keys: UInt32[Any, "B 2"], num_points: int, num_inputs: int) -> Float32[Any, "B N X"]:
        """Return the points of sequences with these keys, in NumPy or jax up to the rounding of normal numbers."""
        normals = random_normals(keys, "inputs", num_points * num_inputs)
        return normals.reshape(len(keys), num_points, num_inputs) * np.float32(self.scale)


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
