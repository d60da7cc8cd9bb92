"""The step is pure, compiled once, the same on any number of devices, and random in (seed, step) alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_train import (
    MeshConfig,
    OptimizerConfig,
    StepSpec,
    compile_single,
    initial_state,
    train_step,
)


def test_jit_and_no_jit_agree_with_a_step_written_out_by_hand(problem):
    key, batch = jax.random.key(5), next(problem.Rows())
    optimizer = optax.sgd(0.1)
    state = initial_state(key, init=problem.init, optimizer=optimizer)
    after, metrics = train_step(state, batch, key, loss_fn=problem.loss_fn, optimizer=optimizer)
    params, model_state = problem.init(jax.random.fold_in(key, 0))
    gradients, _ = jax.grad(problem.loss_fn, has_aux=True)(params, model_state, jax.random.fold_in(key, 1), batch)
    for new, old, gradient in zip(*map(jax.tree.leaves, (after.params, params, gradients)), strict=True):
        np.testing.assert_allclose(new, old - 0.1 * gradient, rtol=1e-6)
    norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(gradients)))
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-6)
    assert int(after.step) == 1 and set(metrics) == {"loss", "gradient_norm", "absolute_error"}
    spec = StepSpec(problem.init, problem.loss_fn, optimizer)
    program = compile_single(spec, seed=5, mesh=MeshConfig().build(jax.devices()[:1]))
    state = program.init_state()
    jitted, jitted_metrics = program.step(state, program.to_devices([batch], 1), np.int32(1), np.int32(1))
    jitted_metrics = {name: value[0] for name, value in jitted_metrics.items()}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), (after, metrics), (jitted, jitted_metrics))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state)), "the state should have been donated"


def test_randomness_depends_on_the_seed_and_the_step_alone(problem):
    def draw(params, model_state, rng, batch):
        return 0.0 * params, ({"draw": jax.random.uniform(rng)}, model_state)

    def draws(name, **changes):
        problem.run(name, loss_fn=draw, init=lambda rng: (jnp.zeros(()), {}), log_every=1, **changes)
        return [line["draw"] for line in problem.lines(problem.folder / name)]

    reference = draws("reference")
    assert reference == [
        pytest.approx(float(jax.random.uniform(jax.random.fold_in(jax.random.key(0), step)))) for step in range(1, 11)
    ]
    assert draws("other data", batches=problem.Rows(seed=9, size=2), optimizer=optax.sgd(1.0)) == reference
    assert draws("longer", steps=15)[:10] == reference
    assert not set(draws("seed", seed=1)) & set(reference)
    assert len(set(reference)) == 10


def test_the_step_is_traced_once_in_a_run_and_once_more_after_a_resume(problem):
    traces = []

    def init(rng):
        return {"w": 0.5 * jnp.ones(3), "weak": jnp.asarray(1.0) * 2}, {"count": 0}  # Python numbers: weakly typed

    def loss_fn(params, model_state, rng, batch):
        traces.append(1)
        loss = jnp.mean((batch["inputs"] @ params["w"] * params["weak"] - batch["targets"]) ** 2)
        return loss, ({}, {"count": model_state["count"] + 1})

    optimizer = OptimizerConfig().build(100)
    result = problem.run("run", init=init, loss_fn=loss_fn, optimizer=optimizer)
    assert len(traces) == 1
    assert int(result.state.model_state["count"]) == 10
    problem.run("run", init=init, loss_fn=loss_fn, optimizer=optimizer, steps=15, resume=True)
    assert len(traces) == 2


def test_the_state_is_born_on_the_mesh(problem):
    spec = StepSpec(problem.init, problem.loss_fn, optax.adam(1.0))
    state = compile_single(spec, seed=0, mesh=MeshConfig().build(jax.devices()[:4])).init_state()
    assert all(len(leaf.sharding.device_set) == 4 for leaf in jax.tree.leaves(state))


def test_the_learning_rate_is_logged_where_the_optimizer_state_has_one(problem):
    problem.run("run", optimizer=OptimizerConfig(learning_rate=1.0, warmup_steps=5).build(10), log_every=1)
    rates = [line["learning_rate"] for line in problem.lines(problem.folder / "run")]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    problem.run("without", optimizer=optax.adam(1.0))
    assert all("learning_rate" not in line for line in problem.lines(problem.folder / "without"))


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"loss": jnp.zeros(())}, "'loss', which the loop fills in"),
        ({"errors": jnp.zeros(8)}, r"'errors' of shape \(8,\)"),
    ],
)
def test_metrics_that_cannot_be_logged_are_refused(problem, metrics, words):
    with pytest.raises(ValueError, match=words):
        problem.run("run", loss_fn=lambda p, s, r, b: (p["nested"][0], (metrics, s)))


@pytest.mark.parametrize("changed", [{}, {"mean": jnp.zeros(4)}, {"mean": jnp.zeros(3, jnp.bfloat16)}])
def test_a_model_state_that_changes_its_shape_is_refused(problem, changed):
    with pytest.raises(ValueError, match="wanted loss_fn to return a model state like the one it was given"):
        problem.run("run", loss_fn=lambda p, s, r, b: (p["nested"][0], ({}, changed)))
