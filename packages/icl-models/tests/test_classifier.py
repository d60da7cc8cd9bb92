"""One table of models; each row runs through the same suite."""

import dataclasses
import functools
from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import ConvEncoder, EmbeddingEncoder, LinearEncoder, SequenceClassifier, Transformer, interleave
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
    "embedding": SequenceClassifier(num_labels=V, encoder=EmbeddingEncoder(num_items=256), width=16),
}


@dataclasses.dataclass(frozen=True)
class Built:
    """A model with parameters, data, and its jitted function from (images, labels) to logits."""

    apply: Callable
    params: dict
    images: np.ndarray
    labels: np.ndarray

    def logits(self, *, images=None, labels=None):
        images = self.images if images is None else images
        return self.jitted(self.params, images, self.labels if labels is None else labels)

    @functools.cached_property
    def jitted(self):
        return jax.jit(self.apply)


def build(config, *, side=H):
    rng = np.random.default_rng(0)
    symbols = isinstance(config.encoder, EmbeddingEncoder)
    images = rng.integers(0, 256, (B, S) if symbols else (B, S, side, side), dtype=np.uint8)
    labels = rng.integers(0, V, (B, S), dtype=np.int32)
    model = config.build()
    params, state = jax.jit(model.init)(jax.random.key(0), images, labels)
    return Built(lambda params, *inputs: model.apply(params, state, None, *inputs)[0], params, images, labels)


@pytest.fixture(params=MODELS, scope="module")
def built(request):
    built = build(MODELS[request.param])
    # Away from the symmetric start (zero offsets), so that no gradient vanishes by accident.
    rng = np.random.default_rng(1)
    moved = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32), built.params)
    return dataclasses.replace(built, params=moved)


def test_shape_dtype_and_one_compilation(built):
    logits = built.logits()
    assert (logits.shape, logits.dtype) == ((B, V), jnp.float32)
    before = built.jitted._cache_size()
    built.logits(images=built.images[::-1].copy())
    assert built.jitted._cache_size() == before


def test_jit_changes_nothing(built):
    eager = built.apply(built.params, built.images, built.labels)
    np.testing.assert_allclose(built.logits(), eager, rtol=2e-4, atol=2e-5)


def test_every_parameter_has_a_finite_gradient_that_is_not_zero(built):
    def loss(params):
        return jax.nn.log_softmax(built.apply(params, built.images, built.labels))[:, 0].sum()

    for path, gradient in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(built.params)):
        assert jnp.isfinite(gradient).all(), path
        # The offset of the keys shifts all scores of a query alike: softmax does not see it.
        if "key" not in str(path[0]) or "w" in str(path[1]):
            assert jnp.abs(gradient).max() > 1e-7, path


def test_sequences_do_not_see_each_other(built):
    changed = built.images.copy()
    changed[1:] = 255 - changed[1:]
    np.testing.assert_allclose(built.logits(images=changed)[0], built.logits()[0], rtol=1e-5, atol=1e-5)
    assert not np.allclose(built.logits(images=changed)[1], built.logits()[1])


def test_the_querys_label_does_not_matter_and_every_other_does(built):
    for place in range(S):
        changed = built.labels.copy()
        changed[:, place] = (changed[:, place] + 1) % V
        same = np.array_equal(built.logits(labels=changed), built.logits())
        assert same == (place == S - 1), place


def test_every_image_matters(built):
    for place in range(S):
        changed = built.images.copy()
        changed[:, place] = 255 - changed[:, place]
        assert not np.allclose(built.logits(images=changed), built.logits(), atol=1e-6), place


@pytest.mark.parametrize("layers", [1, 2])
def test_the_trunk_is_causal_by_gradients(layers):
    T, D = 6, 8
    tokens = jax.random.normal(jax.random.key(0), (1, T, D))
    trunk = hk.transform(lambda tokens: Transformer(layers=layers, heads=2).apply(tokens))
    params = jax.jit(trunk.init)(jax.random.key(1), tokens)
    # d output[t] / d token[s], summed over the width.
    jacobian = jax.jit(jax.jacobian(lambda tokens: trunk.apply(params, None, tokens)[0]))(tokens)[:, :, 0]
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


def test_the_order_of_the_context_matters_through_positions():
    built = build(MODELS["conv"])
    order = [2, 0, 3, 1, 4]
    moved = built.logits(images=built.images[:, order], labels=built.labels[:, order])
    assert not np.allclose(moved, built.logits(), atol=1e-6)


def program(config):
    """Give the text of the model's functions, traced but not compiled."""
    model = config.build()
    images, labels = np.zeros((B, S, H, H), np.uint8), np.zeros((B, S), np.int32)
    init = jax.make_jaxpr(model.init)(jax.random.key(0), images, labels)
    params, state = jax.eval_shape(model.init, jax.random.key(0), images, labels)
    return str(init), str(jax.make_jaxpr(lambda *inputs: model.apply(*inputs))(params, state, None, images, labels))


def test_every_field_of_the_configuration_changes_something():
    base = MODELS["conv"]
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
    programs = [program(config) for config in (base, *variants)]
    assert len(set(programs)) == len(programs)
    assert program(base) == program(dataclasses.replace(base))


@pytest.mark.parametrize("name", ["conv", "linear"])
def test_float_images_of_0_to_1_are_the_same_as_uint8(name):
    built = build(MODELS[name])
    images = built.images.astype(np.float32) / 255
    np.testing.assert_allclose(built.logits(images=images), built.logits(), rtol=1e-5, atol=1e-5)


def test_symbols_start_with_the_scale_that_was_asked_for():
    table = build(SequenceClassifier(num_labels=V, encoder=EmbeddingEncoder(num_items=256, scale=0.5), width=16)).params
    assert abs(float(table["encoder/items"]["embeddings"].std()) - 0.88 * 0.5) < 0.02


def test_the_labels_start_with_the_scale_that_was_asked_for():
    config = SequenceClassifier(num_labels=500, width=32, label_scale=0.3, trunk=Transformer(heads=1))
    # Haiku cuts the normal at two deviations and does not make up for it: 0.88 of the scale is left.
    assert abs(float(build(config).params["labels"]["embeddings"].std()) - 0.88 * 0.3) < 0.01


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvEncoder(channels=()), "one number of at least 1"),
        (lambda: ConvEncoder(kernels=(3, 3)), "one number of at least 1"),
        (lambda: ConvEncoder(strides=(2, 0, 2)), "one number of at least 1"),
        (lambda: EmbeddingEncoder(num_items=0), "at least 1"),
        (lambda: EmbeddingEncoder(num_items=3, scale=0.0), "above 0"),
        (lambda: Transformer(layers=0), "at least 1, got 0"),
        (lambda: SequenceClassifier(num_labels=0), "at least 1, got 0"),
    ],
)
def test_impossible_models_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="multiple of heads=4, got 18"):
        build(SequenceClassifier(num_labels=V, width=18, trunk=Transformer(heads=4)))
