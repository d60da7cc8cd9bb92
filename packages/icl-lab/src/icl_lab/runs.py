"""The runs of a session: what they share, and what each has of its own."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic

import grain
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

import icl_train as training
from icl_data import Expandable, Sampler
from icl_data.batch import Expand
from icl_lab.experiment import Config, Experiment
from icl_lab.model import Compiled, Model
from icl_lab.streams import TRAIN, Expanded, OnDevices, compiled_expand


@dataclasses.dataclass(frozen=True)
class MemberRun(Generic[Config]):
    """A run, alone or in an ensemble.

    Attributes:
      number: in the ensemble; None for a lone run.
      config: of the run as if it were alone.
      samplers: what makes its sequences or tasks, by the name of their stream.
      streams: their batches, see `make_streams`.
    """

    number: int | None
    config: Config
    samplers: Mapping[str, Sampler]
    streams: Mapping[str, grain.IterDataset[Any]]

    def first_batch(self, stream: str) -> Mapping[str, Any]:
        """Return the first batch of a stream in full, in NumPy."""
        sampler, numbers = self.samplers[stream], next(iter(self.streams[stream]))
        return sampler.expand(sampler.resident, numbers) if isinstance(sampler, Expandable) else numbers


@dataclasses.dataclass(frozen=True)
class Runs(Generic[Config]):
    """Runs of one program in one session.

    Attributes:
      config: what the session asks for.
      experiment: what all runs share.
      members: what they differ in.
      compiled: the functions that evaluation asks.
      mesh: where they are trained or evaluated; None for an ensemble that trains.
    """

    config: Config
    experiment: Experiment[Config]
    members: Sequence[MemberRun[Config]]
    compiled: Compiled
    mesh: Mesh | None

    @property
    def first(self) -> MemberRun[Config]:
        """The lone run, or the first member."""
        return self.members[0]

    @property
    def is_ensemble(self) -> bool:
        """Whether several models are trained together."""
        return self.first.number is not None

    def init(self, rng: Array) -> tuple[PyTree, PyTree]:
        """Return the parameters and the state that a model begins with."""
        return self.experiment.init(rng, self._example)

    @functools.cached_property
    def _example(self) -> Mapping[str, Any]:
        return self.first.first_batch(TRAIN)

    @functools.cached_property
    def on_devices(self) -> OnDevices:
        """What numbers are expanded with there."""
        return OnDevices(self.mesh)

    @property
    def trained_on(self) -> tuple[PyTree, Expand | None]:
        """What training expands the numbers of all members with, and how; (None, None) where batches are arrays."""
        sampler = self.first.samplers[TRAIN]
        return (self.on_devices(sampler.resident), sampler.expand) if isinstance(sampler, Expandable) else (None, None)

    def batches(self, member: MemberRun[Config], stream: str) -> Iterable[Mapping[str, Any]]:
        """Return the batches that a member is evaluated on, with what their numbers mean."""
        sampler, numbers = member.samplers[stream], member.streams[stream]
        if not isinstance(sampler, Expandable):
            return numbers
        expand = functools.partial(compiled_expand(sampler.expand), self.on_devices(sampler.resident))
        return Expanded(numbers, expand)

    def model(self, member: MemberRun[Config], checkpoint: training.ModelCheckpoint | training.TrainState) -> Model:
        """Return the model of a member, as measures ask it."""
        return Model(self.compiled, checkpoint, seed=member.config.train.seed)


def check_alike(members: Sequence[MemberRun[Config]]) -> None:
    """Refuse members of an ensemble whose training numbers mean something else to the first one than to themselves."""
    first = members[0].samplers[TRAIN]
    for each in members[1:]:
        own = each.samplers[TRAIN]
        if not (isinstance(first, Expandable) and isinstance(own, Expandable)):
            continue
        numbers = own.numbers(np.arange(1))
        here, there = (sampler.expand(sampler.resident, numbers) for sampler in (first, own))
        if differing := [name for name in there if name not in here or not np.array_equal(here[name], there[name])]:
            raise ValueError(
                f"The members of an ensemble share the expand and resident of {type(own).__name__}, but member 0 makes "
                f"other {', '.join(differing)} of the numbers of member {each.number}; what members differ in must be "
                "in the numbers, or not in same_program."
            )
