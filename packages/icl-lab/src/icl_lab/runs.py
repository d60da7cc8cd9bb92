"""The runs of a session: what they share, and what each has of its own."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic

import grain
import jax
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

import icl_train as training
from icl_data.device_bank import DeviceBank, device_bank
from icl_lab.experiment import Config, Experiment
from icl_lab.model import Compiled, Model
from icl_lab.streams import TRAIN, Expanded


@dataclasses.dataclass(frozen=True)
class MemberRun(Generic[Config]):
    """A run, alone or in an ensemble.

    Attributes:
      number: in the ensemble; None for a lone run.
      config: of the run as if it were alone.
      streams: its batches by name.
    """

    number: int | None
    config: Config
    streams: Mapping[str, grain.IterDataset[Any]]


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
        experiment = self.experiment
        return experiment.init(rng, experiment.expand(experiment.bank, next(iter(self.first.streams[TRAIN]))))

    @functools.cached_property
    def resident(self) -> DeviceBank | None:
        """The bank on the devices, all of it on each; None without one."""
        bank = self.experiment.bank
        if bank is None or self.mesh is None:
            return None if bank is None else device_bank(bank)
        return training.put_whole(device_bank(bank), self.mesh)

    @functools.cached_property
    def _expand(self) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        def changed(bank: DeviceBank, numbers: Mapping[str, Any]) -> dict[str, Any]:
            batch = self.experiment.expand(bank, numbers)
            return {name: values for name, values in batch.items() if values is not numbers.get(name)}

        return functools.partial(jax.jit(changed), self.resident)

    def batches(self, member: MemberRun[Config], stream: str) -> Iterable[Mapping[str, Any]]:
        """Return the batches that a member is evaluated on, with what their numbers mean."""
        numbers = member.streams[stream]
        return numbers if self.resident is None else Expanded(numbers, self._expand)

    def model(self, member: MemberRun[Config], checkpoint: training.ModelCheckpoint | training.TrainState) -> Model:
        """Return the model of a member, as measures ask it."""
        return Model(self.compiled, checkpoint, seed=member.config.train.seed)
