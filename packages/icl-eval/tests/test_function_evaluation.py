from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from icl_eval import evaluate_functions, mean

N, TOTAL = 10, 40
INPUTS = np.random.default_rng(0).normal(size=(TOTAL, N, 3)).astype(np.float32)
TARGETS = np.random.default_rng(1).normal(size=(TOTAL, N, 2)).astype(np.float32)
IS_QUERY = np.argsort(np.random.default_rng(2).random((TOTAL, N)), axis=1) < 4  # 4 queries, 6 context points
Batch = dict[str, Any]


def stream(batch_size: int) -> Iterator[Batch]:
    for start in range(0, TOTAL, batch_size):
        rows = slice(start, min(start + batch_size, TOTAL))
        number = np.arange(rows.start, rows.stop)
        arrays = {"inputs": INPUTS[rows], "targets": TARGETS[rows].copy(), "is_query": IS_QUERY[rows].copy()}
        yield arrays | {"number": number}


def context_mean(inputs: np.ndarray, targets: np.ndarray, is_query: np.ndarray) -> np.ndarray:
    """Predict the mean of the context targets everywhere, 0 without any."""
    seen = ~is_query[..., None]
    centre = (targets * seen).sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    return np.broadcast_to(centre, targets.shape)


def model(batch: Batch) -> np.ndarray:
    return context_mean(batch["inputs"], batch["targets"], batch["is_query"])


def evaluated(predict: Any = model, batches: Any = None, *, count: int = 30, **options: Any) -> Any:
    batches = stream(10) if batches is None else batches
    result = evaluate_functions(predict, batches, name="seen_tasks", count=count, **options)
    return result, result.arrays["shots"]


def oracle(task: int, context_size: int) -> float:
    """Return the error of the mean of the first few context targets of a task, at its queries."""
    context = [TARGETS[task, n].astype(float) for n in range(N) if not IS_QUERY[task, n]][:context_size]
    guess = sum(context, np.zeros(2)) / max(len(context), 1)
    errors = [(guess[y] - TARGETS[task, n, y]) ** 2 for n in range(N) if IS_QUERY[task, n] for y in range(2)]
    return float(sum(errors) / 8)


