"""Function tasks by index: points of a function, some of them queries; a pure function of (seed, index)."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float32, Integer

from icl_data.batch import Batch
from icl_data.checks import check_whole, checked_array
from icl_data.draws import checked_indices, normal_rows, uniform_rows
from icl_data.tasks.families import Family, Functions, draw_functions
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
        if not 0 <= self.noise < np.inf:
            raise ValueError(f"noise must be at least 0 and finite, got {self.noise}.")
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
        seed = self.seed if self.task_seed is None else self.task_seed
        return draw_functions(self.family, seed=seed, numbers=numbers)

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the tasks with these indices, at least 0; each is the same in whatever company it is asked for.

        Returns:
          ``inputs`` float32 [B, N, X], ``targets`` float32 [B, N, Y], ``is_query`` bool [B, N], ``task`` (its number)
          and ``index`` int64 [B].
        """
        indices = checked_indices(indices)
        functions = self.functions(indices)
        B, N, X, Y = len(indices), self.num_points, self.family.num_inputs, self.family.num_outputs
        inputs = self.inputs.points(
            seed=self.seed, stream=f"{self.stream} inputs", indices=indices, num_points=N, num_inputs=X
        )
        inputs = checked_array(inputs, (B, N, X), "f4", f"{type(self.inputs).__name__}.points")
        is_query = self.queries.mask(uniform_rows(self.seed, f"{self.stream} queries", indices, width=N + 1))
        is_query = checked_array(is_query, (B, N), "?", f"{type(self.queries).__name__}.mask")
        targets = functions(inputs)
        if self.noise:
            noise = normal_rows(self.seed, f"{self.stream} noise", indices, width=N * Y).reshape(targets.shape)
            targets = targets + np.float32(self.noise) * noise
        if self.standardise:
            targets = standardised(targets, is_query)
        return {
            "inputs": inputs,
            "targets": targets,
            "is_query": is_query,
            "task": functions.draws.numbers,
            "index": indices,
        }


def standardised(
    targets: Float32[np.ndarray, "B N Y"], is_query: Bool[np.ndarray, "B N"]
) -> Float32[np.ndarray, "B N Y"]:
    """Return targets shifted and scaled so that those of each task's context have mean 0 and variance 1.

    >>> targets = np.array([[[1.0], [3.0], [9.0]]], np.float32)
    >>> standardised(targets, np.array([[False, False, True]])).ravel()
    array([-1.,  1.,  7.], dtype=float32)
    """
    context = ~is_query[:, :, None]
    count = context.sum(axis=1, keepdims=True)
    mean = np.where(context, targets, 0).sum(axis=1, keepdims=True) / count
    centred = targets - mean
    spread = np.sqrt(np.square(np.where(context, centred, 0)).sum(axis=1, keepdims=True) / count)
    scale = np.where(spread > _SMALLEST * (1 + np.abs(mean)), spread, 1)
    return (centred / scale).astype(np.float32)
