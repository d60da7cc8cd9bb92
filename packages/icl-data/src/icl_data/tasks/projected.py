"""Projected classification by index: a labelled set under a random projection and a permutation of its labels."""

import dataclasses

import numpy as np
from jaxtyping import Float32, Int, Integer

from icl_data.bank import ExemplarBank
from icl_data.batch import Batch
from icl_data.checks import check_probability, check_whole
from icl_data.draws import checked_indices, distinct_in_group, uniform_rows
from icl_data.tasks.pool import TaskRandomness, Tasks

_AT_ONCE = 2**24  # numbers of projections that are in memory at once


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ProjectedSampler:
    """Sequences of S items x with labels y, of tasks ``x -> A x``, ``y -> rho(y)`` (Kirsch et al. 2022).

    A has independent normal entries of variance 1 / X. Task number k, its A, its classes and their order, depends on
    (``task_seed``, k) alone; which task sequence i is of and which items it shows, on (``seed``, ``stream``, i).

    Attributes:
      bank: float32 vectors [rows, X], as ``fit_vectors(...).apply`` and ``random_vectors`` give them.
      tasks: which tasks; fresh ones for ever, or a pool.
      ways: V, how many classes of the bank a task has, drawn for each; all of them if None.
      length: S, items in a sequence. Their classes are drawn uniformly; an item comes twice only where its class has
        too few.
      p_identity: probability that a sequence has the first ``ways`` classes with themselves as labels instead of its
        task's; it shortens the plateau at the beginning of training.
      seed: of the sequences.
      stream: their name, as in ``SequenceSampler``.
      task_seed: of the tasks; ``seed`` if None.

    Raises:
      ValueError: a bank of other items, or options that do not go together.

    Source: Kirsch et al. (2022), "General-purpose in-context learning by meta-learning transformers", arXiv 2212.04458,
    section 3, for A and rho; classes drawn for each task are an addition.

    >>> from icl_data import random_vectors
    >>> bank = random_vectors(10, exemplars=50, dimensions=16)
    >>> sampler = ProjectedSampler(bank=bank, tasks=Tasks(count=2**12), ways=4, length=32)
    >>> {name: values.shape for name, values in sampler.sample(np.arange(64)).items()}
    {'items': (64, 32, 16), 'labels': (64, 32), 'classes': (64, 32), 'task': (64,), 'index': (64,)}
    """

    bank: ExemplarBank
    tasks: Tasks = Tasks()
    ways: int | None = None
    length: int = 100
    p_identity: float = 0.0
    seed: int = 0
    stream: str = "train"
    task_seed: int | None = None

    def __post_init__(self) -> None:
        if self.bank.items.ndim != 2 or self.bank.items.dtype != np.float32 or self.bank.symmetries.any():
            raise ValueError(
                f"bank must have float32 vectors [rows, X], got {self.bank.items.dtype} {list(self.bank.items.shape)}; "
                "make them with fit_vectors(bank.items).apply(bank)."
            )
        if not np.isfinite(self.bank.items).all():
            raise ValueError("bank must have finite vectors, got some with NaN or infinity; leave these out.")
        check_whole("ways", self.num_labels, least=1)
        if self.num_labels > self.bank.num_classes:
            raise ValueError(f"ways must be at most the bank's {self.bank.num_classes} classes, got {self.ways}.")
        check_whole("length", self.length, least=1)
        check_probability("p_identity", self.p_identity)
        check_whole("seed", self.seed)
        check_whole("task_seed", 0 if self.task_seed is None else self.task_seed)

    @property
    def num_labels(self) -> int:
        """V, the number of labels."""
        return self.bank.num_classes if self.ways is None else self.ways

    @property
    def block_size(self) -> int:
        """How many sequences are best drawn in one call."""
        return int(np.clip(_AT_ONCE // self.bank.items.shape[1] ** 2, 1, 512))

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the sequences with these indices, at least 0; each is the same in whatever company it is asked for.

        Returns:
          ``items`` float32 [B, S, X], ``labels`` in 0..V-1 and ``classes`` (of the bank) int32 [B, S], ``task`` (its
          number) and ``index`` int64 [B].
        """
        indices = checked_indices(indices)
        numbers = self.tasks.numbers(self.seed, self.stream, indices)
        draws = TaskRandomness(self.seed if self.task_seed is None else self.task_seed, numbers)
        labels, classes, rows = self._items(indices, draws)
        items = np.empty((*rows.shape, self.bank.items.shape[1]), np.float32)
        for start in range(0, len(indices), self.block_size):
            part = slice(start, start + self.block_size)
            matrices = projections(TaskRandomness(draws.seed, numbers[part]), self.bank.items.shape[1])
            np.matmul(self.bank.items[rows[part]], matrices.transpose(0, 2, 1), out=items[part])
        return {
            "items": items,
            "labels": labels.astype(np.int32),
            "classes": classes.astype(np.int32),
            "task": numbers,
            "index": indices,
        }

    def _items(
        self, indices: Int[np.ndarray, " B"], draws: TaskRandomness
    ) -> tuple[Int[np.ndarray, "B S"], Int[np.ndarray, "B S"], Int[np.ndarray, "B S"]]:
        """Return labels, classes and rows of the bank."""
        S, V = self.length, self.num_labels
        chosen = task_classes(draws, self.bank.num_classes)[:, :V]
        uniforms = uniform_rows(self.seed, f"{self.stream} items", indices, width=2 * S + 1)
        plain = uniforms[:, -1] < self.p_identity
        chosen = np.where(plain[:, None], np.arange(V)[None], chosen)
        labels = (uniforms[:, :S] * V).astype(np.int64)
        classes = np.take_along_axis(chosen, labels, axis=1)
        exemplars = distinct_in_group(uniforms[:, S : 2 * S], classes, self.bank.counts[classes])
        return labels, classes, self.bank.starts[classes] + exemplars


def projections(draws: TaskRandomness, dimensions: int) -> Float32[np.ndarray, "B X X"]:
    """Return the matrix A of each task: independent normal entries of variance 1 / X (not standard deviation).

    >>> bool(abs(projections(TaskRandomness(0, np.arange(9)), 50).var() * 50 - 1) < 0.05)
    True
    """
    normals = draws.normals("projection", dimensions**2)
    normals *= np.float32(dimensions**-0.5)
    return normals.reshape(-1, dimensions, dimensions)


def task_classes(draws: TaskRandomness, num_classes: int) -> Int[np.ndarray, "B C"]:
    """Return the order of all classes in each task: label v is of the v-th; a task of V ways has the first V."""
    return draws.uniforms("classes", num_classes).argsort(axis=1)
