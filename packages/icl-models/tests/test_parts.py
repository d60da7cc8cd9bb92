"""What does not fit is refused by name, when a model is made or at its ``init``: parts of one's own, and what is given.

jaxtyping's checks are off: a user has none.
"""

import functools
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import (
    LSTM,
    Concatenated,
    ConvEncoder,
    EmbeddingEncoder,
    IdentityEncoder,
    Interleaved,
    LinearEncoder,
    PointRegressor,
    ResNetEncoder,
    SequenceClassifier,
    Transformer,
    every_item_cross_entropy,
    from_json,
    masked_squared_error,
    query_cross_entropy,
    to_json,
    weighted_cross_entropy,
)

pytestmark = pytest.mark.usefixtures("unchecked")

B, S, V, D, SIDE = 2, 4, 5, 8, 12
N, X, Y = 6, 3, 2
VECTORS, LABELS = np.zeros((B, S, D), np.float32), np.zeros((B, S), np.int32)
IMAGES = np.zeros((B, S, SIDE, SIDE), np.uint8)
POINTS = np.zeros((B, N, X), np.float32), np.zeros((B, N, Y), np.float32), np.zeros((B, N), bool)


class Own:
    """A trunk of a user's own."""

    is_causal = True

    def __init__(self, change):
        self.change = change

    def apply(self, tokens, *, is_query, is_training):
        return self.change(tokens)

    def state_size(self, length, width):
        return 1


class Encoding:
    """An encoder of a user's own."""

    def __init__(self, change):
        self.change = change

    def encode(self, items, *, width, is_training):
        return self.change(items)


class Laid(Concatenated):
    """A layout of a user's own, which counts its tokens wrongly."""

    def item_tokens(self, num_items):
        return tuple(range(1, num_items + 1))


def classify(items=VECTORS, labels=LABELS, **parts):
    options = {"encoder": IdentityEncoder(), "trunk": Transformer(layers=1, heads=2)} | parts
    model = SequenceClassifier(num_labels=V, width=D, **options).build()
    return jax.eval_shape(model.init, jax.random.key(0), items, labels)


def regress(*points, **parts):
    return jax.eval_shape(PointRegressor(num_outputs=Y, **parts).build().init, jax.random.key(0), *points)


TOKENS = 2 * S - 1


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda tokens: tokens[:, :-1], f"float32[2, {TOKENS - 1}, 8]"),
        (lambda tokens: tokens[:, ::2], f"float32[2, {S}, 8]"),
        (lambda tokens: tokens[:, -1], "float32[2, 8]"),
        (lambda tokens: tokens[:1], f"float32[1, {TOKENS}, 8]"),
        (lambda tokens: tokens > 0, f"bool[2, {TOKENS}, 8]"),
        (lambda tokens: (tokens, None), "tuple"),
        (lambda tokens: None, "NoneType"),
    ],
)
def test_a_trunk_that_returns_something_else_than_an_output_for_each_token_is_refused(change, got):
    message = (
        f"Own must return outputs [B, T, E] or [B, 1, E], here floats [2, {TOKENS}, any] or [2, 1, any], got {got}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        classify(trunk=Own(change))
    with pytest.raises(ValueError, match=r"Own must return outputs \[B, T, E\], here"):
        classify(trunk=Own(change), outputs="every_item")
    with pytest.raises(ValueError, match=r"Own must return an output for each token, .*\[2, 6, any\], got"):
        regress(*POINTS, trunk=Own(change))


def test_a_trunk_may_have_a_width_of_its_own_or_one_output_in_all():
    for change, width in ((lambda tokens: tokens[..., :3], 3), (lambda tokens: tokens[:, -1:], 8)):
        assert classify(trunk=Own(change))[0]["classifier"]["w"].shape == (width, V)
    with pytest.raises(ValueError, match=r"Own must return outputs \[B, T, E\]"):
        classify(trunk=Own(lambda tokens: tokens[:, -1:]), outputs="every_item")


@pytest.mark.parametrize(
    "change",
    [
        lambda items: items[:, None],
        lambda items: jnp.zeros((len(items), 2, D)),
        lambda items: items[:, 0],
        lambda items: items[1:],
        lambda items: items.astype(int),
        lambda items: [items],
    ],
)
def test_an_encoder_that_returns_no_vector_for_each_item_is_refused(change):
    with pytest.raises(ValueError, match=r"Encoding must return vectors \[N, X\], here floats \[8, any\], got"):
        classify(encoder=Encoding(change))


def test_a_layout_that_does_not_do_what_it_says_is_refused():
    with pytest.raises(
        ValueError, match=r"Laid must return tokens \[B, T, D\] .* \[2, 5, 16\], got float32\[2, 4, 16\]"
    ):
        classify(layout=Laid())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"trunk": Transformer},
            r"trunk must be .*icl_models.Trunk, got the class Transformer; write Transformer\(...\)",
        ),
        (
            {"encoder": lambda items: items},
            r"encoder must be .*icl_models.Encoder, got <function.*, which lacks encode",
        ),
        (
            {"layout": "interleaved"},
            "layout must be .*icl_models.Layout, got 'interleaved', which lacks leaks_label, tok",
        ),
        ({"trunk": Encoding(len)}, "trunk must be .* lacks is_causal, apply, state_size"),
        ({"layout": Interleaved}, "got the class Interleaved"),
    ],
)
def test_what_is_no_part_is_refused_when_the_model_is_made(parts, message):
    with pytest.raises(TypeError, match=message):
        SequenceClassifier(num_labels=V, **parts)
    if "trunk" in parts:
        with pytest.raises(TypeError, match=message):
            PointRegressor(num_outputs=1, **parts)


