import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import (
    Concatenated,
    ConvEncoder,
    EmbeddingEncoder,
    IdentityEncoder,
    Interleaved,
    LinearEncoder,
    PreviousLabel,
    SequenceClassifier,
    Transformer,
    instrument,
    interleave,
)
from icl_models.encoders.batch_norm import BatchNorm
from icl_models.positions import OneHotPositions, add_positions, sinusoidal_positions

B, S, H, V = 3, 5, 12, 7
BASE = SequenceClassifier(num_labels=V, encoder=LinearEncoder(), trunk=Transformer(layers=1, heads=4), width=16)


def draw(symbols=False):
    rng = np.random.default_rng(0)
    items = rng.integers(0, 256, (B, S) if symbols else (B, S, H, H), dtype=np.uint8)
    return items, rng.integers(0, V, (B, S), dtype=np.int32)


def start(config, *inputs):
    """Give the parameters as they are initially."""
    return jax.jit(config.build().init)(jax.random.key(0), *(inputs or draw()))[0]


def tokens(config, *inputs, key=None, is_training=False):
    """Give the model's tokens, and its parameters, all about 1."""
    inputs = inputs or draw()
    model = config.build()
    params, state = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)
    captured = instrument(model.apply, capture=["tokens"])
    return jax.jit(lambda key: captured(params, state, key, *inputs, is_training)[1]["tokens"])(key), params


def test_interleave_lays_out_item_label_item():
    items = jnp.arange(6.0).reshape(1, 3, 2)
    labels = 100 + jnp.arange(4.0).reshape(1, 2, 2)
    assert interleave(items, labels)[0, :, 0].tolist() == [0, 100, 2, 102, 4]


@pytest.mark.parametrize("layout", [Interleaved(), Concatenated(), PreviousLabel()])
def test_layouts_hold_what_they_say(layout):
    config = dataclasses.replace(BASE, encoder=IdentityEncoder(), layout=layout, positions="none")
    rng = np.random.default_rng(0)
    items, labels = rng.normal(size=(B, S, 16)).astype(np.float32), draw()[1]
    found, params = tokens(config, items, labels)
    assert found.shape == (B, layout.item_tokens(S)[-1] + 1, layout.token_width(16))
    for b in range(B):
        if isinstance(layout, PreviousLabel):
            one_hot = np.concatenate([np.zeros((1, V)), np.eye(V)[labels[b, :-1]]])
            matrix = params["tokens"]
            expected = np.concatenate([items[b], one_hot], axis=1) @ np.asarray(matrix["w"]) + np.asarray(matrix["b"])
        else:
            table = np.asarray(params["labels"]["embeddings"])
            vectors = [table[label] for label in labels[b, :-1]]
            if isinstance(layout, Concatenated):
                expected = np.concatenate([items[b], [*vectors, table[V]]], axis=1)
            else:
                pairs = [row for pair in zip(items[b], vectors, strict=False) for row in pair]
                expected = np.stack([*pairs, items[b, -1]])
        np.testing.assert_allclose(found[b], expected, rtol=1e-4, atol=1e-4)
    numbers = jnp.arange(float(found.shape[1])).reshape(1, -1, 1)
    # An item is predicted at its own token.
    assert tuple(layout.items(numbers)[0, :, 0].tolist()) == layout.item_tokens(S)


@pytest.mark.parametrize("layout", [Interleaved(), Concatenated(), PreviousLabel()])
def test_an_item_or_label_moves_the_token_that_is_said_to_hold_it_and_no_other(layout):
    config = dataclasses.replace(BASE, encoder=IdentityEncoder(), layout=layout)
    vectors, labels = np.random.default_rng(0).normal(size=(1, S, 16)).astype(np.float32), draw()[1][:1]
    # One sequence as it is, then with each item changed, then with each label.
    one_hot = np.concatenate([np.zeros((1, S), np.int32), np.eye(S, dtype=np.int32)])
    found, _ = tokens(
        config,
        np.concatenate([vectors + one_hot[..., None].astype(np.float32), vectors.repeat(S, 0)]),
        np.concatenate([labels.repeat(S + 1, 0), (labels + one_hot[1:]) % V]),
    )
    moved = [tuple(np.flatnonzero((row != found[0]).any(-1)).tolist()) for row in found[1:]]
    assert moved == [*((token,) for token in (*layout.item_tokens(S), *layout.label_tokens(S))), ()]
    assert (layout.item_tokens(1), layout.label_tokens(1)) == ((0,), ())


def test_positions_follow_the_formula():
    positions = sinusoidal_positions(5, 6)[0]
    for t in range(5):
        angles = [t / 30 ** (2 * i / 6) for i in range(3)]
        np.testing.assert_allclose(positions[t], [*np.sin(angles), *np.cos(angles)], rtol=1e-5, atol=1e-6)


