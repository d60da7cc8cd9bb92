"""The model of symbols: what it predicts from, its parameters, and its loss, against slow forms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import GRU, SymbolModel, Transformer, next_symbol_cross_entropy, parameter_count, state_size

B, T, V, D = 3, 7, 5, 8


def draw():
    return np.random.default_rng(0).integers(0, V, (B, T), dtype=np.int32)


@pytest.mark.parametrize("trunk", [Transformer(layers=2, heads=2), GRU(layers=1, hidden=6)])
@pytest.mark.parametrize("positions", ["none", "learned", "sinusoidal"])
def test_logits_are_of_the_next_symbol_from_all_up_to_this_one(trunk, positions):
    model, symbols = SymbolModel(num_symbols=V, trunk=trunk, width=D, positions=positions).build(), draw()
    params, state = model.init(jax.random.key(0), symbols)
    predict = jax.jit(lambda symbols: model.apply(params, state, None, symbols)[0])
    whole = np.asarray(predict(symbols))
    assert whole.shape == (B, T, V) and whole.dtype == np.float32
    for t in range(T):
        other = symbols.copy()
        other[:, t] = (other[:, t] + 1) % V
        moved = np.abs(np.asarray(predict(other)) - whole).max(axis=(0, 2))
        assert (moved[:t] < 1e-6).all() and moved[t] > 1e-6


def test_the_loss_is_the_mean_of_minus_log_of_what_came():
    symbols = draw()
    logits = np.random.default_rng(1).normal(size=(B, T, V)).astype(np.float32)
    loss, metrics = next_symbol_cross_entropy(logits, symbols)
    losses, hits = [], []
    for b in range(B):
        for t in range(1, T):
            weights = [math.exp(each) for each in logits[b, t - 1]]
            losses.append(-math.log(weights[symbols[b, t]] / sum(weights)))
            hits.append(max(range(V), key=weights.__getitem__) == symbols[b, t])
    assert float(loss) == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert float(metrics["accuracy"]) == pytest.approx(sum(hits) / len(hits))


def test_sizes_are_counted():
    config = SymbolModel(num_symbols=V, trunk=Transformer(layers=1, heads=1, mlp=False), width=D)
    table, positions, norms = V * D, T * D, 2 * 2 * D
    attention, classifier = 4 * (D * D + D), D * V + V
    wanted = table + positions + norms + attention + classifier
    assert parameter_count(config, jax.ShapeDtypeStruct((B, T), jnp.int32)) == wanted
    assert state_size(config, 11) == D * 11


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SymbolModel(num_symbols=1), "num_symbols must be at least 2"),
        (lambda: SymbolModel(num_symbols=3, trunk=Transformer(mask="full")), "use a causal one"),
        (lambda: SymbolModel(num_symbols=3, positions="rotary"), "positions must be one of"),
        (
            lambda: SymbolModel(num_symbols=3).build().init(jax.random.key(0), np.zeros((2, 3), np.float32)),
            "symbols \\[B, T\\] must be integers",
        ),
        (lambda: next_symbol_cross_entropy(np.zeros((2, 1, 3)), np.zeros((2, 1), int)), "at least 2"),
    ],
)
def test_what_cannot_be_is_refused(make, words, unchecked):
    with pytest.raises(ValueError, match=words):
        make()
