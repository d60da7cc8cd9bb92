import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import LSTM, InterleavedPoints, PointRegressor, Transformer, instrument, masked_squared_error

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
        (lambda: PointRegressor(num_outputs=1, positions="rotary"), "positions must be one of"),
        (lambda: PointRegressor(num_outputs=1, layout=InterleavedPoints()), "read off its own target"),
    ],
)
def test_impossible_ones_are_refused(make, words, unchecked):
    with pytest.raises(ValueError, match=words):
        make()


CAUSAL = Transformer(layers=2, heads=2, mask="causal_context")


def made(config, *inputs):
    """Return the predictions of a model with parameters that are far from their start, as a function."""
    model, rng = config.build(), np.random.default_rng(1)
    params, state = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), jnp.float32), params)
    return jax.jit(lambda *inputs: model.apply(params, state, None, *inputs)[0])


@pytest.mark.parametrize("trunk", [CAUSAL, Transformer(layers=1, heads=2), LSTM(layers=1, hidden=6)])
@pytest.mark.parametrize("positions", ["none", "learned"])
def test_interleaved_every_point_is_predicted_from_those_before_it_and_no_more(trunk, positions):
    config = PointRegressor(num_outputs=Y, trunk=trunk, layout=InterleavedPoints(), positions=positions, width=D)
    inputs, targets, _ = draw()
    none = np.zeros((B, N), bool)
    predict = made(config, inputs, targets, none)
    whole = np.asarray(predict(inputs, targets, none))
    for n in range(N):
        later, own = inputs.copy(), targets.copy()
        later[:, n + 1 :], own[:, n:] = 7.0, -3.0  # all that a prediction must not depend on
        np.testing.assert_allclose(predict(later, own, none)[:, : n + 1], whole[:, : n + 1], rtol=1e-4, atol=1e-5)
        if n:
            before = targets.copy()
            before[:, n - 1] += 1.0
            assert np.abs(predict(inputs, before, none)[:, n] - whole[:, n]).min() > 1e-6


def test_interleaved_queries_are_predicted_from_the_context_before_them_alone():
    config = PointRegressor(num_outputs=Y, trunk=CAUSAL, layout=InterleavedPoints(), width=D)
    inputs, targets, is_query = draw()
    is_query[:] = [False, True, False, True, True]
    predict = made(config, inputs, targets, is_query)
    mixed = np.asarray(predict(inputs, np.where(is_query[..., None], np.nan, targets), is_query))
    none = np.zeros((B, N), bool)
    for n in range(N):  # by hand: the points before it that are context, then itself
        chosen = [*(place for place in range(n) if not is_query[0, place]), n]
        filled = chosen + [n] * (N - len(chosen))  # what comes after does not count; without positions nothing else
        alone = np.asarray(predict(inputs[:, filled], targets[:, filled], none))[:, len(chosen) - 1]
        np.testing.assert_allclose(mixed[:, n], alone, rtol=1e-4, atol=1e-5)


def test_interleaved_tokens_are_x_and_y_in_turn():
    config = PointRegressor(num_outputs=Y, trunk=CAUSAL, layout=InterleavedPoints(), width=D)
    inputs, targets, is_query = draw()
    model, rng = config.build(), np.random.default_rng(1)
    params, state = model.init(jax.random.key(0), inputs, targets, is_query)
    params["tokens"]["b"] = jnp.asarray(rng.normal(size=D), jnp.float32)
    _, values = instrument(model.apply, capture=["tokens"])(params, state, None, inputs, targets, is_query)
    matrix, offset = (np.asarray(params["tokens"][name]) for name in ("w", "b"))
    assert values["tokens"].shape == (B, 2 * N - 1, D)
    for b, n in np.ndindex(B, N):
        np.testing.assert_allclose(values["tokens"][b, 2 * n], inputs[b, n] @ matrix[:X] + offset, rtol=1e-4, atol=1e-5)
        if n < N - 1:
            y = 0 * targets[b, n] if is_query[b, n] else targets[b, n]
            np.testing.assert_allclose(values["tokens"][b, 2 * n + 1], y @ matrix[X:] + offset, rtol=1e-4, atol=1e-5)


def test_the_loss_of_every_point_is_that_of_all_as_queries():
    inputs, targets, _ = draw()
    predictions = inputs[..., :Y]
    loss, _ = masked_squared_error(predictions, targets, np.ones((B, N), bool))
    np.testing.assert_allclose(loss, np.mean((predictions - targets) ** 2), rtol=1e-6)
