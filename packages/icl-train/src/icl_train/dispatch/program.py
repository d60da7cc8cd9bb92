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

from icl_train.devices.mesh import batch_size, check_divides, data_shard, put_rows, put_whole, row_axes
from icl_train.devices.sharding_rules import REPLICATED, Rules, state_shardings, with_shardings
from icl_train.dispatch.forgetting import Forget, forgotten
from icl_train.dispatch.step import StepConfig, initial_state, train_step
from icl_train.log import logger
from icl_train.paths import Rows, matching, row_masks
from icl_train.state import TrainState
from icl_train.types import Batch, Expand, Init, LossFunction

Scalars: TypeAlias = dict[str, Array]
"""Metrics by name; of at most K steps [K], and of those of M members of an ensemble [K, M]."""


class StepFn(Protocol):
    """At most K steps of training in one dispatch; the state that goes in is donated."""

    def __call__(
        self, state: TrainState, batches: Mapping[str, Array], first: np.int32, count: np.int32
    ) -> tuple[TrainState, Scalars]:
        """Return the state after the steps ``first`` .. ``first + count - 1``, on the first batches of [K, B, ...].

        The metrics are [K], the first ``count`` of them of these steps.
        """


class CompiledTraining(NamedTuple):
    """A training run as the devices see it.

    Attributes:
        init_state: Makes the state before the first step, where it belongs.
        step: Makes steps.
        to_devices: Takes batches [B, ...] of this host and K, which is at least their number, and puts a stack
            [K, B, ...] on the devices, whose last ones are zeros.
        state: Shapes, dtypes and shardings of the state.
        shards: How many parts like this host's a batch has.
        members: M for an ensemble of M models, whose arrays have a leading axis M; else None.
    """

    init_state: Callable[[], TrainState]
    step: StepFn
    to_devices: Callable[[Sequence[Batch], int], dict[str, Array]]
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
        expand: See `Expand`; None where batches are what ``loss_fn`` reads.
        freeze_rows: Rows of parameters that are not trained.
        forget: Parameters that are drawn anew on the way.
    """

    init: Init
    loss_fn: LossFunction
    optimizer: optax.GradientTransformation
    config: StepConfig = StepConfig()
    expand: Expand | None = None
    freeze_rows: Sequence[Rows] = ()
    forget: Sequence[Forget] = ()

    def init_state(self, seed: Array | np.uint32) -> TrainState:
        """Return the state before the first step."""
        state = initial_state(
            jax.random.key(seed),
            init=self.init,
            optimizer=self.optimizer,
            freeze=self.config.freeze,
            ema_decay=self.config.ema_decay,
        )
        row_masks(state.params, self.freeze_rows)  # for their errors, before anything is compiled
        matching(state.params, [each.params for each in self.forget])
        return state

    def steps(
        self,
        state: TrainState,
        resident: PyTree,
        batches: Mapping[str, Array],
        seed: Array | np.uint32,
        first: Array | np.int32,
        count: Array | np.int32,
    ) -> tuple[TrainState, Scalars]:
        """Return the state after ``count`` steps, with the first of the batches [K, B, ...], and metrics [K].

        The number of steps is no part of the program, so that one program makes every cut of a run, to the last bit.

        Args:
            state: The state after ``first`` - 1 steps.
            resident: What ``expand`` is given.
            batches: Arrays [K, B, ...] by name.
            seed: Seed of the run.
            first: Number of the first of the steps.
            count: How many steps, 1 to K.
        """
        key = jax.random.key(seed)

        @jax.jit  # so that it is traced once, for the shapes of the metrics and for the loop
        def step(
            state: TrainState, batch: Mapping[str, Array], number: Array | np.integer
        ) -> tuple[TrainState, Scalars]:
            state = forgotten(state, key, number - 1, init=self.init, forget=self.forget)
            return train_step(
                state,
                batch,
                key,
                number,
                loss_fn=self.loss_fn if self.expand is None else expanding(self.loss_fn, self.expand, resident),
                optimizer=self.optimizer,
                accumulate=self.config.accumulate,
                freeze=self.config.freeze,
                freeze_rows=self.freeze_rows,
                ema_decay=self.config.ema_decay,
                stop_when_not_finite=self.config.stop_when_not_finite,
            )

        def made(place: Array | int, state: TrainState) -> tuple[TrainState, Scalars]:
            return step(state, {name: rows[place] for name, rows in batches.items()}, first + place)

        most = len(next(iter(batches.values())))
        if most == 1:  # without a loop, into which debuggers and some of XLA's passes do not look
            state, scalars = made(0, state)
            return state, {name: value[None] for name, value in scalars.items()}

        def body(place: Array, carry: tuple[TrainState, Scalars]) -> tuple[TrainState, Scalars]:
            state, scalars = made(place, carry[0])
            return state, {name: rows.at[place].set(scalars[name]) for name, rows in carry[1].items()}

        shapes = jax.eval_shape(functools.partial(made, 0), state)[1]
        none = {name: jnp.zeros((most, *each.shape), each.dtype) for name, each in shapes.items()}
        return jax.lax.fori_loop(0, count, body, (state, none))


def expanding(loss_fn: LossFunction, expand: Expand, resident: PyTree) -> LossFunction:
    """Return a loss of numbers, from one of what they mean."""

    def of_numbers(params: PyTree, model_state: PyTree, rng: Array, numbers: Any) -> Any:
        batch = expand(resident, numbers)
        if not isinstance(batch, Mapping):
            raise TypeError(f"wanted expand to return a dict of arrays, got {type(batch).__name__}")
        return loss_fn(params, model_state, rng, batch)

    return of_numbers


def compile_single(
    spec: StepSpec, *, seed: int, mesh: Mesh, rules: Rules = REPLICATED, resident: PyTree = None
) -> CompiledTraining:
    """Return the training of one model, compiled for a mesh.

    Args:
        spec: What a step is made of.
        seed: Seed of initialisation and of the randomness of steps, 0 to 2**32 - 1.
        mesh: The devices.
        rules: How parameters are split over them.
        resident: What ``spec.expand`` is given: arrays that every device gets once.

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
        in_shardings=(placed, whole, NamedSharding(mesh, rows), whole, whole, whole),
        out_shardings=(placed, whole),
        donate_argnums=0,
    )

    def to_devices(batches: Sequence[Batch], most: int) -> dict[str, Array]:
        for batch in batches:
            check_divides(batch_size(batch), mesh)
        return put_rows(stack(batches, most), mesh, rows)

    return CompiledTraining(
        init_state=lambda: jax.jit(spec.init_state, out_shardings=placed)(number),
        step=CompiledStep(jitted, put_whole(resident, mesh), number),
        to_devices=to_devices,
        state=with_shardings(shapes, placed),
        shards=data_shard(mesh)[1],
    )


