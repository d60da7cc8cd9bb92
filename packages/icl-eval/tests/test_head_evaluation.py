import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_eval import Result, mean
from icl_eval.attention import evaluate_heads as evaluate_heads_module
from icl_eval.attention.scores import head_scores
from icl_eval.attention.token_positions import TokenPositions

POSITIONS = TokenPositions(range(0, 9, 2), range(1, 9, 2))  # item, label, item, ..., query
Stream = Callable[..., Iterator[dict[str, np.ndarray]]]


def evaluate_heads(*arguments: Any, **options: Any) -> tuple[Result, Any]:
    result = evaluate_heads_module.evaluate_heads(*arguments, **options)
    return result, result.arrays.get("attention")


def attend(batch: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return causal attention of 2 layers of 3 heads and logits over 7 labels, by a sequence's index alone."""
    generators = [np.random.default_rng(int(index)) for index in batch["index"]]
    weights = np.tril(np.stack([generator.exponential(size=(2, 3, 9, 9)) for generator in generators]))
    attention = (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)
    return attention, np.stack([generator.normal(size=7) for generator in generators])


def uniform(batch: dict[str, Any]) -> tuple[np.ndarray, None]:
    seen = np.tril(np.ones((9, 9), np.float32))
    return np.tile(seen / seen.sum(axis=-1, keepdims=True), (len(batch["labels"]), 2, 3, 1, 1)), None


@pytest.mark.parametrize("batch_size", [1, 7, 10, 64])
def test_numbers_are_those_of_the_first_count_sequences_whatever_the_batch_size(
    stream: Stream, batch_size: int
) -> None:
    (batch,) = stream(batch_size=100, total=100, ways=3)
    scores = head_scores(attend(batch)[0][:50], batch["classes"][:50], POSITIONS)
    matched = sum(classes[-1] in classes[:-1] for classes in batch["classes"][:50].tolist())
    assert matched < 50
    batches = stream(batch_size=batch_size, total=100, ways=3)
    result, examples = evaluate_heads(attend, batches, POSITIONS, name="heads_x", count=50)
    assert examples is None
    assert result.evaluation == "heads_x"
    assert len(result.metrics) == len(result.chance) == 3 * 2 * 3
    for kind, values in scores._asdict().items():
        for layer, head in np.ndindex(2, 3):
            column = np.asarray(values)[:, layer, head]
            expected, found = mean(column[~np.isnan(column)]), result.metrics[f"{kind}_{layer}_{head}"]
            assert found.count == expected.count == (50 if kind == "previous_token" else matched)
            assert found.value == pytest.approx(expected.value, rel=1e-5)
            assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-5)


def test_uniform_attention_scores_chance_in_everything(stream: Stream) -> None:
    result, _ = evaluate_heads(uniform, stream(batch_size=20, total=40, ways=3), POSITIONS, name="heads_x", count=30)
    assert set(result.chance) == set(result.metrics) == set(result.measures)
    assert result.measures["same_class_0_1"].shown == "same_class_L_H"
    for name, estimate in result.metrics.items():
        assert estimate.value == pytest.approx(result.chance[name], rel=1e-6)
    (batch,) = stream(batch_size=40, total=40, ways=3)
    same = (batch["classes"][:30, :-1] == batch["classes"][:30, -1:]).sum(axis=1)
    assert result.chance["induction_1_2"] == pytest.approx(same[same > 0].mean() / 9, rel=1e-6)
    assert result.chance["previous_token_0_0"] == pytest.approx(np.mean([1 / 2, 1 / 4, 1 / 6, 1 / 8]), rel=1e-6)


