"""Parameters that are drawn anew on the way, or of which some rows stay as they are, against steps written by hand."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_train import (
    EnsembleConfig,
    Forget,
    Member,
    OptimizerConfig,
    Rows,
    TrainConfig,
    initial_state,
    train_ensemble,
    train_step,
)

FORGET = Forget(params="linear", every=3, until=7)
ADAM = OptimizerConfig(learning_rate=0.05, warmup_steps=5)


def by_hand(problem, optimizer, *, steps, seed=0):
    """Make steps one by one, and draw w anew before the fourth and the seventh."""
    key, batches = jax.random.key(seed), problem.Rows()
    state = jax.jit(functools.partial(initial_state, init=problem.init, optimizer=optimizer))(key)
    step = jax.jit(functools.partial(train_step, loss_fn=problem.loss_fn, optimizer=optimizer))
    for number in range(1, steps + 1):
        if number in (4, 7):
            rng = jax.random.fold_in(jax.random.fold_in(key, 0), number - 1)
            anew = problem.init(rng)[0]["linear/~/w"]
            adam = state.opt_state[2]
            parts = {
                name: dict(getattr(adam, name), **{"linear/~/w": jnp.zeros_like(getattr(adam, name)["linear/~/w"])})
                for name in adam._fields
                if isinstance(getattr(adam, name), dict)
            }
            opt_state = (*state.opt_state[:2], adam._replace(**parts), *state.opt_state[3:])
            state = state._replace(params=dict(state.params, **{"linear/~/w": anew}), opt_state=opt_state)
        state, _ = step(state, next(batches), key)
    return state


def near(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, other)


@pytest.mark.parametrize("forgets", [False, True])
def test_what_is_forgotten_is_as_steps_by_hand_have_it(problem, forgets):
    optimizer = ADAM.build(10, forgets=forgets)
    found = problem.run("run", optimizer=optimizer, forget=[FORGET]).state
    near((found.params, found.opt_state), by_hand(problem, optimizer, steps=10)[1:4:2])


def test_a_run_that_forgets_is_the_same_however_it_is_cut(problem):
    options = {"optimizer": ADAM.build(10, forgets=True), "forget": [FORGET]}
    whole = problem.run("whole", **options).state
    problem.run("cut", steps=3, **options)  # after which w is drawn anew
    assert problem.same(whole, problem.run("cut", resume=True, **options).state)
    assert problem.same(whole, problem.run("single steps", steps_per_dispatch=1, **options).state)


def test_what_never_comes_to_be_changes_nothing_and_counting_by_array_no_more_than_rounding(problem):
    never = [Forget(params=".", every=11)]
    shared, counted = (
        problem.run(f"{forgets}", optimizer=ADAM.build(10, forgets=forgets)).state for forgets in (False, True)
    )
    idle = problem.run("idle", optimizer=ADAM.build(10, forgets=True), forget=never).state
    assert problem.same(counted, idle)
    near(shared.params, idle.params)


def test_what_is_saved_after_a_step_that_is_due_was_trained_until_then(problem):
    plain = problem.run("plain", optimizer=ADAM.build(10, forgets=True), steps=3).state
    forgets = problem.run("forgets", optimizer=ADAM.build(10, forgets=True), steps=3, forget=[FORGET]).state
    assert problem.same(plain, forgets)


def test_members_forget_as_if_they_were_alone(problem):
    config = TrainConfig(steps=7, ensemble=EnsembleConfig(members=2))
    members = [Member(seed, problem.Rows()) for seed in (0, 4)]
    state = train_ensemble(
        config,
        init=problem.init,
        loss_fn=problem.loss_fn,
        optimizer=lambda _: ADAM.build(7, forgets=True),
        members=members,
        workdir=problem.folder / "ensemble",
        forget=[FORGET],
    ).state
    alone = by_hand(problem, ADAM.build(7, forgets=True), steps=7, seed=4)
    near(jax.tree.map(lambda leaf: leaf[1], state.params), alone.params)


def test_the_first_update_after_forgetting_is_a_whole_learning_rate(problem):
    optimizer = dataclasses.replace(ADAM, warmup_steps=0, clip_norm=None).build(10, forgets=True)
    options = {"optimizer": optimizer, "forget": [FORGET], "steps_per_dispatch": 10}
    before, after = (problem.run("run", steps=steps, resume=steps == 7, **options).state.params for steps in (6, 7))
    drawn, _ = problem.init(jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 0), 6))
    before = {**before, "linear/~/w": drawn["linear/~/w"]}
    moved, others, *_ = (jnp.abs(b - a) for a, b in zip(*map(jax.tree.leaves, (before, after)), strict=True))
    np.testing.assert_allclose(moved, 0.05, rtol=1e-3)
    assert others < 0.9 * 0.05


def loss_of_stack(params, model_state, rng, batch):
    stack = params["blocks/w"]
    hidden = jnp.tanh(batch["inputs"] @ stack[0])
    return jnp.mean(((hidden @ stack[1]).sum(-1) + params["b"] - batch["targets"]) ** 2), ({}, model_state)


def init_stack(rng):
    return {"blocks/w": jax.random.normal(rng, (2, 3, 3)), "b": jnp.zeros(())}, {}


def test_frozen_rows_stay_to_the_bit_and_the_others_are_trained_without_them(problem):
    optimizer = OptimizerConfig(learning_rate=0.1, warmup_steps=0, method="sgd", weight_decay=0.1, clip_norm=1.0).build(
        10
    )
    arguments = {"init": init_stack, "loss_fn": loss_of_stack, "optimizer": optimizer}
    found = problem.run("rows", **arguments, freeze_rows=[Rows(params="^blocks/", rows=(1,))]).state.params
    begun, _ = init_stack(jax.random.fold_in(jax.random.key(0), 0))
    np.testing.assert_array_equal(found["blocks/w"][1], begun["blocks/w"][1])

    def apart(params, model_state, rng, batch):  # the same model with its rows as arrays of their own
        return loss_of_stack(
            {"blocks/w": jnp.stack([params["0"], params["1"]]), "b": params["b"]}, model_state, rng, batch
        )

    own = {"0": begun["blocks/w"][0], "1": begun["blocks/w"][1], "b": begun["b"]}
    arguments |= {"init": lambda rng: (own, {}), "loss_fn": apart}
    expected = problem.run("arrays", **arguments, freeze=("^1$",)).state.params
    np.testing.assert_allclose(found["blocks/w"][0], expected["0"], rtol=1e-5)
    np.testing.assert_allclose(found["b"], expected["b"], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forget": [Forget(params="nowhere", every=1)]}, "pattern that matches a parameter, got 'nowhere'"),
        ({"freeze_rows": [Rows(params="linear", rows=(3,))]}, "rows of 'linear/~/w' below 3, got 3"),
        ({"freeze_rows": [Rows(params="nested/0", rows=(0,))]}, "rows of 'nested/0' below 0, got 0"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_made(problem, options, message):
    with pytest.raises(ValueError, match=message):
        problem.run("run", **options)
    assert not (problem.folder / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Forget(params="(", every=1), "wanted a regular expression"),
        (lambda: Forget(params="w", every=0), "every"),
        (lambda: Rows(params="w", rows=()), "at least one"),
        (lambda: Rows(params="w", rows=(-1,)), "from 0 on"),
    ],
)
def test_a_value_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_one_bare_array_has_no_names_to_forget_by(problem):
    def loss_fn(params, model_state, rng, batch):
        return jnp.mean((batch["inputs"] @ params - batch["targets"]) ** 2), ({}, model_state)

    with pytest.raises(ValueError, match="parameters with names"):
        problem.run("bare", init=lambda rng: (jnp.zeros(3), {}), loss_fn=loss_fn, forget=[Forget(params="", every=2)])
