import dataclasses
import re

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import TENSOR_PARALLEL, IdentityEncoder, SequenceClassifier, Transformer, instrument
from icl_models.trunks.attention import visible

B, T, D = 2, 6, 8
IS_QUERY = np.array([[0, 0, 1, 0, 1, 1], [1, 0, 0, 0, 0, 0]], bool)


def build(trunk, *, spread=0.3):
    """Give the trunk as a function of parameters and a random key, in training, and its parameters."""
    rng = np.random.default_rng(0)
    tokens = jnp.asarray(rng.normal(size=(B, T, D)), jnp.float32)

    def forward(tokens, is_training):
        return trunk.apply(tokens, is_query=jnp.asarray(IS_QUERY), is_training=is_training)

    model = hk.transform(forward)
    params = jax.eval_shape(lambda key: model.init(key, tokens, False), jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.asarray(spread * rng.normal(size=leaf.shape), jnp.float32), params)
    return model, params, tokens


def sees(mask, query, key, is_query):
    """Tell the definition of a mask for one pair."""
    if mask == "causal":
        return key <= query
    if mask == "causal_context":
        return key == query or (key < query and not is_query[key])
    return mask == "full" or key == query or not is_query[key]


@pytest.mark.parametrize("mask", ["causal", "causal_context", "prefix", "full"])
def test_masks_are_as_defined_in_kernel_and_spelt_out(mask):
    expected = np.array([[[sees(mask, q, k, row) for k in range(T)] for q in range(T)] for row in IS_QUERY])
    np.testing.assert_array_equal(visible(mask, jnp.asarray(IS_QUERY)), expected)
    model, params, tokens = build(Transformer(layers=1, heads=2, mask=mask))

    def attention(tokens):
        return instrument(model.apply, capture=["*/attention"])(params, None, tokens, False)

    outputs, values = jax.jit(attention)(tokens)
    np.testing.assert_array_equal(values["block_0/attention"] > 0, np.broadcast_to(expected[:, None], (B, 2, T, T)))
    by_kernel = jax.jit(lambda tokens: model.apply(params, None, tokens, False))(tokens)
    np.testing.assert_allclose(by_kernel, outputs, rtol=1e-5, atol=1e-5)
    assert Transformer(mask=mask).is_causal == (not np.triu(expected, k=1).any())


def test_looped_is_the_stack_run_again():
    trunk = Transformer(layers=2, heads=2)
    model, params, tokens = build(dataclasses.replace(trunk, num_loops=3))
    once, _, _ = build(trunk)
    looped = jax.jit(lambda params, tokens: model.apply(params, None, tokens, False))(params, tokens)
    residual = instrument(once.apply, capture=["block_1/residual"])

    @jax.jit
    def run(tokens):
        return residual(params, None, tokens, False)

    for _ in range(3):
        outputs, values = run(tokens)
        tokens = values["block_1/residual"]
    np.testing.assert_allclose(looped, outputs, rtol=1e-3, atol=1e-4)


def test_loops_cost_no_parameters():
    shapes = [jax.tree.map(jnp.shape, build(Transformer(heads=2, num_loops=num_loops))[1]) for num_loops in (1, 3)]
    assert shapes[0] == shapes[1]


def test_tensor_parallel_splits_all_large_parameters_of_the_blocks_and_each_dimension_of_them():
    config = SequenceClassifier(
        num_labels=3, encoder=IdentityEncoder(), trunk=Transformer(layers=2, heads=3, key_size=5), width=D
    )
    items, labels = np.zeros((B, T, D), np.float32), np.zeros((B, T), np.int32)
    params, _ = jax.eval_shape(config.build().init, jax.random.key(0), items, labels)
    names = {f"{path}/{name}": leaf.shape for path, leaves in params.items() for name, leaf in leaves.items()}
    split = {}
    for pattern, axes in TENSOR_PARALLEL:
        matched = [name for name in names if re.search(pattern, name)]
        assert matched and not set(matched) & set(split)
        split |= dict.fromkeys(matched, axes)
    heads, hidden = 3 * 5, 4 * D
    for name, axes in split.items():
        layers, *sizes = names[name]
        assert (layers, axes[0], len(axes)) == (2, None, len(names[name]))
        assert [sizes[axis - 1] for axis, by in enumerate(axes) if by == "model"] in ([heads], [hidden]), name
        assert [sizes[axis - 1] for axis, by in enumerate(axes) if by == "fsdp"] == [D] * (len(axes) - 2), name
    # The others are offsets and norms of the stream, which all heads read.
    assert {leaf for name, leaf in names.items() if "blocks" in name and name not in split} == {(2, D)}