def test_attention_that_is_not_causal_has_a_chance_of_its_own(stream: Stream) -> None:
    def everywhere(batch: dict[str, Any]) -> tuple[np.ndarray, None]:
        return np.full((len(batch["labels"]), 1, 1, 9, 9), 1 / 9, np.float32), None

    batches = list(stream(batch_size=20, total=20))
    result, _ = evaluate_heads(everywhere, batches, POSITIONS, name="heads_x", count=20, causal=False)
    assert result.chance["previous_token_0_0"] == pytest.approx(1 / 9)
    assert result.metrics["previous_token_0_0"].value == pytest.approx(1 / 9)
    with pytest.raises(ValueError, match=r"gives 0.1111 of its attention to one after it; pass causal=False"):
        evaluate_heads(everywhere, batches, POSITIONS, name="heads_x", count=20)


def test_an_induction_head_made_by_hand_scores_1_and_is_found_by_its_number(stream: Stream) -> None:
    def induct(batch: dict[str, Any]) -> tuple[np.ndarray, None]:
        attention = uniform(batch)[0]
        same = batch["classes"][:, :-1] == batch["classes"][:, -1:]
        attention[:, 1, 2, 8] = 0
        attention[:, 1, 2, 8, 1::2] = same / np.maximum(same.sum(axis=1, keepdims=True), 1)
        attention[~same.any(axis=1), 1, 2, 8, 0] = 1
        return attention, None

    result, _ = evaluate_heads(induct, stream(batch_size=20, total=40, ways=3), POSITIONS, name="heads_x", count=40)
    assert result.metrics["induction_1_2"].value == pytest.approx(1)
    assert result.metrics["same_class_1_2"].value == 0
    assert max(e.value for name, e in result.metrics.items() if name != "induction_1_2") < 0.5


def test_no_batch_is_drawn_beyond_those_needed(stream: Stream) -> None:
    batches = stream(batch_size=10, total=100)
    evaluate_heads(attend, batches, POSITIONS, name="heads_x", count=30)
    assert next(batches)["index"][0] == 30


def test_a_jitted_model_compiles_once_although_the_last_batch_is_cut(stream: Stream) -> None:
    compiled = 0

    @jax.jit
    def forward(images: jax.Array) -> tuple[jax.Array, jax.Array]:
        nonlocal compiled
        compiled += 1
        means = images.astype(jnp.float32).mean(axis=(2, 3))
        return jnp.tile(jnp.eye(9)[None, None, None], (len(images), 2, 3, 1, 1)), means

    for count in (15, 21):
        batches = stream(batch_size=8, total=40)
        evaluate_heads(lambda batch: forward(batch["images"]), batches, POSITIONS, name="heads_x", count=count)
    assert compiled == 1