def test_positions_are_added_to_the_tokens_or_learnt_or_left_out():
    bare, _ = tokens(dataclasses.replace(BASE, positions="none"))
    with_sines, _ = tokens(BASE)
    np.testing.assert_allclose(with_sines - bare, sinusoidal_positions(9, 16).repeat(B, 0), atol=1e-4)
    learnt, params = tokens(dataclasses.replace(BASE, positions="learned"))
    assert params["positions"]["embeddings"].shape == (9, 16)
    without = {path: leaves for path, leaves in params.items() if path != "positions"}
    assert set(without) == set(tokens(BASE)[1])
    encoded = draw()[0][:, 0].reshape(B, -1) / 255 @ np.asarray(params["encoder/linear"]["w"])
    encoded += np.asarray(params["encoder/linear"]["b"])
    np.testing.assert_allclose(learnt[:, 0] - encoded, params["positions"]["embeddings"][:1].repeat(B, 0), atol=1e-4)


def test_position_dropout_acts_in_training_alone_on_the_positions_of_each_sequence_apart():
    config = dataclasses.replace(BASE, position_dropout=0.25)
    bare, _ = tokens(dataclasses.replace(BASE, positions="none"))
    positions = sinusoidal_positions(9, 16).repeat(B, 0)
    evaluated, _ = tokens(config)
    np.testing.assert_allclose(evaluated - bare, positions, atol=1e-4)
    trained, _ = tokens(config, key=jax.random.key(0), is_training=True)
    share = np.asarray(trained - bare)[np.abs(positions) > 0.1] / positions[np.abs(positions) > 0.1]
    np.testing.assert_allclose(np.unique(share.round(2)), [0, 1.33])
    assert abs((share < 0.5).mean() - 0.25) < 0.1
    masks = np.abs(trained - bare) < 1e-4
    assert (masks[0] != masks[1]).any()
    dropped = hk.transform(lambda: add_positions(jnp.zeros((500, 4, 6)), "sinusoidal", dropout=0.25))
    assert abs((jax.jit(dropped.apply)({}, jax.random.key(0))[:, 1:] == 0).mean() - 0.25) < 0.02


@pytest.mark.parametrize("is_training", [False, True])
def test_item_dropout_is_noise_in_evaluation_too(is_training):
    config = dataclasses.replace(BASE, item_dropout=0.25, positions="none")
    clean, _ = tokens(BASE, is_training=is_training)
    clean -= sinusoidal_positions(9, 16)
    noisy, _ = tokens(config, key=jax.random.key(0), is_training=is_training)
    share = np.asarray(noisy / clean)
    np.testing.assert_allclose(share[:, 1::2], 1, atol=1e-3)  # labels
    np.testing.assert_allclose(np.unique(share[:, ::2].round(2)), [0, 1.33])
    assert abs((share[:, ::2] == 0).mean() - 0.25) < 0.1
    with pytest.raises(ValueError, match="PRNG"):
        tokens(config, is_training=is_training)


def test_the_head_computes_no_logits_that_are_thrown_away():
    inputs = draw()
    for outputs, shape in (("query", (B, V)), ("every_item", (B, S, V))):
        model = dataclasses.replace(BASE, outputs=outputs).build()
        params, state = jax.eval_shape(model.init, jax.random.key(0), *inputs)
        program = jax.make_jaxpr(lambda *inputs, model=model: model.apply(*inputs))(params, state, None, *inputs)
        products = [eqn.outvars[0].aval.shape for eqn in program.eqns if eqn.primitive.name == "dot_general"]
        assert [product for product in products if product[-1] == V] == [shape]


def test_under_a_prefix_mask_the_context_sees_itself_and_not_the_query():
    config = dataclasses.replace(BASE, trunk=Transformer(layers=1, heads=4, mask="prefix"))
    model, inputs = config.build(), draw()
    params, state = jax.jit(model.init)(jax.random.key(0), *inputs)
    captured = jax.jit(instrument(model.apply, capture=["block_0/attention"]))
    seen = captured(params, state, None, *inputs)[1]["block_0/attention"][0, 0] > 0
    expected = np.ones((9, 9), bool)
    expected[:-1, -1] = False
    np.testing.assert_array_equal(seen, expected)


class Normalising:
    """An encoder of a user's own, with batch norm: much sooner compiled than the ResNet."""

    def encode(self, images, /, *, width, is_training):
        rows = images.reshape(len(images), -1)[:, :width].astype(jnp.float32)
        factor, shift = BatchNorm(width, "norm")(rows.mean(0), rows.var(0), is_training)
        return factor[0, 0] * rows + shift[0, 0]


def test_training_enters_the_statistics_of_batch_norm_and_evaluation_uses_them():
    model = dataclasses.replace(BASE, encoder=Normalising()).build()
    images, labels = draw()
    params, state = jax.eval_shape(model.init, jax.random.key(0), images, labels)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)
    state = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), state)
    apply = jax.jit(model.apply, static_argnums=5)
    logits, same = apply(params, state, None, images, labels, False)
    jax.tree.map(np.testing.assert_array_equal, same, state)
    trained, new_state = apply(params, state, None, images, labels, True)
    assert not np.allclose(trained, logits)
    assert len(new_state) == 2
    for leaves in new_state.values():
        assert (leaves["counter"] == 2).all() and not np.isclose(leaves["average"], 1).any()


