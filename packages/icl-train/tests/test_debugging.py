"""Debugging stops at the operation that made the first NaN and names its line, and is over after its block."""

import traceback

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_train import MeshConfig, StepSpec, compile_single
from icl_train.devices.debugging import debugging


def bad_loss_fn(params, model_state, rng, batch):
    """Linear regression that takes the logarithm of a negative number on the way."""
    prediction = batch["inputs"] @ params["linear/~/w"]
    logarithm = jnp.log(-1.0 - prediction**2)  # where the NaN is made
    loss = jnp.mean((prediction - batch["targets"]) ** 2) + 0.0 * jnp.sum(logarithm)
    return loss, ({}, model_state)


def scanned_loss_fn(params, model_state, rng, batch):
    """Make the NaN in the body of a loop, as a stack of layers would."""

    def layer(carry, _):
        return jnp.sqrt(carry - 1.0), None  # the root is where the NaN is made

    last, _ = jax.lax.scan(layer, jnp.mean(params["linear/~/w"]) * 0, None, length=3)
    return last, ({}, model_state)


@pytest.fixture
def step(problem):
    """Make one training step of a loss function, as the loop does: jitted, donating, on a mesh of two devices."""

    def make(loss_fn):
        mesh = MeshConfig().build(jax.devices()[:2])
        program = compile_single(StepSpec(problem.init, loss_fn, optax.adam(0.1)), seed=0, mesh=mesh)
        return program.step(
            program.init_state(), program.to_devices([next(problem.Rows())], 1), np.int32(1), np.int32(1)
        )

    return make


def source_lines(error):
    return [frame.line for frame in traceback.extract_tb(error.__traceback__)]


def test_the_operation_that_made_the_first_nan_is_named_with_its_line(step):
    with (
        pytest.raises(FloatingPointError, match=r"nan\) encountered in log") as caught,
        debugging(disable_jit=False, stop_at_nan=True),
    ):
        step(bad_loss_fn)
    assert any("where the NaN is made" in line for line in source_lines(caught.value))


def test_within_a_loop_the_operation_is_named_without_jit(step):
    with pytest.raises(FloatingPointError, match="encountered in scan"), debugging(disable_jit=False, stop_at_nan=True):
        step(scanned_loss_fn)
    with (
        pytest.raises(FloatingPointError, match="encountered in sqrt") as caught,
        debugging(disable_jit=True, stop_at_nan=True),
    ):
        step(scanned_loss_fn)
    assert any("the root is where the NaN is made" in line for line in source_lines(caught.value))


def test_a_nan_passes_when_it_is_not_asked_for_and_after_the_block(step):
    with debugging(disable_jit=False, stop_at_nan=False):
        _, metrics = step(bad_loss_fn)
    assert jnp.isnan(metrics["loss"])
    with debugging(disable_jit=True, stop_at_nan=True):
        pass
    assert jnp.isnan(jnp.log(-1.0))


def test_a_sound_step_is_the_same_in_debugging(problem, step):
    wanted, _ = step(problem.loss_fn)
    with debugging(disable_jit=False, stop_at_nan=True):
        got, _ = step(problem.loss_fn)
    assert problem.same(wanted, got)


def test_without_jit_a_function_sees_numbers():
    seen = []

    def look(x):
        seen.append(isinstance(x, jax.core.Tracer))
        return x

    for disable_jit in (True, False):
        with debugging(disable_jit=disable_jit, stop_at_nan=False):
            jax.jit(look)(jnp.ones(2))
    assert seen == [False, True]
