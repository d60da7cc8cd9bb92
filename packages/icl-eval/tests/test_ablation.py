from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from icl_eval import Evaluation, evaluate
from icl_eval.attention.ablation import ablate_heads

ICL = Evaluation("fewshot_holdout", range(2))
IWL = Evaluation("no_support_zipfian", range(2, 6))
LAYERS, HEADS = 2, 3


def predict(batch: dict[str, Any], keep: np.ndarray) -> np.ndarray:
    """Copy the label of the context item of the query's class by head (1, 0); know classes by their number anyway."""
    classes, labels = batch["classes"], batch["labels"]
    same = classes[:, :-1] == classes[:, -1:]
    copied = np.eye(6)[np.where(same.any(axis=1), np.take_along_axis(labels, same.argmax(axis=1)[:, None], 1)[:, 0], 0)]
    known = np.eye(6)[classes[:, -1] % 4 + 2]
    return 2 * keep[1, 0] * copied * same.any(axis=1, keepdims=True) + known


def few_shot(batch_size: int = 8, total: int = 40) -> Iterator[dict[str, np.ndarray]]:
    """Two classes per sequence under the labels 0 and 1, the query one of them."""
    generator = np.random.default_rng(0)
    labels = np.concatenate([np.tile([0, 1, 1, 0], (total, 1)), generator.integers(2, size=(total, 1))], axis=1)
    classes = np.take_along_axis(generator.permuted(np.tile(np.arange(8), (total, 1)), axis=1)[:, :2], labels, axis=1)
    for start in range(0, total, batch_size):
        yield {"labels": labels[start : start + batch_size], "classes": classes[start : start + batch_size]}


def no_support(batch_size: int = 8, total: int = 40) -> Iterator[dict[str, np.ndarray]]:
    """Five different classes per sequence, under labels of their own."""
    classes = np.random.default_rng(1).permuted(np.tile(np.arange(8), (total, 1)), axis=1)[:, :5]
    for start in range(0, total, batch_size):
        rows = classes[start : start + batch_size]
        yield {"labels": rows % 4 + 2, "classes": rows}


def test_removing_the_copying_head_destroys_icl_only_and_other_heads_nothing() -> None:
    result = ablate_heads(
        predict,
        {"icl": (ICL, few_shot, "accuracy_closed"), "iwl": (IWL, no_support, "accuracy_open")},
        layers=LAYERS,
        heads=HEADS,
        count=37,
    )
    assert result.evaluation == "ablated_heads"
    assert list(result.metrics)[:3] == ["icl", "icl_without_0_0", "icl_without_0_1"]
    assert len(result.metrics) == 2 * (1 + LAYERS * HEADS)
    values = {name: estimate.value for name, estimate in result.metrics.items()}
    assert 0.2 < values.pop("icl_without_1_0") < 0.8
    assert set(values.values()) == {1.0}
    assert {estimate.count for estimate in result.metrics.values()} == {37}
    assert set(result.measures) == set(result.metrics)
    assert result.measures["icl"].sentence == "accuracy_closed of fewshot_holdout, with all attention heads."
    assert {words.shown for name, words in result.measures.items() if "without" in name} == {"…_without_L_H"}


def test_chance_is_that_of_the_metric_where_it_has_one() -> None:
    result = ablate_heads(
        lambda batch, keep: predict(batch, np.ones((LAYERS, HEADS))),
        {"icl": (ICL, few_shot, "accuracy_closed"), "surprise": (IWL, no_support, "loss")},
        layers=1,
        heads=1,
        count=8,
    )
    assert dict(result.chance) == {"icl": 0.5, "icl_without_0_0": 0.5}
    assert set(result.metrics) == {"icl", "icl_without_0_0", "surprise", "surprise_without_0_0"}


