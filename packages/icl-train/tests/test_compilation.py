"""A step is compiled once, ahead of its first call, and what that took is told in a line."""

import logging
import re

import jax
import jax.numpy as jnp
import pytest

from icl_train.program import CompileReport, StepMemory, compile_once

WORD = 4  # bytes of a float32


def test_the_compiled_function_gives_what_the_jitted_one_gives_without_compiling_again(caplog):
    jitted = jax.jit(lambda x, y: {"product": x @ y})
    x, y = jnp.arange(12.0).reshape(3, 4), jnp.arange(20.0).reshape(4, 5)
    wanted = jax.device_get(jitted(x, y))
    compiled, _ = compile_once(jitted, x, y)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        got = compiled(x, y)
        compiled(x, y)
    assert "ompil" not in caplog.text
    assert (got["product"] == wanted["product"]).all()


def test_another_shape_is_refused_rather_than_compiled():
    compiled, _ = compile_once(jax.jit(lambda x: x + 1), jnp.ones(3))
    with pytest.raises(TypeError, match=r"float32\[4\]"):
        compiled(jnp.ones(4))


def test_shapes_are_enough_to_compile_for():
    compiled, report = compile_once(jax.jit(jnp.sum), jax.ShapeDtypeStruct((8,), jnp.float32))
    assert compiled(jnp.ones(8)) == 8 and report.memory.argument_bytes == 8 * WORD


def test_the_time_is_that_of_tracing_and_compiling():
    events = []

    def clock():
        events.append("clock")
        return {1: 10.0, 2: 12.5}[events.count("clock")]

    def function(x):
        events.append("traced")
        return x + 1

    _, report = compile_once(jax.jit(function), jnp.ones(3), clock=clock)
    assert report.seconds == 2.5 and events == ["clock", "traced", "clock"]


@pytest.mark.parametrize("donated", [False, True])
def test_a_donated_state_is_counted_once(donated):
    size = 1000
    jitted = jax.jit(lambda state, batch: (state + batch.mean(), batch.sum()), donate_argnums=(0,) if donated else ())
    memory = compile_once(jitted, jnp.ones(size), jnp.ones(10)).report.memory
    assert memory.argument_bytes == (size + 10) * WORD
    assert memory.alias_bytes == (size * WORD if donated else 0)
    state_and_batch, results = (size + 10) * WORD, 0 if donated else size * WORD
    metrics = memory.total_bytes - memory.temporary_bytes - state_and_batch - results
    assert WORD <= metrics < 64  # a scalar, and the pointers to the results


def test_memory_is_that_of_one_device():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    _, report = compile_once(jax.jit(lambda x: x + 1), jax.ShapeDtypeStruct((400,), jnp.float32, sharding=split))
    assert report.memory.argument_bytes == 100 * WORD


def test_the_report_is_one_line_whose_parts_add_up():
    memory = StepMemory(argument_bytes=12 * 10**6, output_bytes=12 * 10**6, alias_bytes=0, temporary_bytes=1_200)
    assert str(CompileReport(seconds=0.26, memory=memory)) == (
        "compiled the step in 0.3 s; it needs 24 MB on each device "
        "(12 MB state and batch, 12 MB results, 1.2 kB temporary)"
    )
    large = StepMemory(argument_bytes=999_999_999, output_bytes=0, alias_bytes=0, temporary_bytes=12)
    assert re.search(r"needs 1 GB .*\(1 GB state and batch, 12 bytes temporary\)$", f"needs {large}")


def test_a_backend_that_gives_no_analysis_leaves_the_memory_out(monkeypatch):
    monkeypatch.setattr(jax.stages.Compiled, "memory_analysis", lambda self: None)
    _, report = compile_once(jax.jit(lambda x: x * 2), jnp.ones(3), clock=iter([0.0, 1.0]).__next__)
    assert report.memory is None and str(report) == "compiled the step in 1.0 s"


def test_negative_numbers_are_refused():
    with pytest.raises(ValueError, match=r"seconds to be at least 0, got -1\.0"):
        CompileReport(seconds=-1.0)
    with pytest.raises(ValueError, match="temporary_bytes to be at least 0, got -5"):
        StepMemory(argument_bytes=1, output_bytes=1, alias_bytes=1, temporary_bytes=-5)
