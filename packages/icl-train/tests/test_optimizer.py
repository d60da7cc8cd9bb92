"""Schedules against their formulas, step by step, and an optimiser whose every setting does something."""

import dataclasses
import math
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_train import OptimizerConfig, Schedule, learning_rate_schedule


@pytest.mark.lengthy
@pytest.mark.parametrize(
    "optimizer",
    [
        optax.chain(optax.adam(0.05), optax.contrib.reduce_on_plateau(patience=2, cooldown=1)),
        optax.polyak_sgd(max_learning_rate=0.1),
        optax.lbfgs(),
    ],
    ids=["plateau", "polyak", "lbfgs"],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_optimizer_may_want_the_loss_and_a_run_with_it_resumes_exactly(problem, optimizer, accumulate):
    """Each step on the same rows, written out by hand as optax's documentation has it."""

    class Same(problem.Rows):
        def __next__(self):
            return super().__next__() | {
                "inputs": np.eye(4, 3, dtype=np.float32),
                "targets": np.arange(4.0, dtype=np.float32),
            }

    def init(rng):
        return {"w": jnp.zeros(3), "b": jnp.zeros(())}, {}

    def loss(params):
        return jnp.mean((jnp.eye(4, 3) @ params["w"] + params["b"] - jnp.arange(4.0)) ** 2)

    def loss_fn(params, state, rng, batch):
        return jnp.mean((batch["inputs"] @ params["w"] + params["b"] - batch["targets"]) ** 2), ({}, state)

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(params, updates), state

    arguments = {"init": init, "loss_fn": loss_fn, "optimizer": optimizer, "accumulate": accumulate}
    whole = problem.run("whole", batches=Same(), steps=8, **arguments)
    params = init(None)[0]
    state = optimizer.init(params)
    for _ in range(8):
        params, state = step(params, state)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), whole.state.params, params)
    problem.run("parts", batches=Same(), steps=5, **arguments)
    parts = problem.run("parts", batches=Same(), steps=8, resume=True, **arguments)
    assert problem.same(parts.state, whole.state)


def formula(schedule, step, *, peak, warmup, total):
    """The learning rate of step number ``step``, from 1, as the docstring states it."""
    if step < warmup:
        return peak * step / warmup
    if schedule == "constant":
        return peak
    if schedule == "inverse_sqrt":
        return peak * math.sqrt(warmup) / math.sqrt(step)
    if schedule == "trapezoid":
        return peak if step - 1 <= 0.8 * total else peak * (total - (step - 1)) / (0.2 * total)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - 1 - warmup) / (total - warmup))) if step > warmup else peak


@pytest.mark.parametrize(
    ("schedule", "warmup"),
    [
        (schedule, warmup)
        for schedule in get_args(Schedule)
        for warmup in (0, 1, 7)
        if (schedule, warmup) != ("inverse_sqrt", 0)
    ],
)
def test_every_step_of_a_schedule_follows_the_formula(schedule, warmup):
    rate = jax.jit(learning_rate_schedule(schedule, peak=0.3, warmup_steps=warmup, total_steps=40))
    for step in range(1, 41):
        wanted = formula(schedule, step, peak=0.3, warmup=warmup, total=40)
        assert float(rate(jnp.asarray(step - 1))) == pytest.approx(wanted, rel=1e-5, abs=1e-8), step


def test_optax_has_the_same_schedules_behind_a_count_of_one_more():
    """To rounding, which is why ours are not optax's: the rates of runs stay what they were, to the bit."""
    warmup, cosine = optax.linear_schedule(0, 0.3, 7), optax.cosine_decay_schedule(0.3, 33)
    cooldown = optax.linear_schedule(0.3, 0, 8)
    theirs = {
        "constant": lambda count: warmup(count + 1),
        "cosine": lambda count: jnp.where(count < 7, warmup(count + 1), cosine(count - 7)),
        "trapezoid": lambda count: jnp.where(count < 32, warmup(count + 1), cooldown(count - 32)),
    }
    for schedule, rates in theirs.items():
        ours = learning_rate_schedule(schedule, peak=0.3, warmup_steps=7, total_steps=40)
        np.testing.assert_allclose(ours(jnp.arange(40)), rates(jnp.arange(40)), rtol=1e-4)


