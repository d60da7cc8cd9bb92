"""Sequences of symbols by index, of urns or Markov chains; a pure function of (seed, index)."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32, Integer

from icl_data.arrays import array_module
from icl_data.batch import Arrays, Batch
from icl_data.checks import check_whole
from icl_data.draws import checked_indices
from icl_data.random_keys import random_keys, random_uniforms
from icl_data.tasks.pool import TaskRandomness, Tasks, task_keys
from icl_data.tasks.processes import Process, Urns


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SymbolSampler:
    """Sequences of T symbols behind a start token, each of which is to be predicted from those before it.

    What task number k is, an urn or a chain, depends on (``task_seed``, k) and the process alone; which task sequence
    i is of and its symbols, on (``seed``, ``stream``, i) and ``length``.

    Attributes:
      process: what draws the symbols of a task.
      tasks: which tasks there are; fresh ones for ever, or a pool.
      length: T, symbols in a sequence, at least 1; 128, 256 or 320 in Wurgaft et al. (2025).
      seed: of the sequences.
      stream: their name, as in ``SequenceSampler``.
      task_seed: of the tasks; ``seed`` if None.

    Raises:
      ValueError: numbers out of range.

    >>> sampler = SymbolSampler(process=Urns(num_symbols=8), tasks=Tasks(count=64), length=128)
    >>> batch = sampler.sample(np.arange(32))
    >>> batch["tokens"].shape, batch["tokens"][:, 0].tolist() == [8] * 32, batch["tokens"][:, 1:].max()
    ((32, 129), True, np.int32(7))
    """

    generation: ClassVar[int] = 1

    process: Process = Urns()
    tasks: Tasks = Tasks()
    length: int = 128
    seed: int = 0
    stream: str = "train"
    task_seed: int | None = None

    def __post_init__(self) -> None:
        check_whole("length", self.length, least=1)
        check_whole("seed", self.seed)
        check_whole("task_seed", 0 if self.task_seed is None else self.task_seed)

    @property
    def num_tokens(self) -> int:
        """How many tokens there are: the symbols 0..K-1, and K, which is the start."""
        return self.process.num_symbols + 1

    @property
    def block_size(self) -> int:
        """How many sequences are best drawn in one call."""
        return 256

    @property
    def resident(self) -> None:
        """Nothing: all is in the numbers."""

    @property
    def expand(self) -> "SymbolExpansion":
        """From the numbers of sequences to their tokens."""
        return SymbolExpansion(self.process, self.length)

    def probabilities(self, numbers: Integer[np.ndarray, " M"]) -> Float32[np.ndarray, "M ..."]:
        """Return the tasks with these numbers, as predictors that know the pool want them.

        Args:
          numbers: of tasks, at least 0; a pool of M is ``np.arange(M)``.

        Returns:
          float32, urns [M, K] or chains [M, K, K].

        >>> SymbolSampler(process=Urns(num_symbols=4)).probabilities(np.arange(3)).sum(axis=1)
        array([1., 1., 1.], dtype=float32)
        """
        return self.process.probabilities(TaskRandomness(self._task_keys(numbers)))

    def numbers(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return what sequences are made from, and no symbol.

        Returns:
          ``task_key`` and ``random_key`` (of the sequence) uint32 [B, 2]; ``task`` (number) and ``index`` int64 [B].
        """
        indices = checked_indices(indices)
        tasks = self.tasks.numbers(self.seed, self.stream, indices)
        return {
            "task_key": self._task_keys(tasks),
            "random_key": random_keys(self.seed, f"{self.stream} symbols", indices),
            "task": tasks,
            "index": indices,
        }

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the sequences with these indices, at least 0; each is the same in whatever company it is asked for.

        Returns:
          ``tokens`` int32 [B, T + 1], the first of which is the start token, K, and all others symbols in 0..K-1;
          ``task`` (its number) and ``index`` int64 [B].
        """
        return self.expand(self.resident, self.numbers(indices))

    def _task_keys(self, numbers: Integer[np.ndarray, " M"]) -> np.ndarray:
        return task_keys(self.seed if self.task_seed is None else self.task_seed, numbers, type(self.process).__name__)


@dataclasses.dataclass(frozen=True)
class SymbolExpansion:
    """From the numbers of sequences to their tokens, in NumPy or jax, to the bit.

    Attributes:
      process: see ``SymbolSampler``.
      length: see there.
    """

    process: Process
    length: int

    def __call__(self, resident: None, numbers: Mapping[str, Any]) -> Arrays:
        """Return the batch that numbers mean, see ``SymbolSampler``."""
        uniforms = random_uniforms(numbers["random_key"], "symbols", self.length)
        symbols = self.process.symbols(TaskRandomness(numbers["task_key"]), uniforms)
        xp = array_module(symbols)
        start = xp.full_like(symbols[:, :1], self.process.num_symbols)
        return {"tokens": xp.concatenate([start, symbols], axis=1)} | {
            name: numbers[name] for name in ("task", "index")
        }
