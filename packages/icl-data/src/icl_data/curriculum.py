"""Samplers by turns: what is drawn changes with the number of the sequence, and with nothing else."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer

from icl_data.batch import Batch, Expand, Expandable, Sampler
from icl_data.checks import check_whole
from icl_data.draws import checked_indices, uniform_rows
from icl_data.items import checked_sample


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Curriculum:
    """One sampler after another, at once or by and by: sequence i is that of the sampler whose turn it is.

    So an element stays a function of (seed, index): batch sizes, hosts and where a run was resumed change nothing. For
    a switch at a step of training, give the step times the batch size of that training.

    Attributes:
      stages: at least one sampler, of batches with the same keys and shapes, each with a seed of its own.
      starts: the number of the first sequence of each stage, from 0 upward.
      blends: over how many sequences the share of each stage rises linearly from 0 to 1; none, or 0, for at once. The
        first has nothing to blend with.
      seed: of which sampler's turn it is where two are blended.
      stream: name of a series, as of the samplers.
      at: a number whose shares all sequences have, whatever theirs is: the distribution there, to evaluate on.

    Raises:
      ValueError: stages and numbers that do not go together, or samplers whose batches do not.

    >>> from icl_data import ClassSplit, FewShot, NoSupport, SequenceSampler
    >>> split, counts = ClassSplit(num_classes=9, rare=9), np.full(9, 20)
    >>> kinds = FewShot(classes="rare"), NoSupport()
    >>> stages = [SequenceSampler(kind=kind, split=split, exemplar_counts=counts) for kind in kinds]
    >>> curriculum = Curriculum(stages=stages, starts=(0, 100), blends=(0, 50))
    >>> curriculum.shares(np.array([99, 125, 150]))
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 1. ]])
    """

    stages: Sequence[Sampler]
    starts: Sequence[int]
    blends: Sequence[int] = ()
    seed: int = 0
    stream: str = "train"
    at: int | None = None

    def __post_init__(self) -> None:
        for name in ("stages", "starts", "blends"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_whole("seed", self.seed)
        for name, numbers in (("A start", self.starts), ("A blend", self.blends)):
            for number in numbers:
                check_whole(name, number)
        if self.at is not None:
            check_whole("at", self.at)
        ascend = all(one < other for one, other in zip(self.starts, self.starts[1:], strict=False))
        if not self.stages or len(self.starts) != len(self.stages) or self.starts[0] != 0 or not ascend:
            raise ValueError(
                f"A curriculum wants at least one stage, and a start for each, 0 and then ascending, got "
                f"{len(self.stages)} stages and starts={list(self.starts)}."
            )
        if self.blends and (len(self.blends) != len(self.stages) or self.blends[0] != 0):
            raise ValueError(
                f"blends wants a number for each of the {len(self.stages)} stages, 0 for the first, or none at all, "
                f"got {list(self.blends)}."
            )
        first, *others = (self._form(stage) for stage in self.stages)
        if differing := [other for other in others if other != first]:
            raise ValueError(
                f"The stages of a curriculum must make batches of one form, got {first} and {differing[0]}."
            )

    @staticmethod
    def _form(stage: Sampler) -> dict[str, tuple[str, tuple[int, ...]]]:
        batch = checked_sample(stage, np.zeros(1, np.int64))
        return {name: (str(values.dtype), values.shape[1:]) for name, values in sorted(batch.items())}

    @property
    def generation(self) -> int:
        """The latest generation of its stages' streams."""
        return max(getattr(stage, "generation", 1) for stage in self.stages)

    @property
    def block_size(self) -> int:
        """How many are best made in one call."""
        return min(stage.block_size for stage in self.stages)

    def _risen(self, stage: int, numbers: Int[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
        """Return how far a stage has taken over at numbers."""
        blend = self.blends[stage] if self.blends else 0
        passed = numbers - self.starts[stage]
        return (passed >= 0).astype(np.float64) if blend == 0 else np.clip(passed / blend, 0, 1)

    def shares(self, indices: Integer[np.ndarray, " B"]) -> Float[np.ndarray, "B stages"]:
        """Return the probability of each stage at each index, float64; a row adds up to 1."""
        numbers = self._numbers_of_shares(checked_indices(indices))
        shares = np.zeros((len(numbers), len(self.stages)))
        for stage in range(len(self.stages)):
            risen = self._risen(stage, numbers)
            shares *= 1 - risen[:, None]
            shares[:, stage] = risen
        return shares

    def stage_of(self, indices: Integer[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        """Return which stage makes each index, int64."""
        indices = checked_indices(indices)
        numbers, chosen = self._numbers_of_shares(indices), np.zeros(len(indices), np.int64)
        for stage in range(1, len(self.stages)):
            risen = self._risen(stage, numbers)
            open_ = np.flatnonzero((risen > 0) & (risen < 1))
            # A stream for each stage: how many there are changes nothing.
            risen[open_] -= uniform_rows(self.seed, f"{self.stream} stage {stage}", indices[open_], width=1)[:, 0]
            chosen[risen > 0] = stage
        return chosen

    def _numbers_of_shares(self, indices: Int[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        return indices if self.at is None else np.full_like(indices, self.at)

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return what the stages make of these indices."""
        return self._made(indices, lambda stage, own: stage.sample(own))

    def _made(self, indices: Integer[np.ndarray, " B"], make: Callable[[Any, np.ndarray], Batch]) -> Batch:
        indices = checked_indices(indices)
        chosen = self.stage_of(indices)
        used = np.unique(chosen) if len(indices) else np.zeros(1, np.int64)
        if len(used) == 1:
            return make(self.stages[used[0]], indices)
        rows = [np.flatnonzero(chosen == stage) for stage in used]
        parts = [make(self.stages[stage], indices[own]) for stage, own in zip(used, rows, strict=True)]
        back = np.argsort(np.concatenate(rows))
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ExpandableCurriculum(Curriculum):
    """A curriculum of samplers whose numbers are expanded alike, such as those of one family with growing pools.

    Sequences of one bank need it not: ``WithItems(Curriculum(...), bank)`` is expandable.

    Attributes:
      stages: at least one sampler, all of one ``expand`` and ``resident``.
      starts, blends, seed, stream, at: as of a ``Curriculum``.

    Raises:
      ValueError: besides, stages that are not ``Expandable``, or differ in more than their numbers.

    >>> from icl_data import FunctionSampler, Sine, Tasks
    >>> stages = [FunctionSampler(family=Sine(), tasks=Tasks(count=count)) for count in (4, 64)]
    >>> batch = ExpandableCurriculum(stages=stages, starts=(0, 1_000)).sample(np.arange(998, 1_002))
    >>> (batch["task"] < 4)[:2]
    array([ True,  True])
    """

    stages: Sequence[Expandable]

    def __post_init__(self) -> None:
        super().__post_init__()
        for stage in self.stages:
            if not isinstance(stage, Expandable):
                raise ValueError(f"Each stage must be icl_data.Expandable, got {type(stage).__name__}; use Curriculum.")
            if stage.expand != self.expand or stage.resident is not self.resident:
                raise ValueError(
                    f"The stages of an expandable curriculum must have one expand and one resident, got {self.expand} "
                    f"and {stage.expand}; let them differ in their numbers alone, or use Curriculum."
                )

    @property
    def resident(self) -> Any:
        """What all stages are expanded with."""
        return self.stages[0].resident

    @property
    def expand(self) -> Expand:
        """What all stages are expanded by."""
        return self.stages[0].expand

    def numbers(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the numbers of these indices."""
        return self._made(indices, lambda stage, own: stage.numbers(own))
