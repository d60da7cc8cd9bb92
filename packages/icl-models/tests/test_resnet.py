import functools
import itertools
import math

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import SimpleResNet

from icl_models import ResNetEncoder
from icl_models.encoders import resnet
from icl_models.encoders.batch_norm import BatchNorm
from icl_models.encoders.forms import Forms, computing_by
from icl_models.encoders.stem import STEMS

WIDTH = 64
# With few images, values that differ by less than rounding (under one maximum, about a zero of relu) can fall either
# way and move a gradient by more than that; with this seed there are none.
SEED = 5


def ours(images, training, flatten=False):
    return ResNetEncoder(flatten=flatten).encode(images, width=WIDTH, is_training=training)


def oracle(images, training, flatten=False):
    return SimpleResNet(WIDTH // 16 if flatten else WIDTH, flatten)(images[..., None], training)


def rename(tree):
    """Give what belongs to the oracle the names of ours."""
    return {path.replace("simple_res_net", "resnet").replace("~/", ""): leaves for path, leaves in tree.items()}


@functools.cache
def draw_images(side):
    return jnp.asarray(np.random.default_rng(SEED).integers(0, 256, (5, side, side + 2), dtype=np.uint8))


@functools.cache
def begin(function, *, flatten=False, training=True):
    """Give the shapes of parameters and state at the start, and the initialisers by name; nothing is computed."""
    initialisers = {}

    def note(creator, shape, dtype, init, context):
        initialisers[context.full_name] = init
        return creator(shape, dtype, init)

    def noted(images):
        with hk.custom_creator(note, state=True):
            return function(images, training, flatten)

    images = draw_images(97 if flatten else 33) / 255
    return jax.eval_shape(hk.transform_with_state(noted).init, jax.random.key(0), images), rename(initialisers)


def draw():
    """Draw images, and parameters of the oracle that are nowhere zero and in part negative, with a fresh state."""
    (params, state), _ = begin(oracle)
    rng = np.random.default_rng(SEED)

    def parameter(path, leaf):
        spread = math.prod(leaf.shape[:-1]) ** -0.5 if path[1].key == "w" else 0.5
        return jnp.asarray((path[1].key == "scale") + spread * rng.standard_normal(leaf.shape), jnp.float32)

    params = jax.tree_util.tree_map_with_path(parameter, params)
    assert (params["simple_res_net/~/initial_batchnorm"]["scale"] < 0).any()  # whose maxima are minima
    return draw_images(33), params, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state)


def loss_and_gradients(function, params, state, images):
    """Give loss, new state, and the gradients of parameters and images, of one jitted step of training."""
    model = hk.transform_with_state(function)

    def loss(params, images):
        outputs, new_state = model.apply(params, state, None, images, True)
        return (outputs * jnp.cos(jnp.arange(outputs.size, dtype=jnp.float32)).reshape(outputs.shape)).sum(), new_state

    (value, new_state), gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(params, images)
    return value, new_state, *gradients


def assert_close(ours, theirs):
    """Check that the difference is at most 1e-4 of the greatest entry of an array, or 1e-6 of that of all of them."""
    floor = 1e-6 * max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(theirs))
    jax.tree.map(
        lambda one, two: np.testing.assert_allclose(
            one, two, rtol=0, atol=max(1e-4 * float(jnp.abs(two).max()), floor)
        ),
        ours,
        theirs,
    )


@pytest.fixture(scope="module")
def step():
    """Give the inputs of a step of training, and what the oracle makes of them, under our names."""
    images, params, state = draw()
    loss, new_state, gradients, of_images = loss_and_gradients(oracle, params, state, images / 255)
    return (rename(params), rename(state), images / 255), (loss, rename(new_state), rename(gradients), of_images)


@pytest.mark.lengthy
@pytest.mark.parametrize(
    "forms",
    [Forms(), Forms(block="banded", stem="chunks"), Forms(block="product", stem="product")],
    ids=lambda forms: forms.block,
)
def test_it_is_the_reference_in_loss_gradients_and_state(forms, step):
    # In evaluation test_convert.py holds it to the reference.
    with computing_by(forms):
        loss, new_state, gradients, of_images = loss_and_gradients(ours, *step[0])
    their_loss, their_state, their_gradients, their_of_images = step[1]
    assert_close([loss, new_state, of_images], [their_loss, their_state, their_of_images])
    assert_close(gradients, their_gradients)


