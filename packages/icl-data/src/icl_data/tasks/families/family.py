"""What a family of functions is: a small specification is drawn for each task, and functions are made from it."""

import dataclasses
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Integer, Shaped, UInt32

from icl_data.arrays import array_module
from icl_data.checks import check_whole, checked_array
from icl_data.draws import check_bounds
from icl_data.tasks.pool import TaskRandomness, task_keys

Specs = dict[str, Shaped[Any, "B ..."]]
"""What tells the functions of a family apart, by name; small enough to be printed."""
Points = Float32[Any, "B N X"]
Values = Float32[Any, "B N 1"]


@runtime_checkable
class Family(Protocol):
    """A family of functions from X inputs to Y outputs; bring your own by writing these four.

    The host evaluates it then, with NumPy. A family that has ``on_device = True`` besides, as all of this package, is
    evaluated on an accelerator: its ``draw`` and ``values`` are pure and do with jax's arrays, under ``jax.jit``, what
    they do with NumPy's (``icl_data.arrays.array_module`` tells whose an array is), and it is hashable, as frozen
    dataclasses are. One that inherits from a family of this package and uses NumPy alone says ``on_device = False``.
    """

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

    on_device: ClassVar[bool] = True

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
      draws: the random numbers that they are made from.
      specs: what tells them apart.
    """

    family: Family
    draws: TaskRandomness
    specs: Specs

    def __call__(self, inputs: Points) -> Float32[Any, "B N Y"]:
        """Return each function at N points of its own.

        Raises:
          ValueError: inputs of another shape, or values that are no numbers [B, N, Y].
        """
        B, X, Y = len(self.draws.keys), self.family.num_inputs, self.family.num_outputs
        if inputs.ndim != 3 or inputs.shape[0] != B or inputs.shape[2] != X:
            raise ValueError(f"These functions want inputs [{B}, N, {X}], got {list(inputs.shape)}.")
        values = self.family.values(self.specs, self.draws, inputs)
        name, shape = f"{type(self.family).__name__}.values", (B, inputs.shape[1], Y)
        if array_module(inputs) is np:
            return checked_array(values, shape, "f4", name)
        if values.shape != shape:
            raise ValueError(f"{name} must return float32 {list(shape)}, got {values.dtype} {list(values.shape)}.")
        return values


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
    return functions_of(family, function_keys(family, seed=seed, numbers=numbers))


def function_keys(family: Family, *, seed: int, numbers: Integer[np.ndarray, " B"]) -> UInt32[np.ndarray, "B 2"]:
    """Return the keys of the functions of a family; see ``draw_functions``."""
    return task_keys(seed, numbers, type(family).__name__)


def functions_of(family: Family, keys: UInt32[Any, "B 2"]) -> Functions:
    """Return the functions of a family with these keys, NumPy's or jax's as the keys are."""
    draws = TaskRandomness(keys)
    return Functions(family, draws, family.draw(draws))


def is_on_device(family: object) -> bool:
    """Return whether a family, or a distribution of inputs, works on jax's arrays too, see ``Family``.

    Raises:
      ValueError: one that says so and cannot be hashed, or has more to it than its fields.
    """
    if not getattr(family, "on_device", False):
        return False
    try:
        hash(family)
    except TypeError as error:
        raise ValueError(
            f"{type(family).__name__} has on_device=True and must be hashable, since programs are kept by family; make "
            "it a frozen dataclass of hashable fields (tuples, no lists), or say on_device = False."
        ) from error
    kind, fields = type(family), getattr(family, "__dataclass_fields__", vars(family))
    if more := [name for name in vars(family) if name not in fields and not hasattr(kind, name)]:
        raise ValueError(
            f"{kind.__name__} has on_device=True and {more[0]!r}, which is no field: families that differ in it alone "
            "would share a program; make it a field of a frozen dataclass, or say on_device = False."
        )
    return True


def dot(inputs: Points, weights: Float32[Any, "B X"]) -> Values:
    """Return the products of each task's points and its weights."""
    return inputs @ weights[:, :, None]


def column(values: Shaped[Any, " B"]) -> Shaped[Any, "B 1 1"]:
    """Return a number for each task in a shape that goes with [B, N, 1]."""
    return values[:, None, None]
