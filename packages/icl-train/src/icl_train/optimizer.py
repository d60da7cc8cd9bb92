"""Adam and gradient descent with the schedules and penalties that in-context-learning papers train with."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from icl_train.adam import scale_by_counted_adam
from icl_train.paths import compiled, matching, name_of

Schedule: TypeAlias = Literal["constant", "inverse_sqrt", "cosine", "trapezoid"]


Method: TypeAlias = Literal["adam", "sgd"]

_COOLDOWN = 0.2  # of the run, for "trapezoid"


def learning_rate_schedule(
    schedule: Schedule,
    *,
    peak: Array | float,
    warmup_steps: int,
    total_steps: int | None = None,
    first_step: Literal[0, 1] = 1,
) -> optax.Schedule:
    """Return a learning rate that rises linearly to a peak and then follows a schedule.

    With n = count + ``first_step``, the number of the step that is being made, and w = ``warmup_steps``, the rate is
    ``peak * n / w`` up to step w, and from there on

    - ``constant``: peak;
    - ``inverse_sqrt``: peak * sqrt(w / n), the schedule of Chan et al. 2022 (arXiv 2205.05055, appendix on
      training);
    - ``cosine``: peak * (1 + cos(pi * (n - 1 - w) / (total_steps - w))) / 2, Loshchilov & Hutter 2017
      (arXiv 1608.03983, equation 5), which would reach 0 one step after the last;
    - ``trapezoid``: peak, and in the last fifth of the steps a straight line to 0, also reached one step after
      the last: peak * min(1, (total_steps - (n - 1)) / (total_steps / 5)); Zhai et al. 2022 (arXiv 2106.04560)
      call it a constant rate with a cooldown.

    Args:
        schedule: What follows the warm-up.
        peak: Learning rate at the end of the warm-up.
        warmup_steps: w; 0 or more, and at least 1 for ``inverse_sqrt``.
        total_steps: Steps of the whole run, more than w. Read by ``cosine`` and ``trapezoid`` alone: with the
            other two, a run that is made longer is the same run.
        first_step: Number of the first step. From 0, as in the original code of Chan et al. 2022, the first step of
            a warm-up has rate 0 and every other the rate that the one before it would have.

    Returns:
        A function from the count of updates made so far (int32 []) to the learning rate (float32 []).

    Raises:
        ValueError: If a number is out of its range, or a schedule that ends with the run lacks ``total_steps``.

    >>> rate = learning_rate_schedule('inverse_sqrt', peak=1e-3, warmup_steps=100)
    >>> [f'{rate(step - 1):.1e}' for step in (1, 50, 100, 400)]
    ['1.0e-05', '5.0e-04', '1.0e-03', '5.0e-04']
    """
    if warmup_steps < 0 or (schedule == "inverse_sqrt" and warmup_steps == 0):
        least = 1 if schedule == "inverse_sqrt" else 0
        raise ValueError(f"wanted at least {least} warm-up steps with the schedule {schedule!r}, got {warmup_steps}")
    if schedule in ("cosine", "trapezoid") and (total_steps is None or total_steps <= warmup_steps):
        raise ValueError(
            f"wanted more total_steps than the {warmup_steps} warm-up steps, got {total_steps}; "
            f"the {schedule} schedule ends with the run, so train longer or warm up for less"
        )

    def rate(count: Array | int) -> Array:
        step = jnp.asarray(count, jnp.float32) + first_step
        match schedule:
            case "constant":
                decay = jnp.ones_like(step)
            case "inverse_sqrt":
                decay = jnp.sqrt(warmup_steps / jnp.maximum(step, 1))
            case "cosine":
                assert total_steps is not None
                progress = (step - 1 - warmup_steps) / (total_steps - warmup_steps)
                decay = (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0, 1))) / 2
            case "trapezoid":
                assert total_steps is not None
                decay = jnp.clip((total_steps - (step - 1)) / (_COOLDOWN * total_steps), 0, 1)
        return peak * jnp.where(step < warmup_steps, step / max(warmup_steps, 1), decay)

    return rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam or gradient descent, its learning rate over time, clipping and weight decay.

    Attributes:
        method: Adam, or sgd: gradient descent without any averages but momentum.
        learning_rate: Peak learning rate, above 0.
        warmup_steps: Steps of linear warm-up to the peak, 0 or more; at least 1 with inverse_sqrt.
        schedule: What follows the warm-up; inverse_sqrt is that of Chan et al. 2022; cosine and trapezoid end with the
            run.
        first_step: Number of the first step in the schedule; counted from 0, as in the code of Chan et al. 2022, the
            first step of a warm-up has rate 0.
        momentum: For sgd: decay of the sum of past gradients that is followed in place of the gradient, at least 0 and
            below 1.
        b1: Adam's decay of the mean of gradients, at least 0 and below 1.
        b2: Adam's decay of the mean of squared gradients, at least 0 and below 1.
        eps: Adam's term in the denominator, above 0.
        weight_decay: Decoupled weight decay of every parameter (AdamW), times the learning rate; 0 or more.
        weight_decay_of: Other weight decays, for parameters whose names a pattern (a regular expression, looked for
            anywhere in names such as 'trunk/block_0/mlp/w') matches: pairs of a pattern and a decay, of which the first
            that matches counts.
        l2: Penalty: this times the sum of squared parameters is a part of the loss that is differentiated, half of it,
            and not of the one that is logged; 0 or more. Adam divides it by the size of gradients, as it does not with
            weight decay.
        clip_norm: Global norm to which gradients are clipped, above 0; None does not clip.

    Raises:
        ValueError: If a value is out of the range stated with it.

    >>> optimizer = OptimizerConfig(schedule='cosine').build(total_steps=2_000)
    >>> float(optax.tree.norm(optimizer.init({'w': jnp.ones(3)})[2].mu))
    0.0
    """

    learning_rate: float = 1e-3
    warmup_steps: int = 200
    schedule: Schedule = "constant"
    first_step: Literal[0, 1] = 1
    method: Method = "adam"
    momentum: float = 0.0
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    weight_decay_of: tuple[tuple[str, float], ...] = ()
    l2: float = 0.0
    clip_norm: float | None = 1.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "eps"):
            self._check(name, getattr(self, name) > 0, "above 0")
        for name in ("b1", "b2", "momentum"):
            self._check(name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        for name in ("weight_decay", "l2"):
            self._check(name, getattr(self, name) >= 0, "at least 0")
        for pattern, decay in self.weight_decay_of:
            compiled(pattern)
            self._check("weight_decay_of", decay >= 0, "pairs of a pattern and a decay of at least 0")
        self._check("method", self.method in get_args(Method), f"one of {', '.join(get_args(Method))}")
        unread = ("momentum",) if self.method == "adam" else ("b1", "b2", "eps")
        for field in dataclasses.fields(self):
            is_read = field.name not in unread or getattr(self, field.name) == field.default
            self._check(field.name, is_read, f"{field.default}, since {self.method} does not read it")
        self._check("clip_norm", self.clip_norm is None or self.clip_norm > 0, "above 0, or None")
        learning_rate_schedule(  # for its checks; the length of the run is known only to build
            self.schedule,
            peak=self.learning_rate,
            warmup_steps=self.warmup_steps,
            total_steps=self.warmup_steps + 1,
            first_step=self.first_step,
        )

    def _check(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise ValueError(f"wanted {name} to be {wanted}, got {getattr(self, name)!r}")

    def build(
        self,
        total_steps: int,
        *,
        learning_rate: Array | float | None = None,
        weight_decay: Array | float | None = None,
        eps: Array | float | None = None,
        forgets: bool = False,
    ) -> optax.GradientTransformation:
        """Return the optimiser for a run of a given length.

        Args:
            total_steps: Steps of the whole run; read by the schedules that end with it.
            learning_rate: In place of ``self.learning_rate``; may be traced, for a member of an ensemble.
            weight_decay: In place of ``self.weight_decay``; may be traced.
            eps: In place of ``self.eps``; may be traced.
            forgets: Whether parameters are drawn anew on the way (`Forget`): Adam then counts the updates of each array
                by itself, so that its bias correction begins anew with them.

        Returns:
            An optax transformation whose state holds ``learning_rate``, the one that the last update used.

        Raises:
            ValueError: If a schedule that ends with the run has no steps left after its warm-up.
        """
        rate = learning_rate_schedule(
            self.schedule,
            peak=self.learning_rate if learning_rate is None else learning_rate,
            warmup_steps=self.warmup_steps,
            total_steps=total_steps,
            first_step=self.first_step,
        )
        decay = self.weight_decay if weight_decay is None else weight_decay
        has_decay = self.weight_decay > 0 or weight_decay is not None or bool(self.weight_decay_of)
        descent = optax.trace(decay=self.momentum) if self.momentum else optax.identity()
        adam_of = scale_by_counted_adam if forgets else optax.scale_by_adam
        adam = adam_of(b1=self.b1, b2=self.b2, eps=self.eps if eps is None else eps)
        # Only the last link is injected, so that the state gains the learning rate and nothing else.
        scale = optax.inject_hyperparams(optax.scale_by_learning_rate, static_args="flip_sign")
        return optax.chain(
            optax.add_decayed_weights(self.l2) if self.l2 else optax.identity(),
            optax.identity() if self.clip_norm is None else optax.clip_by_global_norm(self.clip_norm),
            adam if self.method == "adam" else descent,
            decayed(decay, self.weight_decay_of) if has_decay else optax.identity(),
            scale(learning_rate=rate),
        )


def decayed(decay: Array | float, of: Sequence[tuple[str, float]]) -> optax.GradientTransformation:
    """Return a transformation that adds a multiple of each parameter to its update (decoupled weight decay).

    Args:
        decay: The multiple.
        of: Patterns and the multiples of the parameters whose names they match, of which the first counts.

    Raises:
        ValueError: At ``init``, if a pattern matches no parameter.
    """

    def init(params: PyTree) -> optax.EmptyState:
        matching(params, [pattern for pattern, _ in of])
        return optax.EmptyState()

    def update(updates: PyTree, state: optax.EmptyState, params: PyTree = None) -> tuple[PyTree, optax.EmptyState]:
        def add(path: tuple[object, ...], gradient: Array, parameter: Array) -> Array:
            own = (rate for pattern, rate in of if compiled(pattern).search(name_of(path)))
            return gradient + next(own, decay) * parameter

        return jax.tree_util.tree_map_with_path(add, updates, params), state

    return optax.GradientTransformation(init, update)
