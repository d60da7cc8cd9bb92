import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_eval import Scores, cross_entropy, predicted_label, score

jitted = jax.jit(score)


def best(row: list[float], labels: list[int]) -> int:
    """Return the label of the highest logit, the lowest of equals, with a plain loop."""
    if any(math.isnan(x) or x == math.inf for x in row):
        return -1
    winner = -1
    for label in sorted(labels):
        if row[label] > (row[winner] if winner >= 0 else -math.inf):
            winner = label
    return winner


def check(
    scores: Scores, b: int, p: int, row: list[float], before: list[int], target: int, possible: list[int]
) -> None:
    """Compare one prediction with plain Python."""
    everywhere = list(range(len(row)))
    total = sum(math.exp(x) for x in row)
    known = 0 < total < math.inf
    probabilities = [math.exp(x) / total if known else 0.0 for x in row]
    found = {name: value[b, p].item() for name, value in scores._asdict().items()}
    opened = best(row, everywhere)
    assert found["predicted_open"] == opened
    assert found["predicted_closed"] == best(row, possible)
    assert found["predicted_in_context"] == best(row, before)
    assert found["labels_in_context"] == len(set(before))
    assert found["target_in_context"] == (target in before)
    assert found["from_context"] == (opened in before)
    with np.errstate(divide="ignore"):
        loss = -np.log(probabilities[target]) if known else math.nan
    assert found["loss"] == pytest.approx(loss, rel=1e-5, abs=1e-6, nan_ok=True)
    assert found["confidence"] == pytest.approx(probabilities[opened] if known else 0, rel=1e-5)
    in_context = sum(probabilities[label] for label in set(before))
    assert found["probability_in_context"] == pytest.approx(in_context, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 4, 1), (5, 6, 1), (5, 6, 5)])
def test_scores_agree_with_a_loop_on_random_logits_full_of_ties(sizes: tuple[int, int, int]) -> None:
    S, V, P = sizes
    generator, B = np.random.default_rng(S + 10 * V), 100
    logits = generator.integers(-1, 2, size=(B, P, V)).astype(np.float32)
    logits[generator.random((B, P, V)) < 0.15] = -np.inf
    logits[generator.random((B, P, V)) < 0.02] = np.nan
    logits[generator.random((B, P, V)) < 0.02] = np.inf
    labels = generator.integers(V, size=(B, S)).astype(np.int32)
    mask = generator.random(V) < 0.5
    numbers = np.flatnonzero(mask).astype(np.int32)
    assert numbers.size or V == 1
    for possible in (mask, numbers) if P > 1 else (numbers if numbers.size else mask,):
        scores = jitted(logits, labels, possible)
        for b in range(B):
            for p in range(P):
                item = S - P + p
                before, target = labels[b, :item].tolist(), int(labels[b, item])
                check(scores, b, p, logits[b, p].tolist(), before, target, numbers.tolist())


def test_jit_changes_nothing() -> None:
    logits = jnp.float32([[[1.0, 1.0, 0.5]], [[0.1, 0.2, 9.0]]])
    arguments = (logits, jnp.int32([[0, 1], [2, 1]]), jnp.array([True, True, False]))
    for plain, compiled in zip(score(*arguments), jitted(*arguments), strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=1e-6)


def test_constant_logits_score_chance_not_more() -> None:
    targets = np.arange(8, dtype=np.int32)[:, None] % 4
    scores = jitted(np.zeros((8, 1, 4), np.float32), targets, np.ones(4, bool))
    assert (scores.predicted_closed == targets).sum() == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_predicts_nothing(bad: float) -> None:
    logits = np.array([[[5.0, bad]], [[bad, 5.0]], [[bad, bad]]], np.float32)
    scores = jitted(logits, np.zeros((3, 2), np.int32), np.ones(2, bool))
    for predicted in (scores.predicted_open, scores.predicted_closed, scores.predicted_in_context):
        np.testing.assert_array_equal(predicted, np.full((3, 1), -1))
    assert not np.any(scores.from_context)
    assert not np.isfinite(scores.loss).any()


def test_without_possible_labels_nothing_is_predicted() -> None:
    assert np.all(jax.jit(predicted_label)(np.ones((2, 3), np.float32), np.zeros(3, bool)) == -1)
    assert np.all(jitted(np.ones((2, 1, 3)), np.zeros((2, 1), np.int32), np.zeros(3, bool)).predicted_closed == -1)


def test_who_is_right_among_all_labels_is_right_among_the_possible_ones() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(500, 1, 9)).astype(np.float32)
    labels = generator.integers(3, size=(500, 1), dtype=np.int32)
    scores = jitted(logits, labels, np.arange(9) < 3)
    assert not np.any((scores.predicted_open == labels) & (scores.predicted_closed != labels))
    assert (scores.predicted_closed == labels).sum() > (scores.predicted_open == labels).sum()


def test_half_precision_logits_lose_nothing_in_the_loss() -> None:
    scores = jitted(jnp.array([[[300.0, 1.0]]], jnp.bfloat16), np.array([[1]], np.int32), np.ones(2, bool))
    assert scores.loss.dtype == jnp.float32
    assert scores.loss.item() == pytest.approx(299.0)


def test_the_two_ways_to_the_cross_entropy_and_to_the_arg_max_agree() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(50, 7)).astype(np.float32)
    targets = generator.integers(7, size=50).astype(np.int32)
    possible = np.arange(7) % 2 == 0
    scores = jitted(logits[:, None], targets[:, None], possible)
    np.testing.assert_allclose(jax.jit(cross_entropy)(logits, targets), scores.loss[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(jax.jit(predicted_label)(logits, possible), scores.predicted_closed[:, 0])
