"""Steps are compiled once for batches of one shape, and what the first took and needs is told in a line."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_train.dispatch.program import CompiledStep, memory_needs
from icl_train.state import TrainState

UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6}


def begun(size):
    return TrainState(jnp.zeros((), jnp.int32), jnp.ones(size), {}, ())


def test_it_gives_what_the_jitted_function_gives_and_is_traced_once_for_each_shape(capsys):
    traces = []

    def function(state, resident, batches, seed, first, count):
        traces.append(batches["x"].shape)
        return state._replace(params=state.params + batches["x"].sum() * seed + resident), {"first": first + count}

    step = CompiledStep(jax.jit(function), np.float32(5), np.uint32(3))
    for made in (7, 8):
        for most in (1, 2):
            state, scalars = step(begun(2), {"x": jnp.ones((most, 4))}, np.int32(10), np.int32(made))
            assert state.params.tolist() == [6 + 12 * most] * 2 and scalars["first"] == 10 + made
    assert traces == [(1, 4), (2, 4)]
    assert re.fullmatch(
        r"compiled the step in \d+\.\d s; it needs [\d.]+ \w+ on each device \(.*\)\n", capsys.readouterr().err
    ), "of the first alone"


def test_another_state_is_refused_rather_than_compiled():
    step = CompiledStep(jax.jit(lambda state, *others: (state, {})), None, np.uint32(0))
    step(begun(3), {"x": jnp.ones(1)}, np.int32(1), np.int32(1))
    with pytest.raises(TypeError, match=r"float32\[4\]"):
        step(begun(4), {"x": jnp.ones(1)}, np.int32(2), np.int32(1))


def needs(words):
    """Return the bytes in all, and by name, of a sentence about memory."""
    total, parts = re.fullmatch(r"; it needs ([\d.]+ \w+) on each device \((.*)\)", words).groups()
    numbers = {}
    for name, words in [("total", total), *((part.split(" ", 2)[2], part) for part in parts.split(", "))]:
        number, unit = words.split(" ")[:2]
        numbers[name] = float(number) * UNITS[unit]
    return numbers


@pytest.mark.parametrize("donated", [False, True])
def test_a_donated_state_is_counted_once(donated):
    jitted = jax.jit(lambda state, batch: (state + batch.mean(), batch.sum()), donate_argnums=(0,) if donated else ())
    found = needs(memory_needs(jitted.lower(jnp.ones(1000), jnp.ones(10)).compile()))
    assert found["state and batch"] == 4040
    assert found.get("results", 0) == pytest.approx(0 if donated else 4000, abs=30)  # a scalar, and pointers
    assert found["total"] == pytest.approx(sum(found.values()) - found["total"], rel=0.01)


def test_memory_is_that_of_one_device():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    lowered = jax.jit(lambda x: x + 1).lower(jax.ShapeDtypeStruct((400,), jnp.float32, sharding=split))
    assert needs(memory_needs(lowered.compile()))["state and batch"] == 400


class Analysis:
    """What a backend says of a program's memory."""

    argument_size_in_bytes, output_size_in_bytes, alias_size_in_bytes, temp_size_in_bytes = (
        12 * 10**6,
        12 * 10**6,
        0,
        1_200,
    )


@pytest.mark.parametrize(
    ("analysis", "words"),
    [
        (Analysis, "; it needs 24 MB on each device (12 MB state and batch, 12 MB results, 1.2 kB temporary)"),
        (None, ""),
    ],
)
def test_the_sentence_has_parts_that_add_up_or_nothing_where_the_backend_does_not_say(analysis, words, monkeypatch):
    compiled = jax.jit(lambda x: x * 2).lower(jnp.ones(3)).compile()
    monkeypatch.setattr(jax.stages.Compiled, "memory_analysis", lambda self: analysis)
    assert memory_needs(compiled) == words
    if analysis:
        monkeypatch.setattr(analysis, "argument_size_in_bytes", 999_999_999)
        monkeypatch.setattr(analysis, "alias_size_in_bytes", analysis.output_size_in_bytes)
        monkeypatch.setattr(analysis, "temp_size_in_bytes", 12)
        assert memory_needs(compiled) == "; it needs 1 GB on each device (1 GB state and batch, 12 bytes temporary)"
