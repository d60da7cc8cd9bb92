"""Typed random keys in the model state, as every dropout of Flax NNX has, are kept to the bit wherever a state goes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_train import EnsembleConfig, EverySteps, Member, TrainConfig, restore_model, train_ensemble


def with_keys(problem, impl, shape=()):
    """The problem with a key in its model state, split at every step, and as much noise as it says in the loss."""

    def init(rng):
        params, state = problem.init(rng)
        seed = jax.random.bits(jax.random.fold_in(rng, 1))
        return params, state | {"dropout": {"key": jax.random.split(jax.random.key(seed, impl=impl), shape)}}

    def loss_fn(params, model_state, rng, batch):
        key = model_state["dropout"]["key"]
        first = key.reshape(-1)[0]
        loss, (metrics, inner) = problem.loss_fn(params, {"mean": model_state["mean"]}, rng, batch)
        loss += jnp.sum(
            params["linear/~/w"] * jax.random.normal(jax.random.wrap_key_data(jax.random.key_data(first), impl=impl), 3)
        )
        new = jax.vmap(lambda one: jax.random.fold_in(one, 7))(key.reshape(-1)).reshape(key.shape)
        return loss, (metrics, inner | {"dropout": {"key": new}})

    return init, loss_fn


def bits(key):
    return np.asarray(jax.random.key_data(key)).tolist()


@pytest.mark.parametrize(("impl", "shape"), [("threefry2x32", ()), ("rbg", (2,))])
def test_a_key_is_restored_with_the_model_and_resumed_with(problem, impl, shape):
    init, loss_fn = with_keys(problem, impl, shape)
    whole = problem.run("whole", init=init, loss_fn=loss_fn, steps=6)
    problem.run("parts", init=init, loss_fn=loss_fn, steps=3)
    parts = problem.run("parts", init=init, loss_fn=loss_fn, steps=6, resume=True)
    assert problem.same(parts.state.params, whole.state.params)
    restored = restore_model(problem.folder / "parts", init=init).model_state["dropout"]["key"]
    assert restored.dtype == jax.random.key(0, impl=impl).dtype and restored.shape == shape
    assert bits(restored) == bits(whole.state.model_state["dropout"]["key"])
    assert bits(restored) != bits(init(jax.random.fold_in(jax.random.key(0), 0))[1]["dropout"]["key"])


def test_a_member_has_its_own_key(problem):
    init, loss_fn = with_keys(problem, "threefry2x32")
    members = [Member(seed, problem.Rows()) for seed in range(2)]
    result = train_ensemble(
        TrainConfig(steps=2, ensemble=EnsembleConfig(members=2)), init=init, loss_fn=loss_fn,
        optimizer=lambda _: optax.sgd(0.01), members=members, workdir=problem.folder / "run",
    )  # fmt: skip
    for member in (0, 1):
        restored = restore_model(problem.folder / "run", init=init, member=member).model_state["dropout"]["key"]
        assert bits(restored) == bits(result.state.model_state["dropout"]["key"][member])


def test_a_run_starts_from_the_key_of_another_unless_it_is_of_another_kind(problem, capsys):
    init, loss_fn = with_keys(problem, "threefry2x32")
    other = problem.run("other", init=init, loss_fn=loss_fn, steps=2)
    begun = []
    look = EverySteps(1, lambda _, state: begun.append(bits(state.model_state["dropout"]["key"])))
    arguments = {"steps": 1, "actions": [look], "init_from": problem.folder / "other"}
    problem.run("run", init=init, loss_fn=loss_fn, **arguments)
    expected = jax.random.fold_in(other.state.model_state["dropout"]["key"], 7)
    assert begun == [bits(expected)]
    assert "dropout" not in capsys.readouterr().err
    wider, loss_of_wider = with_keys(problem, "rbg")
    problem.run("wider", init=wider, loss_fn=loss_of_wider, **arguments)
    assert "model_state/dropout/key: uint32[2] in" in capsys.readouterr().err


def test_numbers_that_are_no_floats_are_not_cast_to_others(problem, capsys):
    """Bits of a key under the name of a parameter, say, would be huge numbers."""

    def counting(dtype):
        def loss_fn(params, model_state, rng, batch):
            loss, (metrics, inner) = problem.loss_fn(params, {"mean": model_state["mean"]}, rng, batch)
            return loss, (metrics, inner | {"count": model_state["count"]})

        def init(rng):
            params, state = problem.init(rng)
            return params, state | {"count": jnp.full(2, 5 if dtype == jnp.float32 else 9, dtype)}

        return {"init": init, "loss_fn": loss_fn}

    problem.run("other", steps=1, **counting(jnp.uint32))
    result = problem.run("run", steps=1, init_from=problem.folder / "other", **counting(jnp.float32))
    assert result.state.model_state["count"].tolist() == [5, 5]
    assert "model_state/count: uint32[2] in" in capsys.readouterr().err
