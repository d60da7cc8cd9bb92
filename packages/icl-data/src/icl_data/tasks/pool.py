"""Tasks by number: which one a sequence is of, and the random numbers that a task is made from."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Float32, Int, Integer

from icl_data.checks import check_whole
from icl_data.draws import checked_indices, normal_rows, uniform_rows

UNSEEN = 2**62
"""Number of the first task that no training sees: pools are far smaller, and so is every count of fresh tasks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tasks:
    """Which tasks sequences are of. No task is stored: each is made again from its number.

    Attributes:
      count: n, the size of the pool; each sequence is of one of its tasks, drawn uniformly. None for a fresh task in
        every sequence, for ever.
      first: number of the first task; sequence i of fresh ones is of task ``first + i``. ``UNSEEN`` gives tasks that
        training does not have.

    >>> Tasks(count=2**10).numbers(0, "train", np.arange(3)).max() < 2**10, Tasks().numbers(0, "train", np.arange(3))
    (np.True_, array([0, 1, 2]))
    """

    count: int | None = None
    first: int = 0

    def __post_init__(self) -> None:
        if self.count is not None:
            check_whole("count, of the tasks in the pool,", self.count, least=1)
        check_whole("first", self.first)
        if self.first + (self.count or 0) > 2**63 - 1:
            raise ValueError(f"Tasks are numbered below 2**63, got first={self.first} and count={self.count}.")

    def numbers(self, seed: int, stream: str, indices: Integer[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        """Return the number of the task that each sequence is of.

        Args:
          seed: of the sequences.
          stream: their name.
          indices: int64 [B], theirs.
        """
        if self.count is None:
            return checked_indices(indices) + self.first
        share = uniform_rows(seed, f"{stream} tasks", indices, width=1)[:, 0]
        return (share * self.count).astype(np.int64) + self.first


@dataclasses.dataclass(frozen=True, eq=False)
class TaskRandomness:
    """The random numbers that tasks are made from: those of a task depend on seed, number and family alone.

    Attributes:
      seed: of the tasks.
      numbers: int64 [B], at least 0, in any order, some perhaps equal.
      family: name of the family of tasks, so that those of two families have nothing in common.

    >>> draws = TaskRandomness(0, np.array([7, 3, 7]))
    >>> draws.normals("weights", 4).shape, bool((draws.uniforms("c", 2)[0] == draws.uniforms("c", 2)[2]).all())
    ((3, 4), True)
    """

    seed: int
    numbers: Int[np.ndarray, " B"]
    family: str = ""

    @functools.cached_property
    def _different(self) -> tuple[Int[np.ndarray, " D"], Int[np.ndarray, " B"]]:
        """Each number once, in ascending order, which makes runs of a small pool; and where each task's is."""
        different, places = np.unique(self.numbers, return_inverse=True)
        return different, places

    def _stream(self, name: str) -> str:
        return " ".join(filter(None, ("task", self.family, name)))

    def uniforms(self, name: str, width: int) -> Float[np.ndarray, "B width"]:
        """Return float64 uniforms in [0, 1); other names are independent."""
        different, places = self._different
        return uniform_rows(self.seed, self._stream(name), different, width=width)[places]

    def normals(self, name: str, width: int) -> Float32[np.ndarray, "B width"]:
        """Return float32 standard normals; other names are independent."""
        different, places = self._different
        return normal_rows(self.seed, self._stream(name), different, width=width)[places]
