import functools
from unittest import mock

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import SimpleResNet

from icl_models import ResNetEncoder
from icl_models.encoders.batch_norm import BatchNorm
from icl_models.encoders.stem import stem_im2col, stem_xla

WIDTH = 64
# With few images, values that differ by less than rounding (under one maximum, about a zero of relu) can fall either
# way and move a gradient by more than that; with this seed there are none.
SEED = 4


def build(flatten):
    """Make ours and the oracle, of (images, is_training)."""
    channels = WIDTH // 16 if flatten else WIDTH
    ours = ResNetEncoder(flatten=flatten)
    return (
        hk.transform_with_state(lambda images, training: ours.encode(images, width=WIDTH, is_training=training)),
        hk.transform_with_state(lambda images, training: SimpleResNet(channels, flatten)(images[..., None], training)),
    )


def rename(tree):
    """Give what belongs to the reference the names of ours."""
    return {path.replace("simple_resnet", "resnet").replace("~/", ""): leaves for path, leaves in tree.items()}


@functools.cache
def draw_images(flatten):
    side = 97 if flatten else 33
    return jnp.asarray(np.random.default_rng(SEED).integers(0, 256, (5, side, side + 2), dtype=np.uint8))


@functools.cache
def begin(flatten):
    """Give the initial parameters of the reference, and the shapes of its state; once, as tracing it takes long."""
    images, init = draw_images(flatten) / 255, build(flatten)[1].init
    params = jax.jit(lambda key: init(key, images, True)[0])(jax.random.key(0))
    return params, jax.eval_shape(lambda key: init(key, images, True)[1], jax.random.key(0))


def draw(flatten):
    """Draw images, and parameters that are nowhere zero and in part negative, with a fresh state."""
    images, (params, state) = draw_images(flatten), begin(flatten)
    rng = np.random.default_rng(SEED)
    rng.integers(0, 256, images.shape, dtype=np.uint8)  # those numbers are the images
    params = jax.tree.map(
        lambda leaf: leaf + (0.5 if leaf.shape[0] == 1 else 0.05) * rng.standard_normal(leaf.shape, np.float32), params
    )
    assert (params["simple_resnet/~/initial_batchnorm"]["scale"] < 0).any()  # whose maxima are minima
    return images, params, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state)


def loss_and_gradients(model, params, state, images, training):
    """Give loss and new state, and the gradients of parameters and images, of one jitted call."""

    def loss(params, images):
        outputs, new_state = model.apply(params, state, None, images, training)
        return (outputs * jnp.cos(jnp.arange(outputs.size, dtype=jnp.float32)).reshape(outputs.shape)).sum(), new_state

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(params, images)


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


@pytest.mark.parametrize(("flatten", "backends"), [(False, ["cpu", "gpu"]), (True, ["cpu"])])
def test_it_is_the_reference_in_loss_gradients_and_state(flatten, backends):
    images, params, state = draw(flatten)
    ours, theirs = build(flatten)
    (their_loss, their_state), (their_gradients, their_of_images) = loss_and_gradients(
        theirs, params, state, images / 255, True
    )
    their_outputs = jax.jit(theirs.apply, static_argnums=4)(params, their_state, None, images[:3] / 255, False)[0]
    # Evaluated on other images than the step: of those, the running statistics are after one step the batch's own.
    for backend in backends:  # both ways are taken, wherever it is run
        with mock.patch.object(jax, "default_backend", lambda backend=backend: backend):
            (loss, new_state), (gradients, of_images) = loss_and_gradients(
                ours, rename(params), rename(state), images / 255, True
            )
            outputs, same = jax.jit(ours.apply, static_argnums=4)(rename(params), new_state, None, images[:3], False)
        assert_close([loss, new_state, of_images], [their_loss, rename(their_state), their_of_images])
        assert_close([outputs, same], [their_outputs, new_state])
        assert_close(gradients, rename(their_gradients))


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_parameters_and_state_are_those_of_the_reference(flatten, training):
    images, ours = draw_images(flatten), build(flatten)[0]
    of_ours = jax.eval_shape(lambda: ours.init(jax.random.key(0), images, training))
    for one, two in zip(of_ours, begin(flatten), strict=True):
        assert jax.tree.map(jnp.shape, one) == jax.tree.map(jnp.shape, rename(two))


def test_it_begins_as_the_reference():
    images, theirs = draw_images(flatten=False), begin(flatten=False)[0]
    # No model need be run for them: without a forward pass, this compiles in a second.
    params, state = jax.jit(lambda key: build(flatten=False)[0].init(key, images, True))(jax.random.key(0))
    for path, leaves in rename(theirs).items():
        for name, leaf in leaves.items():
            ours = params[path][name]
            if name == "w":
                scale = (leaf.shape[0] * leaf.shape[1] * leaf.shape[2]) ** -0.5
                assert np.abs(ours).max() <= 2.3 * scale  # a normal cut at two deviations, of variance scale ** 2
                assert abs(ours.std() / (0.88 * scale) - 1) < 4 / (2 * leaf.size) ** 0.5
            else:
                np.testing.assert_array_equal(ours, leaf)
    assert {float(leaves["average"].mean()) for path, leaves in state.items() if path.endswith("var_ema")} == {1}


def test_a_variance_that_rounds_to_less_than_nothing_is_nothing():
    def norm(variance):
        return BatchNorm(1, "norm")(jnp.ones(1), variance, True)

    model = hk.transform_with_state(norm)
    params, state = model.init(jax.random.key(0), jnp.ones(1))
    (factor, shift), state = model.apply(params, state, None, jnp.full(1, -1e-3))
    assert jnp.isfinite(factor).all() and jnp.isfinite(shift).all()
    assert state["norm/var_ema"]["average"].ravel().tolist() == [0]


@pytest.mark.parametrize(("count", "side"), [(1, 105), (6, 31), (5, 26), (4, 7)])
def test_stems_agree_in_value_and_gradient(count, side):
    keys = jax.random.split(jax.random.key(side), 2)
    images = jax.random.uniform(keys[0], (count, side, side + 1))
    weights = 0.2 * jax.random.normal(keys[1], (7, 7, 1, 8))

    def loss(stem, images, weights):
        outputs = stem(images, weights)
        return sum((leaf * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape)).sum() for leaf in outputs), outputs

    results = [
        jax.jit(jax.grad(loss, argnums=(1, 2), has_aux=True), static_argnums=0)(stem, images, weights)
        for stem in (stem_im2col, stem_xla)
    ]
    assert_close(*results)


def test_of_equal_positions_the_first_wins_the_gradient():
    weights = jnp.ones((7, 7, 1, 4))
    pixels = [
        jax.jit(jax.grad(lambda images, stem=stem: stem(images, weights).pooled.sum()))(jnp.ones((4, 40, 41)))
        for stem in (stem_im2col, stem_xla)
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
