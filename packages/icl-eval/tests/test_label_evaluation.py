from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_eval import evaluate_labels, improvement, mean, proportion, task_proportion
from icl_eval.results import collect as collect_module

S, V, TOTAL = 9, 4, 60
LABELS = np.random.default_rng(0).integers(V, size=(TOTAL, S)).astype(np.int32)
ITEMS = np.random.default_rng(1).normal(size=(TOTAL, S, 3)).astype(np.float32)
Batch = dict[str, Any]


def stream(batch_size: int, *, labels: np.ndarray = LABELS, total: int = TOTAL) -> Iterator[Batch]:
    for start in range(0, total, batch_size):
        rows = slice(start, min(start + batch_size, total))
        yield {"items": ITEMS[rows], "labels": labels[rows].copy(), "number": np.arange(rows.start, rows.stop)}


def noisy(batch: Batch) -> np.ndarray:
    """Return logits that depend on a task's number alone."""
    return np.stack([np.random.default_rng(int(number)).normal(size=(S, V)) for number in batch["number"]])


def shift(labels: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros_like(labels[:, :1]), labels[:, :-1]], axis=1)


def evaluated(predict: Any, batches: Any = None, *, count: int = 50, **options: Any) -> Any:
    batches = stream(10) if batches is None else batches
    result = evaluate_labels(predict, batches, name="seen_tasks", count=count, num_labels=V, **options)
    return result, result.arrays["shots"]


@pytest.mark.parametrize("batch_size", [1, 7, 50, 60])
def test_numbers_are_those_of_the_first_count_tasks_whatever_the_batch_size(batch_size: int) -> None:
    right, losses = np.zeros((50, S), bool), np.zeros((50, S))
    for task in range(50):
        for position, logits in enumerate(np.random.default_rng(task).normal(size=(S, V))):
            target = LABELS[task, position]
            right[task, position] = np.argmax(logits) == target
            losses[task, position] = np.log(np.exp(logits).sum()) - logits[target]
    result, curves = evaluated(noisy, stream(batch_size), window=3)
    assert result.metrics["accuracy_last"] == task_proportion(right[:, -3:])
    assert result.metrics["accuracy_first"] == proportion(int(right[:, 0].sum()), 50)
    assert result.metrics["improvement"] == improvement(right, window=3)
    expected = mean(losses.mean(axis=1))
    assert result.metrics["loss"].value == pytest.approx(losses.mean(), rel=1e-5)
    assert result.metrics["loss"].low == pytest.approx(expected.low, rel=1e-5)
    assert result.chance == {"accuracy_last": 1 / V, "accuracy_first": 1 / V}
    assert (result.evaluation, result.count, curves.count, curves.measure) == ("seen_tasks", 50, 50, "accuracy")
    np.testing.assert_array_equal(curves.curves["model"].steps, np.arange(S))
    np.testing.assert_allclose(curves.curves["model"].values, right.mean(axis=0))


def test_a_predictor_that_knows_the_answers_is_always_right() -> None:
    result, curves = evaluated(lambda batch: 50 * np.eye(V)[LABELS[batch["number"]]])
    assert [result.metrics[name].value for name in ("accuracy_last", "accuracy_first", "improvement")] == [1, 1, 0]
    assert result.metrics["loss"].value < 1e-6
    assert (curves.curves["model"].values == 1).all()


def test_one_that_copies_the_label_before_is_right_where_labels_repeat() -> None:
    repeated = np.repeat(LABELS[:, :1], S, axis=1)
    result, _ = evaluated(lambda batch: np.eye(V)[shift(batch["labels"])], stream(10, labels=repeated))
    assert result.metrics["accuracy_last"].value == 1
    assert result.metrics["accuracy_first"].value == (repeated[:50, 0] == 0).mean()
    assert result.metrics["improvement"].low > 0.5
    result, _ = evaluated(lambda batch: np.eye(V)[shift(batch["labels"])], count=60, window=8)
    assert result.metrics["accuracy_last"].low < 1 / V < result.metrics["accuracy_last"].high


def test_one_that_reads_the_last_label_gains_nothing() -> None:
    result, _ = evaluated(lambda batch: np.eye(V)[batch["labels"][:, -1:]], count=60)
    assert result.metrics["accuracy_last"] == proportion(int((LABELS[:, -1] == 0).sum()), 60)


def test_the_callers_batches_stay_as_they_were() -> None:
    (batch,) = stream(TOTAL)
    evaluated(noisy, [batch])
    np.testing.assert_array_equal(batch["labels"], LABELS)


