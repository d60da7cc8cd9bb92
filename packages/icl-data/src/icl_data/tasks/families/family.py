"""What a family of functions is: a small specification is drawn for each task, and functions are made from it."""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Integer, Shaped

from icl_data.checks import check_whole, checked_array
from icl_data.draws import check_bounds, checked_indices
from icl_data.tasks.pool import TaskRandomness

Specs = dict[str, Shaped[np.ndarray, "B ..."]]
"""What tells the functions of a family apart, by name; small enough to be printed."""
Points = Float32[np.ndarray, "B N X"]
Values = Float32[np.ndarray, "B N 1"]


@runtime_checkable
class Family(Protocol):
    """A family of functions from X inputs to Y outputs; bring your own by writing these four."""

    @property
    def num_inputs(self) -> int:
        """X, at least 1."""

    @property
    def num_outputs(self) -> int:
        """Y, at least 1."""

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return the specifications of B tasks, arrays [B, ...]."""

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Float32[np.ndarray, "B N Y"]:
        """Return the functions of B tasks, each at N points of its own.

        Args:
          specs: of B tasks, as ``draw`` returns them.
          draws: the random numbers of these tasks.
          inputs: float32 [B, N, X].
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scalar:
    """What families of functions to a single number share: ``int`` fields are at least 1, pairs of numbers are ranges.

    Attributes:
      num_inputs: X, at least 1.
    """

    num_inputs: int = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.type is int:
                check_whole(field.name, getattr(self, field.name), least=1)
            elif field.type == tuple[float, float]:
                check_bounds(field.name, getattr(self, field.name))

    @property
    def num_outputs(self) -> int:
        """Y is 1."""
        return 1


@dataclasses.dataclass(frozen=True, eq=False)
class Functions:
    """B functions, each a task: made by ``draw_functions``.

    Attributes:
      family: theirs.
      draws: their numbers, and the random numbers that they are made from.
      specs: what tells them apart.
    """

    family: Family
    draws: TaskRandomness
    specs: Specs

    def __call__(self, inputs: Points) -> Float32[np.ndarray, "B N Y"]:
        """Return each function at N points of its own.

        Raises:
          ValueError: inputs of another shape, or values that are no numbers [B, N, Y].
        """
        B, X, Y = len(self.draws.numbers), self.family.num_inputs, self.family.num_outputs
        if inputs.ndim != 3 or inputs.shape[0] != B or inputs.shape[2] != X:
            raise ValueError(f"These functions want inputs [{B}, N, {X}], got {list(inputs.shape)}.")
        values = np.asarray(self.family.values(self.specs, self.draws, inputs))
        return checked_array(values, (B, inputs.shape[1], Y), "f4", f"{type(self.family).__name__}.values")


def draw_functions(family: Family, *, seed: int, numbers: Integer[np.ndarray, " B"]) -> Functions:
    """Return the functions of a family with these numbers: first the specifications, then what evaluates them.

    Args:
      family: which.
      seed: another seed gives other functions.
      numbers: int64 [B], at least 0. Function number k is the same in whatever company it is asked for.

    >>> from icl_data import Sine
    >>> functions = draw_functions(Sine(), seed=0, numbers=np.array([5, 2**62]))
    >>> sorted(functions.specs), functions(np.zeros((2, 10, 1), np.float32)).shape
    (['amplitude', 'frequency', 'phase'], (2, 10, 1))
    """
    check_whole("seed", seed)
    draws = TaskRandomness(seed, checked_indices(numbers), type(family).__name__)
    return Functions(family, draws, family.draw(draws))


def dot(inputs: Points, weights: Float32[np.ndarray, "B X"]) -> Values:
    """Return the products of each task's points and its weights."""
    return inputs @ weights[:, :, None]


def column(values: Shaped[np.ndarray, " B"]) -> Shaped[np.ndarray, "B 1 1"]:
    """Return a number for each task in a shape that goes with [B, N, 1]."""
    return values[:, None, None]
