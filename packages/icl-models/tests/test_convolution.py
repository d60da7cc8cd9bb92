import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models.encoders.convolution import CONVOLUTIONS, Convolution
from icl_models.encoders.forms import Forms, computing_by

SHAPES = [(28, 6, 4), (28, 3, 2), (27, 3, 1), (9, 1, 1), (10, 2, 3), (7, 3, 2)]


@pytest.mark.parametrize(("side", "kernel", "stride"), SHAPES)
def test_products_bands_and_library_agree_in_value_and_gradient(side, kernel, stride):
    keys = jax.random.split(jax.random.key(0), 2)
    maps = jax.random.normal(keys[0], (3, side, side + 2, 4))
    weights = jax.random.normal(keys[1], (kernel, kernel, 4, 5))

    def loss(convolve, maps, weights):
        outputs = convolve(maps, weights, stride)
        return (outputs * jnp.cos(jnp.arange(outputs.size, dtype=jnp.float32)).reshape(outputs.shape)).sum(), outputs

    results = [
        jax.jit(jax.grad(loss, argnums=(1, 2), has_aux=True), static_argnums=0)(convolve, maps, weights)
        for convolve in CONVOLUTIONS.values()
    ]
    for one, *others in zip(*map(jax.tree.leaves, results), strict=True):
        for other in others:
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-5 * float(jnp.abs(one).max()))


@pytest.mark.parametrize("convolve", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("kernel", [1, 3])
def test_half_precision_stays_half_precision(convolve, kernel):
    maps, weights = jnp.ones((2, 9, 9, 4), jnp.bfloat16), jnp.ones((kernel, kernel, 4, 5), jnp.bfloat16)
    assert jax.eval_shape(lambda *inputs: convolve(*inputs, 2), maps, weights).dtype == jnp.bfloat16
    gradients = jax.grad(lambda *inputs: convolve(*inputs, 2).sum().astype(jnp.float32), (0, 1))
    assert [gradient.dtype for gradient in jax.eval_shape(gradients, maps, weights)] == [jnp.bfloat16] * 2


@pytest.mark.parametrize("form", CONVOLUTIONS)
@pytest.mark.parametrize(("side", "kernel", "stride"), SHAPES)
def test_it_is_haikus_convolution(side, kernel, stride, form):
    maps = jax.random.normal(jax.random.key(0), (2, side, side, 3))

    def convolve(maps):
        with computing_by(Forms(convolution=form)):
            return Convolution(5, kernel, stride, name="conv")(maps)

    ours = hk.transform(convolve)
    theirs = hk.transform(lambda maps: hk.Conv2D(5, kernel, stride=stride, name="conv")(maps))
    params = jax.jit(ours.init)(jax.random.key(1), maps)
    theirs_params = jax.jit(theirs.init)(jax.random.key(1), maps)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, theirs_params)
    np.testing.assert_array_equal(params["conv"]["w"], theirs_params["conv"]["w"])  # the same initialisation, too
    np.testing.assert_allclose(
        jax.jit(ours.apply)(params, None, maps), jax.jit(theirs.apply)(params, None, maps), rtol=1e-5, atol=1e-5
    )
