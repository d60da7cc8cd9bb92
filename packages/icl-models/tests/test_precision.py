import dataclasses
import functools
import re

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import (
    GRU,
    LSTM,
    MLP,
    Concatenated,
    ConvEncoder,
    EmbeddingEncoder,
    IdentityEncoder,
    LinearEncoder,
    OuterProductLSTM,
    PointRegressor,
    PreviousLabel,
    ResNetEncoder,
    SequenceClassifier,
    Transformer,
    VanillaRNN,
    every_item_cross_entropy,
    instrument,
    masked_squared_error,
    query_cross_entropy,
    weighted_cross_entropy,
)
from icl_models.encoders import resnet, stem
from icl_models.encoders.batch_norm import BatchNorm
from icl_models.encoders.convolution import conv_xla
from icl_models.encoders.encoders import to_unit_range
from icl_models.precision import computing_in, layer_norm, to_compute_dtype

B, S, V, D = 2, 4, 5, 16
BASE = SequenceClassifier(
    num_labels=V,
    encoder=LinearEncoder(),
    trunk=Transformer(layers=1, heads=2),
    width=D,
    label_init_std=1.0,
    compute_dtype="bfloat16",
)
VARIANTS = [
    {},
    {"trunk": Transformer(heads=2, mask="prefix", num_loops=2, dropout=0.1), "item_dropout": 0.1},
    {"trunk": Transformer(heads=2, attention="linear")},
    {"trunk": Transformer(heads=2, attention="linear_mean")},
    {"trunk": LSTM(), "position_dropout": 0.1},
    {"trunk": GRU()},
    {"trunk": VanillaRNN(), "positions": "learned"},
    {"trunk": OuterProductLSTM(), "layout": PreviousLabel()},
    {"trunk": MLP(), "layout": Concatenated()},
    {"encoder": ConvEncoder()},
    {"encoder": ResNetEncoder()},
    {"encoder": EmbeddingEncoder(num_items=9)},
    {"encoder": IdentityEncoder()},
]


def draw(config):
    rng = np.random.default_rng(0)
    if isinstance(config, PointRegressor):
        points = rng.normal(size=(B, S, 3)).astype(np.float32)
        return points[..., :2], points[..., 2:], np.arange(S)[None].repeat(B, 0) == S - 1
    images = rng.integers(0, 256, (B, S, 9, 9), dtype=np.uint8)
    items = {"EmbeddingEncoder": images[..., 0, 0] % 9, "IdentityEncoder": rng.normal(size=(B, S, D))}
    items["IdentityEncoder"] = items["IdentityEncoder"].astype(np.float32)
    return items.get(type(config.encoder).__name__, images), rng.integers(0, V, (B, S), dtype=np.int32)


def float_dtypes(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)}


@pytest.mark.lengthy
@pytest.mark.parametrize(
    "config",
    [
        *(dataclasses.replace(BASE, **change) for change in VARIANTS),
        PointRegressor(num_outputs=1, trunk=Transformer(mask="prefix", heads=2), width=D, compute_dtype="bfloat16"),
    ],
    ids=str,
)
def test_parameters_state_gradients_and_outputs_are_float32_and_what_is_between_bfloat16(config):
    model, inputs = config.build(), draw(config)
    params, state = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    assert float_dtypes(params) == {jnp.dtype("float32")}
    assert (
        params
        == jax.eval_shape(
            dataclasses.replace(config, compute_dtype="float32").build().init, jax.random.key(0), *inputs
        )[0]
    )

    def loss(params, state, key):
        (outputs, after), values = instrument(model.apply, capture="*")(params, state, key, *inputs, True)
        return outputs.sum(), (outputs, after, values)

    gradients, (outputs, after, values) = jax.eval_shape(jax.grad(loss, has_aux=True), params, state, jax.random.key(0))
    assert outputs.dtype == jnp.float32
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (gradients, after)) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), (params, state)
    )
    # Scores go into the softmax as they are multiplied up, and nothing is kept of them but the weights.
    scores = {name: value for name, value in values.items() if name.endswith("/scores")}
    assert float_dtypes(scores) <= {jnp.dtype("float32")}
    assert float_dtypes({name: values[name] for name in values.keys() - scores}) == {jnp.dtype("bfloat16")}


def wide_arrays(jaxpr):
    """List where a program has arrays of float64, those of its parts too; one number is a constant of Python's."""
    for equation in jaxpr.eqns:
        for part in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda part: hasattr(part, "eqns")):
            yield from (
                wide_arrays(getattr(part, "jaxpr", part)) if hasattr(getattr(part, "jaxpr", part), "eqns") else ()
            )
        yield from (
            str(equation)
            for variable in equation.outvars
            if variable.aval.dtype == jnp.float64 and variable.aval.size > 1
        )


@pytest.mark.lengthy
@pytest.mark.parametrize(
    "config",
    [
        *(dataclasses.replace(BASE, **change, compute_dtype="float32") for change in VARIANTS),
        PointRegressor(num_outputs=1, trunk=Transformer(mask="prefix", heads=2), width=D),
    ],
    ids=str,
)
def test_with_64_bits_switched_on_all_floats_are_of_32(config):
    model, inputs = config.build(), draw(config)
    # As NumPy makes them, where nobody has said otherwise.
    inputs = [part.astype(float) if np.issubdtype(part.dtype, np.floating) else part for part in inputs]
    with jax.enable_x64(True):
        params, state = jax.eval_shape(model.init, jax.random.key(0), *inputs)

        def loss(params, state, key):
            (outputs, after), values = instrument(model.apply, capture="*")(params, state, key, *inputs, True)
            return outputs.sum(), (outputs, after, values)

        program, results = jax.make_jaxpr(jax.value_and_grad(loss, has_aux=True), return_shape=True)(
            params, state, jax.random.key(0)
        )
    assert float_dtypes((params, state, results)) == {jnp.dtype("float32")}
    if not getattr(config, "item_dropout", 0) and not getattr(config, "position_dropout", 0):  # whose draws are wide
        # What was given may be so until it is cast.
        inside = [
            line for line in wide_arrays(program.jaxpr) if not re.search("= (convert_element_type|reshape)", line)
        ]
        assert not inside, inside[0]