class CompiledStep:
    """Compiles steps when they are first called with batches of these shapes, and logs what the first took.

    What was compiled never compiles again: where a jitted function would, because a shape or a dtype of the state
    changed on the way, it raises a `TypeError` that says which.

    Args:
        jitted: A jitted function of (state, resident, batches, seed, first, count).
        resident: Its second argument.
        seed: Its fourth argument.
    """

    def __init__(self, jitted: jax.stages.Wrapped, resident: PyTree, seed: PyTree) -> None:
        self._jitted, self._resident, self._seed = jitted, resident, seed
        self._compiled: dict[Any, Any] = {}

    def __call__(
        self, state: TrainState, batches: Mapping[str, Array], first: np.int32, count: np.int32
    ) -> tuple[TrainState, Scalars]:
        """Return the state after the steps, and their metrics."""
        shapes = tuple((name, rows.shape, rows.dtype) for name, rows in batches.items())
        arguments = (state, self._resident, batches, self._seed, first, count)
        if shapes not in self._compiled:
            self._compiled[shapes] = self._compile(*arguments)
        return self._compiled[shapes](*arguments)

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


def kind(batch: Batch) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Return dtype and shape of each array of a batch: a program is compiled for batches of one kind."""
    batch_size(batch)
    return {name: (rows.dtype, rows.shape) for name, rows in batch.items()}


def stack(
    batches: Sequence[Batch], most: int | None = None, *, of: str = "steps of a dispatch"
) -> dict[str, np.ndarray]:
    """Return batches as one, with a new axis over them in front.

    Args:
        batches: Batches of the same names, shapes and dtypes.
        most: Length of the new axis, at least their number; what is left of it is zeros.
        of: Whose batches they are, for the error.

    Raises:
        ValueError: If they are not alike.
    """
    most = len(batches) if most is None else most
    if most == 1:
        return {name: np.expand_dims(rows, 0) for name, rows in batches[0].items()}
    kinds = list(map(kind, batches))
    for number, found in enumerate(kinds):
        if found != kinds[0]:
            first, other = (
                ", ".join(f"{name} {dtype}{list(shape)}" for name, (dtype, shape) in each.items())
                for each in (kinds[0], found)
            )
            raise ValueError(
                f"wanted batches of the same names, shapes and dtypes for all {of}, got {first} for number 0 and "
                f"{other} for number {number}"
            )
    stacked = {name: np.zeros((most, *shape), dtype) for name, (dtype, shape) in kinds[0].items()}
    for name, rows in stacked.items():
        np.stack([batch[name] for batch in batches], out=rows[: len(batches)])
    return stacked
