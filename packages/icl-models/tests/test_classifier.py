"""One table of models; each row runs through the same suite."""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import ConvEncoder, LinearEncoder, SequenceClassifier, Transformer, interleave
from icl_models.transformer import sinusoidal_positions

B, S, H, V = 3, 5, 12, 7
MODELS = {
    "conv": SequenceClassifier(num_labels=V, width=16, trunk=Transformer(heads=4)),
    "conv, one layer": SequenceClassifier(
        num_labels=V,
        encoder=ConvEncoder(channels=(4,), kernels=(3,), strides=(2,)),
        trunk=Transformer(layers=1),
        width=8,
    ),
    "linear": SequenceClassifier(
        num_labels=V, encoder=LinearEncoder(), trunk=Transformer(layers=3, heads=1, widening=2), width=10
    ),
}


@pytest.fixture(params=MODELS, scope="module")
def built(request):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (B, S, H, H), dtype=np.uint8)
    labels = rng.integers(0, V, (B, S), dtype=np.int32)
    model = MODELS[request.param].build()
    params, state = model.init(jax.random.key(0), images, labels)
    # Away from the symmetric start (zero offsets), so that no gradient vanishes by accident.
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return model, jax.tree.unflatten(tree, leaves), state, images, labels


def logits_of(built, images=None, labels=None):
    model, params, state, own_images, own_labels = built
    images = own_images if images is None else images
    return model.apply(params, state, None, images, own_labels if labels is None else labels)[0]


def test_shape_dtype_and_jit(built):
    model, params, state, images, labels = built
    logits = logits_of(built)
    assert (logits.shape, logits.dtype) == ((B, V), jnp.float32)
    calls = 0

    @jax.jit
    def jitted(params, images, labels):
        nonlocal calls
        calls += 1
        return model.apply(params, state, None, images, labels)[0]

    np.testing.assert_allclose(jitted(params, images, labels), logits, rtol=2e-4, atol=2e-5)
    jitted(params, images[::-1].copy(), labels)
    assert calls == 1  # no recompilation


def test_every_parameter_has_a_finite_gradient_that_is_not_zero(built):
    model, params, state, images, labels = built

    def loss(params):
        logits = model.apply(params, state, None, images, labels)[0]
        return jax.nn.log_softmax(logits)[:, 0].sum()

    for path, gradient in jax.tree_util.tree_leaves_with_path(jax.grad(loss)(params)):
        assert jnp.isfinite(gradient).all(), path
        # The offset of the keys shifts all scores of a query alike: softmax does not see it.
        if "key" not in str(path[0]) or "w" in str(path[1]):
            assert jnp.abs(gradient).max() > 1e-7, path


def test_sequences_do_not_see_each_other(built):
    images = built[-2]
    changed = images.copy()
    changed[1:] = 255 - changed[1:]
    np.testing.assert_allclose(logits_of(built, images=changed)[0], logits_of(built)[0], rtol=1e-5, atol=1e-5)
    assert not np.allclose(logits_of(built, images=changed)[1], logits_of(built)[1])


def test_the_querys_label_does_not_matter_and_every_other_does(built):
    labels = built[-1]
    for place in range(S):
        changed = labels.copy()
        changed[:, place] = (changed[:, place] + 1) % V
        same = np.array_equal(logits_of(built, labels=changed), logits_of(built))
        assert same == (place == S - 1), place


def test_every_image_matters(built):
    images = built[-2]
    for place in range(S):
        changed = images.copy()
        changed[:, place] = 255 - changed[:, place]
        assert not np.allclose(logits_of(built, images=changed), logits_of(built), atol=1e-6), place


@pytest.mark.parametrize("layers", [1, 2])
def test_the_trunk_is_causal_by_gradients(layers):
    T, D = 6, 8
    tokens = jax.random.normal(jax.random.key(0), (1, T, D))
    trunk = hk.transform(lambda tokens: Transformer(layers=layers, heads=2).apply(tokens))
    params = trunk.init(jax.random.key(1), tokens)
    # d output[t] / d token[s], summed over the width.
    jacobian = jax.jacobian(lambda tokens: trunk.apply(params, None, tokens)[0])(tokens)[:, :, 0]
    influence = jnp.abs(jacobian).sum((1, 3))
    later = np.triu(np.ones((T, T), bool), k=1)
    assert (influence[later] == 0).all()
    assert (influence[~later] > 1e-6).all()


