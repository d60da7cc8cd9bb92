import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_eval import predicted_label, score

jitted = jax.jit(score)


def oracle(row: list[float], target: int, possible: list[bool]) -> tuple[float, int, int]:
    """Return loss, open and closed prediction of one sequence, with plain loops."""

    def best(labels: list[int]) -> int:
        if any(math.isnan(x) or x == math.inf for x in row):
            return -1
        winner = -1
        for label in labels:
            if row[label] > (row[winner] if winner >= 0 else -math.inf):
                winner = label
        return winner

    everywhere = list(range(len(row)))
    total = sum(math.exp(x) for x in row)
    loss = math.log(total) - row[target] if 0 < total < math.inf else math.nan
    return loss, best(everywhere), best([label for label in everywhere if possible[label]])


@pytest.mark.parametrize("seed", range(20))
def test_scores_agree_with_a_loop_on_random_logits_full_of_ties(seed: int) -> None:
    generator = np.random.default_rng(seed)
    B, V = 40, int(generator.integers(1, 7))
    logits = generator.integers(-1, 2, size=(B, V)).astype(np.float32)
    logits[generator.random((B, V)) < 0.15] = -np.inf
    logits[generator.random((B, V)) < 0.03] = np.nan
    logits[generator.random((B, V)) < 0.03] = np.inf
    targets = generator.integers(V, size=B).astype(np.int32)
    possible = generator.random(V) < 0.5
    scores = jitted(logits, targets, possible)
    for b in range(B):
        loss, best_open, best_closed = oracle(logits[b].tolist(), int(targets[b]), possible.tolist())
        assert (int(scores.predicted_open[b]), int(scores.predicted_closed[b])) == (best_open, best_closed)
        assert bool(scores.correct_open[b]) == (best_open == targets[b])
        assert bool(scores.correct_closed[b]) == (best_closed == targets[b])
        assert float(scores.loss[b]) == pytest.approx(loss, rel=1e-5, abs=1e-6, nan_ok=True)


def test_jit_changes_nothing() -> None:
    arguments = (
        np.float32([[1.0, 1.0, 0.5], [0.1, 0.2, 9.0]]),
        np.int32([1, 1]),
        np.array([True, True, False]),
    )
    for plain, compiled in zip(score(*map(jnp.asarray, arguments)), jitted(*arguments), strict=True):
        np.testing.assert_allclose(plain, compiled, rtol=1e-6)


def test_constant_logits_score_chance_not_more() -> None:
    scores = jitted(np.zeros((8, 4), np.float32), np.arange(8, dtype=np.int32) % 4, np.ones(4, bool))
    assert scores.correct_closed.sum() == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_never_right(bad: float) -> None:
    logits = np.array([[5.0, bad], [bad, 5.0], [bad, bad]], np.float32)
    for target in (0, 1):
        scores = jitted(logits, np.full(3, target, np.int32), np.ones(2, bool))
        assert not np.any(scores.correct_open)
        assert not np.any(scores.correct_closed)
        assert not np.isfinite(scores.loss).any()


def test_with_one_possible_label_the_closed_prediction_is_that_label() -> None:
    logits = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
    assert np.all(jax.jit(predicted_label)(logits, np.arange(5) == 3) == 3)


def test_without_possible_labels_nothing_is_predicted() -> None:
    assert np.all(jax.jit(predicted_label)(np.ones((2, 3), np.float32), np.zeros(3, bool)) == -1)


def test_closed_and_open_predictions_agree_if_every_label_is_possible() -> None:
    logits = np.random.default_rng(0).normal(size=(500, 9)).astype(np.float32)
    scores = jitted(logits, np.zeros(500, np.int32), np.ones(9, bool))
    np.testing.assert_array_equal(scores.predicted_open, scores.predicted_closed)


def test_who_is_right_among_all_labels_is_right_among_the_possible_ones() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(500, 9)).astype(np.float32)
    scores = jitted(logits, generator.integers(3, size=500, dtype=np.int32), np.arange(9) < 3)
    assert not np.any(scores.correct_open & ~scores.correct_closed)
    assert scores.correct_closed.sum() > scores.correct_open.sum()


def test_half_precision_logits_lose_nothing_in_the_loss() -> None:
    scores = jitted(jnp.array([[300.0, 1.0]], jnp.bfloat16), np.array([1], np.int32), np.ones(2, bool))
    assert scores.loss.dtype == jnp.float32
    assert float(scores.loss[0]) == pytest.approx(299.0)