def test_the_model_does_not_see_the_answer_and_the_callers_batch_keeps_it(stream: Stream) -> None:
    seen: list[np.ndarray] = []

    def look(batch: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        seen.append(batch["labels"])
        return attend(batch)

    (batch,) = stream(batch_size=20, total=20)
    before = batch["labels"].copy()
    _, examples = evaluate_heads(look, [batch], POSITIONS, name="heads_x", count=20, examples=20)
    assert before[:, -1].any()
    np.testing.assert_array_equal(batch["labels"], before)
    np.testing.assert_array_equal(seen[0][:, :-1], before[:, :-1])
    assert not seen[0][:, -1].any()
    assert examples is not None
    np.testing.assert_array_equal(examples.labels, before)


@pytest.mark.parametrize("batch_size", [2, 30])
def test_examples_are_the_first_sequences_with_their_attention_and_predictions(stream: Stream, batch_size: int) -> None:
    batches = stream(batch_size=batch_size, total=30)
    _, examples = evaluate_heads(
        attend, batches, POSITIONS, name="heads_x", count=20, examples=5, possible_labels=range(2)
    )
    (batch,) = stream(batch_size=30, total=30)
    attention, logits = attend(batch)
    assert examples is not None
    np.testing.assert_array_equal(examples.images, batch["images"][:5])
    np.testing.assert_array_equal(examples.labels, batch["labels"][:5])
    np.testing.assert_array_equal(examples.attention, attention[:5])
    np.testing.assert_array_equal(examples.predicted, logits[:5, :2].argmax(axis=1))
    assert examples.item_tokens.tolist() == [0, 2, 4, 6, 8]
    assert examples.label_tokens.tolist() == [1, 3, 5, 7]
    assert examples.attention.dtype == np.float32


def test_examples_predict_among_all_labels_or_nothing_without_logits(stream: Stream) -> None:
    (batch,) = stream(batch_size=30, total=30)
    _, examples = evaluate_heads(attend, [batch], POSITIONS, name="heads_x", count=30, examples=30)
    assert examples is not None
    np.testing.assert_array_equal(examples.predicted, attend(batch)[1].argmax(axis=1))
    _, examples = evaluate_heads(uniform, [batch], POSITIONS, name="heads_x", count=30, examples=2)
    assert examples is not None
    assert examples.predicted.tolist() == [-1, -1]


def test_everything_may_live_on_a_device_in_low_precision(stream: Stream) -> None:
    on_device = ({key: jnp.asarray(batch[key]) for key in ("images", "labels", "classes")} | {"index": batch["index"]}
                 for batch in stream(batch_size=8, total=16))  # fmt: skip

    def attend_low(batch: dict[str, Any]) -> tuple[jax.Array, jax.Array]:
        attention, logits = attend(batch)
        return jnp.asarray(attention, jnp.bfloat16), jnp.asarray(logits, jnp.bfloat16)

    result, examples = evaluate_heads(attend_low, on_device, POSITIONS, name="heads_x", count=16, examples=9)
    full, _ = evaluate_heads(attend, stream(batch_size=16, total=16), POSITIONS, name="heads_x", count=16)
    assert examples is not None
    assert isinstance(examples.images, np.ndarray)
    assert examples.attention.dtype == np.float32
    for name, estimate in result.metrics.items():
        assert estimate.value == pytest.approx(full.metrics[name].value, rel=0.01)


def test_examples_of_float_images_are_kept_as_grey_levels(stream: Stream) -> None:
    (batch,) = stream(batch_size=4, total=4)
    floats = {**batch, "images": batch["images"].astype(np.float32) / 255}
    floats["images"][0, 0, 0, :2] = -3.0, 7.5
    _, examples = evaluate_heads(attend, [floats], POSITIONS, name="heads_x", count=4, examples=4)
    expected = batch["images"].copy()
    expected[0, 0, 0, :2] = 0, 255
    assert examples is not None
    np.testing.assert_array_equal(examples.images, expected)


def test_scores_that_no_sequence_has_are_left_out(stream: Stream) -> None:
    (batch,) = stream(batch_size=4, total=4)
    unlike = {**batch, "classes": np.tile(np.arange(5), (4, 1))}
    result, _ = evaluate_heads(attend, [unlike], POSITIONS, name="heads_x", count=4)
    assert {name[:8] for name in result.metrics} == {name[:8] for name in result.chance} == {"previous"}


def test_a_head_that_breaks_after_the_first_batch_is_not_finite_and_leaves_the_others_alone(stream: Stream) -> None:
    def breaks(batch: dict[str, Any]) -> tuple[np.ndarray, None]:
        attention, _ = uniform(batch)
        attention[batch["index"] == 15, 0, 1] = np.nan
        return attention, None

    result, examples = evaluate_heads(
        breaks, stream(batch_size=10, total=20), POSITIONS, name="heads_x", count=20, examples=20
    )
    assert examples is None  # nothing to draw
    assert {name for name, estimate in result.metrics.items() if math.isnan(estimate.value)} == {
        "induction_0_1", "previous_token_0_1", "same_class_0_1",
    }  # fmt: skip


@pytest.mark.parametrize("low_entry", [False, True])
def test_scores_before_the_softmax_are_an_error(stream: Stream, low_entry: bool) -> None:
    def not_probabilities(batch: dict[str, Any]) -> tuple[np.ndarray, None]:
        attention, _ = uniform(batch)
        if low_entry:  # the sums stay
            attention[3, 1, 2, 8, :2] = -1, attention[3, 1, 2, 8, :2].sum() + 1
        else:
            attention[3, 1, 2, 8] *= 1.01
        return attention, None

    with pytest.raises(ValueError, match=r"heads_x: wanted attention probabilities.*after the softmax"):
        evaluate_heads(not_probabilities, stream(batch_size=10, total=20), POSITIONS, name="heads_x", count=20)


@pytest.mark.parametrize(
    "shape", [(10, 2, 3, 9, 8), (10, 2, 3, 5, 5), (9, 2, 3, 9, 9), (10, 3, 9, 9), (10, 0, 3, 9, 9)]
)
def test_attention_of_a_wrong_shape_is_an_error(stream: Stream, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"wanted attention \[10, L, H, 9, 9\].*attend gave the shape \["):
        evaluate_heads(
            lambda batch: (np.ones(shape), None), stream(batch_size=10, total=10), POSITIONS, name="heads_x", count=10
        )


@pytest.mark.parametrize("shape", [(9, 2), (10,), (10, 2, 2)])
def test_logits_of_a_wrong_shape_are_an_error(stream: Stream, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"wanted the query's logits, \[10, V\], or None; attend gave \["):
        evaluate_heads(
            lambda batch: (uniform(batch)[0], np.zeros(shape)),
            stream(batch_size=10, total=10),
            POSITIONS,
            name="heads_x",
            count=10,
        )


def test_too_few_sequences_are_an_error_that_counts_them(stream: Stream) -> None:
    with pytest.raises(ValueError, match=r"heads_x: wanted 50 sequences, but the batches ended after 30.*count=30"):
        evaluate_heads(attend, stream(batch_size=10, total=30), POSITIONS, name="heads_x", count=50)
    with pytest.raises(ValueError, match="ended after 0"):
        evaluate_heads(attend, [], POSITIONS, name="heads_x", count=1)


@pytest.mark.parametrize(("count", "examples"), [(0, 0), (-1, 0), (5, 6), (5, -1)])
def test_counts_out_of_range_are_errors(stream: Stream, count: int, examples: int) -> None:
    with pytest.raises(ValueError, match=r"count must be a whole number of at least 1|examples in 0\.\.5"):
        evaluate_heads(
            attend, stream(batch_size=10, total=10), POSITIONS, name="heads_x", count=count, examples=examples
        )


@pytest.mark.parametrize("key", ["labels", "classes", "images"])
def test_a_batch_that_lacks_a_key_is_an_error(stream: Stream, key: str) -> None:
    (batch,) = stream(batch_size=10, total=10)
    del batch[key]
    with pytest.raises(ValueError, match=f"'{key}'"):
        evaluate_heads(attend, [batch], POSITIONS, name="heads_x", count=10, examples=1)


def test_sequences_of_another_length_than_the_positions_are_an_error(stream: Stream) -> None:
    with pytest.raises(ValueError, match=r"integer labels \[B, 6\], as the token positions are of 6 items.*\[10, 5\]"):
        evaluate_heads(
            attend,
            stream(batch_size=10, total=10),
            TokenPositions(range(0, 11, 2), range(1, 11, 2)),
            name="heads_x",
            count=10,
        )


def test_sequences_in_which_no_head_has_a_score_are_an_error(stream: Stream) -> None:
    batch = {"labels": np.array([[0, 1]]), "classes": np.array([[4, 5]])}
    with pytest.raises(ValueError, match="no head has a score; evaluate on few-shot"):
        evaluate_heads(
            lambda batch: (np.eye(2)[None, None, None], None),
            [batch],
            TokenPositions((0, 1), (0,)),
            name="heads_x",
            count=1,
        )
