import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import ReferenceClassifier

from icl_models import (
    GRU,
    LSTM,
    MLP,
    Concatenated,
    EmbeddingEncoder,
    OuterProductLSTM,
    PointRegressor,
    PreviousLabel,
    ResNetEncoder,
    SequenceClassifier,
    Transformer,
    VanillaRNN,
    instrument,
    parameter_count,
    state_size,
)

B, S, V, D = 2, 4, 7, 16


@pytest.mark.lengthy
@pytest.mark.parametrize(
    ("trunk", "name", "layers", "count"),
    [
        (Transformer, "transformer", 12, 831_479),
        (Transformer, "transformer", 2, 331_639),
        (LSTM, "lstm", 12, 627_831),
        (LSTM, "lstm", 2, 297_591),
        (VanillaRNN, "vanilla_rnn", 12, 331_383),
        (VanillaRNN, "vanilla_rnn", 2, 248_183),
    ],
)
def test_the_counts_are_those_of_the_paper(trunk, name, layers, count):
    # Built from the original code with its 1623 labels; the side of the images does not matter.
    images = jax.ShapeDtypeStruct((1, 9, 33, 33), jnp.uint8)
    config = SequenceClassifier(num_labels=1623, encoder=ResNetEncoder(), trunk=trunk(layers=layers))
    assert parameter_count(config, images) == count
    original = ReferenceClassifier(num_labels=1623, trunk=name, layers=layers).build()

    def init(images, labels):
        with jax.numpy_rank_promotion("allow"):  # it is written plainly
            return original.init(jax.random.key(0), images, labels, True)

    params, _ = jax.eval_shape(init, images, jax.ShapeDtypeStruct((1, 9), jnp.int32))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == count


def images(side):
    return np.zeros((B, S, side, side), np.uint8)


def vectors(width):
    return np.zeros((B, S, width), np.float32)


MODELS = {
    "classifier": (
        SequenceClassifier(
            num_labels=V,
            encoder=EmbeddingEncoder(num_items=5),
            layout=Concatenated(),
            trunk=Transformer(layers=2, heads=4, mlp=False),
            width=D,
        ),
        np.zeros((B, S), np.int32),
    ),
    "regressor": (
        PointRegressor(num_outputs=2, trunk=OuterProductLSTM(layers=1, hidden=6, key_size=5), width=D),
        np.zeros((B, S, 3), np.float32),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_count_is_that_of_the_initialised_model(name):
    config, items = MODELS[name]
    others = [np.zeros((B, S), np.int32)]
    if isinstance(config, PointRegressor):
        others = [np.zeros((B, S, 2), np.float32), np.zeros((B, S), bool)]
    params, _ = jax.jit(config.build().init)(jax.random.key(0), items, *others)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert parameter_count(config, items) == count
    assert parameter_count(config, jax.ShapeDtypeStruct(items.shape, items.dtype)) == count


def test_running_statistics_are_not_counted():
    config = SequenceClassifier(num_labels=V, encoder=ResNetEncoder(), trunk=MLP())
    params, state = jax.eval_shape(config.build().init, jax.random.key(0), images(33), np.zeros((B, S), np.int32))
    assert state
    assert parameter_count(config, images(33)) == sum(leaf.size for leaf in jax.tree.leaves(params))


def values_of(config, pattern):
    """Count the values by this name that one sequence has while the model runs."""
    model = config.build()

    def run(items, labels):
        params, state = model.init(jax.random.key(0), items, labels)
        return instrument(model.apply, capture=[pattern])(params, state, None, items, labels)[1]

    captured = jax.eval_shape(run, vectors(3), np.zeros((B, S), np.int32))
    return sum(value.size for value in captured.values()) // B


@pytest.mark.parametrize(
    "trunk",
    [Transformer(layers=3, heads=4), Transformer(heads=3, key_size=5), Transformer(layers=1, heads=2, num_loops=3)],
)
@pytest.mark.parametrize("layout", [Concatenated(), PreviousLabel()])
def test_a_transformers_state_is_what_its_heads_have_at_all_tokens(trunk, layout):
    # Heads give values [T, H, K], as many as there are in the keys.
    config = SequenceClassifier(num_labels=V, encoder=Wide(), layout=layout, trunk=trunk, width=D)
    assert state_size(config, S) == values_of(config, "*/heads")


class Wide:
    """An encoder of a user's own, which makes vectors of the width asked for by repetition."""

    def encode(self, items, /, *, width, is_training):
        return jnp.tile(items[:, :1], (1, width))


def test_state_sizes_by_hand():
    def interleaved(trunk):
        return SequenceClassifier(num_labels=V, trunk=trunk, width=64)

    assert state_size(interleaved(Transformer(layers=12)), 9) == 12 * 64 * 17
    linear = {"layers": 3, "heads": 4, "key_size": 10}
    assert state_size(interleaved(Transformer(**linear, attention="linear")), 9) == 3 * 4 * (10 * 10 + 10)
    assert state_size(interleaved(Transformer(**linear, attention="linear_mean")), 90) == 3 * 4 * 10 * 10
    assert state_size(interleaved(LSTM(layers=2, hidden=32)), 9) == 64
    assert state_size(interleaved(GRU(layers=2, hidden=32)), 9) == 64
    assert state_size(interleaved(VanillaRNN(layers=3, hidden=32)), 90) == 96
    assert state_size(interleaved(OuterProductLSTM(layers=2, hidden=32, key_size=8)), 9) == 2 * 32 * 8
    assert state_size(interleaved(MLP(layers=3, hidden=100)), 9) == 100
    assert state_size(PointRegressor(num_outputs=1, trunk=Transformer(mask="prefix"), width=64), 50) == 2 * 64 * 50


def test_what_cannot_be_counted_is_refused():
    config = MODELS["classifier"][0]
    with pytest.raises(ValueError, match=r"items must be \[B, S, \.\.\.\]"):
        parameter_count(config, np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        state_size(config, 0)
