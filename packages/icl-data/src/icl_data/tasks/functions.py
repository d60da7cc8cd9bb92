"""Function tasks by index: points of a function, some of them queries; a pure function of (seed, index)."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float32, Integer, UInt32

from icl_data.arrays import array_module, float32_products
from icl_data.batch import Arrays, Batch
from icl_data.checks import check_whole, checked_array
from icl_data.draws import checked_indices, uniform_rows
from icl_data.random_keys import random_keys, random_normals
from icl_data.tasks.families import Family, Functions, draw_functions
from icl_data.tasks.families.family import function_keys, functions_of, is_on_device
from icl_data.tasks.inputs import InputDistribution, UniformInputs
from icl_data.tasks.pool import Tasks
from icl_data.tasks.query_masks import LastQueries, QueryMask

_SMALLEST = np.float32(1e-6)  # a spread that is no more than rounding


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FunctionSampler:
    """Tasks of N points (x, y) of a function, whose targets at the query points are to be predicted.

    What task number k is depends on (``task_seed``, k) and the family alone; which task sequence i is of and at which
    points it is asked, on (``seed``, ``stream``, i). So another stream has the same tasks at other points.

    Attributes:
      family: what functions there are.
      tasks: which of them; fresh ones for ever, or a pool.
      num_points: N, queries included.
      queries: which points are queries.
      inputs: where points lie.
      noise: standard deviation of normal noise on all targets, in units of the targets before they are standardised.
      standardise: whether targets are shifted and scaled so that those of the context have mean 0 and variance 1; by
        default they are not. The queries' targets have no part in it. A context of one value alone is only shifted.
        Of a linear function this makes an affine one, with an offset and a slope that change with the points that
        are shown, so that ridge regression, for example, does worse on it.
      seed: of the sequences.
      stream: their name, as in ``SequenceSampler``.
      task_seed: of the functions; ``seed`` if None.

    Raises:
      ValueError: options that do not go together.

    >>> from icl_data import RandomMLP
    >>> sampler = FunctionSampler(family=RandomMLP(), num_points=48, queries=LastQueries(8))
    >>> {name: values.shape for name, values in sampler.sample(np.arange(32)).items()}
    {'inputs': (32, 48, 1), 'targets': (32, 48, 1), 'is_query': (32, 48), 'task': (32,), 'index': (32,)}
    """

    generation: ClassVar[int] = 2  # of the streams: 1 drew other tasks of the same numbers

    family: Family
    tasks: Tasks = Tasks()
    num_points: int = 48
    queries: QueryMask = LastQueries(8)
    inputs: InputDistribution = UniformInputs()
    noise: float = 0.0
    standardise: bool = False
    seed: int = 0
    stream: str = "train"
    task_seed: int | None = None

    def __post_init__(self) -> None:
        check_whole("num_points, of context and queries,", self.num_points, least=2)
        check_whole("seed", self.seed)
        check_whole("task_seed", 0 if self.task_seed is None else self.task_seed)
        if not 0 <= self.noise <= float(np.finfo(np.float32).max):
            raise ValueError(f"noise must be at least 0 and finite in float32, got {self.noise}.")
        self.sample(np.empty(0, np.int64))  # so that what cannot be made is refused now, not at the first batch

    @property
    def block_size(self) -> int:
        """How many tasks are best drawn in one call."""
        return 128

    def functions(self, indices: Integer[np.ndarray, " B"]) -> Functions:
        """Return the functions that these sequences are of, which have ``specs`` to print and can be called.

        >>> from icl_data import Sine
        >>> functions = FunctionSampler(family=Sine()).functions(np.arange(2))
        >>> functions.specs["phase"].shape, functions(np.zeros((2, 1, 1), np.float32)).shape
        ((2,), (2, 1, 1))
        """
        numbers = self.tasks.numbers(self.seed, self.stream, indices)
        return draw_functions(self.family, seed=self._task_seed, numbers=numbers)

    @property
    def _task_seed(self) -> int:
        return self.seed if self.task_seed is None else self.task_seed

    @property
    def resident(self) -> None:
        """Nothing: all is in the numbers."""

    @property
    def expand(self) -> "FunctionExpansion":
        """From the numbers of sequences to their arrays."""
        if not is_on_device(self.family):
            return FunctionExpansion(None, self.standardise)
        return FunctionExpansion(self.family, self.standardise, self.inputs if is_on_device(self.inputs) else None)

    def numbers(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return what sequences are made from: their points, and no value of a function that can be had on a device.

        Returns:
          ``inputs`` float32 [B, N, X], or of inputs that a device draws (see ``InputDistribution``) ``input_key``
          uint32 [B, 2]; ``is_query`` bool [B, N], ``noise`` (its scale) float32 [B], ``random_key`` (of the sequence)
          uint32 [B, 2], ``task`` (its number) and ``index`` int64 [B]; and ``task_key`` uint32 [B, 2], or of a family
          that works with NumPy alone (see ``Family``) ``values`` of the functions, float32 [B, N, Y].
        """
        indices = checked_indices(indices)
        B, N, X = len(indices), self.num_points, self.family.num_inputs
        stream, on_device = f"{self.stream} inputs", is_on_device(self.family)
        if on_device and is_on_device(self.inputs):
            points = {"input_key": random_keys(self.seed, stream, indices)}
        else:
            drawn = self.inputs.points(seed=self.seed, stream=stream, indices=indices, num_points=N, num_inputs=X)
            points = {"inputs": checked_array(drawn, (B, N, X), "f4", f"{type(self.inputs).__name__}.points")}
        is_query = self.queries.mask(uniform_rows(self.seed, f"{self.stream} queries", indices, width=N + 1))
        tasks = self.tasks.numbers(self.seed, self.stream, indices)
        keys = function_keys(self.family, seed=self._task_seed, numbers=tasks)
        return points | {
            "is_query": checked_array(is_query, (B, N), "?", f"{type(self.queries).__name__}.mask"),
            "noise": np.full(B, self.noise, np.float32),
            "random_key": random_keys(self.seed, f"{self.stream} noise", indices),
            **({"task_key": keys} if on_device else {"values": functions_of(self.family, keys)(points["inputs"])}),
            "task": tasks,
            "index": indices,
        }

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the tasks with these indices, at least 0; each is the same in whatever company it is asked for.

        Returns:
          ``inputs`` float32 [B, N, X], ``targets`` float32 [B, N, Y], ``is_query`` bool [B, N], ``task`` (its number)
          and ``index`` int64 [B].
        """
        return self.expand(self.resident, self.numbers(indices))


@dataclasses.dataclass(frozen=True)
class FunctionExpansion:
    """From the numbers of sequences to the targets at their points, in NumPy or jax, the same up to rounding.

    Attributes:
      family: of the functions; None where numbers have their values already.
      standardise: see ``FunctionSampler``.
      inputs: what draws the points; None where numbers have them already.
    """

    family: Family | None
    standardise: bool
    inputs: Any = None

    def __call__(self, resident: None, numbers: Mapping[str, Any]) -> Arrays:
        """Return the batch that numbers mean, see ``FunctionSampler``."""
        is_query = numbers["is_query"]
        if self.family is None:
            inputs, values = numbers["inputs"], numbers["values"]
        else:
            N, X = is_query.shape[1], self.family.num_inputs
            inputs = numbers["inputs"] if self.inputs is None else self.inputs.from_keys(numbers["input_key"], N, X)
            with float32_products(inputs):
                values = functions_of(self.family, numbers["task_key"])(inputs)
        targets = values + scaled_noise(numbers["random_key"], numbers["noise"], values.shape)
        targets = standardised(targets, is_query) if self.standardise else targets
        return {"inputs": inputs, "targets": targets, "is_query": is_query} | {
            name: numbers[name] for name in ("task", "index")
        }


def scaled_noise(keys: UInt32[Any, "B 2"], scale: Float32[Any, " B"], shape: tuple[int, ...]) -> Float32[Any, "B N Y"]:
    """Return normal noise of a scale for each task; where NumPy sees that there is none, without drawing it."""
    if array_module(scale) is np and not scale.any():
        return np.zeros(shape, np.float32)
    return scale[:, None, None] * random_normals(keys, "noise", shape[1] * shape[2]).reshape(shape)


def standardised(targets: Float32[Any, "B N Y"], is_query: Bool[Any, "B N"]) -> Float32[Any, "B N Y"]:
    """Return targets shifted and scaled so that those of each task's context have mean 0 and variance 1.

    NumPy's arrays or jax's.

    >>> targets = np.array([[[1.0], [3.0], [9.0]]], np.float32)
    >>> standardised(targets, np.array([[False, False, True]])).ravel()
    array([-1.,  1.,  7.], dtype=float32)
    """
    xp, context = array_module(targets), ~is_query[:, :, None]
    # From the lowest, so that equal targets have a spread of exactly 0, however many they are.
    lowest = xp.where(context, targets, np.float32(np.inf)).min(axis=1, keepdims=True)
    count = context.sum(axis=1, keepdims=True).astype(np.float32)
    mean = xp.where(context, targets - lowest, 0).sum(axis=1, keepdims=True) / count
    centred = targets - lowest - mean
    spread = xp.sqrt(xp.square(xp.where(context, centred, 0)).sum(axis=1, keepdims=True) / count)
    scale = xp.where(spread > _SMALLEST * (1 + abs(lowest + mean)), spread, 1)
    return (centred / scale).astype(np.float32)
