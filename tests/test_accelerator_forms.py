"""What ``tools.accelerator_forms`` compares is the same function, in value and gradient."""

import functools
import json

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_models.encoders import resnet
from icl_models.trunks.attention import attend
from icl_train import OptimizerConfig
from tools.accelerator_candidates import attend_by_einsum, normalise_in_pairs, stacked
from tools.accelerator_forms import compare
from tools.accelerator_rows import in_turns


def draw(*shape):
    return jnp.asarray(np.random.default_rng(len(shape)).standard_normal(shape), jnp.float32)


def weighted(outputs):
    """Give a sum to which each number contributes differently."""
    return (outputs * jnp.cos(jnp.arange(outputs.size, dtype=jnp.float32)).reshape(outputs.shape)).sum()


def assert_close(ours, theirs):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), ours, theirs)


@pytest.mark.parametrize("is_training", [True, False])
def test_batch_norm_in_pairs_is_the_resnets_in_value_state_and_gradients(is_training):
    maps, results = 3 + 2 * draw(4, 5, 6, 8), []
    for normalise in (normalise_in_pairs, resnet._normalise):
        model = hk.transform_with_state(functools.partial(normalise, name="norm", is_training=is_training))
        params, state = model.init(jax.random.key(0), maps)
        params = jax.tree.map(lambda leaf: leaf + 0.3 * draw(*leaf.shape), params)

        def loss(params, maps, model=model, state=state):
            outputs, new_state = model.apply(params, state, None, maps)
            return weighted(outputs), (outputs, new_state)

        results.append(jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, maps))
    assert_close(*results)


def test_attention_by_einsum_is_causal_attention_in_value_and_gradients():
    inputs = draw(3, 2, 7, 4, 8)
    causal = functools.partial(attend, mask="causal", is_query=jnp.zeros((2, 7), bool))
    assert_close(
        *(
            jax.jit(jax.value_and_grad(lambda *inputs, form=form: weighted(form(*inputs)), (0, 1, 2)))(*inputs)
            for form in (attend_by_einsum, causal)
        )
    )


@pytest.mark.parametrize("together", [stacked, optax.flatten])
def test_adam_of_arrays_laid_together_takes_the_same_steps(together):
    params = {"a": draw(3, 4), "b": {"a": draw(4), "c": draw(3, 4) + 1}, "d": draw(4) - 1, "e": jnp.ones(())}
    adam = OptimizerConfig(clip_norm=0.5, weight_decay=0.1, warmup_steps=1).build(total_steps=9)
    results = []
    for optimizer in (together(adam), adam):
        state, current = optimizer.init(params), params
        for _ in range(3):
            updates, state = optimizer.update(jax.tree.map(jnp.sin, current), state, current)
            current = optax.apply_updates(current, updates)
        results.append(current)
    assert_close(*results)


def test_each_form_is_a_row_beside_the_plain_one_and_one_that_fails_is_left_out(capsys):
    def fail(values):
        raise NotImplementedError("no such kernel\nhere")

    compare("square", {"plain": jnp.square, "product": lambda values: values * values, "none": fail}, draw(3))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    one_way = ["none", "plain", "product"]  # what fails does so before anything is timed
    assert [row["what"] for row in rows] == [
        f"square, {way}: {name}" for way in ("forward", "both ways") for name in one_way
    ]
    assert rows[0]["measured"] == "left out" and rows[0]["beside"] == "no such kernel"
    assert rows[1]["beside"] == "" and "times as fast" in rows[2]["beside"]


def test_calls_take_turns():
    asked = []
    calls = {name: functools.partial(asked.append, name) for name in "ab"}
    assert set(in_turns(calls, turn=0, lasting=0)) == {"a", "b"}
    assert asked == ["a", "b", "a", "b"]  # once to see how long it takes
