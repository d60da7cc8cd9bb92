"""One training step and the state before the first, as pure functions, and compiled for a mesh."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from icl_train.contract import Init, LossFunction
from icl_train.mesh import DATA, replicated
from icl_train.state import TrainState

RESERVED_METRICS = (
    "step",
    "time",
    "steps_per_second",
    "items_per_second",
    "learning_rate",
    "gradient_norm",
    "loss",
)
"""Names in a metrics line that the loop fills in, so that ``loss_fn`` may not use them."""

StepFunction = Callable[[TrainState, Mapping[str, Array], Array], tuple[TrainState, dict[str, Array]]]


def initial_state(key: Array, *, init: Init, optimizer: optax.GradientTransformation) -> TrainState:
    """Return the state before the first step. Pure, made to be jitted.

    Args:
        key: The run's key, ``jax.random.key(seed)``; ``init`` gets ``fold_in(key, 0)``, step n gets
            ``fold_in(key, n)``.
        init: Makes parameters and model state.
        optimizer: Any optax transformation.

    Returns:
        The state with ``step`` 0.
    """
    params, model_state = init(jax.random.fold_in(key, 0))
    state = TrainState(jnp.zeros((), jnp.int32), params, model_state, optimizer.init(params))
    return _strongly_typed(state)


def train_step(
    state: TrainState,
    batch: Mapping[str, Array | np.ndarray],
    key: Array,
    *,
    loss_fn: LossFunction,
    optimizer: optax.GradientTransformation,
) -> tuple[TrainState, dict[str, Array]]:
    """Make one step of gradient descent. Pure: the same arguments always give the same state.

    Args:
        state: State after n - 1 steps.
        batch: Arrays [B, ...] by name.
        key: The run's key; step n is given ``fold_in(key, n)``, so its randomness depends on (seed, n) alone.
        loss_fn: See `LossFunction`.
        optimizer: Any optax transformation.

    Returns:
        The state after n steps, and scalars by name: ``loss``, ``gradient_norm`` (before the optimiser's
        clipping), ``learning_rate`` where the optimiser state holds one (`optax.inject_hyperparams`), and
        those of ``loss_fn``.

    Raises:
        ValueError: If ``loss_fn`` returns metrics with a reserved name or that are no scalars, or a model
            state of another structure, shape or dtype. Raised while tracing, before anything runs.
    """
    step = state.step + 1
    gradient_fn = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, (extra, model_state)), gradients = gradient_fn(
        state.params, state.model_state, jax.random.fold_in(key, step), batch
    )
    _check_metrics(extra)
    _check_model_state(state.model_state, model_state)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = {
        "loss": loss,
        "gradient_norm": optax.tree.norm(gradients),
        **_learning_rate(opt_state),
        **extra,
    }
    return _strongly_typed(TrainState(step, params, model_state, opt_state)), metrics


def compile_initial_state(*, init: Init, optimizer: optax.GradientTransformation, mesh: Mesh) -> Callable[[Array], Any]:
    """Return `initial_state` of a key, jitted so that the state is born where it belongs on the mesh."""

    def begin(key: Array) -> TrainState:
        return initial_state(key, init=init, optimizer=optimizer)

    shardings = replicated(jax.eval_shape(begin, jax.random.key(0)), mesh)
    return jax.jit(begin, out_shardings=shardings)


def compile_train_step(
    *, state: TrainState, loss_fn: LossFunction, optimizer: optax.GradientTransformation, mesh: Mesh
) -> StepFunction:
    """Return `train_step` of (state, batch, key), jitted for a mesh. The state that is passed in is donated.

    Args:
        state: A state, or its shapes, from which the shardings are derived.
        loss_fn: See `LossFunction`.
        optimizer: Any optax transformation.
        mesh: A mesh with a ``data`` axis.
    """

    def step(state: TrainState, batch: Mapping[str, Array], key: Array) -> tuple[TrainState, dict[str, Array]]:
        return train_step(state, batch, key, loss_fn=loss_fn, optimizer=optimizer)

    whole, rows = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(DATA))
    shardings = replicated(state, mesh)
    return jax.jit(step, in_shardings=(shardings, rows, whole), out_shardings=(shardings, whole), donate_argnums=0)


def _strongly_typed(state: TrainState) -> TrainState:
    # A weakly typed leaf (a Python number in a user's init) would compile the step twice, and a restored
    # state, which is never weak, could promote to other dtypes than the state that was saved.
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype), state)


def _learning_rate(opt_state: PyTree) -> dict[str, Array]:
    found = [
        value
        for _, value in optax.tree.get_all_with_path(opt_state, "learning_rate")
        if isinstance(value, jax.Array) and value.ndim == 0
    ]
    return {"learning_rate": found[0]} if len(found) == 1 else {}


def _check_metrics(metrics: Mapping[str, Array]) -> None:
    for name, value in metrics.items():
        if name in RESERVED_METRICS:
            raise ValueError(f"loss_fn gave a metric named {name!r}, which the loop fills in itself; rename it")
        if jnp.shape(value) != ():
            raise ValueError(
                f"wanted metrics that are scalars, got {name!r} of shape {jnp.shape(value)}; take its mean"
            )


def _check_model_state(before: PyTree, after: PyTree) -> None:
    def describe(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: f"{jnp.asarray(leaf).dtype}{list(jnp.shape(leaf))}", tree)

    wanted, got = describe(before), describe(after)
    if jax.tree.flatten(wanted) != jax.tree.flatten(got):
        raise ValueError(
            f"wanted loss_fn to return a model state like the one it was given, {wanted}, got {got}; "
            "return it with the same names, shapes and dtypes"
        )
