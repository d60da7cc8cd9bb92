"""Modes of Python and JAX that change what code means: without asserts, and with 64 bits by default."""

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import icl_train
from icl_train import EnsembleConfig, Member, OptimizerConfig, TrainConfig, restore_model, train_ensemble

SOURCES = sorted(Path(icl_train.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_assert_does_work_that_python_o_would_leave_out(source):
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Assert):
            work = [each for each in ast.walk(node.test) if isinstance(each, (ast.Call, ast.NamedExpr, ast.Await))]
            assert not work, ast.unparse(node)


@pytest.fixture
def wide():
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def init(rng):
    return {"w": jax.random.normal(rng, (3,), jnp.float32), "b": jnp.zeros((), jnp.float32)}, {
        "mean": jnp.zeros(3, jnp.float32), "count": jnp.zeros((), jnp.int32)
    }  # fmt: skip


def loss_fn(params, state, rng, batch):
    noise = jax.random.normal(rng, batch["inputs"].shape, jnp.float32)
    errors = (batch["inputs"] + 0.1 * noise) @ params["w"] + params["b"] - batch["targets"]
    mean = state["mean"] + batch["inputs"].mean(0).astype(jnp.float32)
    return jnp.mean(errors**2), ({"share": (errors > 0).mean()}, {"mean": mean, "count": state["count"] + 1})


def dtypes(tree):
    return {jax.tree_util.keystr(path): str(leaf.dtype) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def arguments(schedule, **changes):
    optimizer = OptimizerConfig(schedule=schedule, warmup_steps=2, weight_decay=0.1).build(6)
    settings = {"ema_decay": 0.9, "steps": 6, "checkpoint_every": 100}
    return {"init": init, "loss_fn": loss_fn, "optimizer": optimizer} | settings | changes


@pytest.mark.lengthy
@pytest.mark.parametrize("accumulate", [1, 2])
def test_with_64_bits_a_run_is_the_one_with_32_and_resumes_exactly(problem, wide, accumulate):
    """Data of 64 bits (NumPy's default) makes no parameter, average, moment or count wider than ``init`` made it."""

    class Doubles(problem.Rows):
        def __next__(self):
            return {name: rows.astype(np.float64) for name, rows in super().__next__().items()}

    asked = arguments("cosine", accumulate=accumulate)
    whole = problem.run("whole", batches=Doubles(), **asked)
    assert not {"float64", "int64", "uint64"} & set(dtypes(whole.state).values()), dtypes(whole.state)
    problem.run("parts", batches=Doubles(), **(asked | {"steps": 3}))
    parts = problem.run("parts", batches=Doubles(), resume=True, **asked)
    assert problem.same(parts.state.params, problem.run("whole", batches=Doubles(), resume=True, **asked).state.params)
    assert dtypes(parts.state) == dtypes(whole.state)
    saved = restore_model(problem.folder / "parts", init=init)
    assert dtypes(saved.params) == dtypes(whole.state.params) and problem.same(saved.ema, parts.state.ema)
    jax.config.update("jax_enable_x64", False)
    narrow = problem.run("narrow", **asked)
    assert dtypes(narrow.state) == dtypes(whole.state)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), narrow.state, whole.state)
    resumed = problem.run("whole", resume=True, **(asked | {"steps": 7}))
    assert int(resumed.state.model_state["count"]) == 7 * accumulate


@pytest.mark.parametrize("schedule", ["constant", "inverse_sqrt", "trapezoid"])
def test_no_schedule_widens_the_state(problem, wide, schedule):
    result = problem.run("run", **arguments(schedule, steps=2))
    assert not {"float64", "int64"} & set(dtypes(result.state).values())


def test_pythons_numbers_in_init_have_32_bits_with_64_too(problem, wide):
    def with_numbers(rng):
        return {"w": init(rng)[0]["w"], "b": 0.0}, {"mean": jnp.zeros(3, jnp.float32), "count": 0}

    result = problem.run("run", **arguments("constant", init=with_numbers, steps=2))
    assert not {"float64", "int64"} & set(dtypes(result.state).values())
    assert str(restore_model(problem.folder / "run", init=with_numbers).params["b"].dtype) == "float32"


def test_an_ensemble_is_as_wide_as_its_init(problem, wide):
    config = TrainConfig(steps=2, ensemble=EnsembleConfig(members=2))
    optimizer = OptimizerConfig(warmup_steps=1)
    result = train_ensemble(
        config, init=init, loss_fn=loss_fn, optimizer=lambda hyper: optimizer.build(2, **hyper),
        members=[Member(seed, problem.Rows(), {"learning_rate": 0.1}) for seed in range(2)],
        workdir=problem.folder / "run",
    )  # fmt: skip
    assert not {"float64", "int64"} & set(dtypes(result.state).values())
