"""Many small models trained in one program, each as if it were alone."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from icl_train.checks import as_whole
from icl_train.contract import check_optimizer
from icl_train.devices.mesh import batch_size, put_rows, put_whole
from icl_train.devices.sharding_rules import with_shardings
from icl_train.dispatch.program import CompiledStep, CompiledTraining, Scalars, StepSpec, stack
from icl_train.state import TrainState
from icl_train.types import Batch, Batches

MEMBER = "member"

OptimizerOf = Callable[[Mapping[str, Array]], optax.GradientTransformation]
"""Builds a member's optimiser from its hyper-parameters, float32 [] by name, inside the compiled step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """How the members of an ensemble share a device.

    Attributes:
        members: Models to train in one program, each with a seed of its own; divides by the number of devices, or there
            are fewer members than devices, and some devices stay idle.
        on_device: The members on one device: all at once (vmap) or one after the other (map); auto: map on CPUs, else
            vmap.

    Raises:
        ValueError: If a value is out of its range.

    >>> EnsembleConfig(members=8).members
    8
    """

    members: int = 1
    on_device: Literal["auto", "vmap", "map"] = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", as_whole("members", self.members, least=1))
        if self.on_device not in ("auto", "vmap", "map"):
            raise ValueError(f"wanted on_device to be auto, vmap or map, got {self.on_device!r}")

    def build(self, devices: Sequence[jax.Device] | None = None) -> Mesh:
        """Return a mesh with one axis, ``member``, over as many devices as the members can share equally.

        Args:
            devices: Devices to choose from; all that this process sees if None.

        >>> dict(EnsembleConfig(members=3).build(jax.devices()[:1]).shape)
        {'member': 1}
        """
        chosen = list(jax.local_devices() if devices is None else devices)
        most = max(count for count in range(1, len(chosen) + 1) if self.members % count == 0)
        return jax.make_mesh((most,), (MEMBER,), axis_types=(AxisType.Auto,), devices=chosen[:most])


def use_cpu_cores() -> None:
    """Set JAX to see each core of a CPU as a device, so that members of an ensemble have one each.

    Called before anything that makes JAX look for devices; after that, and where XLA_FLAGS already say how many
    there are, it does nothing. It changes nothing on accelerators.
    """
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with suppress(RuntimeError):  # JAX has looked already
            jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)


class Member(NamedTuple):
    """What sets a member of an ensemble apart.

    Attributes:
        seed: Of its initialisation and the randomness of its steps, 0 to 2**32 - 1.
        batches: Its data; batches of all members have the same shapes.
        hyperparameters: Numbers from which its optimiser is built; the same names for all members.
    """

    seed: int
    batches: Batches
    hyperparameters: Mapping[str, float] = {}


def described(members: Sequence[Member]) -> list[dict[str, Any]]:
    """Return seed and hyper-parameters of each member, which may be of NumPy or JAX, as JSON values.

    >>> described([Member(np.int64(3), Batches, {'learning_rate': np.float32(0.5)})])
    [{'seed': 3, 'learning_rate': 0.5}]
    """
    return [
        {"seed": int(each.seed)} | {name: float(value) for name, value in each.hyperparameters.items()}
        for each in members
    ]


class EnsembleBatches:
    """The batches of all members, as arrays [M, B, ...].

    Args:
        members: The batches of each.

    Raises:
        ValueError: If two share an iterator, which would give each of them every other batch.
    """

    def __init__(self, members: Sequence[Batches]) -> None:
        self._members = list(members)
        for number, batches in enumerate(self._members):
            first = next(other for other, each in enumerate(self._members) if each is batches)
            if first != number:
                raise ValueError(
                    f"wanted an iterator of batches for each member, got the same one for members {first} and "
                    f"{number}, which would draw from it in turn; make one for each, whatever they are to see"
                )

    def __iter__(self) -> "EnsembleBatches":
        return self

    def __next__(self) -> Batch:
        """Return the next batch of each.

        Raises:
            ValueError: If they are not alike.
        """
        batches = [next(each) for each in self._members]
        for batch in batches:
            batch_size(batch)
        return stack(batches, of="members")

    def get_state(self) -> dict[str, Any]:
        """Return the positions of all."""
        return {"members": [each.get_state() for each in self._members]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to the positions of all."""
        for each, position in zip(self._members, state["members"], strict=True):
            each.set_state(position)


