import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import PointRegressor, Transformer, instrument

B, N, X, Y, D = 2, 5, 3, 2, 8
CONFIG = PointRegressor(num_outputs=Y, trunk=Transformer(layers=1, heads=2, mask="prefix"), width=D)


def draw():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(B, N, X + Y)).astype(np.float32)
    return points[..., :X], points[..., X:], rng.random((B, N)) < 0.4


def test_tokens_hold_the_point_and_the_flag_and_no_target_of_a_query():
    model, inputs = CONFIG.build(), draw()
    params, state = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)
    captured = jax.jit(instrument(model.apply, capture=["tokens", "block_0/residual"]))
    (predictions, _), values = captured(params, state, None, *inputs)
    matrix, offset = (np.asarray(params["tokens"][name]) for name in ("w", "b"))
    for b, n in np.ndindex(B, N):
        x, y, asks = (array[b, n] for array in inputs)
        expected = np.concatenate([x, 0 * y if asks else y, [asks]]) @ matrix + offset
        np.testing.assert_allclose(values["tokens"][b, n], expected, rtol=1e-4, atol=1e-4)
    stream = np.asarray(values["block_0/residual"], np.float64)
    stream = (stream - stream.mean(-1, keepdims=True)) / np.sqrt(stream.var(-1, keepdims=True) + 1e-5)
    stream = stream * np.asarray(params["trunk/final_norm"]["scale"]) + np.asarray(params["trunk/final_norm"]["offset"])
    head = params["regressor"]
    np.testing.assert_allclose(
        predictions, stream @ np.asarray(head["w"]) + np.asarray(head["b"]), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PointRegressor(num_outputs=0), "num_outputs and width must be at least 1, got 0 and 64"),
        (lambda: PointRegressor(num_outputs=1, width=0), "got 1 and 0"),
    ],
)
def test_impossible_ones_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
