"""Mistakes that are easy to make: each is told in one line that says what was wanted, and NumPy's numbers are none."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest

import icl_eval
from icl_eval import CLASSIFIERS, Estimate, Evaluation, LabelSets, Measure, Ratio, Result, Tally, TokenPositions

LABELS, LOGITS = np.zeros((4, 3), np.int32), np.zeros((4, 3, 2))
SEQUENCES = {"labels": LABELS, "classes": LABELS, "items": np.zeros((4, 3, 2))}
TASKS = {"inputs": np.zeros((4, 3, 2)), "targets": np.ones((4, 3, 1)), "is_query": np.tile([False, True, True], (4, 1))}
HALF = icl_eval.proportion(1, 2)


@pytest.fixture(autouse=True)
def unchecked() -> Iterator[None]:
    """Switch jaxtyping's checks off: what a caller without them is told."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def evaluate(logits: Any = LOGITS[:, 0], batch: Any = SEQUENCES, **options: Any) -> Result:
    evaluation = options.pop("evaluation", Evaluation("x", range(2)))
    return icl_eval.evaluate(lambda _: logits, [batch], evaluation, **{"count": 4} | options)


def functions(values: Any = LOGITS[:, :, :1], **options: Any) -> Result:
    batch = TASKS | options.pop("batch", {})
    return icl_eval.evaluate_functions(lambda _: values, [batch], name="x", **{"count": 4} | options)


def labels(logits: Any = LOGITS, **options: Any) -> Result:
    return icl_eval.evaluate_labels(lambda _: logits, [SEQUENCES], name="x", **{"count": 4, "num_labels": 2} | options)


def heads(found: Any) -> Result:
    positions = TokenPositions((0, 2, 4), (1, 3))
    return icl_eval.evaluate_heads(lambda _: found, [SEQUENCES], positions, name="x", count=4)


def append(folder: Path, results: Any, step: Any = 1) -> None:
    icl_eval.append_evaluations(folder, step=step, results=results)