def test_laid_flat_its_last_map_has_rows_then_columns_then_channels(monkeypatch):
    monkeypatch.setattr(resnet, "_stem", lambda images, is_training: jnp.stack([images, -images], axis=-1))
    monkeypatch.setattr(resnet, "_block", lambda maps, *_: maps)
    images = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5)
    model = hk.transform(lambda images: resnet.ResNet(2, flatten=True)(images, True))
    places = list(itertools.product(range(4), range(5), (1, -1)))
    expected = [[sign * image[row, column] for row, column, sign in places] for image in images]
    np.testing.assert_array_equal(model.apply({}, None, jnp.asarray(images)), expected)


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_it_begins_as_the_reference(flatten, training):
    shapes, initialisers = begin(ours, flatten=flatten, training=training)
    their_shapes, theirs = begin(oracle, flatten=flatten)
    for one, two in zip(shapes, their_shapes, strict=True):
        assert jax.tree.map(jnp.shape, one) == jax.tree.map(jnp.shape, rename(two))
    assert {name for name in initialisers if not name.endswith("ema/average")} == set(theirs)
    for name, init in initialisers.items():
        if name.endswith("/w"):
            assert type(init) is type(theirs[name]) and vars(init) == pytest.approx(vars(theirs[name]))
        elif name.endswith("ema/average"):  # ours begins with one, so that making parameters runs no model
            assert init((3,), jnp.float32).tolist() == [name.endswith("var_ema/average")] * 3
        else:
            np.testing.assert_array_equal(init((3,), jnp.float32), theirs[name]((3,), jnp.float32))


def test_a_variance_that_rounds_to_less_than_nothing_is_nothing():
    def norm(variance):
        return BatchNorm(1, "norm")(jnp.ones(1), variance, True)

    model = hk.transform_with_state(norm)
    params, state = model.init(jax.random.key(0), jnp.ones(1))
    (factor, shift), state = model.apply(params, state, None, jnp.full(1, -1e-3))
    assert jnp.isfinite(factor).all() and jnp.isfinite(shift).all()
    assert state["norm/var_ema"]["average"].ravel().tolist() == [0]


@pytest.mark.parametrize("form", [form for form in STEMS if form != "xla"])
@pytest.mark.parametrize(("count", "side"), [(1, 105), (6, 31), (5, 26), (4, 7)])
def test_stems_agree_in_value_and_gradient(count, side, form):
    keys = jax.random.split(jax.random.key(side), 2)
    images = jax.random.uniform(keys[0], (count, side, side + 1))
    weights = 0.2 * jax.random.normal(keys[1], (7, 7, 1, 8))

    def loss(stem, images, weights):
        outputs = stem(images, weights)
        return sum((leaf * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape)).sum() for leaf in outputs), outputs

    results = [
        jax.jit(jax.grad(loss, argnums=(1, 2), has_aux=True), static_argnums=0)(stem, images, weights)
        for stem in (STEMS[form], STEMS["xla"])
    ]
    assert_close(*results)


@pytest.mark.parametrize("form", [form for form in STEMS if form != "xla"])
def test_of_equal_positions_the_first_wins_the_gradient(form):
    weights = jnp.ones((7, 7, 1, 4))
    pixels = [
        jax.jit(jax.grad(lambda images, stem=stem: stem(images, weights).pooled.sum()))(jnp.ones((4, 40, 41)))
        for stem in (STEMS[form], STEMS["xla"])
    ]
    np.testing.assert_allclose(*pixels, rtol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "side", "width", "words"),
    [
        (ResNetEncoder(flatten=True), 32, 64, "4 x 4"),
        (ResNetEncoder(flatten=True), 105, 80, "multiple of 64"),
        (ResNetEncoder(), 105, 62, "multiple of 4"),
    ],
)
def test_what_does_not_fit_is_refused(encoder, side, width, words):
    model = hk.transform_with_state(lambda images: encoder.encode(images, width=width, is_training=True))
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((2, side, side)))
