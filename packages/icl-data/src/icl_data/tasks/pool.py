"""Tasks by number: which one a sequence is of, and the random numbers that a task is made from."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, Integer, UInt32

from icl_data.arrays import array_module
from icl_data.checks import check_whole
from icl_data.draws import checked_indices, uniform_rows
from icl_data.random_keys import random_keys, random_normals, random_uniforms

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


def task_keys(seed: int, numbers: Integer[np.ndarray, " B"], family: str = "") -> UInt32[np.ndarray, "B 2"]:
    """Return the keys of tasks, which all that is random about them is made from.

    Args:
      seed: of the tasks.
      numbers: at least 0, in any order, some perhaps equal.
      family: name of the family of tasks, so that those of two families have nothing in common.
    """
    return random_keys(seed, f"task {family}".rstrip(), numbers)


@dataclasses.dataclass(frozen=True, eq=False)
class TaskRandomness:
    """The random numbers that tasks are made from: those of a task depend on its key and their name alone.

    They are NumPy's or jax's, as the keys are.

    Attributes:
      keys: of the tasks, some perhaps equal; see ``task_keys``.

    >>> draws = TaskRandomness(task_keys(0, np.array([7, 3, 7])))
    >>> draws.normals("weights", 4).shape, bool((draws.uniforms("c", 2)[0] == draws.uniforms("c", 2)[2]).all())
    ((3, 4), True)
    """

    keys: UInt32[Any, "B 2"]

    @functools.cached_property
    def _different(self) -> tuple[UInt32[np.ndarray, "D 2"], Int[np.ndarray, " B"] | None]:
        """Each key once, and where each task's is; None if all are different. A small pool costs what it is, so."""
        whole = np.ascontiguousarray(self.keys).view(np.uint64)[:, 0]
        different, places = np.unique(whole, return_inverse=True)
        if len(different) == len(whole):
            return self.keys, None
        return different.view(np.uint32).reshape(-1, 2), places

    def uniforms(self, name: str, width: int) -> Float32[Any, "B width"]:
        """Return float32 uniforms in [0, 1), of 24 bits; other names are independent."""
        return self._drawn(random_uniforms, name, width)

    def normals(self, name: str, width: int) -> Float32[Any, "B width"]:
        """Return float32 standard normals; other names are independent, and so are uniforms of the same name."""
        return self._drawn(random_normals, name, width)

    def _drawn(self, draw: Callable[[Any, str, int], Any], name: str, width: int) -> Any:
        if array_module(self.keys) is not np:
            return draw(self.keys, name, width)
        keys, places = self._different
        return draw(keys, name, width) if places is None else draw(keys, name, width)[places]
