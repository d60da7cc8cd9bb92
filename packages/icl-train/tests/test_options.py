"""What a step can be made of besides: micro-batches, frozen parameters, averages, several steps in one dispatch."""

import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_train import EverySteps, Interrupted, OptimizerConfig, restore_model, train_step
from icl_train.devices.profiling import ProfiledSteps
from icl_train.dispatch.step import initial_state


def noiseless(params, model_state, rng, batch):
    errors = batch["inputs"] @ params["linear/~/w"] + params["nested"][0] - batch["targets"]
    loss = jnp.mean(errors**2) + 1e-3 * jnp.sum(params["nested"][1][0] ** 2)
    return loss, ({"absolute_error": jnp.abs(errors).mean()}, model_state)


def test_micro_batches_come_to_what_the_batch_comes_to(problem):
    optimizer = OptimizerConfig(learning_rate=0.05, warmup_steps=3).build(10)
    whole = problem.run("whole", loss_fn=noiseless, optimizer=optimizer)
    for count in (2, 8):
        parts = problem.run(f"parts-{count}", loss_fn=noiseless, optimizer=optimizer, accumulate=count)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), whole.state, parts.state)
        lines = (problem.untimed(problem.folder / name) for name in ("whole", f"parts-{count}"))
        for one, other in zip(*lines, strict=True):
            assert one == pytest.approx(other, rel=1e-5)


def test_the_model_state_goes_through_the_micro_batches_in_order_and_each_has_its_randomness():
    def loss_fn(params, model_state, rng, batch):
        last = {
            "seen": 10 * model_state["seen"] + batch["x"][0],
            "draws": model_state["draws"] + jax.random.uniform(rng),
        }
        return params * batch["x"].mean(), ({"mean": batch["x"].mean()}, last)

    def init(rng):
        return jnp.ones(()), {"seen": jnp.zeros(()), "draws": jnp.zeros(())}

    key, optimizer = jax.random.key(3), optax.sgd(1.0)
    state = initial_state(key, init=init, optimizer=optimizer)
    batch = {"x": np.arange(1.0, 7.0, dtype=np.float32)}
    after, metrics = train_step(state, batch, key, loss_fn=loss_fn, optimizer=optimizer, accumulate=3)
    assert float(after.model_state["seen"]) == 123, "rows j, j + 3: the first of each is j + 1"
    step_key = jax.random.fold_in(key, 1)
    draws = sum(float(jax.random.uniform(jax.random.fold_in(step_key, j))) for j in range(3))
    assert float(after.model_state["draws"]) == pytest.approx(draws, rel=1e-6)
    assert (float(metrics["mean"]), float(after.params)) == (3.5, 1 - 3.5)


def test_a_batch_that_does_not_divide_into_micro_batches_is_refused(problem):
    with pytest.raises(ValueError, match="batch size that divides by accumulate=3, got 8"):
        problem.run("run", accumulate=3)


def test_frozen_parameters_stay_and_have_no_part_in_norm_decay_or_optimizer(problem):
    optimizer = OptimizerConfig(learning_rate=0.05, warmup_steps=1, weight_decay=0.5).build(10)
    result = problem.run("run", optimizer=optimizer, freeze=("linear",), log_every=1, steps=3)
    begun = problem.init(jax.random.fold_in(jax.random.key(0), 0))[0]
    assert problem.same(result.state.params["linear/~/w"], begun["linear/~/w"])
    assert not problem.same(result.state.params["nested"], begun["nested"])
    assert not any(leaf.shape == (3,) for leaf in jax.tree.leaves(result.state.opt_state))

    def others(params, model_state, rng, batch):
        return problem.loss_fn(params | {"linear/~/w": begun["linear/~/w"]}, model_state, rng, batch)

    norm = optax.tree.norm(
        jax.grad(others, has_aux=True)(
            begun, {"mean": jnp.zeros(3)}, jax.random.fold_in(jax.random.key(0), 1), next(problem.Rows())
        )[0]
    )
    assert problem.lines(problem.folder / "run")[0]["gradient_norm"] == pytest.approx(float(norm), rel=1e-5)
    assert problem.lines(problem.folder / "run")[0]["learning_rate"] == pytest.approx(0.05)