def test_interleave_lays_out_item_label_item():
    items = jnp.arange(6.0).reshape(1, 3, 2)
    labels = 100 + jnp.arange(4.0).reshape(1, 2, 2)
    assert interleave(items, labels)[0, :, 0].tolist() == [0, 100, 2, 102, 4]


def test_positions_follow_the_formula():
    positions = sinusoidal_positions(5, 6)[0]
    for t in range(5):
        angles = [t / 30 ** (2 * i / 6) for i in range(3)]
        np.testing.assert_allclose(positions[t], [*np.sin(angles), *np.cos(angles)], rtol=1e-5, atol=1e-6)


def test_the_order_of_the_context_matters_through_positions_alone():
    # Without positions a one-layer query would be blind to the order; with them it is not.
    built_row = MODELS["conv"].build()
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (2, S, H, H), dtype=np.uint8), rng.integers(0, V, (2, S), dtype=np.int32)
    params, state = built_row.init(jax.random.key(0), images, labels)
    order = [2, 0, 3, 1, 4]
    one = built_row.apply(params, state, None, images, labels)[0]
    two = built_row.apply(params, state, None, images[:, order], labels[:, order])[0]
    assert not np.allclose(one, two, atol=1e-6)


def test_every_field_of_the_configuration_changes_something():
    base = MODELS["conv"]
    images, labels = np.zeros((1, S, H, H), np.uint8), np.zeros((1, S), np.int32)

    def describe(config):
        params, state = config.build().init(jax.random.key(0), images, labels)
        logits = config.build().apply(params, state, None, images, labels)[0]
        return str(jax.tree.map(jnp.shape, params)), logits.tolist()

    variants = [
        dataclasses.replace(base, num_labels=V + 1),
        dataclasses.replace(base, encoder=LinearEncoder()),
        dataclasses.replace(base, encoder=ConvEncoder(channels=(32, 64, 32))),
        dataclasses.replace(base, encoder=ConvEncoder(kernels=(5, 3, 3))),
        dataclasses.replace(base, encoder=ConvEncoder(strides=(2, 2, 2))),
        dataclasses.replace(base, trunk=Transformer(layers=1, heads=4)),
        dataclasses.replace(base, trunk=Transformer(heads=2)),
        dataclasses.replace(base, trunk=Transformer(heads=4, widening=2)),
        dataclasses.replace(base, width=24),
        dataclasses.replace(base, label_scale=0.3),
    ]
    descriptions = [describe(config) for config in (base, *variants)]
    assert all(one != two for i, one in enumerate(descriptions) for two in descriptions[:i])


def test_the_labels_start_with_the_scale_that_was_asked_for():
    config = SequenceClassifier(num_labels=500, width=32, label_scale=0.3, trunk=Transformer(heads=1))
    images, labels = np.zeros((1, 2, 8, 8), np.uint8), np.zeros((1, 2), np.int32)
    params, _ = config.build().init(jax.random.key(0), images, labels)
    # Haiku cuts the normal at two deviations and does not make up for it: 0.88 of the scale is left.
    assert abs(float(params["labels"]["embeddings"].std()) - 0.88 * 0.3) < 0.01


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvEncoder(channels=()), "one number of at least 1"),
        (lambda: ConvEncoder(kernels=(3, 3)), "one number of at least 1"),
        (lambda: ConvEncoder(strides=(2, 0, 2)), "one number of at least 1"),
        (lambda: Transformer(layers=0), "at least 1, got 0"),
        (lambda: SequenceClassifier(num_labels=0), "at least 1, got 0"),
    ],
)
def test_impossible_models_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_heads_must_divide_the_width():
    model = SequenceClassifier(num_labels=V, width=18, trunk=Transformer(heads=4)).build()
    with pytest.raises(ValueError, match="multiple of heads=4, got 18"):
        model.init(jax.random.key(0), np.zeros((1, S, H, H), np.uint8), np.zeros((1, S), np.int32))
