"""Measures of one's own: taken in the same pass as the others, with an interval and with words of their own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest

from icl_eval import (
    Evaluation,
    Measure,
    Ratio,
    TokenPositions,
    ablate_heads,
    append_evaluations,
    evaluate,
    evaluate_functions,
    evaluate_heads,
    evaluate_labels,
    mean,
    proportion,
    read_run,
    task_proportion,
    write_report,
)

TOTAL, COUNT, S, V = 30, 20, 5, 7
MEAN = Measure(sentence="The largest of something.", kind="mean")
SHARE = Measure(sentence="Share of something odd.", kind="proportion")
FEWSHOT = Evaluation("fewshot", range(V))
GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(size=(TOTAL, S, V))
VALUES = GENERATOR.normal(size=(TOTAL, S, 2))
STREAM = {
    "labels": GENERATOR.integers(V, size=(TOTAL, S), dtype=np.int32),
    "inputs": GENERATOR.normal(size=(TOTAL, S, 3)),
    "targets": GENERATOR.normal(size=(TOTAL, S, 2)),
    "is_query": np.tile(np.arange(S) >= 3, (TOTAL, 1)),
    "is_rare": GENERATOR.random((TOTAL, S)) < 0.5,
    "number": np.arange(TOTAL),
}
Batch = dict[str, Any]


def batches(size: int = 8) -> Iterator[Batch]:
    return ({key: rows[start : start + size] for key, rows in STREAM.items()} for start in range(0, TOTAL, size))


def logits(batch: Batch) -> np.ndarray:
    return LOGITS[batch["number"]]


def functions(**options: Any) -> Any:
    return evaluate_functions(lambda b: VALUES[b["number"]], batches(), name="f", count=COUNT, **options)


def labels(**options: Any) -> Any:
    return evaluate_labels(logits, batches(), name="t", count=COUNT, num_labels=V, **options)


def sequences(**options: Any) -> Any:
    return evaluate(logits, batches(), FEWSHOT, count=COUNT, **options)


def test_a_number_for_each_sequence_is_a_mean_of_what_the_model_said_and_of_the_answers() -> None:
    def logit_of_the_answer(given: np.ndarray, batch: Batch) -> np.ndarray:
        return given[np.arange(len(given)), -1, batch["labels"][:, -1]]

    result = sequences(measures={"right": (logit_of_the_answer, MEAN)})
    expected = mean(LOGITS[np.arange(COUNT), -1, STREAM["labels"][:COUNT, -1]])
    found = result.metrics["right"]
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert result.measures["right"] == MEAN
    assert result.metrics.keys() - {"right"} == sequences().metrics.keys()


def test_a_ratio_counts_what_it_says() -> None:
    """What no measure of the package does: of the sequences whose first item is rare, those whose label is 0."""

    def zero_if_rare(_: np.ndarray, batch: Batch) -> Ratio:
        rare = batch["is_rare"][:, 0]
        return Ratio(rare & (batch["labels"][:, 0] == 0), rare)

    rare = STREAM["is_rare"][:COUNT, 0]
    expected = proportion(int((rare & (STREAM["labels"][:COUNT, 0] == 0)).sum()), int(rare.sum()))
    assert sequences(measures={"zero": (zero_if_rare, SHARE)}).metrics["zero"] == expected


def test_functions_are_measured_on_what_was_predicted_from_the_full_context() -> None:
    calls = []

    def largest(values: np.ndarray, batch: Batch) -> np.ndarray:
        calls.append(len(values))
        return np.abs(values - batch["targets"]).max(axis=(1, 2))

    result = functions(measures={"largest": (largest, MEAN)}, context_sizes=(0, 1))
    expected = mean(np.abs(VALUES - STREAM["targets"])[:COUNT].max(axis=(1, 2)))
    assert result.metrics["largest"].value == pytest.approx(expected.value)
    assert result.metrics["largest"].high == pytest.approx(expected.high)
    assert calls == [8, 8, 8]


def test_a_number_for_each_item_has_the_interval_over_tasks() -> None:
    odd = LOGITS.argmax(-1) % 2 == 1
    result = labels(measures={"odd": (lambda given, batch: given.argmax(-1) % 2 == 1, SHARE)})
    expected = task_proportion(odd[:COUNT])
    found = result.metrics["odd"]
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


ATTENTION = np.tril(GENERATOR.exponential(size=(TOTAL, 1, 2, 9, 9))) + np.eye(9) * 1e-3
ATTENTION /= ATTENTION.sum(axis=-1, keepdims=True)


def attend(batch: Batch) -> tuple[np.ndarray, None]:
    return ATTENTION[batch["number"]], None


def test_heads_are_measured_beside_their_scores() -> None:
    positions = TokenPositions(range(0, 9, 2), range(1, 9, 2))
    stream = [{**batch, "classes": batch["labels"]} for batch in batches()]
    own = {"to itself": (lambda attention, batch: attention[:, 0, 1, -1, -1], MEAN)}
    result = evaluate_heads(attend, stream, positions, name="heads", count=COUNT, measures=own)
    assert result.metrics["to itself"].value == pytest.approx(ATTENTION[:COUNT, 0, 1, -1, -1].mean())
    assert result.measures["to itself"] == MEAN and "to itself" not in result.chance
    assert result.metrics.keys() == {"to itself"} | result.chance.keys()
    taken = {"previous_token_0_1": own["to itself"]}
    with pytest.raises(ValueError, match="a measure previous_token_0_1 already"):
        evaluate_heads(attend, stream, positions, name="heads", count=COUNT, measures=taken)


def test_a_head_is_left_out_to_see_what_a_measure_of_ones_own_loses() -> None:
    def predict(batch: Batch, keep: np.ndarray) -> np.ndarray:
        return LOGITS[batch["number"], -1] * keep[0, 0]

    own = {"largest": (lambda given, batch: given.max(-1), MEAN)}
    found = ablate_heads(
        predict, {"own": (FEWSHOT, batches, "largest")}, layers=1, heads=2, count=COUNT, measures=own
    ).metrics
    assert found["own"].value == found["own_without_0_1"].value == pytest.approx(LOGITS[:COUNT, -1].max(-1).mean())
    assert found["own_without_0_0"].value == 0


def test_its_words_go_to_the_run_and_to_its_report(tmp_path: Path, undrawn: None) -> None:
    own = {"largest": (lambda given, batch: given.max(axis=(1, 2)), MEAN)}
    results = [sequences(measures=own), functions(measures={"spread": own["largest"]})]
    append_evaluations(tmp_path, step=3, results=results)
    assert read_run(tmp_path).measures["largest"] == MEAN
    text = write_report(tmp_path).read_text()
    assert MEAN.sentence in text and "<code>largest</code>" in text and "spread" in text


def test_a_number_that_is_not_finite_is_said_to_be_so_and_ends_nothing() -> None:
    def broken(given: np.ndarray, batch: Batch) -> np.ndarray:
        return np.where(batch["number"] == 3, np.nan, 0.5)

    for words in (MEAN, SHARE):
        found = sequences(measures={"broken": (broken, words)}).metrics["broken"]
        assert np.isnan([found.value, found.low, found.high]).all() and found.count == COUNT


@pytest.mark.parametrize("of", [sequences, functions, labels])
@pytest.mark.parametrize(
    ("name", "measure", "message"),
    [
        ("own", (lambda given, batch: np.ones((3, 1, 1)), MEAN), r"own: wanted a number for each .* gave the shape"),
        ("own", (lambda given, batch: 1.0, MEAN), r"own: wanted a number for each .* gave the shape \[\]"),
        ("own", (lambda given, batch: None, MEAN), r"own: wanted numbers; the measure gave a NoneType"),
        ("own", (lambda given, batch: Ratio(np.ones((8, 1)), np.ones(8)), MEAN), r"denominators \[8\], got .*\[8, 1\]"),
        ("own", (lambda given, batch: np.full(len(given), 2.0), SHARE), r"own: wanted a proportion in 0\.\.1, got 2"),
        ("_own", (lambda given, batch: np.ones(8), MEAN), "does not begin with _"),
    ],
)
def test_a_measure_that_is_none_is_an_error(of: Any, name: str, measure: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        of(measures={name: measure})


@pytest.mark.parametrize("own", [lambda given, batch: np.ones(8), (np.max,), ("max", MEAN), (np.max, "Largest.")])
def test_a_function_without_words_is_an_error(own: Any) -> None:
    jaxtyping.config.update("jaxtyping_disable", True)  # what a caller without its checks is told
    try:
        with pytest.raises(TypeError, match=r"wanted the measure own as a function and its words, \(function, Measure"):
            sequences(measures={"own": own})
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(("of", "taken"), [(sequences, "loss"), (functions, "squared_error"), (labels, "improvement")])
def test_a_name_that_another_measure_has_is_refused_before_anything_is_predicted(of: Any, taken: str) -> None:
    with pytest.raises(ValueError, match=f"there is a measure {taken} already; give yours another name"):
        of(measures={taken: (lambda given, batch: 1 / 0, MEAN)})