def test_a_pattern_that_freezes_nothing_is_refused_with_the_names_there_are(problem):
    with pytest.raises(ValueError, match="matches a parameter, got 'encoder'; the parameters are linear/~/w, nested/0"):
        problem.run("run", freeze=("encoder",))


def test_the_average_follows_the_parameters_and_is_saved(problem):
    history = []

    def note(step, state):
        history.append(jax.tree.map(np.array, state.params))

    actions = [EverySteps(1, note)]
    result = problem.run("run", ema_decay=0.75, actions=actions)
    expected = problem.init(jax.random.fold_in(jax.random.key(0), 0))[0]
    for params in history:
        expected = jax.tree.map(lambda average, new: 0.75 * average + 0.25 * new, expected, params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), result.state.ema, expected)
    restored = restore_model(problem.folder / "run", init=problem.init)
    assert problem.same(restored.ema, result.state.ema) and problem.same(restored.params, result.state.params)
    problem.run("parts", ema_decay=0.75, steps=5)
    again = problem.run("parts", ema_decay=0.75, resume=True)
    assert problem.same(again.state, result.state)


def test_a_run_without_an_average_cannot_go_on_with_one(problem):
    problem.run("run", steps=4)
    with pytest.raises(ValueError, match=r"does not fit the model.*ema/linear"):
        problem.run("run", ema_decay=0.5, resume=True)


@pytest.mark.parametrize("count", [2, 3, 100])
def test_several_steps_in_one_dispatch_are_the_same_steps(problem, whole, count):
    seen = []
    actions = [EverySteps(5, lambda step, state: seen.append((step, int(state.step))))]
    result = problem.run("run", steps_per_dispatch=count, actions=actions)
    assert seen == [(5, 5), (10, 10)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), result.state, whole.state)
    for one, other in zip(problem.untimed(problem.folder / "run"), whole.untimed, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    assert {int(path.name) for path in (problem.folder / "run" / "checkpoints").iterdir()} == {8, 10}


def test_profiled_steps_are_dispatched_apart_from_the_others(problem, monkeypatch):
    begun = []
    monkeypatch.setattr(ProfiledSteps, "before", lambda self, step: begun.append(step))
    problem.run("run", steps_per_dispatch=100, checkpoint_every=100, profile=(3, 4))
    assert begun == [1, 3, 5]


def test_a_run_of_several_steps_in_one_dispatch_resumes_exactly(problem):
    stop = EverySteps(6, lambda step, state: signal.raise_signal(signal.SIGTERM), at_end=False)
    whole = problem.run("whole", steps_per_dispatch=4, actions=[EverySteps(6, lambda *_: None)])
    with pytest.raises(Interrupted):
        problem.run("parts", steps_per_dispatch=4, actions=[stop])
    parts = problem.run("parts", steps_per_dispatch=4, resume=True)
    assert problem.same(parts.state, whole.state)
    assert problem.untimed(problem.folder / "parts") == problem.untimed(problem.folder / "whole")


def test_metrics_of_any_dtype_are_averaged_over_micro_batches():
    def loss_fn(params, model_state, rng, batch):
        flags = {"always": jnp.asarray(True), "first": batch["x"][0] == 0, "count": jnp.asarray(3, jnp.int8)}
        return params * batch["x"].mean(), (flags, model_state)

    state = initial_state(jax.random.key(0), init=lambda rng: (jnp.ones(()), {}), optimizer=optax.sgd(1.0))
    batch = {"x": jnp.arange(8.0)}
    _, metrics = train_step(state, batch, jax.random.key(0), loss_fn=loss_fn, optimizer=optax.sgd(1.0), accumulate=4)
    assert (float(metrics["always"]), float(metrics["first"]), float(metrics["count"])) == (1.0, 0.25, 3.0)
