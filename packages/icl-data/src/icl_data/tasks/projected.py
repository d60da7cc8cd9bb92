"""Projected classification by index: a labelled set under a random projection and a permutation of its labels."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32, Int32, Integer, UInt32

from icl_data.arrays import array_module, float32_products, order
from icl_data.bank import ExemplarBank
from icl_data.batch import Arrays, Batch
from icl_data.checks import check_probability, check_whole
from icl_data.device_bank import DeviceBank
from icl_data.distinct import distinct_in_group
from icl_data.draws import checked_indices, uniform_rows
from icl_data.random_keys import random_keys, random_uniforms
from icl_data.tasks.pool import TaskRandomness, Tasks, task_keys
from icl_data.tasks.projections import NormalProjection, Projection

_AT_ONCE = 2**24  # numbers of projections that NumPy has in memory at once


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ProjectedSampler:
    """Sequences of S items x with labels y, of tasks ``x -> A x``, ``y -> rho(y)`` (Kirsch et al. 2022).

    Task number k, its A, its classes and their order, depends on (``task_seed``, k) and ``projection`` alone; which
    task sequence i is of and which items it shows, on (``seed``, ``stream``, i). So another ``projection`` or
    ``label_noise`` changes that alone, and sequences of a greater ``length`` begin alike, as long as no class has too
    few items.

    Attributes:
      bank: float32 vectors [rows, X], as ``fit_vectors(...).apply`` and ``random_vectors`` give them.
      tasks: which tasks; fresh ones for ever, or a pool.
      ways: V, how many classes of the bank a task has, drawn for each; all of them if None.
      length: S, items in a sequence. Their classes are drawn uniformly; an item comes twice only where its class has
        too few.
      p_identity: probability that a sequence has the first ``ways`` classes with themselves as labels instead of its
        task's; it shortens the plateau at the beginning of training.
      projection: the distribution of A; in training normal entries of variance 1 / X. ``SparseProjection``,
        ``Rotation`` and another ``scale`` are to be tested on.
      label_noise: probability that the label an item is shown with is drawn anew, uniformly from all V. Then a batch
        has ``shown_labels`` besides the true ``labels``.
      zipf_exponent: how unevenly the labels of a sequence are drawn: with weights 1, 2**-e, 3**-e, ..., V**-e in an
        order of each sequence's own; 0 draws them uniformly.
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

    generation: ClassVar[int] = 2  # of the streams: 1 drew other tasks of the same numbers

    bank: ExemplarBank
    tasks: Tasks = Tasks()
    ways: int | None = None
    length: int = 100
    p_identity: float = 0.0
    projection: Projection = NormalProjection()
    label_noise: float = 0.0
    zipf_exponent: float = 0.0
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
        check_probability("label_noise", self.label_noise)
        if not 0 <= self.zipf_exponent < np.inf:
            raise ValueError(f"zipf_exponent must be a finite number of at least 0, got {self.zipf_exponent}.")
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

    @property
    def resident(self) -> ExemplarBank:
        """The bank."""
        return self.bank

    @property
    def expand(self) -> "ProjectedExpansion":
        """From the numbers of sequences to their arrays."""
        return ProjectedExpansion(
            num_labels=self.num_labels,
            length=self.length,
            projection=self.projection,
            label_noise=self.label_noise,
            zipf_exponent=self.zipf_exponent,
        )

    def numbers(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return what sequences are made from, and no item.

        Returns:
          ``task_key`` and ``random_key`` (of the sequence) uint32 [B, 2]; ``is_plain`` bool [B], which have the first
          classes with themselves as labels; ``task`` (its number) and ``index`` int64 [B].
        """
        indices = checked_indices(indices)
        tasks = self.tasks.numbers(self.seed, self.stream, indices)
        share = uniform_rows(self.seed, f"{self.stream} plain", indices, width=1)[:, 0]
        return {
            "task_key": task_keys(self.seed if self.task_seed is None else self.task_seed, tasks),
            "random_key": random_keys(self.seed, f"{self.stream} items", indices),
            "is_plain": share < self.p_identity,
            "task": tasks,
            "index": indices,
        }

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the sequences with these indices, at least 0; each is the same in whatever company it is asked for.

        Returns:
          ``items`` float32 [B, S, X], ``labels`` in 0..V-1 and ``classes`` (of the bank) int32 [B, S], ``task`` (its
          number) and ``index`` int64 [B]; with label noise ``shown_labels`` int32 [B, S], too.
        """
        return self.expand(self.bank, self.numbers(indices))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProjectedExpansion:
    """From the numbers of sequences to items and labels, in NumPy or jax: integers to the bit, items to rounding.

    Attributes:
      num_labels: V, of a task.
      length: S, items in a sequence.
      projection: see ``ProjectedSampler``, as for the next two.
      label_noise: see there.
      zipf_exponent: see there.
    """

    num_labels: int
    length: int
    projection: Projection = NormalProjection()
    label_noise: float = 0.0
    zipf_exponent: float = 0.0

    def __call__(self, bank: ExemplarBank | DeviceBank, numbers: Mapping[str, Any]) -> Arrays:
        """Return the batch that numbers mean, see ``ProjectedSampler``."""
        S, V, keys = self.length, self.num_labels, numbers["task_key"]
        xp = array_module(keys)
        plain, first = numbers["is_plain"][:, None], xp.arange(V, dtype=np.int32)[None]
        chosen = xp.where(plain, first, task_classes(TaskRandomness(keys), len(bank.starts))[:, :V])
        uniforms = random_uniforms(numbers["random_key"], "labels and exemplars", 2 * S)
        labels = self._labels(uniforms[:, :S], numbers["random_key"])
        classes = xp.take_along_axis(chosen, labels, axis=1)
        exemplars = distinct_in_group(uniforms[:, S:], classes, bank.counts[classes])
        items = _projected(self.projection, keys, bank.items[bank.starts[classes] + exemplars])
        shown = {"shown_labels": self._noisy(labels, numbers["random_key"])} if self.label_noise else {}
        return {"items": items, "labels": labels, "classes": classes, **shown} | {
            name: numbers[name] for name in ("task", "index")
        }

    def _labels(self, uniforms: Float32[Any, "B S"], keys: UInt32[Any, "B 2"]) -> Int32[Any, "B S"]:
        """Return labels that uniforms draw, by the weights of their ranks where these are uneven."""
        if not self.zipf_exponent:
            return (uniforms * np.float32(self.num_labels)).astype(np.int32)
        weights = np.arange(1, self.num_labels + 1) ** -float(self.zipf_exponent)
        below = (weights.cumsum() / weights.sum())[None, None, :-1].astype(np.float32)  # on the host for both
        ranks = (uniforms[:, :, None] >= below).sum(axis=2)
        ranked = order(random_uniforms(keys, "ranks of labels", self.num_labels)).astype(np.int32)
        return array_module(keys).take_along_axis(ranked, ranks, axis=1)

    def _noisy(self, labels: Int32[Any, "B S"], keys: UInt32[Any, "B 2"]) -> Int32[Any, "B S"]:
        """Return labels of which some are drawn anew."""
        uniforms = random_uniforms(keys, "label noise", 2 * self.length)
        others = (uniforms[:, self.length :] * np.float32(self.num_labels)).astype(np.int32)
        is_noise = uniforms[:, : self.length] < np.float32(self.label_noise)
        return array_module(keys).where(is_noise, others, labels)


def _projected(projection: Projection, keys: UInt32[Any, "B 2"], items: Float32[Any, "B S X"]) -> Float32[Any, "B S X"]:
    """Return items under the projections of their tasks; in NumPy of as many tasks at a time as memory has room for."""
    if array_module(keys) is not np:
        with float32_products(keys):
            return items @ projection.matrices(TaskRandomness(keys), items.shape[2]).mT
    at_once = max(1, _AT_ONCE // items.shape[2] ** 2)
    projected = np.empty_like(items)
    for start in range(0, len(items), at_once):
        part = slice(start, start + at_once)
        matrices = projection.matrices(TaskRandomness(keys[part]), items.shape[2])
        np.matmul(items[part], matrices.mT, out=projected[part])
    return projected


def task_classes(draws: TaskRandomness, num_classes: int) -> Int32[Any, "B C"]:
    """Return the order of all classes in each task: label v is of the v-th; a task of V ways has the first V."""
    return order(draws.uniforms("classes", num_classes)).astype(np.int32)