def compile_ensemble(
    spec: StepSpec,
    *,
    members: Sequence[Member],
    optimizer: OptimizerOf,
    config: EnsembleConfig,
    mesh: Mesh,
    resident: PyTree = None,
) -> CompiledTraining:
    """Return the training of many models, compiled for a mesh: its devices share out the members.

    Args:
        spec: What a step is made of, but for its optimiser.
        members: What sets each apart.
        optimizer: Builds the optimiser of a member.
        config: How members share a device.
        mesh: A mesh with the axis ``member``, whose size divides the number of members.
        resident: What ``spec.expand`` is given: arrays that every device gets once, for all members.

    Returns:
        Functions whose steps are compiled when they are first called, and where the state lies.

    Raises:
        ValueError: If the members differ in the names of their hyper-parameters.
    """
    names = list(members[0].hyperparameters)
    for number, member in enumerate(members):
        if list(member.hyperparameters) != names:
            raise ValueError(
                f"wanted the same hyper-parameters for all members, got {names} for member 0 and "
                f"{list(member.hyperparameters)} for member {number}"
            )
    hyper = {name: np.array([each.hyperparameters[name] for each in members], np.float32) for name in names}
    own = np.array([member.seed for member in members], np.uint32), hyper
    vmapped = config.on_device == "vmap" or (config.on_device == "auto" and jax.default_backend() != "cpu")

    def spec_of(hyper: Mapping[str, Array]) -> StepSpec:
        made = optimizer(hyper)
        check_optimizer(made)
        return spec._replace(optimizer=made)

    def init_state(own: tuple[Array, Mapping[str, Array]]) -> TrainState:
        return spec_of(own[1]).init_state(own[0])

    def steps(
        state: TrainState,
        batches: Mapping[str, Array],
        own: tuple[Array, Mapping[str, Array]],
        resident: PyTree,
        first: Array | np.int32,
        count: Array | np.int32,
    ) -> tuple[TrainState, Scalars]:
        return spec_of(own[1]).steps(state, resident, batches, own[0], first, count)

    def steps_of_shard(
        state: TrainState, resident: PyTree, batches: PyTree, own: PyTree, first: Array, count: Array
    ) -> tuple[TrainState, Scalars]:
        one = functools.partial(steps, resident=resident, first=first, count=count)
        of_members = {name: rows.swapaxes(0, 1) for name, rows in batches.items()}  # [M, K, B, ...]
        return _each(one, vmapped)(state, of_members, own)

    split, by_step, everywhere = PartitionSpec(MEMBER), PartitionSpec(None, MEMBER), PartitionSpec()
    shared = functools.partial(jax.shard_map, mesh=mesh, check_vma=False)
    init_all = shared(_each(init_state, vmapped), in_specs=(split,), out_specs=split)
    steps_all = shared(
        steps_of_shard, in_specs=(split, everywhere, by_step, split, everywhere, everywhere), out_specs=split
    )
    placed, whole = NamedSharding(mesh, split), NamedSharding(mesh, everywhere)

    def step(state: TrainState, *arguments: Any) -> tuple[TrainState, Scalars]:
        state, scalars = steps_all(state, *arguments)
        return state, {name: value.swapaxes(0, 1) for name, value in scalars.items()}  # [K, M]

    jitted = jax.jit(
        step,
        in_shardings=(placed, whole, NamedSharding(mesh, by_step), placed, whole, whole),
        out_shardings=(placed, whole),
        donate_argnums=0,
    )

    shapes = jax.eval_shape(init_all, own)
    return CompiledTraining(
        init_state=lambda: jax.jit(init_all, out_shardings=placed)(own),
        step=CompiledStep(jitted, put_whole(resident, mesh), own),
        to_devices=lambda batches, most: put_rows(stack(batches, most), mesh, by_step),
        state=with_shardings(shapes, jax.tree.map(lambda _: placed, shapes)),
        members=len(members),
    )


def _each(function: Callable[..., Any], vmapped: bool) -> Callable[..., Any]:
    """Return a function of arguments with a leading axis of members, which calls ``function`` for each."""
    if vmapped:
        return jax.vmap(function)

    def one_by_one(*arguments: PyTree) -> PyTree:
        count = len(jax.tree.leaves(arguments)[0])
        if count == 1:  # without a loop, which XLA would not look into
            alone = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
            return jax.tree.map(lambda leaf: leaf[None], alone)
        return jax.lax.map(lambda each: function(*each), arguments)

    return one_by_one
