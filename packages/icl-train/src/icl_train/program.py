"""What runs on the devices: the first state, steps, and the way of a batch there, compiled for a mesh."""

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
from icl_train.devices.sharding_rules import REPLICATED, Rules, state_shardings, with_shardings
from icl_train.log import logger
from icl_train.state import TrainState
from icl_train.step import StepConfig, initial_state, train_step
from icl_train.types import Batch, Init, LossFunction

Scalars: TypeAlias = dict[str, Array]
"""Metrics by name; of K steps [K], and of K steps of M members of an ensemble [K, M]."""


class StepFn(Protocol):
    """K steps of training in one dispatch; the state that goes in is donated."""

    def __call__(self, state: TrainState, batches: Mapping[str, Array], first: np.int32) -> tuple[TrainState, Scalars]:
        """Return the state after the steps ``first``, ``first`` + 1, ..., on batches [K, B, ...], and metrics [K]."""


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
    """What a step is made of, see `train_step`.

    Attributes:
        init: Makes parameters and model state.
        loss_fn: See `LossFunction`.
        optimizer: Any optax transformation.
        config: What a step does besides.
    """

    init: Init
    loss_fn: LossFunction
    optimizer: optax.GradientTransformation
    config: StepConfig = StepConfig()

    def init_state(self, seed: Array | np.uint32) -> TrainState:
        """Return the state before the first step."""
        return initial_state(
            jax.random.key(seed),
            init=self.init,
            optimizer=self.optimizer,
            freeze=self.config.freeze,
            ema_decay=self.config.ema_decay,
        )

    def steps(
        self, state: TrainState, batches: Mapping[str, Array], seed: Array | np.uint32, first: Array | np.int32
    ) -> tuple[TrainState, Scalars]:
        """Return the state after a step with each of the batches [K, B, ...], and metrics [K].

        Args:
            state: The state after ``first`` - 1 steps.
            batches: Arrays [K, B, ...] by name.
            seed: Seed of the run.
            first: Number of the first of the steps.
        """
        step = functools.partial(
            train_step,
            loss_fn=self.loss_fn,
            optimizer=self.optimizer,
            accumulate=self.config.accumulate,
            freeze=self.config.freeze,
            ema_decay=self.config.ema_decay,
            stop_when_not_finite=self.config.stop_when_not_finite,
        )
        key, count = jax.random.key(seed), len(next(iter(batches.values())))
        if count == 1:  # without a loop, which XLA would not look into
            state, scalars = step(state, {name: rows[0] for name, rows in batches.items()}, key, first)
            return state, {name: value[None] for name, value in scalars.items()}

        def body(state: TrainState, row: tuple[Any, Array]) -> tuple[TrainState, Scalars]:
            return step(state, row[0], key, row[1])

        return jax.lax.scan(body, state, (dict(batches), first + jnp.arange(count)))


def compile_single(spec: StepSpec, *, seed: int, mesh: Mesh, rules: Rules = REPLICATED) -> CompiledTraining:
    """Return the training of one model, compiled for a mesh.

    Args:
        spec: What a step is made of.
        seed: Seed of initialisation and of the randomness of steps, 0 to 2**32 - 1.
        mesh: The devices.
        rules: How parameters are split over them.

    Returns:
        Functions whose steps are compiled when they are first called, and where the state lies.

    Raises:
        ValueError: If a rule names an axis that the mesh lacks, or ``spec.config.freeze`` has a pattern that matches
            no parameter.
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
        step=CompiledStep(jitted, number),
        to_devices=to_devices,
        state=with_shardings(shapes, placed),
        shards=data_shard(mesh)[1],
    )


class CompiledStep:
    """Compiles a step when it is first called with so many batches, and logs what that took.

    What was compiled never compiles again: where a jitted function would, because a shape or a dtype changed on the
    way, it raises a `TypeError` that says which.

    Args:
        jitted: A jitted function of (state, batches, seed, first).
        seed: Its third argument.
    """

    def __init__(self, jitted: jax.stages.Wrapped, seed: PyTree) -> None:
        self._jitted, self._seed = jitted, seed
        self._compiled: dict[Any, Any] = {}

    def __call__(self, state: TrainState, batches: Mapping[str, Array], first: np.int32) -> tuple[TrainState, Scalars]:
        """Return the state after the steps, and their metrics."""
        shapes = tuple((name, rows.shape, rows.dtype) for name, rows in batches.items())
        if shapes not in self._compiled:
            self._compiled[shapes] = self._compile(state, batches, self._seed, first)
        return self._compiled[shapes](state, batches, self._seed, first)

    def _compile(self, *arguments: Any) -> Any:
        # These two work on what ``jit`` returned alone.
        if jax.config.jax_disable_jit or jax.config.jax_debug_nans:  # type: ignore[attr-defined]
            return self._jitted
        begin = time.perf_counter()
        compiled = self._jitted.lower(*arguments).compile()
        if not self._compiled:
            logger.info(f"compiled the step in {time.perf_counter() - begin:.1f} s{memory_needs(compiled)}")
        return compiled


def memory_needs(compiled: jax.stages.Compiled) -> str:
    """Return what a compiled step needs on each device, in words; none where the backend does not say."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return ""
    arguments, temporary = analysis.argument_size_in_bytes, analysis.temp_size_in_bytes
    # Less what takes the place of arguments that are donated; then it is the metrics only, some bytes.
    results = max(analysis.output_size_in_bytes - analysis.alias_size_in_bytes, 0)
    total = arguments + results + temporary
    parts = [f"{_size(arguments)} state and batch", f"{_size(results)} results", f"{_size(temporary)} temporary"]
    if results < 0.01 * total:
        del parts[1]
    return f"; it needs {_size(total)} on each device ({', '.join(parts)})"


def _size(number: int) -> str:
    for unit, amount in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= 0.9995 * amount:
            return f"{number / amount:.3g} {unit}"
    return f"{number} bytes"


def stack(batches: Sequence[Batch], axis: int = 0, *, of: str = "steps of a dispatch") -> dict[str, np.ndarray]:
    """Return batches as one, with a new axis over them.

    Args:
        batches: Batches of the same names, shapes and dtypes.
        axis: Which axis is to be the new one.
        of: Whose batches they are, for the error.

    Raises:
        ValueError: If they are not alike.
    """
    if len(batches) == 1:
        return {name: np.expand_dims(rows, axis) for name, rows in batches[0].items()}
    kinds = [{name: (rows.dtype, rows.shape) for name, rows in batch.items()} for batch in batches]
    for number, kind in enumerate(kinds):
        if kind != kinds[0]:
            first, other = (
                ", ".join(f"{name} {dtype}{list(shape)}" for name, (dtype, shape) in each.items())
                for each in (kinds[0], kind)
            )
            raise ValueError(
                f"wanted batches of the same names, shapes and dtypes for all {of}, got {first} for number 0 and "
                f"{other} for number {number}"
            )
    return {name: np.stack([batch[name] for batch in batches], axis) for name in batches[0]}