@pytest.mark.parametrize("encoder", [ConvEncoder(), ResNetEncoder()])
@pytest.mark.parametrize(
    ("items", "message"),
    [
        (
            VECTORS,
            r"got float32 of shape \(8,\); use IdentityEncoder\(\) or LinearEncoder\(\) for items that are vectors",
        ),
        (np.zeros((B, S, 9, 9, 3), np.uint8), r"got uint8 of shape \(9, 9, 3\); make images in colour grey"),
        (LABELS, r"got int32 of shape \(\); use an EmbeddingEncoder"),
        (IMAGES.astype(np.int32), r"Images must be uint8 .* or floats .*, got int32\[8, 12, 12\]; use"),
    ],
)
def test_items_that_are_no_images_of_one_channel_are_refused(encoder, items, message):
    with pytest.raises(ValueError, match=message):
        classify(items, encoder=encoder)


def test_colour_and_vectors_go_where_the_errors_say():
    colour = np.zeros((B, S, 9, 9, 3), np.uint8)
    for items, encoder in (
        (colour.mean(-1).astype(colour.dtype), ConvEncoder()),
        (colour, LinearEncoder()),
        (VECTORS, LinearEncoder()),
        (VECTORS, IdentityEncoder()),
        (LABELS, EmbeddingEncoder(num_items=3)),
    ):
        classify(items, encoder=encoder)


@pytest.mark.parametrize("items", [VECTORS, IMAGES, LABELS.astype(np.float32)])
def test_symbols_are_integers(items):
    with pytest.raises(ValueError, match=r"items \[N\] of an EmbeddingEncoder must be integers \[any\], got"):
        classify(items, encoder=EmbeddingEncoder(num_items=3))


@pytest.mark.parametrize(
    ("labels", "got"),
    [
        (LABELS[:, :-1], "int32[2, 3]"),
        (LABELS[:, -1], "int32[2]"),
        (LABELS.astype(np.float32), "float32[2, 4]"),
        (LABELS > 0, "bool[2, 4]"),
        (np.eye(V, dtype=np.int32)[LABELS], "int32[2, 4, 5]"),
    ],
)
def test_labels_are_integers_one_for_each_item(labels, got):
    with pytest.raises(ValueError, match=re.escape(f"labels [B, S] must be integers [2, 4], got {got}; there is one")):
        classify(labels=labels)


def test_labels_of_any_integers_are_taken():
    for dtype in (np.uint8, np.int64):
        classify(labels=LABELS.astype(dtype))