MISTAKES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "logits of objects": (lambda _: evaluate(np.zeros((4, 2), object)), "x: wanted numbers; predict gave"),
    "logits of letters": (lambda _: evaluate(np.full((4, 2), "a")), "x: wanted numbers; predict gave"),
    "complex logits": (lambda _: evaluate(np.zeros((4, 2), complex)), "x: wanted numbers; predict gave .* complex128"),
    "no logits": (lambda _: evaluate(None), "x: wanted numbers; predict gave a NoneType"),
    "a pair of logits": (lambda _: evaluate((np.zeros((4, 2)), None)), "x: predict gave a tuple that is no array"),
    "a batch that is an array": (lambda _: evaluate(batch=LABELS), "wanted batches as dicts of arrays, got a ndarray"),
    "a batch of a pair": (lambda _: evaluate(batch=(LABELS, LABELS)), "wanted batches as dicts of arrays, got a tuple"),
    "classes of queries": (lambda _: evaluate(batch={"labels": LABELS, "classes": LABELS[:, 0]}), r"classes \[4, 3\]"),
    "a count that is a share": (lambda _: evaluate(count=0.5), "x: count must be a whole number"),
    "a name for an evaluation": (lambda _: evaluate(evaluation="fewshot"), r"Wanted an Evaluation\(name, possible"),
    "colour images": (
        lambda _: evaluate(batch={"labels": LABELS, "images": np.zeros((4, 3, 5, 5, 3), np.uint8)}, examples=1),
        r"grey images \[B, S, H, W\].* got uint8 \[1, 3, 5, 5, 3\]; pass examples=0",
    ),
    "images of whole numbers": (
        lambda _: evaluate(batch={"labels": LABELS, "images": np.zeros((4, 3, 5, 5), int)}, examples=1),
        r"uint8 or floats of 0\.\.1, got int64",
    ),
    "how many labels": (
        lambda _: Evaluation("x", 2),
        r"possible labels as whole numbers, such as range\(ways\)",
    ),
    "halves of labels": (lambda _: Evaluation("x", [0.5, 1.5]), "possible labels as whole numbers"),
    "no name": (lambda _: Evaluation(None, [0]), "letters, digits, _ and -, got None"),
    "a regressor": (lambda _: functions(baselines={"b": icl_eval.Ridge(1.0)}), "the baseline b .* such as its predict"),
    "a classifier": (lambda _: labels(baselines={"b": CLASSIFIERS["1-NN"]}), "the baseline b is to be a function"),
    "a baseline's name": (lambda _: evaluate(baselines={"b": "majority"}), "the baseline b is to be a function"),
    "targets of letters": (
        lambda _: functions(batch={"targets": np.full((4, 3, 1), "a")}),
        "x: wanted numbers",
    ),
    "a share of points": (lambda _: functions(context_sizes=[0.5]), "each of context_sizes must be a whole number"),
    "positions of letters": (lambda _: labels(baseline_positions=["a"]), "baseline_positions must be a whole number"),
    "labels as a float": (lambda _: labels(num_labels=2.0), "num_labels must be a whole number"),
    "attention alone": (lambda _: heads(np.zeros((4, 1, 1, 5, 5))), "attend gave a ndarray"),
    "no attention": (lambda _: heads(None), r"wanted \(attention, logits or None\); attend gave a NoneType"),
    "a mean of rows": (lambda _: icl_eval.mean(np.ones((2, 2))), r"one per sequence, got the shape \[2, 2\]"),
    "a mean of a number": (lambda _: icl_eval.mean(np.float64(3)), r"one per sequence, got the shape \[\]"),
    "a task of one axis": (lambda _: icl_eval.task_proportion(np.ones(3, bool)), r"\[B, P\] .* got the shape \[3\]"),
    "a ratio of rows": (lambda _: icl_eval.ratio(np.ones((2, 2)), np.ones((2, 2))), r"got \[2, 2\] and \[2, 2\]"),
    "ratios of two lengths": (
        lambda _: Tally.of({"a": Ratio(np.ones(2), np.ones(2)), "b": Ratio(np.ones(3), np.ones(3))}),
        "all of the same one or more sequences, got .*2.*3",
    ),
    "no ratios": (lambda _: Tally.of({}), "Wanted one or more ratios"),
    "a float as a metric": (lambda _: Result("a", {"m": 0.5}, {}), "each an Estimate, got 0.5 for m; `mean`"),
    "no metrics": (lambda to: append(to, [Result("a", {}, {})]), "a: wanted one or more metrics, got none"),
    "no words": (lambda _: Measure(sentence=None, kind="mean"), "a sentence with a full stop"),
    "no words of a family": (lambda _: icl_eval.Family(title="A", sentence=None), "a sentence with a full stop"),
    "a result alone": (lambda to: append(to, Result("a", {"m": HALF}, {})), r"pass results=\[result\]"),
    "half a step": (lambda to: append(to, [Result("a", {"m": HALF}, {})], 1.5), "step must be a whole number"),
    "a penalty as text": (lambda _: icl_eval.Ridge("a"), "penalty must be a finite number above 0, got 'a'"),
    "no noise": (lambda _: icl_eval.GaussianProcess(noise=None), "noise must be a finite variance"),
    "inputs of letters": (
        lambda _: icl_eval.Ridge(1.0).predict(np.full((1, 2, 1), "a"), np.ones((1, 2, 1)), np.zeros((1, 2), bool)),
        "Wanted numbers, but inputs are of",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    call, said = MISTAKES[name]
    with pytest.raises((ValueError, TypeError), match=said) as caught:
        call(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [1e200, np.inf, np.nan])
def test_a_prediction_beyond_floats_is_said_to_be_not_finite_and_ends_nothing(value: float) -> None:
    with warnings.catch_warnings(action="error"):
        result = functions(np.full((4, 3, 1), value), baselines={"b": lambda *_: np.full((4, 3, 1), value)})
        assert np.isnan(result.metrics["squared_error"].value)
        assert np.isnan(result.metrics["squared_error_b"].value)
        images = {"labels": LABELS, "images": np.full((4, 3, 5, 5), value)}
        assert evaluate(batch=images, examples=1).arrays["examples"].images.dtype == np.uint8


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    estimate = Estimate(value=np.float32(0.5), low=np.float32(0.25), high=np.float32(0.75), count=np.int64(9))
    result = Result("a", {"m": estimate, "p": icl_eval.proportion(np.int64(1), np.int64(2))}, {"m": np.float32(0.5)})
    append(tmp_path, [result], np.int64(7))
    append(tmp_path, [Result("b", {"m": estimate}, {"m": float("nan")})], np.asarray(7))
    first, second = map(json.loads, (tmp_path / "eval.jsonl").read_text().splitlines())
    assert first["metrics"]["m"] == {"value": 0.5, "low": 0.25, "high": 0.75, "count": 9}
    assert (first["step"], first["count"], first["chance"], second["chance"]) == (7, 9, {"m": 0.5}, {})
    assert evaluate(count=np.int64(3)).count == 3
    sets = LabelSets(class_of_label=[1, 2, 2], class_frequency=[1.0, 2.0])
    assert sets.labels_per_class == 2 and sets.deciles() is not None
