import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_eval import (
    Evaluation,
    Family,
    LabelSets,
    Result,
    context_baselines,
    evaluate,
)

FEWSHOT = Evaluation("fewshot_holdout", range(2))
Stream = Callable[..., Iterator[dict[str, np.ndarray]]]


def noisy(batch: dict[str, Any]) -> np.ndarray:
    """Return logits over 7 labels, most of them impossible, that depend on a sequence's index alone."""
    return np.stack([np.random.default_rng(int(index)).normal(size=7) for index in batch["index"]])


@pytest.mark.parametrize("batch_size", [1, 7, 10, 64])
def test_numbers_are_those_of_the_first_count_sequences_whatever_the_batch_size(
    stream: Stream, batch_size: int
) -> None:
    count, closed, opened, losses = 50, 0, 0, []
    for batch in itertools.islice(stream(batch_size=1, total=100), count):
        (logits,), target = noisy(batch), batch["labels"][0, -1]
        closed += int(np.argmax(logits[:2]) == target)
        opened += int(np.argmax(logits) == target)
        losses.append(np.log(np.exp(logits).sum()) - logits[target])
    result = evaluate(noisy, stream(batch_size=batch_size, total=100), FEWSHOT, count=count)
    assert 0 < opened < closed < count
    assert result.count == count
    assert result.metrics["accuracy_closed"].value == closed / count
    assert result.metrics["accuracy_open"].value == opened / count
    assert result.metrics["loss"].value == pytest.approx(np.mean(losses), rel=1e-5)
    for name in ("accuracy_closed", "accuracy_open", "loss", "calibration_error"):
        assert result.metrics[name].count == count
    assert (result.chance["accuracy_closed"], result.chance["accuracy_open"]) == (1 / 2, 1 / 7)


def test_no_batch_is_drawn_beyond_those_needed(stream: Stream) -> None:
    batches = stream(batch_size=10, total=100)
    evaluate(noisy, batches, FEWSHOT, count=30)
    assert next(batches)["index"][0] == 30


def test_a_jitted_predictor_compiles_once_although_the_last_batch_is_cut(stream: Stream) -> None:
    compiled = 0

    @jax.jit
    def forward(images: jax.Array) -> jax.Array:
        nonlocal compiled
        compiled += 1
        return images.astype(jnp.float32).mean(axis=(2, 3))

    for count in (15, 23):
        evaluate(lambda batch: forward(batch["images"]), stream(batch_size=10, total=40), FEWSHOT, count=count)
    assert compiled == 1


def test_a_predictor_that_reads_the_answer_gains_nothing(stream: Stream) -> None:
    result = evaluate(
        lambda batch: np.eye(7)[batch["labels"][:, -1]],
        stream(batch_size=10, total=400),
        FEWSHOT,
        count=400,
    )
    assert result.metrics["accuracy_closed"].low < 0.5 < result.metrics["accuracy_closed"].high


def test_the_callers_batches_stay_as_they_were(stream: Stream) -> None:
    (batch,) = stream(batch_size=10, total=10)
    before = batch["labels"].copy()
    evaluate(noisy, [batch], FEWSHOT, count=10)
    np.testing.assert_array_equal(batch["labels"], before)


def test_batches_may_live_on_a_device(stream: Stream) -> None:
    on_device = (
        {key: jnp.asarray(batch[key]) for key in ("images", "labels")} for batch in stream(batch_size=10, total=20)
    )
    result = evaluate(lambda batch: jnp.zeros((10, 7)), on_device, FEWSHOT, count=16, examples=3)
    assert isinstance(result.arrays["examples"].images, np.ndarray)


@pytest.mark.parametrize("batch_size", [2, 10])
def test_examples_are_the_first_sequences_with_their_true_labels_and_predictions(
    stream: Stream, batch_size: int
) -> None:
    examples = evaluate(noisy, stream(batch_size=batch_size, total=30), FEWSHOT, count=20, examples=5).arrays[
        "examples"
    ]
    (batch,) = stream(batch_size=30, total=30)
    np.testing.assert_array_equal(examples.images, batch["images"][:5])
    np.testing.assert_array_equal(examples.labels, batch["labels"][:5])
    np.testing.assert_array_equal(examples.predicted_open, noisy(batch)[:5].argmax(1))
    np.testing.assert_array_equal(examples.predicted_closed, noisy(batch)[:5, :2].argmax(1))


def test_logits_that_are_not_finite_are_wrong_and_make_the_loss_not_finite(stream: Stream) -> None:
    result = evaluate(lambda batch: np.full((10, 7), np.nan), stream(batch_size=10, total=20), FEWSHOT, count=20)
    assert result.metrics["accuracy_closed"].value == 0
    assert np.isnan(result.metrics["loss"].value)
    assert result.to_json()["metrics"]["loss"]["value"] is None