def program(config):
    """Give the text of the model's functions, traced but not compiled."""
    model = config.build()
    inputs = draw()
    init, (params, state) = jax.make_jaxpr(model.init, return_shape=True)(jax.random.key(0), *inputs)
    apply = jax.make_jaxpr(lambda params, state, key: model.apply(params, state, key, *inputs, True))
    return str(init), str(apply(params, state, jax.random.key(0)))


@pytest.mark.lengthy
def test_every_field_of_the_configuration_changes_something():
    changes = {
        "num_labels": [V + 1],
        "encoder": [
            ConvEncoder(),
            ConvEncoder(channels=(32, 64, 32)),
            ConvEncoder(kernels=(5, 3, 3)),
            ConvEncoder(strides=(2, 2, 2)),
        ],
        "layout": [Concatenated(), PreviousLabel()],
        "trunk": [
            dataclasses.replace(BASE.trunk, **change)
            for change in (
                {"layers": 2},
                {"heads": 2},
                {"key_size": 3},
                {"mlp_ratio": 2},
                {"mask": "prefix"},
                {"mask": "full"},
                {"mlp": False},
                {"num_loops": 2},
                {"dropout": 0.1},
            )
        ],
        "width": [24],
        "positions": ["learned", "none", OneHotPositions(16), OneHotPositions(32)],
        "outputs": ["every_item"],
        "label_init_std": [0.3],
        "item_dropout": [0.1],
        "position_dropout": [0.1],
        "compute_dtype": ["bfloat16"],
    }
    assert set(changes) == {field.name for field in dataclasses.fields(BASE)}
    variants = [dataclasses.replace(BASE, **{name: value}) for name, values in changes.items() for value in values]
    programs = [program(config) for config in (BASE, *variants)]
    assert len(set(programs)) == len(programs)
    assert program(BASE) == programs[0]


@pytest.mark.parametrize("encoder", [ConvEncoder(), LinearEncoder()])
def test_float_images_of_0_to_1_are_the_same_as_uint8(encoder):
    images = draw()[0].reshape(B * S, H, H)
    scaled = images.astype(np.float32) / 255
    model = hk.transform_with_state(lambda images: encoder.encode(images, width=16, is_training=False))
    params, state = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(images))
    random = np.random.default_rng(0)  # equal ones would leave a norm nothing but rounding
    params, state = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(leaf.dtype), (params, state))
    vectors = [jax.jit(model.apply)(params, state, None, jnp.asarray(form))[0] for form in (images, scaled)]
    np.testing.assert_allclose(*vectors, rtol=1e-4, atol=1e-4)


def test_symbols_start_with_the_scale_that_was_asked_for():
    config = dataclasses.replace(BASE, encoder=EmbeddingEncoder(num_items=256, scale=0.5))
    table = start(config, *draw(symbols=True))["encoder/items"]["embeddings"]
    assert abs(float(table.std()) - 0.88 * 0.5) < 0.02


def test_the_labels_start_with_the_scale_that_was_asked_for():
    params = start(dataclasses.replace(BASE, num_labels=500, label_init_std=0.3))
    # Haiku cuts the normal at two deviations and does not make up for it: 0.88 of the scale is left.
    assert abs(float(params["labels"]["embeddings"].std()) - 0.88 * 0.3) < 0.01


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvEncoder(channels=()), "one number of at least 1"),
        (lambda: ConvEncoder(kernels=(3, 3)), "one number of at least 1"),
        (lambda: ConvEncoder(strides=(2, 0, 2)), "one number of at least 1"),
        (lambda: EmbeddingEncoder(num_items=0), "at least 1"),
        (lambda: EmbeddingEncoder(num_items=3, scale=0.0), "above 0"),
        (lambda: SequenceClassifier(num_labels=0), "at least 1, got 0"),
        (lambda: SequenceClassifier(num_labels=3, width=0), "at least 1, got 3 and 0"),
        (lambda: SequenceClassifier(num_labels=3, label_init_std=0.0), "label_init_std must be above 0"),
        (lambda: SequenceClassifier(num_labels=3, item_dropout=1.0), "item_dropout must be at least 0 and below 1"),
        (lambda: SequenceClassifier(num_labels=3, position_dropout=-0.1), "position_dropout must be at least 0"),
    ],
)
def test_impossible_models_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dataclasses.replace(BASE, width=18), "multiple of heads=4, got 18"),
        (dataclasses.replace(BASE, width=15, trunk=Transformer(heads=3)), "even width, got 15"),
        (dataclasses.replace(BASE, encoder=IdentityEncoder()), r"float vectors, got uint8 of shape \(12, 12\)"),
    ],
)
def test_models_that_do_not_go_with_the_width_or_the_items_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(config.build().init, jax.random.key(0), *draw())
