"""Queries, keys, values and scores by name; turned by place; with and without biases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import IdentityEncoder, PreviousLabel, SequenceClassifier, Transformer, instrument

B, S, X = 2, 6, 3


def built(**options):
    """Return a classifier with two heads of four numbers, its parameters and a batch."""
    trunk = Transformer(layers=2, heads=2, **options)
    config = SequenceClassifier(
        num_labels=3, encoder=IdentityEncoder(), layout=PreviousLabel(), trunk=trunk, width=8, positions="none"
    )
    rng = np.random.default_rng(0)
    items, labels = rng.normal(size=(B, S, X)).astype(np.float32), rng.integers(3, size=(B, S), dtype=np.int32)
    params, state = config.build().init(jax.random.key(0), items, labels)
    return config.build().apply, (params, state, None, items, labels)


def turned(vectors, base):
    """Return vectors turned as complex numbers, one token and one pair at a time."""
    found = np.array(vectors, np.float64)
    half = found.shape[-1] // 2
    for token in range(found.shape[1]):
        for pair in range(half):
            number = found[:, token, :, pair] + 1j * found[:, token, :, pair + half]
            number = number * np.exp(1j * token / base ** (2 * pair / found.shape[-1]))
            found[:, token, :, pair], found[:, token, :, pair + half] = number.real, number.imag
    return found


@pytest.mark.parametrize("rotary", [None, 10.0, 10_000.0])
@pytest.mark.parametrize("attention", ["softmax", "linear_mean"])
def test_scores_are_the_products_of_queries_and_keys_turned_by_their_places(rotary, attention):
    apply, arguments = built(rotary=rotary, attention=attention)
    names = ["block_1/query", "block_1/key", "block_1/value", "block_1/scores", "block_1/attention", "block_1/heads"]
    _, values = instrument(apply, capture=names)(*arguments)
    query, key, value, scores, weights, heads = (np.asarray(values[name], np.float64) for name in names)
    assert query.shape == key.shape == value.shape == (B, S, 2, 4) and scores.shape == (B, 2, S, S)
    if rotary is not None:
        query, key = turned(query, rotary), turned(key, rotary)
    wanted = np.einsum("bqhk,bshk->bhqs", query, key) / (2 if attention == "softmax" else 1)
    np.testing.assert_allclose(scores, wanted, atol=1e-5)
    seen = np.tril(np.ones((S, S)))
    shares = np.exp(wanted) * seen if attention == "softmax" else wanted * seen
    total = shares.sum(-1, keepdims=True) if attention == "softmax" else seen.sum(-1, keepdims=True)
    np.testing.assert_allclose(weights, shares / total, atol=1e-5)
    np.testing.assert_allclose(heads, np.einsum("bhqs,bshk->bqhk", shares / total, value), atol=1e-5)


def test_watching_scores_changes_nothing_and_replacing_them_does():
    apply, arguments = built(rotary=100.0)
    plain, _ = apply(*arguments)
    (watched, _), _ = instrument(apply, capture=["*/scores", "*/query"])(*arguments)
    np.testing.assert_allclose(watched, plain, atol=1e-5)
    first_alone = {"block_0/scores": lambda scores: scores.at[..., 1:].set(-1e9)}
    (_, _), values = instrument(apply, capture=["block_0/attention"], replace=first_alone)(*arguments)
    np.testing.assert_allclose(values["block_0/attention"][..., 0], 1, atol=1e-6)
    blind = {"block_0/value": jnp.zeros_like, "block_1/value": jnp.zeros_like}
    without = {"block_0/heads": jnp.zeros_like, "block_1/heads": jnp.zeros_like}
    one, other = (instrument(apply, replace=each)(*arguments)[0][0] for each in (blind, without))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_turned_attention_sees_distances_and_not_places():
    apply, (params, state, _, items, labels) = built(rotary=100.0)
    capture = instrument(apply, capture=["block_0/scores"])
    same = np.repeat(items[:, :1], S, axis=1), np.repeat(labels[:, :1], S, axis=1)
    _, values = capture(params, state, None, *same)
    scores = np.asarray(values["block_0/scores"])[:, :, 1:, 1:]  # the first token has no label before it
    for distance in range(S - 1):
        diagonal = np.diagonal(scores, -distance, 2, 3)
        np.testing.assert_allclose(diagonal, np.broadcast_to(diagonal[..., :1], diagonal.shape), atol=1e-5)
    assert np.ptp(scores[0, 0, -1]) > 1e-3


def test_queries_keys_and_values_go_without_biases_where_that_is_asked_for():
    _, (params, *_) = built(projection_bias=False)
    biased = {module.rpartition("/")[2] for module, arrays in params.items() if "b" in arrays}
    assert not biased & {"query", "key", "value"} and {"attention_out", "mlp_in", "mlp_out"} <= biased
    _, (params, *_) = built()
    assert {"query", "key", "value"} <= {
        module.rpartition("/")[2] for module, arrays in params.items() if "b" in arrays
    }


def test_what_cannot_be_turned_is_refused():
    with pytest.raises(ValueError, match="rotary must be a base above 1"):
        Transformer(rotary=1.0)
    with pytest.raises(ValueError, match="rotary turns two numbers of a key at a time, got 3"):
        built(rotary=10.0, key_size=3)