def test_every_metric_has_its_words_and_a_baseline_its_own(stream: Stream) -> None:
    sets = LabelSets(rare=[0], common=[1], few_shot=range(2), class_of_label=np.arange(10, 17))
    sets = dataclasses.replace(sets, class_frequency=np.arange(20.0))
    baselines = {**context_baselines(pixels=False), "mine": lambda batch: batch["labels"][:, 0]}
    batches = stream(batch_size=10, total=10)
    every_item = np.repeat(noisy(next(stream(batch_size=10, total=10)))[:, None], 5, axis=1)
    result = evaluate(lambda _: every_item, batches, FEWSHOT, count=10, label_sets=sets, baselines=baselines)
    assert set(result.measures) == set(result.metrics)
    assert result.measures["accuracy_majority"].sentence == baselines["majority"].sentence
    named = [words.baseline for words in result.measures.values() if words.baseline]
    assert named == ["most frequent label", "mine"]


def test_a_result_survives_json(stream: Stream) -> None:
    result = evaluate(noisy, stream(batch_size=10, total=20), FEWSHOT, count=20)
    family = Family(title="Holdout", sentence="Classes that were not trained on.")
    result = dataclasses.replace(result, family=family, unit="tasks")
    assert Result.from_json(json.loads(json.dumps(result.to_json())), result.measures) == result


def test_possible_labels_need_not_start_at_zero_or_be_in_order(stream: Stream) -> None:
    shifted = ({**batch, "labels": batch["labels"] + 3} for batch in stream(batch_size=10, total=20))
    result = evaluate(
        lambda batch: np.eye(10)[[9] * 10] + 0.5 * np.eye(10)[[4] * 10],
        shifted,
        Evaluation("x", (4, 3)),
        count=20,
    )
    (batch,) = stream(batch_size=20, total=20)
    assert result.metrics["accuracy_closed"].value == (batch["labels"][:, -1] == 1).mean()
    assert result.metrics["accuracy_open"].value == 0


def test_too_few_sequences_are_an_error_that_counts_them(stream: Stream) -> None:
    with pytest.raises(ValueError, match=r"wanted 50 sequences, but the batches ended after 30.*count=30"):
        evaluate(noisy, stream(batch_size=10, total=30), FEWSHOT, count=50)
    with pytest.raises(ValueError, match="ended after 0"):
        evaluate(noisy, [], FEWSHOT, count=1)


def test_a_query_with_an_impossible_label_is_an_error(stream: Stream) -> None:
    with pytest.raises(ValueError, match="label 2, which is not among the possible labels 0, 1"):
        evaluate(noisy, stream(batch_size=10, total=30, ways=3), FEWSHOT, count=30)


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda batch: np.zeros((10, 1)), r"\[10, V\], .* with V above 1; predict gave the shape \[10, 1\]"),
        (lambda batch: np.zeros((10, 4, 2)), r"shape \[10, 4, 2\]"),
        (lambda batch: np.zeros((9, 2)), r"shape \[9, 2\]"),
        (lambda batch: np.zeros(10), r"shape \[10\]"),
    ],
)
def test_logits_of_a_wrong_shape_are_an_error(stream: Stream, predict: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(predict, stream(batch_size=10, total=10), FEWSHOT, count=10)


def test_examples_of_float_images_are_kept_as_grey_levels_and_noise_beyond_is_cut_off(stream: Stream) -> None:
    batch = next(iter(stream(batch_size=10, total=10)))
    floats = batch["images"].astype(np.float32) / 255
    floats[0, 0, 0, :2] = -3.0, 7.5
    examples = evaluate(noisy, [{**batch, "images": floats}], FEWSHOT, count=10, examples=10).arrays["examples"]
    expected = batch["images"].copy()
    expected[0, 0, 0, :2] = 0, 255
    np.testing.assert_array_equal(examples.images, expected)


@pytest.mark.parametrize(("count", "examples"), [(0, 0), (-1, 0), (5, 6), (5, -1)])
def test_counts_out_of_range_are_errors(stream: Stream, count: int, examples: int) -> None:
    with pytest.raises(ValueError, match=r"count must be a whole number of at least 1|examples in 0\.\.5"):
        evaluate(noisy, stream(batch_size=10, total=10), FEWSHOT, count=count, examples=examples)


@pytest.mark.parametrize(
    "batch", [{"inputs": np.zeros(3)}, {"labels": np.zeros(3, np.int32)}, {"labels": np.zeros((2, 3))}]
)
def test_a_batch_without_integer_labels_is_an_error(batch: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"fewshot_holdout: wanted .*labels"):
        evaluate(noisy, [batch], FEWSHOT, count=1)


def test_examples_without_images_are_an_error(stream: Stream) -> None:
    batches = ({key: batch[key] for key in ("labels", "index")} for batch in stream(batch_size=10, total=10))
    with pytest.raises(ValueError, match="'images'"):
        evaluate(noisy, batches, FEWSHOT, count=10, examples=1)


@pytest.mark.parametrize(
    ("name", "labels"), [("a/b", (0,)), ("", (0,)), ("..", (0,)), ("x", ()), ("x", (1, 1)), ("x", (-1, 0))]
)
def test_an_evaluation_checks_its_name_and_labels(name: str, labels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="anted"):
        Evaluation(name, labels)