def test_each_number_is_what_evaluate_gives_without_that_head() -> None:
    weights = np.random.default_rng(0).normal(size=(LAYERS, HEADS, 5, 2))

    def noisy(batch: dict[str, Any], keep: np.ndarray) -> np.ndarray:
        return np.einsum("bs,lhsv,lh->bv", batch["classes"] - 3.5, weights, keep)

    result = ablate_heads(noisy, {"icl": (ICL, few_shot, "loss")}, layers=LAYERS, heads=HEADS, count=30)
    assert len({estimate.value for estimate in result.metrics.values()}) == 1 + LAYERS * HEADS
    for layer, head in np.ndindex(LAYERS, HEADS):
        without = np.ones((LAYERS, HEADS), np.float32)
        without[layer, head] = 0
        expected = evaluate(lambda batch, keep=without: noisy(batch, keep), few_shot(), ICL, count=30)
        assert result.metrics[f"icl_without_{layer}_{head}"] == expected.metrics["loss"]
    assert (
        result.metrics["icl"]
        == evaluate(lambda batch: noisy(batch, np.ones((LAYERS, HEADS))), few_shot(), ICL, count=30).metrics["loss"]
    )


def test_all_removals_see_the_same_sequences_which_are_drawn_once_and_no_further() -> None:
    streams: list[Iterator[dict[str, np.ndarray]]] = []
    seen: dict[bytes, list[bytes]] = {}

    def make() -> Iterator[dict[str, np.ndarray]]:
        # A stream that never makes the same sequence again.
        streams.append(few_shot(batch_size=8, total=80))
        return streams[-1]

    def remember(batch: dict[str, Any], keep: np.ndarray) -> np.ndarray:
        assert keep.dtype == np.float32
        seen.setdefault(keep.tobytes(), []).append(batch["classes"].tobytes())
        return predict(batch, keep)

    ablate_heads(remember, {"icl": (ICL, make, "accuracy_closed")}, layers=LAYERS, heads=HEADS, count=20)
    assert len(streams) == 1
    assert len(seen) == 1 + LAYERS * HEADS
    first, *others = seen.values()
    assert len(first) == 3
    assert all(other == first for other in others)
    expected = [batch["classes"].tobytes() for batch in few_shot(batch_size=8, total=80)]
    assert first == expected[:3]
    assert next(streams[0])["classes"].tobytes() == expected[3]


def test_the_answer_stays_hidden_from_every_removal() -> None:
    def peek(batch: dict[str, Any], keep: np.ndarray) -> np.ndarray:
        assert not batch["labels"][:, -1].any()
        return np.eye(2)[batch["labels"][:, -1]]

    result = ablate_heads(peek, {"icl": (ICL, few_shot, "accuracy_closed")}, layers=1, heads=2, count=40)
    assert all(0.2 < estimate.value < 0.8 for estimate in result.metrics.values())


@pytest.mark.parametrize(("layers", "heads", "count"), [(0, 1, 8), (1, 0, 8), (1, 1, 0)])
def test_numbers_below_1_are_an_error(layers: int, heads: int, count: int) -> None:
    with pytest.raises(ValueError, match="whole number of at least 1, got 0"):
        ablate_heads(predict, {"icl": (ICL, few_shot, "accuracy_closed")}, layers=layers, heads=heads, count=count)


def test_no_evaluations_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one evaluation"):
        ablate_heads(predict, {}, layers=1, heads=1, count=8)


def test_a_metric_that_the_evaluation_does_not_have_is_an_error_that_lists_those_it_has() -> None:
    with pytest.raises(ValueError, match=r"icl: wanted one of the metrics .*accuracy_closed.* got 'accuracy'"):
        ablate_heads(predict, {"icl": (ICL, few_shot, "accuracy")}, layers=LAYERS, heads=HEADS, count=8)


def test_what_evaluate_refuses_is_refused() -> None:
    makers: dict[str, Callable[[], Any]] = {"ended after 40": few_shot, "'labels'": lambda: [{}], "after 0": list}
    for message, make in makers.items():
        with pytest.raises(ValueError, match=message):
            ablate_heads(predict, {"icl": (ICL, make, "accuracy_closed")}, layers=LAYERS, heads=HEADS, count=50)
