"""The state lies where the rules say, the optimiser's part with it, and training comes to the same on any mesh."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from icl_train import (
    FULLY_SHARDED,
    REPLICATED,
    LargestDimension,
    MeshConfig,
    OptimizerConfig,
    Rule,
    describe,
    restore_model,
    shardings,
)
from icl_train.devices.sharding_rules import state_shardings
from icl_train.state import TrainState

TENSOR_PARALLEL = (Rule("in/w$", P("fsdp", "model")), Rule("in/b$", P("model")), Rule("out/w$", P("model", "fsdp")))


def init(rng):
    one, two = jax.random.split(rng)
    return {
        "in": {"w": jax.random.normal(one, (16, 32)) / 4, "b": jnp.zeros(32)},
        "out": {"w": jax.random.normal(two, (32, 5)) / 4, "b": jnp.zeros(5)},
    }, {}


def loss_fn(params, model_state, rng, batch):
    hidden = jnp.tanh(batch["inputs"] @ params["in"]["w"] + params["in"]["b"][None])
    outputs = hidden @ params["out"]["w"] + params["out"]["b"][None]
    return jnp.mean((outputs.sum(1) - batch["targets"]) ** 2), ({}, model_state)


ARGUMENTS = {
    "init": init,
    "loss_fn": loss_fn,
    "optimizer": OptimizerConfig(learning_rate=0.01, warmup_steps=2, weight_decay=0.1).build(5),
    "steps": 5,
}


@pytest.fixture(scope="module")
def one(shared):
    """Five steps on one device."""
    return shared.run("one", batches=shared.Rows(size=16, width=16), **ARGUMENTS)


@pytest.mark.lengthy
@pytest.mark.parametrize(
    ("sizes", "rules"),
    [
        ((8, 1, 1), REPLICATED),
        ((2, 4, 1), FULLY_SHARDED),
        ((2, 2, 2), TENSOR_PARALLEL),
    ],
)
def test_five_steps_on_any_mesh_agree_with_one_device(problem, shared, one, sizes, rules):
    mesh = MeshConfig(data=sizes[0], fsdp=sizes[1], model=sizes[2]).build()
    many = problem.run("many", batches=problem.Rows(size=16, width=16), mesh=mesh, rules=rules, **ARGUMENTS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6, rtol=2e-6), one.state, many.state)
    lines = (problem.untimed(pieces.folder / name) for pieces, name in ((shared, "one"), (problem, "many")))
    assert all(mine == pytest.approx(other, rel=1e-5) for mine, other in zip(*lines, strict=True))
    weight = many.state.params["in"]["w"]
    parts = {REPLICATED: 1, FULLY_SHARDED: sizes[1], TENSOR_PARALLEL: sizes[1] * sizes[2]}[rules]
    assert weight.addressable_shards[0].data.size * parts == weight.size
    restored = restore_model(problem.folder / "many", init=init)
    assert problem.same(jax.tree.map(np.array, restored.params), jax.tree.map(np.array, many.state.params))


def test_a_sharded_run_goes_on_with_other_devices_and_rules(problem):
    arguments = {"init": init, "loss_fn": loss_fn, "optimizer": optax.adam(0.01)}
    whole = problem.run("whole", batches=problem.Rows(width=16), **arguments)
    four = MeshConfig(fsdp=4).build()
    problem.run("parts", batches=problem.Rows(width=16), steps=6, mesh=four, rules=FULLY_SHARDED, **arguments)
    mesh = MeshConfig(model=2).build(jax.devices()[:4])
    parts = problem.run(
        "parts", batches=problem.Rows(width=16), resume=True, mesh=mesh, rules=TENSOR_PARALLEL, **arguments
    )
    assert parts.state.params["in"]["w"].sharding.spec == P("fsdp", "model")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), whole.state, parts.state)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(0.1),
        OptimizerConfig(weight_decay=0.1).build(5),
        optax.MultiSteps(optax.adam(0.1), 2),
        optax.partition({"a": optax.adam(0.1)}, lambda params: jax.tree.map(lambda _: "a", params)),
    ],
    ids=["adam", "ours", "wrapped", "partition"],
)
def test_the_optimizers_state_follows_its_parameters(optimizer):
    mesh, params = MeshConfig(fsdp=2, model=2).build(), init(jax.random.key(0))[0]
    state = TrainState(jnp.zeros((), jnp.int32), params, {"mean": jnp.zeros(32)}, optimizer.init(params), params)
    placed = state_shardings(state, mesh, TENSOR_PARALLEL)
    found = [
        (jax.tree_util.keystr(path), sharding.spec)
        for path, sharding in jax.tree_util.tree_leaves_with_path(placed.opt_state)
    ]
    for name, spec in found:
        if "'in'" in name and "'w'" in name:
            assert spec == P("fsdp", "model"), name
        elif "'out'" in name and "'b'" in name:
            assert spec == P(), name
    assert sum(spec == P("fsdp", "model") for _, spec in found) >= 2
    assert placed.ema == placed.params
    assert placed.model_state["mean"].spec == P()


def test_of_several_rules_the_first_that_matches_holds_and_the_rest_is_everywhere():
    params = {"a": {"w": np.zeros((8, 4)), "b": np.zeros(3)}, "c": np.zeros((3, 6, 5))}
    rules = (Rule("a/w", P(None, "model")), Rule("^a/", P("fsdp")), Rule("c", LargestDimension("fsdp")))
    placed = shardings(params, MeshConfig(fsdp=2, model=4).build(), rules)
    assert placed["a"]["w"].spec == P(None, "model")
    assert placed["a"]["b"].spec == P(None), "3 does not divide by 2"
    assert placed["c"].spec == P(None, "fsdp"), "of 3, 6 and 5 only 6 divides"
    more = shardings(params | {"z": np.zeros(2)}, MeshConfig(fsdp=2, model=4).build(), rules)
    assert more["z"].spec == P()


def test_a_rule_that_holds_for_nothing_is_refused_before_the_folder_is_touched_with_the_names_there_are(problem):
    """Names of Flax NNX end in '/value', so that a pattern with '$' finds nothing there."""
    mesh, params = MeshConfig(fsdp=2).build(), {"out": {"kernel": {"value": np.zeros((4, 2))}}, "b": np.zeros(2)}
    rules = (Rule("kernel$", P("fsdp")), *FULLY_SHARDED)
    with pytest.raises(
        ValueError, match=r"got 'kernel\$', and none has it .*parameters are b, out/kernel/value; change"
    ):
        shardings(params, mesh, rules)
    with pytest.raises(ValueError, match="got 'z', and none has it in its name"):
        problem.run("run", rules=(Rule("z", P("fsdp")),))
    assert not (problem.folder / "run").exists()
    late = (*FULLY_SHARDED, Rule("kernel", P("fsdp")))
    with pytest.raises(ValueError, match="got 'kernel', and an earlier rule holds for out/kernel/value and its like"):
        shardings(params, mesh, late)
    for_many = (Rule("kernel$", P("fsdp"), optional=True), Rule("kernel", P(None, "fsdp")), *FULLY_SHARDED)
    assert shardings(params, mesh, for_many)["out"]["kernel"]["value"].spec == P(None, "fsdp")
    assert shardings({"w": np.zeros(2)}, mesh, (Rule("w", P("fsdp")), *FULLY_SHARDED))["w"].spec == P("fsdp")


def test_rules_that_cannot_be_are_refused_by_name():
    mesh, params = MeshConfig().build(), {"linear": {"b": np.zeros(4)}}
    with pytest.raises(
        ValueError, match=r"wanted an axis of the mesh, data, fsdp, model, got 'tensor' in the rule 'b'"
    ):
        shardings(params, mesh, [Rule("b", P("tensor"))])
    with pytest.raises(ValueError, match=r"'linear' to split at most the 1 dimensions of linear/b"):
        shardings(params, mesh, [Rule("linear", P(None, "model"))])
    with pytest.raises(ValueError, match=r"wanted a regular expression, got '\('"):
        Rule("(", P())


def test_a_state_is_described_with_its_bytes_on_each_device(capsys):
    mesh, params = MeshConfig(fsdp=4, model=2).build(), init(jax.random.key(0))[0]
    describe(jax.device_put(params, shardings(params, mesh, TENSOR_PARALLEL)))
    rows = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["array", "shape", "split", "bytes per device"]
    assert ["in/w", "float32[16,32]", "P('fsdp', 'model')", str(16 * 32 * 4 // 8)] in rows
    assert ["out/b", "float32[5]", "on 8 devices", "20"] in rows
    assert rows[-1][-1] == str(256 + 64 + 20 + 32 * 5 * 4 // 2)


def test_the_optimizers_state_of_a_single_array_follows_it():
    params = jnp.zeros((8, 3))
    state = TrainState(jnp.zeros((), jnp.int32), params, {}, optax.adam(0.1).init(params))
    placed = state_shardings(state, MeshConfig(fsdp=8).build(), FULLY_SHARDED)
    specs = [sharding.spec for sharding in jax.tree.leaves(placed.opt_state)]
    assert placed.params.spec == P("fsdp") and specs == [P(), P("fsdp"), P("fsdp")]