def test_so_are_losses_and_measures():
    logits, labels = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), np.int64)
    targets, is_query = np.zeros((2, 3, 4)), np.ones((2, 3), bool)
    with jax.enable_x64(True):
        for loss, inputs in (
            (query_cross_entropy, (logits[:, -1], labels[:, -1])),
            (functools.partial(weighted_cross_entropy, context_weight=0.5), (logits, labels)),
            (every_item_cross_entropy, (logits, labels)),
            (masked_squared_error, (logits, targets, is_query)),
        ):
            assert float_dtypes(jax.eval_shape(loss, *inputs)) == {jnp.dtype("float32")}, loss


class BlockOfResNet:
    """The stem of the ResNet and one block: much sooner compiled than all of them."""

    def encode(self, images, /, *, width, is_training):
        maps = resnet._stem(to_unit_range(images), is_training)
        return resnet._block(maps, width, stride=2, project=True, is_training=is_training).mean((1, 2))


@pytest.mark.parametrize("encoder", [LinearEncoder(), BlockOfResNet()], ids=lambda encoder: type(encoder).__name__)
def test_it_is_close_to_float32(encoder):
    config = dataclasses.replace(BASE, encoder=encoder)
    inputs = draw(config)
    params, state = jax.eval_shape(config.build().init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32), params)
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state)
    logits = {}
    for dtype in ("float32", "bfloat16"):
        model = dataclasses.replace(config, compute_dtype=dtype).build()
        apply = jax.jit(lambda params, model=model: model.apply(params, state, None, *inputs, True))
        logits[dtype], after = apply(params)
        logits[dtype + " state"] = [leaf.ravel() for leaf in jax.tree.leaves(after)]
    scale = float(jnp.abs(logits["float32"]).max())
    np.testing.assert_allclose(logits["bfloat16"], logits["float32"], atol=0.05 * scale)
    assert not np.array_equal(logits["bfloat16"], logits["float32"])
    for one, two in zip(logits["bfloat16 state"], logits["float32 state"], strict=True):
        np.testing.assert_allclose(one, two, rtol=0.05, atol=0.15 * float(jnp.abs(two).max()))


def test_norms_count_in_float32():
    values = jnp.asarray(100 + np.random.default_rng(0).normal(size=(3, 64)), jnp.bfloat16)

    def norm(values):
        with computing_in("bfloat16"):
            return layer_norm(values, "norm")

    model = hk.transform(norm)
    params = model.init(jax.random.key(0), values)
    params["norm"]["scale"] *= 1.001  # which bfloat16 would round to 1
    wide = np.asarray(values, np.float32)
    expected = (wide - wide.mean(1, keepdims=True)) / wide.std(1, keepdims=True) * 1.001
    np.testing.assert_array_equal(model.apply(params, None, values), jnp.asarray(expected, jnp.bfloat16))


def test_batch_norms_count_in_float32():
    maps = jnp.asarray(30 + np.random.default_rng(0).normal(size=(4, 8, 8, 2)), jnp.bfloat16)

    def norm(maps):
        with computing_in("bfloat16"):
            return resnet._normalise(maps, "norm", True)

    model = hk.transform_with_state(norm)
    params, state = model.init(jax.random.key(0), maps)
    normal, state = model.apply(params, state, None, maps)
    wide = np.asarray(maps, np.float32)
    expected = (wide - wide.mean((0, 1, 2), keepdims=True)) / wide.std((0, 1, 2), keepdims=True)
    assert normal.dtype == jnp.bfloat16
    np.testing.assert_allclose(normal.astype(jnp.float32), expected, rtol=0.01, atol=0.01)
    np.testing.assert_allclose(state["norm/mean_ema"]["average"].ravel(), wide.mean((0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("make", stem.STEMS.values(), ids=stem.STEMS)
def test_stems_count_in_float32(make):
    images, weights = (
        jnp.asarray(np.random.default_rng(0).random(shape), jnp.bfloat16) for shape in ((5, 21, 21), (7, 7, 1, 8))
    )
    pooled, mean, variance = jax.jit(make)(images, weights)
    maps = np.asarray(conv_xla(images[..., None], weights, 2), np.float64)
    assert pooled.dtype == jnp.bfloat16
    np.testing.assert_allclose(mean, maps.mean((0, 1, 2)), rtol=2e-4)
    np.testing.assert_allclose(variance, maps.var((0, 1, 2)), rtol=0.01)


def test_the_scale_of_batch_norm_is_not_rounded():
    def norm():
        with computing_in("bfloat16"):
            return BatchNorm(2, "norm")(jnp.zeros(2), jnp.ones(2), True)[0]

    model = hk.transform_with_state(norm)
    params, state = model.init(jax.random.key(0))
    params["norm"]["scale"] *= 1.001
    np.testing.assert_allclose(model.apply(params, state, None)[0].ravel(), 1.001, rtol=1e-4)


def test_nothing_stays_on_after_an_error():
    def fail():
        with computing_in("bfloat16"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        hk.transform(fail).init(jax.random.key(0))
    assert to_compute_dtype(jnp.ones(())).dtype == jnp.float32