def test_a_model_of_the_query_alone_has_no_first_accuracy() -> None:
    result, curves = evaluated(lambda batch: noisy(batch)[:, -1:])
    assert set(result.metrics) == {"accuracy_last", "loss"}
    everywhere, _ = evaluated(noisy)
    assert result.metrics["accuracy_last"] == everywhere.metrics["accuracy_last"]  # the window of 9 items is 1
    assert curves.curves["model"].steps.tolist() == [S - 1]


def test_a_model_of_the_last_few_items_is_drawn_where_it_predicts() -> None:
    result, curves = evaluated(lambda batch: noisy(batch)[:, -4:])
    _, all_curves = evaluated(noisy)
    assert curves.curves["model"].steps.tolist() == [5, 6, 7, 8]
    np.testing.assert_array_equal(curves.curves["model"].values, all_curves.curves["model"].values[-4:])
    assert "accuracy_first" not in result.metrics


def test_labels_beyond_those_of_the_task_are_never_predicted() -> None:
    wide = evaluated(lambda batch: np.concatenate([noisy(batch), np.full((10, S, 3), 99.0)], axis=2))[0]
    assert wide.metrics["accuracy_last"] == evaluated(noisy)[0].metrics["accuracy_last"]


def test_logits_that_are_not_finite_are_wrong() -> None:
    result, _ = evaluated(lambda batch: np.full((10, S, V), np.nan))
    assert result.metrics["accuracy_last"].value == 0
    assert np.isnan(result.metrics["loss"].value)


def previous(items: np.ndarray, labels: np.ndarray, positions: tuple[int, ...]) -> np.ndarray:
    """Predict the label before, as a baseline."""
    return shift(labels)[:, list(positions)]


@pytest.mark.parametrize("batch_size", [1, 7, 60])
@pytest.mark.parametrize("positions", [None, (0, 3, 7)])
def test_baselines_are_measured_on_the_first_tasks_at_their_positions(
    batch_size: int, positions: tuple[int, ...] | None
) -> None:
    seen: list[int] = []

    def recorded(items: np.ndarray, labels: np.ndarray, where: tuple[int, ...]) -> np.ndarray:
        seen.extend(np.flatnonzero((item == ITEMS).all(axis=(1, 2)))[0] for item in items)
        return previous(items, labels, where)

    result, curves = evaluated(
        noisy,
        stream(batch_size),
        window=2,
        baselines={"the one before": recorded, "0": lambda items, labels, where: np.zeros((len(items), len(where)))},
        baseline_positions=positions,
        baseline_count=11,
    )
    where = list(positions or range(S))
    right = (shift(LABELS) == LABELS)[:11]
    assert seen == list(range(11))
    assert list(curves.curves) == ["model", "the one before", "0"]
    curve = curves.curves["the one before"]
    assert curve.steps.tolist() == where
    np.testing.assert_allclose(curve.values, right[:, where].mean(axis=0))
    in_window = [position for position in where if position >= S - 2]
    assert result.metrics["accuracy_last_the one before"] == task_proportion(right[:, in_window])
    assert result.chance["accuracy_last_the one before"] == 1 / V
    assert result.metrics["accuracy_last_0"].value == (LABELS[:11, in_window] == 0).mean()
    assert result.metrics["accuracy_last"].count == 50
    assert set(result.measures) == set(result.metrics)
    assert result.measures["accuracy_last_0"].baseline == "0"
    assert result.unit == "tasks"


def test_a_baseline_that_reads_the_last_label_gains_nothing() -> None:
    result, _ = evaluated(
        noisy, baselines={"cheat": lambda items, labels, where: labels[:, [S - 1]]}, baseline_positions=[S - 1]
    )
    assert result.metrics["accuracy_last_cheat"] == proportion(int((LABELS[:50, -1] == 0).sum()), 50)


def test_a_jitted_predictor_compiles_once_and_no_batch_is_drawn_beyond_those_needed() -> None:
    compiled = 0

    @jax.jit
    def forward(items: jax.Array) -> jax.Array:
        nonlocal compiled
        compiled += 1
        return jnp.tile(items.sum(axis=2, keepdims=True), (1, 1, V))

    batches = stream(20)
    evaluated(lambda batch: forward(batch["items"]), batches, count=33)
    assert compiled == 1
    assert next(batches)["number"][0] == 40


