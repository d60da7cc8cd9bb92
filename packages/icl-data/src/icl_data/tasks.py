"""Tasks by number: which one a sequence is of, and the random numbers that a task is made from."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Float32, Int, Integer

from icl_data.checks import check_whole
from icl_data.draws import checked_indices, uniform_rows, word_rows

UNSEEN = 2**62
"""Number of the first task that no training sees: pools are far smaller, and so is every count of fresh tasks."""

_UPPER, _UPPER_OF_LOW, _BITS = np.uint64(40), np.uint64(8), np.uint64(2**24 - 1)  # 24 bits of either half of a word
_UNIT = 2.0**-24
_IN_CACHE = 2**14  # numbers that are worked on at once


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
        """Check the numbers."""
        if self.count is not None:
            check_whole("count, of the tasks in the pool,", self.count, least=1)
        check_whole("first", self.first)
        if self.first + (self.count or 0) > 2**63 - 1:
            raise ValueError(f"Tasks are numbered below 2**63, got first={self.first} and count={self.count}.")

    def numbers(self, seed: int, stream: str, indices: Integer[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        """Give the number of the task that each sequence is of.

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
class TaskDraws:
    """The random numbers that tasks are made from: those of a task depend on seed, number and family alone.

    Attributes:
      seed: of the tasks.
      numbers: int64 [B], at least 0, in any order, some perhaps equal.
      family: name of the family of tasks, so that those of two families have nothing in common.

    >>> draws = TaskDraws(0, np.array([7, 3, 7]))
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
        """Draw float64 uniforms in [0, 1); other names are independent."""
        different, places = self._different
        return uniform_rows(self.seed, self._stream(name), different, width=width)[places]

    def normals(self, name: str, width: int) -> Float32[np.ndarray, "B width"]:
        """Draw float32 standard normals; other names are independent."""
        different, places = self._different
        return normal_rows(self.seed, self._stream(name), different, width=width)[places]


def normal_rows(
    seed: int, stream: str, indices: Integer[np.ndarray, " B"], *, width: int
) -> Float32[np.ndarray, "B width"]:
    """Draw one row of float32 standard normals for each index; see ``icl_data.draws.word_rows``.

    A word of 64 bits makes two normals (Box and Muller 1958) of 24 bits each, so the largest is 5.9. They are the same
    on every machine up to the rounding of its logarithm, sine and cosine.

    >>> block = normal_rows(0, "example", np.arange(5), width=3)
    >>> np.array_equal(block[[4, 1]], normal_rows(0, "example", np.array([4, 1]), width=3))
    True
    """
    half = -(-width // 2)
    words = word_rows(seed, stream, indices, width=half)
    normals = np.empty((len(words), 2, half), np.float32)
    at_once = max(1, _IN_CACHE // max(half, 1))
    for start in range(0, len(words), at_once):
        part = slice(start, start + at_once)
        # float32 is several times as fast here as float64; the half keeps the logarithm's argument above 0.
        radius = ((words[part] >> _UPPER_OF_LOW & _BITS).astype(np.int32)).astype(np.float32)
        radius += np.float32(0.5)
        radius *= np.float32(_UNIT)
        np.log(radius, out=radius)
        radius *= np.float32(-2)
        np.sqrt(radius, out=radius)
        angle = (words[part] >> _UPPER).astype(np.int32).astype(np.float32)
        angle *= np.float32(2 * np.pi * _UNIT)
        np.multiply(radius, np.cos(angle), out=normals[part, 0])
        np.multiply(radius, np.sin(angle, out=angle), out=normals[part, 1])
    return normals.reshape(len(words), 2 * half)[:, :width]


def between(uniform: Float[np.ndarray, "*shape"], bounds: tuple[float, float]) -> Float32[np.ndarray, "*shape"]:
    """Stretch uniforms in [0, 1) over ``bounds``, as float32."""
    low, high = bounds
    return (low + (high - low) * uniform).astype(np.float32)


def check_bounds(name: str, bounds: tuple[float, float]) -> None:
    """Refuse what is not a pair of finite numbers in ascending order."""
    if len(bounds) != 2 or not np.isfinite(bounds).all() or bounds[0] > bounds[1]:
        raise ValueError(f"{name} must be two finite numbers, the lower one first, got {bounds}.")
