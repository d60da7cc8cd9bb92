"""Interventions against loops that are slow and obvious, and against replacements written out by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_models import (
    LSTM,
    Ablate,
    Clamp,
    Concatenated,
    IdentityEncoder,
    Interleaved,
    Preserve,
    PreviousLabel,
    SequenceClassifier,
    Transformer,
    copied_logits,
    instrument,
    intervene,
    matching_pattern,
    query_cross_entropy,
)

B, S, V, D, H = 3, 5, 4, 8, 2
LAYOUTS = Interleaved(), Concatenated(), PreviousLabel()
CLASSES = np.array([[7, 9, 7, 3, 7], [1, 2, 3, 4, 5], [6, 6, 6, 6, 6]])
LABELS = np.array([[1, 0, 1, 3, 1], [0, 1, 2, 3, 0], [2, 2, 0, 2, 2]], np.int32)
CONFIG = SequenceClassifier(num_labels=V, encoder=IdentityEncoder(), trunk=Transformer(heads=H), width=D)


@functools.cache
def build(config):
    rng = np.random.default_rng(0)
    items = rng.normal(size=(B, S, D)).astype(np.float32)
    params, state = jax.eval_shape(config.build().init, jax.random.key(0), items, LABELS)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), jnp.float32), params)
    return params, state, None, items, LABELS


def logits_with(*interventions, config=CONFIG):
    return jax.jit(intervene(config, interventions))(*build(config), CLASSES)[0]


def logits_by_hand(replace, config=CONFIG):
    return jax.jit(instrument(config.build().apply, replace=replace))(*build(config))[0][0]


def values_of(*names, replace=None):
    return jax.jit(instrument(CONFIG.build().apply, capture=names, replace=replace))(*build(CONFIG))[1]


def slow_matching(layout):
    """Each item sees the labels of the items of its class before it, by loops over sequences and pairs."""
    items, shown = layout.item_tokens(S), layout.label_tokens(S)
    pattern = np.zeros((B, items[-1] + 1, items[-1] + 1))
    for b in range(B):
        for s in range(S):
            matches = [j for j in range(s) if CLASSES[b, j] == CLASSES[b, s]]
            for j in matches:
                pattern[b, items[s], shown[j]] = 1 / len(matches)
    return pattern


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: type(layout).__name__)
def test_a_match_is_each_label_of_an_earlier_item_of_the_class(layout):
    pattern, has_match = matching_pattern(CLASSES, layout)
    expected = slow_matching(layout)
    np.testing.assert_allclose(pattern, expected, atol=1e-7)
    np.testing.assert_array_equal(has_match, expected.sum(-1) > 0)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: type(layout).__name__)
def test_copying_adds_up_the_attention_of_heads_to_the_tokens_of_each_label(layout):
    items, shown = layout.item_tokens(S), layout.label_tokens(S)
    scores = np.random.default_rng(0).normal(size=(B, H, items[-1] + 1, items[-1] + 1))
    found = jax.nn.softmax(copied_logits(jnp.asarray(scores), LABELS, layout, num_labels=V))
    for b in range(B):
        for s in range(1, S):
            expected = np.zeros(V)
            for h in range(H):
                weights = np.exp([scores[b, h, items[s], shown[j]] for j in range(s)])
                for j, weight in enumerate(weights / weights.sum()):
                    expected[LABELS[b, j]] += weight / H
            np.testing.assert_allclose(found[b, s], expected, atol=1e-6)
    np.testing.assert_allclose(found[:, 0], 1 / V)


def test_clamped_heads_have_the_pattern_and_the_others_their_own():
    def before(attention):
        for token in range(1, attention.shape[-1]):
            attention = attention.at[:, 1, token].set(jnp.eye(attention.shape[-1])[token - 1])
        return attention.at[:, 1, 0].set(jnp.eye(attention.shape[-1])[0])

    def match(attention):
        for b, pattern in enumerate(slow_matching(Interleaved())):
            for token, row in enumerate(pattern):
                if row.any():
                    attention = attention.at[b, 0, token].set(row)
        return attention

    np.testing.assert_allclose(
        logits_with(Clamp(to="previous_token", layer=0, heads=(1,)), Clamp(to="match", layer=1, heads=(0,))),
        logits_by_hand({"block_0/attention": before, "block_1/attention": match}),
        atol=1e-5,
    )


def test_ablated_heads_give_nothing():
    alone = logits_by_hand({"block_1/heads": lambda heads: heads.at[:, :, 1].set(0)})
    np.testing.assert_allclose(logits_with(Ablate(layer=1, heads=(1,))), alone, atol=1e-6)
    none = logits_by_hand({"block_1/heads": jnp.zeros_like})
    np.testing.assert_allclose(logits_with(Ablate(layer=1)), none, atol=1e-6)


def test_the_logits_are_those_that_the_heads_copy_and_what_comes_after_is_not_trained():
    arguments = build(CONFIG)
    values = values_of("block_1/scores")
    expected = copied_logits(values["block_1/scores"][:, [1]], LABELS, Interleaved(), num_labels=V)[:, -1]
    apply = intervene(CONFIG, [Clamp(to="copy", layer=1, heads=(1,))])
    np.testing.assert_allclose(logits_with(Clamp(to="copy", layer=1, heads=(1,))), expected, atol=1e-5)

    def loss(params):
        return query_cross_entropy(apply(params, *arguments[1:], CLASSES)[0], LABELS[:, -1])[0]

    gradients = jax.jit(jax.grad(loss))(arguments[0])
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    after = gradients["classifier"]["w"], gradients["trunk/blocks/attention_out"]["w"][1]
    assert not any(jnp.any(leaf) for leaf in after)
    query = gradients["trunk/blocks/query"]["w"].reshape(2, D, H, D // H)
    assert jnp.any(query[1, :, 1]) and not jnp.any(query[1, :, 0]), "the scores of the head that copies, and no other"


@pytest.mark.parametrize("taps", [("query", "attention"), ("key", "value", "scores"), ("heads",)])
def test_what_is_preserved_is_from_a_pass_with_another_ablation(taps):
    first = values_of("block_1/*", replace={"block_0/heads": lambda heads: heads.at[:, :, 1].set(0)})

    def take(name):
        index = (slice(None),) * (1 if name in ("block_1/scores", "block_1/attention") else 2) + (0,)
        return lambda value: value.at[index].set(first[name][index])

    taken = Preserve(layer=1, heads=(0,), taps=taps, ablated_layer=0, ablated_heads=(1,))
    expected = logits_by_hand({f"block_1/{tap}": take(f"block_1/{tap}") for tap in taps})
    np.testing.assert_allclose(logits_with(taken), expected, atol=1e-5)


def test_a_head_keeps_what_it_has_in_the_whole_model_while_others_are_ablated():
    whole = values_of("block_1/attention")["block_1/attention"]
    expected = logits_by_hand({"block_0/heads": jnp.zeros_like, "block_1/attention": lambda _: whole})
    found = logits_with(Ablate(layer=0), Preserve(layer=1, taps=("attention",)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_preserved_of_the_whole_model_changes_nothing_and_nor_does_no_intervention():
    plain = jax.jit(CONFIG.build().apply)(*build(CONFIG))[0]
    np.testing.assert_array_equal(logits_with(), plain)
    everything = Preserve(layer=0, taps=("query", "key", "value", "attention", "heads"))
    np.testing.assert_allclose(logits_with(everything), plain, atol=1e-5)


def test_looped_blocks_are_changed_each_time_that_they_run():
    looped = SequenceClassifier(
        num_labels=V, encoder=IdentityEncoder(), trunk=Transformer(heads=H, num_loops=2), width=D, outputs="every_item"
    )
    expected = logits_by_hand({"loop_*/block_1/heads": jnp.zeros_like}, config=looped)
    found = logits_with(Ablate(layer=1), config=looped)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert logits_with(Clamp(to="copy", layer=0), config=looped).shape == (B, S, V)


@pytest.mark.parametrize(
    ("interventions", "trunk", "message"),
    [
        ([Ablate(layer=2)], Transformer(heads=H), r"wants layers that there are, got 2; the model has 0\.\.1"),
        ([Ablate(layer=0, heads=(0, 2))], Transformer(heads=H), r"got 2; a layer has 0\.\.1"),
        ([Preserve(layer=0, taps=("key",), ablated_layer=5)], Transformer(heads=H), r"got 5; the model has"),
        ([Ablate(layer=0)], LSTM(), "for heads of a Transformer, and the trunk is LSTM"),
        ([Clamp(to="copy", layer=0)] * 2, Transformer(heads=H), "copied once"),
        ([Clamp(to="copy", layer=0)], Transformer(heads=H, attention="linear"), "attention is linear"),
        ([Clamp(to="copy", layer=1), Clamp(to="match", layer=1)], Transformer(heads=H), "no effect; leave one"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(interventions, trunk, message):
    config = SequenceClassifier(num_labels=V, encoder=IdentityEncoder(), trunk=trunk, width=D)
    with pytest.raises(ValueError, match=message):
        intervene(config, interventions)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Clamp(to="elsewhere", layer=0), "previous_token, match, copy, got 'elsewhere'"),
        (lambda: Ablate(layer=-1), "counted from 0"),
        (lambda: Preserve(layer=0, taps=()), "taps must be some of query"),
        (lambda: Preserve(layer=0, taps=("key",), ablated_heads=(1,)), "wants the ablated_layer"),
    ],
)
def test_a_value_that_cannot_be_is_refused(make, message, unchecked):
    with pytest.raises(ValueError, match=message):
        make()
