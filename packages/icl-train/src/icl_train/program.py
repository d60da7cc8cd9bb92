"""What runs on the devices: the first state, steps, and the way of a batch there, compiled for a mesh."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from icl_train.devices.mesh import batch_size, check_divides, data_shard, put_rows, row_axes
from icl_train.devices.sharding_rules import REPLICATED, Rules, state_shardings
from icl_train.say import say
from icl_train.state import TrainState
from icl_train.step import initial_state, train_step
from icl_train.types import Batch, Init, LossFunction

Scalars: TypeAlias = dict[str, Array]
"""Metrics by name; of K steps [K], and of K steps of M members of an ensemble [K, M]."""


class StepFn(Protocol):
    """K steps of training in one dispatch; the state that goes in is donated."""

    def __call__(self, state: TrainState, batches: Mapping[str, Array], first: np.int32) -> tuple[TrainState, Scalars]:
        """Make steps ``first``, ``first`` + 1, ... on batches [K, B, ...]; give metrics [K]."""


class CompiledTraining(NamedTuple):
    """A training run as the devices see it.

    Attributes:
        init_state: Makes the state before the first step, where it belongs.
        step: Makes as many steps as it is given batches.
        to_devices: Takes K batches [B, ...] of this host, and puts the whole stack [K, B, ...] on the devices.
        state: Shapes, dtypes and shardings of the state.
        shards: How many parts like this host's a batch has.
        members: M for an ensemble of M models, whose arrays have a leading axis M; else None.
    """

    init_state: Callable[[], TrainState]
    step: StepFn
    to_devices: Callable[[Sequence[Batch]], dict[str, Array]]
    state: TrainState
    shards: int = 1
    members: int | None = None


class StepSpec(NamedTuple):
    """What a step is made of, see `train_step`."""

    init: Init
    loss_fn: LossFunction
    optimizer: optax.GradientTransformation
    accumulate: int = 1
    freeze: tuple[str, ...] = ()
    ema_decay: float | None = None
    stop_when_not_finite: bool = True

    def init_state(self, seed: Array | np.uint32) -> TrainState:
        """Return the state before the first step."""
        return initial_state(
            jax.random.key(seed),
            init=self.init,
            optimizer=self.optimizer,
            freeze=self.freeze,
            ema_decay=self.ema_decay,
        )

    def steps(
        self, state: TrainState, batches: Mapping[str, Array], seed: Array | np.uint32, first: Array | np.int32
    ) -> tuple[TrainState, Scalars]:
        """Make a step with each of the batches [K, B, ...]; return metrics [K]."""
        step = functools.partial(
            train_step,
            loss_fn=self.loss_fn,
            optimizer=self.optimizer,
            accumulate=self.accumulate,
            freeze=self.freeze,
            ema_decay=self.ema_decay,
            stop_when_not_finite=self.stop_when_not_finite,
        )
        key, count = jax.random.key(seed), len(next(iter(batches.values())))
        if count == 1:  # without a loop, which XLA would not look into
            state, scalars = step(state, {name: rows[0] for name, rows in batches.items()}, key, first)
            return state, {name: value[None] for name, value in scalars.items()}

        def body(state: TrainState, row: tuple[Any, Array]) -> tuple[TrainState, Scalars]:
            return step(state, row[0], key, row[1])

        return jax.lax.scan(body, state, (dict(batches), first + jnp.arange(count)))


def compile_single(spec: StepSpec, *, seed: int, mesh: Mesh, rules: Rules = REPLICATED) -> CompiledTraining:
    """Compile the training of one model.

    Args:
        spec: What a step is made of.
        seed: Seed of initialisation and of the randomness of steps.
        mesh: The devices.
        rules: How parameters are split over them.
    """
    whole, rows = NamedSharding(mesh, PartitionSpec()), PartitionSpec(None, row_axes(mesh))
    # A NumPy scalar, which is the same on all hosts; the seed is no constant of the program, which can be cached.
    number = np.uint32(seed)
    shapes = jax.eval_shape(spec.init_state, number)
    placed = state_shardings(shapes, mesh, rules)
    jitted = jax.jit(
        spec.steps,
        in_shardings=(placed, NamedSharding(mesh, rows), whole, whole),
        out_shardings=(placed, whole),
        donate_argnums=0,
    )

    def to_devices(batches: Sequence[Batch]) -> dict[str, Array]:
        for batch in batches:
            check_divides(batch_size(batch), mesh)
        return put_rows(stack(batches), mesh, rows)

    return CompiledTraining(
        init_state=lambda: jax.jit(spec.init_state, out_shardings=placed)(number),
        step=Compiled(jitted, number),
        to_devices=to_devices,
        state=with_shardings(shapes, placed),
        shards=data_shard(mesh)[1],
    )


class Compiled:
    """Compiles a step when it is first called with so many batches, and says what that took.

    Args:
        jitted: A jitted function of (state, batches, seed, first).
        seed: Its third argument.
    """

    def __init__(self, jitted: Any, seed: PyTree) -> None:
        self._jitted, self._seed = jitted, seed
        self._programs: dict[Any, Any] = {}

    def __call__(self, state: TrainState, batches: Mapping[str, Array], first: np.int32) -> tuple[TrainState, Scalars]:
        """Make the steps."""
        shapes = tuple((name, rows.shape, rows.dtype) for name, rows in batches.items())
        program = self._programs.get(shapes)
        if program is None:
            program = self._programs[shapes] = self._compile(state, batches, first)
        return program(state, batches, self._seed, first)

    def _compile(self, state: TrainState, batches: Mapping[str, Array], first: np.int32) -> Any:
        # These two work on what ``jit`` returned alone.
        if jax.config.jax_disable_jit or jax.config.jax_debug_nans:  # type: ignore[attr-defined]
            return self._jitted
        compiled, report = compile_once(self._jitted, state, batches, self._seed, first)
        if not self._programs:
            say(str(report))
        return compiled


def stack(batches: Sequence[Batch], axis: int = 0) -> dict[str, np.ndarray]:
    """Return batches as one, with a new axis over them."""
    if len(batches) == 1:
        return {name: np.expand_dims(rows, axis) for name, rows in batches[0].items()}
    return {name: np.stack([batch[name] for batch in batches], axis) for name in batches[0]}


def with_shardings(shapes: Any, shardings: Any) -> Any:
    """Return shapes that say where they lie."""
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes, shardings
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Memory that a compiled step needs on each device.

    Raises:
        ValueError: If a number is negative.

    >>> print(StepMemory(argument_bytes=12_000_000, output_bytes=12_000_008, alias_bytes=12_000_000,
    ...     temporary_bytes=33_000_000))
    45 MB on each device (12 MB state and batch, 33 MB temporary)
    """

    argument_bytes: int
    """What goes in, state and batch."""

    output_bytes: int
    """What comes out, new state and metrics."""

    alias_bytes: int
    """Of the output, what takes the place of arguments that are donated."""

    temporary_bytes: int
    """What is needed within the step only."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 0:
                raise ValueError(f"wanted {field.name} to be at least 0, got {value}")

    @property
    def result_bytes(self) -> int:
        """Output that needs a place of its own, in bytes."""
        return max(self.output_bytes - self.alias_bytes, 0)

    @property
    def total_bytes(self) -> int:
        """All that the step needs while it runs, in bytes."""
        return self.argument_bytes + self.result_bytes + self.temporary_bytes

    def __str__(self) -> str:
        parts = [f"{_size(self.argument_bytes)} state and batch"]
        if self.result_bytes >= 0.01 * self.total_bytes:  # with donation it is the metrics only, some bytes
            parts.append(f"{_size(self.result_bytes)} results")
        parts.append(f"{_size(self.temporary_bytes)} temporary")
        return f"{_size(self.total_bytes)} on each device ({', '.join(parts)})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompileReport:
    """What compiling a step took, and what memory the step will need. Printed as one line.

    Raises:
        ValueError: If the time is negative.

    >>> print(CompileReport(seconds=3.21))
    compiled the step in 3.2 s
    """

    seconds: float
    """Time to trace and compile, or to trace and read from the compilation cache, in seconds."""

    memory: StepMemory | None = None
    """What the step needs on each device, or None where the backend does not say."""

    def __post_init__(self) -> None:
        if self.seconds < 0:
            raise ValueError(f"wanted seconds to be at least 0, got {self.seconds}")

    def __str__(self) -> str:
        needs = "" if self.memory is None else f"; it needs {self.memory}"
        return f"compiled the step in {self.seconds:.1f} s{needs}"


class CompiledStep(NamedTuple):
    """A compiled function and what compiling it took.

    Attributes:
        compiled: Called like the jitted function, on arguments of the same shapes, dtypes and shardings only.
        report: Seconds and memory.
    """

    compiled: jax.stages.Compiled
    report: CompileReport


def compile_once(
    jitted: jax.stages.Wrapped, *args: Any, clock: Callable[[], float] = time.perf_counter
) -> CompiledStep:
    """Compile a jitted function for arguments like these, and measure it.

    What comes back never compiles again: where a jitted function would, because a shape or a dtype changed on
    the way, it raises a `TypeError` that says which.

    Args:
        jitted: What `jax.jit` returned.
        *args: Its arguments, or their shapes (`jax.ShapeDtypeStruct`, with a sharding where it matters).
        clock: Returns the time in seconds.

    Returns:
        The compiled function and the report.

    >>> compiled, report = compile_once(jax.jit(lambda x: x + 1), jax.ShapeDtypeStruct((2,), 'float32'))
    >>> compiled(jax.numpy.ones(2)).tolist(), report.memory.argument_bytes
    ([2.0, 2.0], 8)
    """
    begin = clock()
    compiled = jitted.lower(*args).compile()
    seconds = clock() - begin
    return CompiledStep(compiled, CompileReport(seconds=seconds, memory=_memory(compiled)))


def _memory(compiled: jax.stages.Compiled) -> StepMemory | None:
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    return StepMemory(
        argument_bytes=analysis.argument_size_in_bytes,
        output_bytes=analysis.output_size_in_bytes,
        alias_bytes=analysis.alias_size_in_bytes,
        temporary_bytes=analysis.temp_size_in_bytes,
    )


def _size(number: int) -> str:
    for unit, amount in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= 0.9995 * amount:
            return f"{number / amount:.3g} {unit}"
    return f"{number:.0f} bytes"
