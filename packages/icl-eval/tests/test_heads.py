import math

import jax
import numpy as np
import pytest

from icl_eval.attention.scores import (
    head_scores,
    induction_score,
    previous_token_score,
    same_class_score,
    uniform_scores,
)
from icl_eval.attention.token_positions import TokenPositions

INTERLEAVED = TokenPositions(range(0, 9, 2), range(1, 9, 2))  # item, label, item, ..., query
CONCATENATED = TokenPositions(range(5), range(4))  # an item with its label
PREVIOUS_LABEL = TokenPositions(range(5), range(1, 5))  # an item with the label of the one before
LAYOUTS = [INTERLEAVED, CONCATENATED, PREVIOUS_LABEL]


def random_attention(*shape: int, tokens: int, seed: int = 0) -> np.ndarray:
    """Draw causal attention, every row a distribution."""
    weights = np.tril(np.random.default_rng(seed).exponential(size=(*shape, tokens, tokens)))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def random_classes(sequences: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(50, 53, size=(sequences, 5))


def slow_scores(attention: np.ndarray, classes: np.ndarray, positions: TokenPositions) -> tuple[float, float, float]:
    """Score one head on one sequence, straight from the definitions."""
    query, induction, same_class, previous = positions.items[-1], [], [], []
    for item, (own, of_item) in enumerate(zip(positions.labels, positions.items[:-1], strict=True)):
        if classes[item] == classes[-1]:
            induction.append(attention[query, own])
            same_class.append(attention[query, of_item])
        if own >= 1:
            previous.append(attention[own, own - 1])
    in_all = [sum(found) if found else math.nan for found in (induction, same_class)]
    return in_all[0], sum(previous) / len(previous), in_all[1]


@pytest.mark.parametrize("positions", LAYOUTS)
def test_scores_agree_with_one_head_and_sequence_at_a_time(positions: TokenPositions) -> None:
    attention, classes = random_attention(40, 2, 3, tokens=positions.length), random_classes(40)
    found = head_scores(attention, classes, positions)
    expected = np.array(
        [
            [[slow_scores(h, c, positions) for h in heads] for heads in a]
            for a, c in zip(attention, classes, strict=True)
        ]
    )
    np.testing.assert_allclose(np.stack(found, axis=-1), expected, rtol=1e-6)
    assert 0 < np.isnan(found.induction[:, 0, 0]).sum() < 40


@pytest.mark.parametrize("positions", LAYOUTS)
def test_a_layer_alone_has_the_scores_that_it_has_among_others(positions: TokenPositions) -> None:
    attention, classes = random_attention(7, 2, 3, tokens=positions.length), random_classes(7)
    alone = jax.jit(head_scores, static_argnums=2)(attention[:, 1], classes, positions)
    for one, among in zip(alone, head_scores(attention, classes, positions), strict=True):
        assert one.shape == (7, 3)
        np.testing.assert_allclose(one, among[:, 1], rtol=1e-6)


def test_heads_made_by_hand_score_1_in_what_they_do_and_0_in_the_rest() -> None:
    positions = INTERLEAVED
    classes = np.array([[8, 9, 9, 8, 9], [3, 3, 3, 3, 3]])
    induction, previous, same_class = (np.tile(np.eye(9, dtype=np.float32), (2, 1, 1)) for _ in range(3))
    induction[:, 8] = [[0, 0, 0, 0.5, 0, 0.5, 0, 0, 0], [0, 0.25, 0, 0.25, 0, 0.25, 0, 0.25, 0]]
    same_class[:, 8] = [[0, 0, 0.1, 0, 0.9, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0, 0]]
    for token in range(1, 8):
        previous[:, token] = np.eye(9)[token - 1]
    scores = head_scores(np.stack([induction, previous, same_class], axis=1), classes, positions)
    np.testing.assert_allclose(scores.induction, [[1, 0, 0]] * 2, rtol=1e-6)
    np.testing.assert_allclose(scores.previous_token, [[0, 1, 0]] * 2, rtol=1e-6)
    np.testing.assert_allclose(scores.same_class, [[0, 0, 1]] * 2, rtol=1e-6)


def test_an_items_label_in_its_own_token_makes_induction_and_same_class_one_score() -> None:
    positions = CONCATENATED
    scores = head_scores(random_attention(9, 4, tokens=5), random_classes(9), positions)
    np.testing.assert_array_equal(scores.induction, scores.same_class)
    # Not so where the label comes with the next item.
    other = head_scores(random_attention(9, 4, tokens=5), random_classes(9), PREVIOUS_LABEL)
    assert not np.array_equal(other.induction, other.same_class, equal_nan=True)


def test_the_names_of_classes_and_the_order_of_context_items_do_not_matter_to_induction() -> None:
    positions, order = INTERLEAVED, [2, 0, 3, 1, 4]
    attention, classes = random_attention(9, 4, tokens=9), random_classes(9)
    tokens = [token for item in order for token in (2 * item, 2 * item + 1) if token < 9]
    moved = attention[:, :, :, tokens]
    np.testing.assert_allclose(
        induction_score(moved, 100 - classes[:, order], positions),
        induction_score(attention, classes, positions),
        rtol=1e-6,
    )


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positions", LAYOUTS)
def test_uniform_attention_scores_what_counting_tokens_says(positions: TokenPositions, causal: bool) -> None:
    classes = np.array([[4, 5, 4, 4, 4], [5, 5, 5, 5, 4], [5, 4, 5, 5, 4]])
    T = positions.length
    found = uniform_scores(classes, positions, causal=causal)
    in_all = np.array([3, math.nan, 1]) / T  # the query's token is the last, and sees all T
    np.testing.assert_allclose(found.induction, in_all, rtol=1e-6)
    np.testing.assert_allclose(found.same_class, in_all, rtol=1e-6)
    previous = np.mean([1 / (token + 1 if causal else T) for token in positions.labels if token >= 1])
    np.testing.assert_allclose(found.previous_token, [previous] * 3, rtol=1e-6)


def test_a_layout_whose_only_label_is_in_the_first_token_has_no_previous_token_score() -> None:
    positions = TokenPositions((0, 1), (0,))
    assert np.isnan(previous_token_score(random_attention(3, 4, tokens=2), positions)).all()
    assert not np.isnan(same_class_score(random_attention(3, 4, tokens=2), np.ones((3, 2), int), positions)).any()


def test_attention_of_low_precision_is_summed_in_float32() -> None:
    positions = INTERLEAVED
    attention, classes = random_attention(9, 4, tokens=9).astype(np.float16), random_classes(9)
    low, full = (head_scores(array, classes, positions) for array in (attention, attention.astype(np.float32)))
    for one, other in zip(low, full, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other)
