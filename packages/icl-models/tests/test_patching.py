"""Inner values carried from one run of a model into another, against the two runs by themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import IdentityEncoder, PreviousLabel, SequenceClassifier, Transformer, instrument, patching

B, S, X, V, H, LAYERS = 3, 5, 4, 3, 2, 2
NAMES = [f"block_{layer}/residual" for layer in range(LAYERS)]


@pytest.fixture(scope="module")
def runs():
    """Return a model's apply with its parameters, far from their start, and the arguments of two runs."""
    trunk = Transformer(layers=LAYERS, heads=H)
    model = SequenceClassifier(
        num_labels=V, encoder=IdentityEncoder(), layout=PreviousLabel(), trunk=trunk, width=8
    ).build()
    rng = np.random.default_rng(0)
    items, labels = rng.normal(size=(2, B, S, X)).astype(np.float32), rng.integers(0, V, (2, B, S), dtype=np.int32)
    params, state = jax.eval_shape(model.init, jax.random.key(0), items[0], labels[0])
    params = jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), jnp.float32), params)

    def apply(items, labels):
        return model.apply(params, state, None, items, labels)[0]

    return apply, *zip(items, labels, strict=True)


def test_nothing_taken_is_the_second_run_and_all_is_the_first(runs):
    apply, first, second = runs
    run = jax.jit(patching(apply, names=NAMES))
    nothing = np.zeros((LAYERS, S), bool)
    np.testing.assert_allclose(run(first, second, nothing), apply(*second), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run(first, second, ~nothing), apply(*first), rtol=1e-5, atol=1e-6)
    assert np.abs(np.asarray(apply(*first)) - np.asarray(apply(*second))).min() > 1e-3


@pytest.mark.parametrize(("layer", "token"), [(0, 0), (0, 3), (1, 4), (1, 2)])
def test_one_value_is_what_replaces_it_by_hand(runs, layer, token):
    apply, first, second = runs
    _, values = instrument(apply, capture=["*"])(*first)
    taken = values[NAMES[layer]][:, token]
    by_hand, _ = instrument(apply, replace={NAMES[layer]: lambda own: own.at[:, token].set(taken)})(*second)
    mask = np.zeros((LAYERS, S), bool)
    mask[layer, token] = True
    found = patching(apply, names=NAMES)(first, second, mask)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5, atol=1e-6)


def test_heads_are_taken_one_by_one(runs):
    apply, first, second = runs
    _, values = instrument(apply, capture=["*"])(*first)
    taken = values["block_1/heads"][:, 4, 1]
    by_hand, _ = instrument(apply, replace={"block_1/heads": lambda own: own.at[:, 4, 1].set(taken)})(*second)
    mask = np.zeros((1, S, H), bool)
    mask[0, 4, 1] = True
    found = patching(apply, names=["block_1/heads"])(first, second, mask)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "shape", "words"),
    [
        (NAMES, (1, S), r"mask must be bool \[2, 5\]"),
        (NAMES, (LAYERS, S + 1), r"got bool\[2, 6\]"),
        (["block_1/heads"], (1, S, H + 1), r"mask must be bool \[1, 5, 2\]"),
        (["block_1/heads", "block_1/residual"], (2, S, H), r"mask must be bool \[2, 5\] for block_1/residual"),
        (["block_1/attention"], (1, S), "of pairs of tokens"),
        (["block_9/residual"], (1, S), "matches nothing in this model"),
    ],
)
def test_what_does_not_fit_is_refused(runs, names, shape, words):
    apply, first, second = runs
    with pytest.raises(ValueError, match=words):
        patching(apply, names=names)(first, second, np.ones(shape, bool))
