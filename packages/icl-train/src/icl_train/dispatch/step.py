"""One training step and the state before the first, as pure functions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from icl_train.checks import as_whole
from icl_train.contract import check_names, initial_model, loss_parts
from icl_train.paths import Rows, compiled, matching, row_masks
from icl_train.state import TrainState
from icl_train.types import Init, LossFunction


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepConfig:
    """What a step does besides loss, gradient and update, see `train_step`.

    Attributes:
        accumulate: Micro-batches that a batch is cut into, one after the other in memory; at least 1.
        freeze: Patterns (regular expressions) of the names of parameters that are not trained.
        ema_decay: Decay of an exponential moving average of the parameters, kept beside them; above 0 and below 1.
        stop_when_not_finite: Stop at a loss or gradient that is infinite or no number, with the state before that step
            saved.

    Raises:
        ValueError: If a value is out of the range stated with it.

    >>> StepConfig(accumulate=4).ema_decay is None
    True
    """

    accumulate: int = 1
    freeze: tuple[str, ...] = ()
    ema_decay: float | None = None
    stop_when_not_finite: bool = True

    def __post_init__(self) -> None:
        self._set_whole("accumulate", 1)
        for pattern in self.freeze:
            compiled(pattern)
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"wanted ema_decay to be above 0 and below 1, got {self.ema_decay!r}")

    def _set_whole(self, name: str, least: int, most: int | None = None) -> None:
        object.__setattr__(self, name, as_whole(name, getattr(self, name), least=least, most=most))


def initial_state(
    key: Array,
    *,
    init: Init,
    optimizer: optax.GradientTransformation,
    freeze: Sequence[str] = (),
    ema_decay: float | None = None,
) -> TrainState:
    """Return the state before the first step. Pure, made to be jitted.

    Args:
        key: The run's key, ``jax.random.key(seed)``; ``init`` gets ``fold_in(key, 0)``, step n gets
            ``fold_in(key, n)``.
        init: Makes parameters and model state.
        optimizer: Any optax transformation.
        freeze: Patterns of the names of parameters that are not trained, see `train_step`.
        ema_decay: Whether an average of the parameters is kept; it begins as the parameters.

    Returns:
        The state with ``step`` 0.

    Raises:
        TypeError: If ``init`` does not give parameters that are floats and a model state of arrays.
        ValueError: If a pattern matches no parameter, or if there are none, or two with names that are the same but for
            a separator.
    """
    params, model_state = initial_model(init, jax.random.fold_in(key, 0))
    opt_state = _partly(optimizer, params, freeze).init(params)
    check_names(opt_state)
    ema = None if ema_decay is None else jax.tree.map(jnp.copy, params)
    return _strongly_typed(TrainState(jnp.zeros((), jnp.int32), params, model_state, opt_state, ema))


def train_step(
    state: TrainState,
    batch: Mapping[str, Array | np.ndarray],
    key: Array,
    number: Array | np.integer | int | None = None,
    *,
    loss_fn: LossFunction,
    optimizer: optax.GradientTransformation,
    accumulate: int = 1,
    freeze: Sequence[str] = (),
    freeze_rows: Sequence[Rows] = (),
    ema_decay: float | None = None,
    stop_when_not_finite: bool = True,
) -> tuple[TrainState, dict[str, Array]]:
    """Return the state after one step of gradient descent, and its metrics. Pure: the same arguments, the same state.

    Args:
        state: State after n - 1 steps.
        batch: Arrays [B, ...] by name.
        key: The run's key; step n is given ``fold_in(key, n)``, so its randomness depends on (seed, n) alone.
        number: n, or None if it is known to be ``state.step + 1``. Where it is not, a step before this one failed
            (see ``stop_when_not_finite``), and the state stays as it is.
        loss_fn: See `LossFunction`.
        optimizer: Any optax transformation; one that wants the loss (`optax.contrib.reduce_on_plateau`,
            `optax.lbfgs`) is given that of this batch.
        accumulate: k, into how many micro-batches the batch is cut; B divides by it. Their gradients, losses and
            metrics are averaged, so that a loss that is a mean over independent rows gives what k = 1 gives, in
            a k-th of the memory. Micro-batch j is rows j, j + k, j + 2k, ...; it gets ``fold_in`` of the step's
            randomness and j; the model state goes through them in order, so that batch statistics are those of
            micro-batches, and running averages move k times.
        freeze: Patterns (regular expressions, looked for anywhere in names such as 'encoder/conv/w') of parameters
            that are not trained: no gradient, no decay, no state of the optimiser.
        freeze_rows: Rows of parameters that are not trained: no gradient, no decay; the optimiser has state for them.
        ema_decay: d in ``ema = d * ema + (1 - d) * params`` after each step; None if the state has no average.
        stop_when_not_finite: Leave the state as it is if the loss or the norm of the gradient is infinite or no number;
            its ``step`` then tells which step was the last good one.

    Returns:
        The state after n steps, and scalars by name: ``loss``, ``gradient_norm`` (before the optimiser's
        clipping, of the parameters that are trained), ``learning_rate`` where the optimiser state holds one
        (`optax.inject_hyperparams`), and those of ``loss_fn``.

    Raises:
        TypeError: If ``loss_fn`` returns anything but (loss, (metrics, model_state)), or metrics that are no numbers.
        ValueError: If ``loss_fn`` returns metrics with a reserved name or that are no scalars, or a model
            state of another structure, shape or dtype; if B does not divide by ``accumulate``; if a pattern
            matches no parameter. Raised while tracing, before anything runs.
    """
    step = state.step + 1
    frozen, frozen_rows = matching(state.params, freeze), row_masks(state.params, freeze_rows)

    def loss_of_trained(params: PyTree, model_state: PyTree, rng: Array, batch: Any) -> Any:
        params = jax.tree.map(lambda p, fixed: jax.lax.stop_gradient(p) if fixed else p, params, frozen)
        if freeze_rows:
            params = jax.tree.map(lambda p, rows: jnp.where(rows, jax.lax.stop_gradient(p), p), params, frozen_rows)
        return loss_parts(loss_fn(params, model_state, rng, batch), model_state)

    def evaluate(params: PyTree) -> Any:
        rng = jax.random.fold_in(key, step)
        return _accumulated(loss_of_trained, accumulate)(params, state.model_state, rng, batch)

    (loss, (extra, model_state)), gradients = evaluate(state.params)
    updates, opt_state = optax.with_extra_args_support(_partly(optimizer, state.params, freeze)).update(
        gradients,
        state.opt_state,
        state.params,
        # Read by those that want the loss alone, such as a line search.
        value=loss,
        grad=gradients,
        value_fn=lambda params: evaluate(params)[0][0],
    )
    if freeze_rows:
        updates = jax.tree.map(lambda u, rows: jnp.where(rows, 0, u), updates, frozen_rows)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema if ema_decay is None else optax.incremental_update(params, state.ema, 1 - ema_decay)
    norm = optax.tree.norm(gradients)
    metrics = {"loss": loss, "gradient_norm": norm, **_learning_rate(opt_state), **extra}
    new = _strongly_typed(TrainState(step, params, model_state, opt_state, ema))
    if stop_when_not_finite:
        is_next = True if number is None else step == number
        good = jnp.isfinite(loss) & jnp.isfinite(norm) & is_next
        new = jax.tree.map(lambda after, before: jnp.where(good, after, before), new, state)
    return new, metrics


def _accumulated(loss_fn: LossFunction, count: int) -> Any:
    """Return ``value_and_grad`` of a loss, taken on ``count`` parts of the batch one after the other."""
    gradient_fn = jax.value_and_grad(loss_fn, has_aux=True)
    if count == 1:
        return gradient_fn

    def apply(params: PyTree, model_state: PyTree, rng: Array, batch: Any) -> Any:
        def cut(rows: Array | np.ndarray) -> Array | np.ndarray:
            if len(rows) % count:
                raise ValueError(f"wanted a batch size that divides by accumulate={count}, got {len(rows)}")
            # Strided, so that every device cuts the rows that it has.
            return rows.reshape(len(rows) // count, count, *rows.shape[1:]).swapaxes(0, 1)

        def one(model_state: PyTree, part: tuple[Array, PyTree]) -> tuple[PyTree, PyTree]:
            (loss, (extra, model_state)), gradients = gradient_fn(
                params, model_state, jax.random.fold_in(rng, part[0]), part[1]
            )
            # Metrics may be of any dtype, such as bool, whose sum is no count.
            return model_state, (loss, jax.tree.map(lambda m: jnp.asarray(m, jnp.float32), dict(extra)), gradients)

        def add(carry: tuple[PyTree, PyTree], part: tuple[Array, PyTree]) -> tuple[tuple[PyTree, PyTree], None]:
            model_state, values = one(carry[0], part)
            return (model_state, jax.tree.map(jnp.add, carry[1], values)), None

        parts = jnp.arange(count), jax.tree.map(cut, batch)
        first, rest = (jax.tree.map(lambda leaf, which=which: leaf[which], parts) for which in (0, slice(1, None)))
        (model_state, sums), _ = jax.lax.scan(add, one(model_state, first), rest)
        loss, extra, gradients = jax.tree.map(lambda leaf: leaf / count, sums)
        return (loss, (extra, model_state)), gradients

    return apply


def _partly(
    optimizer: optax.GradientTransformation, params: PyTree, freeze: Sequence[str]
) -> optax.GradientTransformation:
    if not freeze:
        return optimizer
    return optax.transforms.selective_transform(optimizer, freeze_mask=matching(params, freeze))


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