def test_counted_from_0_the_rates_are_those_of_the_original_code():
    """Of Chan et al.: min(peak / w * count, peak * sqrt(w) * count ** -0.5), count being the updates made before."""
    counts = np.arange(1, 30, dtype=np.float64)
    original = np.minimum(0.3 / 7 * counts, 0.3 * 7**0.5 * counts**-0.5)
    rate = learning_rate_schedule("inverse_sqrt", peak=0.3, warmup_steps=7, first_step=0)
    np.testing.assert_allclose(rate(jnp.arange(30)), [0, *original], rtol=1e-5)
    optimizer, params = OptimizerConfig(schedule="inverse_sqrt", first_step=0).build(10), {"w": jnp.ones(3)}
    updates, state = optimizer.update(params, optimizer.init(params), params)
    np.testing.assert_array_equal(updates["w"], 0)
    assert np.all(optimizer.update(params, state, params)[0]["w"] != 0)


@pytest.mark.parametrize("schedule", ["constant", "inverse_sqrt"])
def test_a_longer_run_has_the_same_learning_rates(schedule):
    short, long = (OptimizerConfig(schedule=schedule, warmup_steps=3).build(steps) for steps in (10, 1000))
    params = {"w": jnp.ones(3)}
    states = [optimizer.init(params) for optimizer in (short, long)]
    for _ in range(12):
        states = [each.update(params, state, params)[1] for each, state in zip((short, long), states, strict=True)]
        jax.tree.map(np.testing.assert_array_equal, *states)


def test_the_default_is_adam_after_clipping():
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=0)
    ours, theirs = config.build(10), optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))
    params = {"w": jnp.arange(3.0)}
    gradients = [{"w": jnp.asarray(row)} for row in np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)]
    assert_same_updates(ours, theirs, params, gradients)


def test_weight_decay_is_adamw():
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=0, weight_decay=0.3, clip_norm=None, b1=0.5, eps=1e-3)
    theirs = optax.adamw(0.1, b1=0.5, eps=1e-3, weight_decay=0.3)
    params = {"w": jnp.arange(3.0)}
    assert_same_updates(config.build(10), theirs, params, [{"w": 10 * jnp.ones(3)}] * 3)


def assert_same_updates(ours, theirs, params, gradients):
    our_state, their_state = ours.init(params), theirs.init(params)
    for gradient in gradients:
        our_updates, our_state = ours.update(gradient, our_state, params)
        their_updates, their_state = theirs.update(gradient, their_state, params)
        np.testing.assert_allclose(our_updates["w"], their_updates["w"], rtol=1e-6)