def test_a_batch_is_dispatched_before_the_scores_of_the_one_before_are_fetched(monkeypatch: Any) -> None:
    events: list[str] = []
    fetch = jax.device_get
    monkeypatch.setattr(collect_module.jax, "device_get", lambda tree: (events.append("fetch"), fetch(tree))[1])

    def predict(batch: Batch) -> np.ndarray:
        events.append("dispatch")
        return noisy(batch)

    evaluated(predict, stream(20), count=60)
    assert events == ["dispatch", "dispatch", "fetch", "dispatch", "fetch", "fetch"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 10}, "window of 1 to 9"),
        ({"count": 61}, r"wanted 61 tasks, but the batches ended after 60.*count=60"),
        ({"count": 0}, "count must be a whole number of at least 1"),
        ({"baselines": {"model": previous}}, "another name"),
        ({"baselines": {"a": previous}, "baseline_count": 51}, r"baseline_count in 1\.\.50"),
        ({"baselines": {"a": previous}, "baseline_positions": [0, 1]}, "end at 1; add 8"),
        ({"baselines": {"a": previous}, "baseline_positions": [8, 8]}, "increasing baseline_positions"),
        ({"baselines": {"a": previous}, "baseline_positions": [9]}, r"in 0\.\.8, got \[9\]"),
        ({"baselines": {"a": lambda *_: np.zeros((10, 2))}}, r"seen_tasks: a: wanted the shape \[10, 9\]"),
        ({"batches": [{"items": ITEMS}]}, r"'labels' \[B, S\], got the keys \['items'\]"),
        ({"batches": [{"labels": LABELS}], "baselines": {"a": previous}}, r"'items' \[B, S, X\]"),
        ({"batches": [{"labels": LABELS[0]}]}, r"got the shapes \{'labels': \[9\]\}"),
        ({"batches": [{"labels": LABELS, "items": ITEMS[:, 1:]}], "baselines": {"a": previous}}, "got the shapes"),
        ({"batches": [{"labels": LABELS.astype(float)}]}, "integer labels"),
        ({"batches": [{"labels": LABELS + 1}]}, r"the label 4, wanted 0\.\.3"),
    ],
)
def test_what_makes_no_sense_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluated(noisy, **{"batches": stream(10), **options})


def test_the_model_and_baselines_see_the_shown_labels_and_are_graded_by_the_true_ones() -> None:
    shown = np.random.default_rng(2).integers(V, size=(TOTAL, S)).astype(np.int32)
    seen = []

    def copies_the_label_before(batch: Batch) -> np.ndarray:
        seen.append(batch)
        return np.eye(V)[shift(batch["labels"])]

    batch = {"items": ITEMS, "labels": LABELS.copy(), "shown_labels": shown.copy()}
    baselines = {"copy": lambda items, labels, positions: shift(labels)[:, list(positions)]}
    result, curves = evaluated(copies_the_label_before, [batch], count=TOTAL, window=S, baselines=baselines)
    right = shift(shown) == LABELS
    assert result.metrics["accuracy_last"] == result.metrics["accuracy_last_copy"] == task_proportion(right)
    assert np.allclose(curves.curves["model"].values, right.mean(axis=0))
    assert not np.allclose(right.mean(axis=0), (shift(LABELS) == LABELS).mean(axis=0))
    # Nothing that is handed over holds a true label, or the last one that is shown; the caller's batch stays.
    (given,) = seen
    for name in ("labels", "shown_labels"):
        assert np.array_equal(given[name][:, :-1], shown[:, :-1]) and not given[name][:, -1].any()
    assert np.array_equal(batch["labels"], LABELS) and np.array_equal(batch["shown_labels"], shown)
    with pytest.raises(ValueError, match="an item has the label 9"):
        evaluated(copies_the_label_before, [batch | {"shown_labels": np.full_like(shown, 9)}])


@pytest.mark.parametrize("shape", [(10, S), (9, S, V), (10, S + 1, V), (10, 0, V), (10, S, V - 1)])
def test_logits_of_a_wrong_shape_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[10, P, V\] with P in 1..9 and V at least 4; predict gave the shape"):
        evaluated(lambda batch: np.zeros(shape))


def test_tasks_of_different_sizes_are_an_error() -> None:
    batches = [{"labels": LABELS[:10]}, {"labels": LABELS[:10, 1:]}]
    with pytest.raises(ValueError, match=r"tasks of one size, got .*\(8, 8\), \(9, 9\)"):
        evaluated(lambda batch: np.zeros((*batch["labels"].shape, V)), batches)
