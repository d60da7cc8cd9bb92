"""The runs of a session: what they share, and what each has of its own."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic

import grain
import jax
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

import icl_train as training
from icl_data import Expandable, Sampler
from icl_data.batch import Expand
from icl_lab.at_step import AtStep
from icl_lab.experiment import Config, Experiment
from icl_lab.interventions.graft import grafted
from icl_lab.model import Compiled, Model
from icl_lab.streams import TRAIN, Expanded, Kept, OnDevices, arrays_of, compiled_expand, make_streams

_COMPARED = 64  # sequences of members that are not known to be made alike


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
      keeps_numbers: whether the numbers of evaluation streams are kept for the next model, as where many are evaluated.
    """

    config: Config
    experiment: Experiment[Config]
    members: Sequence[MemberRun[Config]]
    compiled: Compiled
    mesh: Mesh | None
    keeps_numbers: bool = False

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
    def traced_init(self) -> Callable[[Array], tuple[PyTree, PyTree]]:
        """The same function, traced once however many checkpoints are read by its shapes."""
        return jax.jit(self.init)

    @functools.cached_property
    def first_init(self) -> training.Init:
        """What training begins with: the same, and what is grafted, which is read now."""
        return grafted(self.init, self.config.interventions.grafts)

    @functools.cached_property
    def _example(self) -> Mapping[str, Any]:
        return self.first.first_batch(TRAIN)

    @functools.cached_property
    def _kept(self) -> dict[tuple[int | None, str], Kept]:
        return {}

    @functools.cached_property
    def on_devices(self) -> OnDevices:
        """What numbers are expanded with there."""
        return OnDevices(self.mesh)

    @property
    def trained_on(self) -> tuple[PyTree, Expand | None]:
        """What training expands the numbers of all members with, and how; (None, None) where batches are arrays."""
        sampler = self.first.samplers[TRAIN]
        return (self.on_devices(sampler.resident), sampler.expand) if isinstance(sampler, Expandable) else (None, None)

    def batches(self, member: MemberRun[Config], stream: str, *, step: int = 0) -> Iterable[Mapping[str, Any]]:
        """Return the batches that a member is evaluated on, with what their numbers mean: each time the same ones.

        Args:
          member: whose.
          stream: of the batches.
          step: of the model that is evaluated, where they depend on it (`AtStep`).
        """
        sampler, numbers = member.samplers[stream], member.streams[stream]
        if isinstance(sampler, AtStep):
            sampler = sampler.make(step)
            numbers = make_streams({stream: sampler}, member.config)[stream]
        if not isinstance(sampler, Expandable):
            return numbers  # arrays, of which there may be too many to keep
        if self.keeps_numbers and not isinstance(member.samplers[stream], AtStep):
            numbers = self._kept.setdefault((member.number, stream), Kept(numbers))
        expand = functools.partial(compiled_expand(sampler.expand), self.on_devices(sampler.resident))
        return Expanded(numbers, expand)

    def model(self, member: MemberRun[Config], checkpoint: training.ModelCheckpoint | training.TrainState) -> Model:
        """Return the model of a member, as measures ask it."""
        initial = functools.partial(self.initial, member)
        return Model(self.compiled, checkpoint, seed=member.config.train.seed, initial=initial)

    def initial(self, member: MemberRun[Config]) -> training.TrainState:
        """Return the state of a member before its first step, where restored ones are; its optimiser is none."""
        state = self._initial_of_seed(np.uint32(member.config.train.seed))
        return state if self.mesh is None else training.put_whole(state, self.mesh)

    @functools.cached_property
    def _initial_of_seed(self) -> Callable[[np.uint32], training.TrainState]:
        def initial(seed: Any) -> training.TrainState:
            return training.initial_state(jax.random.key(seed), init=self.init, optimizer=optax.identity())

        return jax.jit(initial)


def check_streams(member: MemberRun[Config], *, inputs: Sequence[str]) -> None:
    """Refuse samplers whose numbers cannot become arrays on the devices, or not those that the model reads.

    Args:
      member: whose streams.
      inputs: keys of a batch that the model reads.

    Raises:
      ValueError: says of which stream, and what to do.
    """
    if missing := [name for name in inputs if name not in member.first_batch(TRAIN)]:
        raise ValueError(
            f"The model reads {', '.join(map(repr, inputs))}, but batches of the stream {TRAIN!r} have no "
            f"{missing[0]!r}; give sequences their items with icl_data.WithItems(sampler, bank), or mend inputs."
        )
    for name, sampler in member.samplers.items():
        if isinstance(sampler, Expandable):
            _check_expandable(name, sampler)
    sampler, numbers = member.samplers[TRAIN], next(iter(member.streams[TRAIN]))
    if isinstance(sampler, Expandable):
        try:
            jax.eval_shape(sampler.expand, arrays_of(sampler.resident), numbers)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            raise ValueError(
                f"{type(sampler).__name__} of the stream {TRAIN!r} is expanded on the devices, but something in it "
                "works with NumPy alone; write it with icl_data.arrays.array_module, or say on_device = False of a "
                f"family: {str(error).splitlines()[0]}"
            ) from error


def _check_expandable(name: str, sampler: Expandable) -> None:
    try:
        hash(sampler.expand)
    except TypeError as error:
        raise ValueError(
            f"expand of the stream {name!r} must be hashable, since programs are kept by it, got "
            f"{sampler.expand!r:.200}; make what it consists of, such as transforms, frozen dataclasses."
        ) from error
    if sampler.resident is not sampler.resident:
        raise ValueError(
            f"resident of the stream {name!r} must always be the same object, which is put on the devices once, got "
            f"a new {type(sampler.resident).__name__} each time; make it when the sampler is made."
        )


def check_alike(members: Sequence[MemberRun[Config]]) -> None:
    """Refuse members of an ensemble whose training numbers mean something else to the first one than to themselves."""
    first = members[0].samplers[TRAIN]
    for each in members[1:]:
        own = each.samplers[TRAIN]
        if isinstance(first, Expandable) != isinstance(own, Expandable):
            raise ValueError(
                f"The members of an ensemble are expanded by one program, but {type(first).__name__} of member 0 and "
                f"{type(own).__name__} of member {each.number} are not both icl_data.Expandable."
            )
        if not isinstance(first, Expandable) or not isinstance(own, Expandable):
            continue
        if own.expand == first.expand and own.resident is first.resident:
            continue
        numbers = own.numbers(np.arange(_COMPARED))
        here, there = (sampler.expand(sampler.resident, numbers) for sampler in (first, own))
        if differing := [name for name in there if name not in here or not np.array_equal(here[name], there[name])]:
            raise ValueError(
                f"The members of an ensemble share the expand and resident of {type(own).__name__}, but member 0 makes "
                f"other {', '.join(differing)} of the numbers of member {each.number}; what members differ in must be "
                "in the numbers, or not in same_program."
            )
