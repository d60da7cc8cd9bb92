"""One-hot positions (Reddy 2023): places in a row, from a random one on, behind the tokens."""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import (
    IdentityEncoder,
    OneHotPositions,
    PreviousLabel,
    SequenceClassifier,
    Transformer,
    from_json,
    state_size,
    to_json,
)
from icl_models.positions import add_positions

ADDED = hk.transform(lambda tokens, dropout: add_positions(jnp.asarray(tokens), OneHotPositions(7), dropout=dropout))
TOKENS = np.arange(600 * 4 * 3, dtype=np.float32).reshape(600, 4, 3)


def test_each_sequence_begins_at_a_place_of_its_own_and_goes_on_by_one():
    found = np.asarray(ADDED.apply({}, jax.random.key(0), TOKENS, 0.0))
    assert found.shape == (600, 4, 10) and np.array_equal(found[:, :, :3], TOKENS)
    one_hot = found[:, :, 3:]
    assert (one_hot.sum(axis=2) == 1).all() and set(np.unique(one_hot)) == {0, 1}
    places = one_hot.argmax(axis=2)
    assert (np.diff(places, axis=1) == 1).all()
    counted = np.bincount(places[:, 0], minlength=4)
    assert len(counted) == 4 and np.abs(counted - 150).max() < 5 * np.sqrt(600 * 3 / 16)


def test_without_a_key_they_begin_at_the_first():
    found = np.asarray(ADDED.apply({}, None, TOKENS, 0.0))
    assert np.array_equal(found[:, :, 3:], np.broadcast_to(np.eye(7)[:4], (600, 4, 7)))


def test_dropout_leaves_out_some_of_them():
    one_hot = np.asarray(ADDED.apply({}, jax.random.key(0), TOKENS, 0.25))[:, :, 3:]
    assert abs((one_hot.sum(axis=2) == 0).mean() - 0.25) < 0.05


MODEL = SequenceClassifier(
    num_labels=3,
    encoder=IdentityEncoder(),
    layout=PreviousLabel(),
    trunk=Transformer(layers=1, heads=1),
    width=5,
    positions=OneHotPositions(11),
)


def test_a_model_has_tokens_that_are_wider_and_survives_its_run_folder():
    items, labels = jnp.ones((2, 4, 5)), jnp.zeros((2, 4), jnp.int32)
    params, state = jax.jit(MODEL.build().init)(jax.random.key(0), items, labels)
    assert any(16 in leaf.shape for leaf in jax.tree.leaves(params))
    logits, _ = jax.jit(MODEL.build().apply)(params, state, jax.random.key(1), items, labels)
    assert logits.shape == (2, 3)
    assert from_json(to_json(MODEL)) == MODEL
    plain = dataclasses.replace(MODEL, positions="none", width=16)
    assert state_size(MODEL, 4) == state_size(plain, 4)


def test_more_tokens_than_places_and_no_places_are_refused():
    with pytest.raises(ValueError, match=r"at most 7 tokens, got 9; give them length=9"):
        ADDED.apply({}, None, jnp.ones((1, 9, 3)), 0.0)
    with pytest.raises(ValueError, match="length must be at least 1"):
        OneHotPositions(0)