@pytest.mark.parametrize("batch_size", [1, 7, 30, 40])
def test_numbers_are_those_of_the_first_count_tasks_whatever_the_batch_size(batch_size: int) -> None:
    result, curves = evaluated(batches=stream(batch_size), context_sizes=(0, 2, 5))
    errors = np.array([[oracle(task, size) for size in (0, 2, 5, 6)] for task in range(30)])
    constant = sum(TARGETS[task, IS_QUERY[task]].astype(float).var(axis=0).sum() * 4 for task in range(30))
    expected = mean(errors[:, -1])
    squared = result.metrics["squared_error"]
    assert (squared.value, squared.low, squared.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert result.metrics["normalised_error"].value == pytest.approx(errors[:, -1].sum() * 8 / constant)
    assert result.metrics["normalised_error_first"].value == pytest.approx(errors[:, 0].sum() * 8 / constant)
    curve = curves.curves["model"]
    assert curve.steps.tolist() == [0, 2, 5, 6]
    np.testing.assert_allclose(curve.values, errors.mean(axis=0), rtol=1e-5)
    assert (curve.low < curve.values).all()
    assert (result.count, curves.count, curves.measure) == (30, 30, "squared_error")
    assert result.chance == {"normalised_error": 1.0, "normalised_error_first": 1.0}  # the best constant's own


def test_one_that_knows_the_answers_has_no_error_and_nan_at_context_points_is_nobodys() -> None:
    def knows(batch: Batch) -> np.ndarray:
        return np.where(IS_QUERY[batch["number"]][..., None], TARGETS[batch["number"]], np.nan)

    result, _ = evaluated(knows, context_sizes=(0, 3))
    assert [estimate.value for estimate in result.metrics.values()] == [0, 0, 0]


def test_the_best_constant_has_a_normalised_error_of_one_and_far_less_if_it_explains_the_rest() -> None:
    best = np.stack([np.broadcast_to(t[q].mean(axis=0), (N, 2)) for t, q in zip(TARGETS, IS_QUERY, strict=True)])
    estimate = evaluated(lambda batch: best[batch["number"]])[0].metrics["normalised_error"]
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((1, 1, 1), rel=1e-5)
    halfway = evaluated(lambda batch: (best[batch["number"]] + TARGETS[batch["number"]]) / 2)[0]
    assert halfway.metrics["normalised_error"].value == pytest.approx(0.25, rel=1e-5)


def test_one_that_reads_hidden_targets_gains_nothing() -> None:
    seen: list[Batch] = []

    def cheat(batch: Batch) -> np.ndarray:
        seen.append(batch)
        return batch["targets"]

    result, curves = evaluated(cheat, context_sizes=(0, 3), baselines={"cheat": lambda x, y, q: y})
    zero = float(np.mean([(TARGETS[t, IS_QUERY[t]].astype(float) ** 2).mean() for t in range(30)]))
    for curve in curves.curves.values():
        np.testing.assert_allclose(curve.values, zero, rtol=1e-6)
    assert result.metrics["squared_error_cheat"].value == pytest.approx(zero)
    assert set(result.measures) == set(result.metrics)
    assert result.measures["squared_error_cheat"].baseline == "cheat"
    assert result.unit == "tasks"
    for batch, size in zip(seen, [0, 3, 6] * 3, strict=True):
        assert (batch["targets"][batch["is_query"]] == 0).all()
        shown = ~batch["is_query"]
        assert (shown.sum(axis=1) == size).all()
        np.testing.assert_array_equal(batch["targets"][shown], TARGETS[batch["number"]][shown])
        assert not (shown & IS_QUERY[batch["number"]]).any()


def test_the_callers_batches_stay_as_they_were() -> None:
    (batch,) = stream(TOTAL)
    evaluated(batches=[batch], context_sizes=(0,))
    np.testing.assert_array_equal(batch["targets"], TARGETS)
    np.testing.assert_array_equal(batch["is_query"], IS_QUERY)


@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_baselines_are_measured_on_the_first_tasks_at_every_size(batch_size: int) -> None:
    asked: list[int] = []

    def zero(inputs: np.ndarray, targets: np.ndarray, is_query: np.ndarray) -> np.ndarray:
        asked.extend(np.flatnonzero((x == INPUTS).all(axis=(1, 2)))[0] for x in inputs)
        return np.zeros_like(targets)

    result, curves = evaluated(
        batches=stream(batch_size),
        baselines={"the mean": context_mean, "0": zero},
        context_sizes=(1,),
        baseline_count=11,
    )
    assert list(curves.curves) == ["model", "the mean", "0"]
    errors = np.array([[oracle(task, size) for size in (1, 6)] for task in range(11)])
    assert result.metrics["squared_error_the mean"].value == pytest.approx(errors[:, 1].mean())
    assert result.metrics["squared_error_the mean"].count == 11
    assert result.metrics["squared_error"].count == 30
    np.testing.assert_allclose(curves.curves["the mean"].values, errors.mean(axis=0), rtol=1e-5)
    assert sorted(asked) == sorted([*range(11), *range(11)])
    assert "normalised_error_first" not in result.metrics


def test_the_full_context_is_measured_once_although_it_is_named() -> None:
    calls: list[int] = []

    def counted(batch: Batch) -> np.ndarray:
        calls.append(1)
        return model(batch)

    named, curves = evaluated(counted, context_sizes=(0, 6))
    assert len(calls) == 2 * 3
    assert curves.curves["model"].steps.tolist() == [0, 6]
    assert named.metrics == evaluated(context_sizes=(0,))[0].metrics


def test_tasks_may_have_contexts_of_different_sizes_unless_sizes_are_asked_for() -> None:
    is_query = IS_QUERY.copy()
    is_query[3] = True
    is_query[4] = np.arange(N) == 0
    batch = {"inputs": INPUTS, "targets": TARGETS, "is_query": is_query}
    result, curves = evaluated(lambda batch: np.zeros((TOTAL, N, 2)), [batch])
    errors = [float((TARGETS[task, is_query[task]].astype(float) ** 2).mean()) for task in range(30)]
    assert result.metrics["squared_error"].value == pytest.approx(np.mean(errors))
    assert curves.curves["model"].steps.tolist() == [(28 * 6 + 0 + 9) / 30]
    with pytest.raises(ValueError, match=r"equally many context points, at least that many; got \[0, 6, 9\]"):
        evaluated(lambda batch: np.zeros((TOTAL, N, 2)), [batch], context_sizes=(0,))
    evaluated(lambda batch: np.zeros((TOTAL, N, 2)), [batch], count=3, context_sizes=(0,))  # the rest is surplus


def test_constant_functions_have_no_normalised_error() -> None:
    # Sums of 1 to 10 times 0.1: some of their means are not 0.1 but a rounding error away.
    is_query = np.arange(N) <= (np.arange(TOTAL) % N)[:, None]
    batch = {"inputs": INPUTS, "targets": np.full(TARGETS.shape, 0.1), "is_query": is_query}
    result, _ = evaluated(lambda batch: np.zeros((TOTAL, N, 2)), [batch])
    assert np.isnan(result.metrics["normalised_error"].value)
    assert result.metrics["squared_error"].value == pytest.approx(0.01)


def test_a_jitted_predictor_compiles_once_for_all_sizes_and_the_last_batch() -> None:
    compiled = 0

    @jax.jit
    def forward(targets: jax.Array, is_query: jax.Array) -> jax.Array:
        nonlocal compiled
        compiled += 1
        return targets * 0.5

    batches = stream(20)
    evaluated(lambda b: forward(b["targets"], b["is_query"]), batches, count=33, context_sizes=(0, 1, 4))
    assert compiled == 1
    assert list(batches) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 41}, "wanted 41 tasks, but the batches ended after 40"),
        ({"count": 0}, "count must be a whole number of at least 1"),
        ({"context_sizes": (2, 1)}, r"increasing context_sizes of 0 or more, got \[2, 1\]"),
        ({"context_sizes": (1, 1)}, "increasing context_sizes"),
        ({"context_sizes": (-1,)}, "each of context_sizes must be"),
        ({"context_sizes": (7,)}, r"up to 7 want .* got \[6\]"),
        ({"baselines": {"model": context_mean}}, "another name"),
        ({"baselines": {"a": context_mean}, "baseline_count": 0}, r"baseline_count in 1\.\.30, got 0"),
        ({"baselines": {"a": lambda x, y, q: y[:, :, :1]}}, r"seen_tasks: a: wanted the shape \[10, 10, 2\]"),
        ({"predict": lambda batch: batch["targets"][:, :1]}, r"\[10, 10, 2\]; predict gave \[10, 1, 2\]"),
        ({"batches": [{"inputs": INPUTS}]}, r"'targets' \[B, N, Y\].*got the keys \['inputs'\]"),
        (
            {"batches": [{"inputs": INPUTS[:, 1:], "targets": TARGETS, "is_query": IS_QUERY}]},
            r"got the shapes \{'inputs': \[40, 9, 3\]",
        ),
        (
            {"batches": [{"inputs": INPUTS, "targets": TARGETS, "is_query": IS_QUERY.astype(int)}]},
            "is_query bool",
        ),
        (
            {"batches": [{"inputs": INPUTS, "targets": TARGETS, "is_query": IS_QUERY & (np.arange(40) > 5)[:, None]}]},
            "at least one query in each task, got bool with 0 queries",
        ),
    ],
)
def test_what_makes_no_sense_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluated(**options)


def test_a_name_that_is_no_file_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="evaluation name"):
        evaluate_functions(model, stream(10), name="a/b", count=3)
