"""What is saved is what the state was, whatever becomes of its buffers; and only so much is kept."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_train import FULLY_SHARDED, EverySteps, MeshConfig, latest_step, restore_model
from icl_train.checkpoints import restoring
from icl_train.checkpoints.progress import Progress, Window
from icl_train.checkpoints.restoring import restore
from icl_train.checkpoints.saving import Checkpoints
from icl_train.devices.sharding_rules import REPLICATED, state_shardings, with_shardings
from icl_train.state import TrainState


def test_an_asynchronous_save_does_not_see_the_steps_that_follow_it(problem):
    """The donated buffers of 8 MB are overwritten in place while Orbax is still writing the older values."""
    copies = {}

    def init(rng):
        return {"w": jnp.zeros((2, 1 << 20))}, {}

    def loss_fn(params, model_state, rng, batch):
        return jnp.sum(params["w"]), ({}, model_state)

    def copy(step, state):
        copies[step] = jax.tree.map(np.array, state.params)

    result = problem.run(
        "run",
        init=init,
        loss_fn=loss_fn,
        optimizer=optax.sgd(1.0),
        checkpoint_every=2,
        keep_checkpoints=9,
        actions=[EverySteps(2, copy)],
    )
    assert float(result.state.params["w"][0, 0]) == -10
    for step in (2, 4, 6, 8, 10):
        restored = restore_model(problem.folder / "run", init=init, step=step)
        assert restored.step == step
        assert problem.same(jax.tree.map(np.array, restored.params), copies[step])
        assert float(restored.params["w"].min()) == float(restored.params["w"].max()) == -step


def test_everything_comes_back(problem, tmp_path):
    params = {
        "a/~/b": jnp.arange(6.0).reshape(2, 3),
        "t": (jnp.ones(1, jnp.bfloat16), [jnp.zeros((), jnp.int8), {}]),
    }
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    state = TrainState(jnp.asarray(7, jnp.int32), params, {}, optimizer.init(params), params)
    data = {"next": 2**40, "nested": [1, "two"]}
    window = Window(3, {"loss": float("nan"), "accuracy": 2 / 3})
    progress = Progress(
        step=7, is_last=True, seed=2**32 - 1, members=[{"seed": 4, "learning_rate": 1 / 3}], seconds=1 / 3,
        meters=[window, Window()], failed={1: 5},
    )  # fmt: skip
    with Checkpoints(tmp_path, every=1, keep=1) as checkpoints:
        checkpoints.save(state, data=data, progress=progress)
    saved = restore(
        tmp_path, with_shardings(state, state_shardings(state, MeshConfig().build(jax.devices()[:4]), REPLICATED))
    )
    assert problem.same(jax.tree.map(np.array, saved.state), jax.tree.map(np.array, state))
    assert saved.data == data
    assert repr(saved.progress) == repr(progress), "which writes out every bit, and a NaN"
    assert saved.state.params["a/~/b"].sharding.is_fully_replicated
    assert len(saved.state.params["a/~/b"].sharding.device_set) == 4


@pytest.mark.parametrize(("keep", "kept"), [(2, {8, 10}), (9, {2, 4, 6, 8, 10})])
def test_the_latest_checkpoints_are_kept(problem, keep, kept):
    problem.run("run", checkpoint_every=2, keep_checkpoints=keep)
    assert {int(path.name) for path in (problem.folder / "run" / "checkpoints").iterdir()} == kept
    assert latest_step(problem.folder / "run") == 10


def test_the_end_is_always_saved(problem):
    problem.run("run", steps=5, checkpoint_every=100)
    assert latest_step(problem.folder / "run") == 5


def test_half_written_checkpoints_do_not_count(problem):
    problem.run("run", steps=4)
    (problem.folder / "run" / "checkpoints" / "9.orbax-checkpoint-tmp").mkdir()
    assert latest_step(problem.folder / "run") == 4


def test_restore_model_needs_no_optimizer_and_says_what_is_missing(problem, whole):
    with pytest.raises(FileNotFoundError, match=r"wanted a whole checkpoint in .*checkpoints, found steps \[\]"):
        restore_model(problem.folder / "none", init=problem.init)
    restored = restore_model(whole.folder, init=problem.init)
    assert problem.same(restored.params, whole.state.params)
    assert problem.same(restored.model_state, whole.state.model_state)
    with pytest.raises(FileNotFoundError, match=r"the checkpoint of step 5 in .*, found steps \[8, 10\]"):
        restore_model(whole.folder, init=problem.init, step=5)
    with pytest.raises(ValueError, match=r"model_state/mean: saved float32\[3\], wanted nothing"):
        restore_model(whole.folder, init=lambda rng: (problem.init(rng)[0], {}))


def test_a_model_is_restored_as_it_was_saved_where_nobody_says_what_it_is_like(problem, whole):
    restored = restore_model(whole.folder)
    w, (bias, matrices) = restored.params["linear/~/w"], restored.params["nested"]
    assert problem.same({"linear/~/w": w, "nested": (bias, matrices)}, whole.state.params)
    assert problem.same(restored.model_state, whole.state.model_state)


def test_a_model_without_a_state_is_restored_without_one(problem):
    def loss_fn(params, model_state, rng, batch):
        loss, (metrics, _) = problem.loss_fn(params, {"mean": jnp.zeros(3)}, rng, batch)
        return loss, (metrics, model_state)

    trained = problem.run("run", init=lambda rng: (problem.init(rng)[0], {}), loss_fn=loss_fn, steps=2)
    restored = restore_model(problem.folder / "run")
    assert problem.same(restored.params["linear/~/w"], trained.state.params["linear/~/w"])
    assert restored.model_state == {} and restored.ema is None


def test_a_checkpoint_is_hashed_once_when_it_is_read(problem, whole, monkeypatch):
    hashed = []
    monkeypatch.setattr(restoring, "find_damage", lambda path: hashed.append(path.name))
    shutil.copytree(whole.folder, problem.folder / "run")

    def count(do):
        hashed.clear()
        do()
        return hashed

    assert count(lambda: problem.run("run", resume=True)) == ["10"]
    assert count(lambda: restore_model(whole.folder, init=problem.init)) == ["10"]
    assert count(lambda: restore_model(whole.folder, init=problem.init, step=8)) == ["8"]
    assert count(lambda: problem.run("warm", steps=1, init_from=whole.folder)) == ["10"]


@pytest.mark.parametrize("devices", [1, 8])
def test_a_parameter_without_elements_is_saved_and_restored(problem, devices):
    """As a layer of width 0 has, in a sweep that begins there."""
    mesh = MeshConfig(fsdp=devices).build(jax.devices()[:devices])

    def init(rng):
        params, model_state = problem.init(rng)
        return params | {"none": jnp.zeros((0, 8), jnp.bfloat16)}, model_state | {"nothing": jnp.zeros((8, 0))}

    def run(name, **changes):
        return problem.run(name, init=init, loss_fn=keep_nothing, mesh=mesh, rules=FULLY_SHARDED, **changes)

    def keep_nothing(params, model_state, rng, batch):
        loss, (metrics, new) = problem.loss_fn(params, model_state, rng, batch)
        return loss, (metrics, new | {"nothing": model_state["nothing"]})

    whole = run("whole")
    run("run", steps=6)
    assert problem.same(run("run", resume=True).state, whole.state)
    model = restore_model(problem.folder / "run", init=init)
    assert problem.same((model.params, model.model_state), (whole.state.params, whole.state.model_state))
    assert model.params["none"].shape == (0, 8) and model.params["none"].dtype == jnp.bfloat16