@pytest.mark.parametrize("num_loops", [1, 2])
def test_dropout_is_of_its_rate_and_acts_in_training_alone(num_loops):
    trunk = Transformer(layers=2, heads=2, dropout=0.25, num_loops=num_loops)
    model, params, tokens = build(trunk)
    apply = jax.jit(model.apply, static_argnums=3)
    np.testing.assert_array_equal(apply(params, None, tokens, False), apply(params, jax.random.key(1), tokens, False))
    one, again, other = (apply(params, jax.random.key(key), tokens, True) for key in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
    with pytest.raises(ValueError, match="PRNG"):
        apply(params, None, tokens, True)


def test_dropout_lets_the_rest_through_enlarged_and_differs_between_blocks_and_loops():
    # With no weights but the offset of attention, a block adds 1 everywhere, or 0 or 1 / (1 - rate).
    trunk = Transformer(layers=2, heads=2, mlp=False, dropout=0.25, num_loops=2)
    model, params, _ = build(trunk)
    params = jax.tree.map(jnp.zeros_like, params)
    params["blocks/attention_out"]["b"] += 1
    tokens = jnp.zeros((B, T, D))
    residuals = instrument(model.apply, capture=["*/residual"])
    _, values = jax.jit(lambda key: residuals(params, key, tokens, True))(jax.random.key(3))
    added = np.diff(
        np.stack([tokens, *(values[f"loop_{r}/block_{b}/residual"] for r in (0, 1) for b in (0, 1))]), axis=0
    )
    np.testing.assert_allclose(np.unique(added.round(4)), [0, 1.3333])
    assert abs((added == 0).mean() - 0.25) < 0.08
    assert len({part.tobytes() for part in added.round(3)}) == 4
    mlp, params, _ = build(Transformer(layers=1, heads=2, dropout=0.25))
    params = jax.tree.map(jnp.zeros_like, params)
    params["blocks/mlp_out"]["b"] += 1
    residual = instrument(mlp.apply, capture=["*/residual"])
    _, values = jax.jit(lambda key: residual(params, key, tokens, True))(jax.random.key(3))
    np.testing.assert_allclose(np.unique(values["block_0/residual"].round(4)), [0, 1.3333], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"heads": 0}, "heads must be at least 1"),
        ({"key_size": 0}, "key_size must be at least 1"),
        ({"mlp_ratio": 0}, "mlp_ratio must be at least 1"),
        ({"num_loops": 0}, "num_loops must be at least 1"),
        ({"dropout": 1.0}, "below 1, got 1.0"),
        ({"dropout": -0.1}, "at least 0"),
    ],
)
def test_impossible_ones_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Transformer(**options)


def test_heads_must_divide_the_width_unless_there_is_a_key_size():
    with pytest.raises(ValueError, match="multiple of heads=3, got 8; or give a key_size"):
        build(Transformer(heads=3))
    with pytest.raises(ValueError, match="multiple of heads=3"):
        Transformer(heads=3).state_size(5, 8)
    assert build(Transformer(heads=3, key_size=5))[1]["blocks/query"]["w"].shape == (2, 8, 15)


def test_state_size_counts_every_time_a_layer_runs():
    assert Transformer(layers=4, heads=8, key_size=32).state_size(100, 256) == 32 * 8 * 4 * 100
    assert Transformer(layers=4, heads=8, num_loops=3).state_size(10, 64) == 64 * 12 * 10