@pytest.mark.parametrize(
    ("place", "array", "message"),
    [
        (0, POINTS[0][..., 0], r"inputs \[B, N, X\] must be floats \[any, any, any\], got float32\[2, 6\]; .* X is 1"),
        (1, POINTS[1][:, :-1], r"targets \[B, N, Y\] must be floats \[2, 6, 2\], got float32\[2, 5, 2\]"),
        (1, POINTS[1][..., :1], r"targets .* got float32\[2, 6, 1\]; Y is what num_outputs says"),
        (1, POINTS[1][..., 0], r"targets .* got float32\[2, 6\]"),
        (2, POINTS[2][0], r"is_query \[B, N\] must be booleans \[2, 6\], got bool\[6\]"),
        (2, POINTS[2].astype(np.int32), r"is_query .* must be booleans \[2, 6\], got int32\[2, 6\]"),
    ],
)
def test_points_of_other_shapes_are_refused(place, array, message):
    regress(*POINTS)
    with pytest.raises(ValueError, match=message):
        regress(*(array if number == place else part for number, part in enumerate(POINTS)))


LOGITS = np.zeros((B, S, V), np.float32)
weighted = functools.partial(weighted_cross_entropy, context_weight=0.5)


@pytest.mark.parametrize(
    ("loss", "inputs", "message"),
    [
        (
            query_cross_entropy,
            (LOGITS, LABELS),
            r'logits \[B, V\] must be .* got float32\[2, 4, 5\]; .*outputs="query"',
        ),
        (query_cross_entropy, (LOGITS[:, -1], LABELS), r"labels \[B\] must be integers \[2\], got int32\[2, 4\]"),
        (query_cross_entropy, (LOGITS[:, -1], LABELS[:, -1] / 1), r"integers \[2\], got float32\[2\]"),
        (weighted, (LOGITS[:, -1], LABELS[:, -1]), r'logits \[B, S, V\] must be .*; .*outputs="every_item"'),
        (
            every_item_cross_entropy,
            (LOGITS, LABELS[:, :1]),
            r"labels \[B, S\] must be integers \[2, 4\], got int32\[2, 1\]",
        ),
        (
            masked_squared_error,
            (POINTS[1][..., :1], *POINTS[1:]),
            r"targets .* floats \[2, 6, 1\], got float32\[2, 6, 2\]",
        ),
        (masked_squared_error, (*POINTS[1:], POINTS[2]), r"targets .* must be floats"),
        (masked_squared_error, (POINTS[1], POINTS[1], POINTS[2][..., None]), r"is_query .* got bool\[2, 6, 1\]"),
        (masked_squared_error, (POINTS[1][..., 0], POINTS[1][..., 0], POINTS[2]), r"predictions \[B, N, Y\] must be"),
    ],
)
def test_losses_broadcast_nothing(loss, inputs, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(loss, *inputs)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (SequenceClassifier(num_labels=V, encoder=IdentityEncoder(), trunk=LSTM(), width=D), (VECTORS, LABELS)),
        (PointRegressor(num_outputs=Y, trunk=LSTM()), POINTS),
    ],
    ids=["classifier", "regressor"],
)
def test_whether_it_is_training_is_known_when_a_model_is_traced(model, inputs):
    model = model.build()
    params, state = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    training = functools.partial(model.apply, is_training=True)  # as the error says
    jax.eval_shape(training, params, state, None, *inputs)
    for options, more in (({}, (True,)), ({"is_training": True}, ())):
        with pytest.raises(TypeError, match="is_training must be True or False where the model is traced"):
            jax.eval_shape(model.apply, params, state, None, *inputs, *more, **options)


def test_numbers_of_numpy_are_as_good_as_python_s():
    model = SequenceClassifier(num_labels=np.int64(V), trunk=LSTM(layers=np.int32(2)), item_dropout=np.float32(0.5))
    assert from_json(to_json(model)) == model
    assert {type(value) for value in (to_json(model)["num_labels"], to_json(model)["trunk"]["layers"])} == {int}


@pytest.mark.parametrize("option", ["-O", "-OO"])
def test_a_python_without_asserts_is_refused_since_haiku_needs_them(option):
    words = [sys.executable, option, "-c", "import icl_models"]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.match(r"ImportError: icl_models wants .* run without -O and -OO", result.stderr.splitlines()[-1])