CHANGES = {
    "learning_rate": 0.5,
    "warmup_steps": 9,
    "schedule": "cosine",
    "first_step": 0,
    "b1": 0.1,
    "b2": 0.5,
    "eps": 0.1,
    "weight_decay": 0.5,
    "weight_decay_of": (("w", 0.5),),
    "l2": 0.5,
    "method": "sgd",
    "momentum": 0.5,
    "clip_norm": None,
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(OptimizerConfig)])
def test_every_setting_changes_the_training(field):
    def train(config):
        optimizer, params = config.build(10), {"w": jnp.ones(3)}
        state = optimizer.init(params)
        for step in range(6):
            gradients = {"w": jnp.asarray([1.0, -2.0, step])}
            updates, state = optimizer.update(gradients, state, params)
            params = optax.apply_updates(params, updates)
        return np.asarray(params["w"])

    default = OptimizerConfig(warmup_steps=2, method="sgd" if field == "momentum" else "adam")
    assert not np.array_equal(train(default), train(dataclasses.replace(default, **{field: CHANGES[field]})))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learning_rate": 0.0}, "wanted learning_rate to be above 0, got 0.0"),
        ({"b1": 1.0}, "wanted b1 to be at least 0 and below 1, got 1.0"),
        ({"b2": -0.1}, "wanted b2"),
        ({"eps": 0.0}, "wanted eps"),
        ({"weight_decay": -1.0}, "wanted weight_decay"),
        ({"clip_norm": 0.0}, "wanted clip_norm to be above 0, or None"),
        ({"warmup_steps": -1}, "wanted at least 0 warm-up steps"),
        ({"schedule": "inverse_sqrt", "warmup_steps": 0}, "wanted at least 1 warm-up steps"),
        ({"learning_rate": float("nan")}, "wanted learning_rate"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        OptimizerConfig(**settings)


@pytest.mark.parametrize("schedule", ["cosine", "trapezoid"])
def test_a_schedule_that_ends_with_the_run_needs_steps_after_its_warm_up(schedule):
    with pytest.raises(ValueError, match="wanted more total_steps than the 200 warm-up steps, got 200"):
        OptimizerConfig(schedule=schedule).build(200)
    with pytest.raises(ValueError, match="got None"):
        learning_rate_schedule(schedule, peak=1.0, warmup_steps=2)


def test_numbers_of_a_member_take_the_place_of_those_of_the_configuration():
    params, gradients = {"w": jnp.arange(3.0)}, {"w": jnp.ones(3)}

    def after(config, **hyper):
        def updates(hyper):
            optimizer = config.build(10, **hyper)
            return optimizer.update(gradients, optimizer.init(params), params)[0]

        return jax.jit(updates)({name: jnp.asarray(value) for name, value in hyper.items()})["w"]

    plain = OptimizerConfig(learning_rate=1e-3, warmup_steps=0)
    meant = OptimizerConfig(learning_rate=0.5, weight_decay=0.1, warmup_steps=0)
    np.testing.assert_allclose(after(plain, learning_rate=0.5, weight_decay=0.1), after(meant), rtol=1e-6)
    assert not np.allclose(after(plain), after(meant))


def descended(config, steps=12, params=None):
    """Return what a config makes of a quadratic, and the parameters that it began with."""
    params = params or {"trunk": {"attention": jnp.array([1.0, -2.0]), "mlp": jnp.array([3.0])}}
    optimizer = config.build(steps)
    state, found = optimizer.init(params), params
    for _ in range(steps):
        gradients = jax.tree.map(lambda leaf: 0.5 * leaf + 1, found)
        updates, state = optimizer.update(gradients, state, found)
        found = optax.apply_updates(found, updates)
    return found, params


def by_hand(value, *, rate, momentum=0.0, l2=0.0, decay=0.0, steps=12):
    speed = 0.0
    for _ in range(steps):
        speed = momentum * speed + 0.5 * value + 1 + l2 * value
        value = value - rate * (speed + decay * value)
    return value


PLAIN = OptimizerConfig(method="sgd", learning_rate=0.1, warmup_steps=0, clip_norm=None)


@pytest.mark.parametrize("changes", [{}, {"momentum": 0.9}, {"l2": 0.3}, {"weight_decay": 0.2}])
def test_gradient_descent_is_that_of_the_textbook(changes):
    found, params = descended(dataclasses.replace(PLAIN, **changes))
    named = {"momentum": "momentum", "l2": "l2", "weight_decay": "decay"}
    for leaf, start in zip(jax.tree.leaves(found), jax.tree.leaves(params), strict=True):
        wanted = by_hand(
            np.asarray(start, np.float64), rate=0.1, **{named[key]: value for key, value in changes.items()}
        )
        np.testing.assert_allclose(leaf, wanted, rtol=1e-5)


def test_a_penalty_is_the_gradient_of_half_the_squared_norm_which_adam_sees_and_decay_is_not():
    weights = {"w": jnp.array([100.0, 1e-3])}
    penalised, _ = descended(OptimizerConfig(l2=1.0, learning_rate=0.1, warmup_steps=0, clip_norm=None), 1, weights)
    theirs = optax.adam(0.1)
    gradient = jax.grad(lambda w: (0.25 * w**2 + w).sum() + (w**2).sum() / 2)(weights["w"])
    updates, _ = theirs.update(gradient, theirs.init(weights["w"]), weights["w"])
    np.testing.assert_allclose(penalised["w"], weights["w"] + updates, rtol=1e-6)


def test_weight_decay_can_be_another_for_parameters_of_some_names():
    config = dataclasses.replace(PLAIN, weight_decay=0.3, weight_decay_of=(("mlp$", 0.0), ("trunk/", 0.1)))
    found, params = descended(config)
    for name, decay in (("mlp", 0.0), ("attention", 0.1)):
        start = np.asarray(params["trunk"][name], np.float64)
        np.testing.assert_allclose(found["trunk"][name], by_hand(start, rate=0.1, decay=decay), rtol=1e-5)
    elsewhere, begun = descended(config, params={"trunk": {"mlp": jnp.ones(2)}, "head": jnp.array([2.0])})
    np.testing.assert_allclose(elsewhere["head"], by_hand(2.0, rate=0.1, decay=0.3), rtol=1e-5)
    with pytest.raises(ValueError, match="wanted a pattern that matches a parameter, got 'none'"):
        dataclasses.replace(PLAIN, weight_decay_of=(("none", 0.1),)).build(3).init(begun)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "adam", "momentum": 0.5}, "momentum to be 0.0, since adam does not read it, got 0.5"),
        ({"method": "sgd", "b2": 0.9}, "b2 to be 0.999, since sgd does not read it, got 0.9"),
        ({"l2": -1.0}, "l2 to be at least 0"),
        ({"momentum": 1.0, "method": "sgd"}, "momentum to be at least 0 and below 1"),
        ({"weight_decay_of": (("a", -1.0),)}, "weight_decay_of to be pairs of a pattern"),
        ({"weight_decay_of": (("(", 1.0),)}, "wanted a regular expression"),
    ],
)
def test_options_of_another_method_or_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        OptimizerConfig(**changes)
