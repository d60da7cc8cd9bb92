import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import MLP
from icl_models.capture import instrument

B, T, D = 2, 3, 4


def test_it_is_relu_layers_over_all_tokens():
    trunk = MLP(layers=2, hidden=5)
    model = hk.transform(lambda tokens: trunk.apply(tokens, is_query=jnp.zeros((B, T), bool), is_training=False))
    tokens = jax.random.normal(jax.random.key(0), (B, T, D))
    shapes = jax.eval_shape(model.init, jax.random.key(1), tokens)
    params = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=jnp.float32)).reshape(leaf.shape), shapes)
    outputs, values = jax.jit(instrument(model.apply, capture=["*"]))(params, None, tokens)
    first = np.maximum(np.asarray(tokens).reshape(B, T * D) @ params["layer_0"]["w"] + params["layer_0"]["b"][None], 0)
    second = np.maximum(first @ params["layer_1"]["w"] + params["layer_1"]["b"][None], 0)
    np.testing.assert_allclose(outputs, second[:, None], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(values["layer_0/hidden"], first, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(values["layer_1/hidden"], second, rtol=1e-5, atol=1e-6)
    assert trunk.is_causal is False
    assert trunk.state_size(T, D) == values["layer_0/hidden"].size // B


@pytest.mark.parametrize("numbers", [{"layers": 0}, {"hidden": 0}])
def test_impossible_layers_are_refused(numbers):
    with pytest.raises(ValueError, match="at least 1, got"):
        MLP(**numbers)
