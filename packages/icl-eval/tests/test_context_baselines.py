import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from icl_eval import MajorityLabel, NearestLabels
from icl_eval.sequences.context_baselines import context_baselines, majority, nearest, prototype


def slow_nearest(vectors: np.ndarray, labels: np.ndarray) -> list[int]:
    found = []
    for items, names in zip(vectors.astype(float), labels, strict=True):
        distances = [((item - items[-1]) ** 2).sum() for item in items[:-1]]
        found.append(int(names[distances.index(min(distances))]))
    return found


def slow_prototype(vectors: np.ndarray, labels: np.ndarray) -> list[int]:
    found = []
    for items, names in zip(vectors.astype(float), labels, strict=True):
        groups: dict[int, list[np.ndarray]] = {}
        for item, name in zip(items[:-1], names[:-1], strict=True):
            groups.setdefault(int(name), []).append(item)
        distances = {name: ((np.mean(group, axis=0) - items[-1]) ** 2).sum() for name, group in groups.items()}
        found.append(min(distances, key=distances.__getitem__))
    return found


def slow_majority(labels: np.ndarray) -> list[int]:
    found = []
    for names in labels[:, :-1].tolist():
        counts = Counter(names)
        found.append(min(name for name, count in counts.items() if count == max(counts.values())))
    return found


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).choice([12_999, 7, 300, 41], size=(200, 9)).astype(np.int32)


@pytest.mark.parametrize("shape", [(3,), (6, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_baselines_agree_with_one_sequence_at_a_time(
    labels: np.ndarray, shape: tuple[int, ...], dtype: type[Any]
) -> None:
    vectors = (np.random.default_rng(0).random((200, 9, *shape)) * 255).astype(dtype)
    flat = vectors.reshape(200, 9, -1)
    assert nearest(vectors, labels).tolist() == slow_nearest(flat, labels)
    assert prototype(vectors, labels).tolist() == slow_prototype(flat, labels)
    assert majority(labels).tolist() == slow_majority(labels)
    assert slow_nearest(flat, labels) != slow_prototype(flat, labels) != slow_majority(labels)


def test_nearest_and_majority_agree_with_the_learners_of_tasks(labels: np.ndarray) -> None:
    labels = labels % 10
    vectors = np.random.default_rng(0).normal(size=(200, 9, 3)).astype(np.float32)
    is_query = np.broadcast_to(np.arange(9) == 8, labels.shape)
    tasks = (vectors, labels, is_query, 10)
    assert nearest(vectors, labels).tolist() == NearestLabels(1).predict(*tasks)[:, -1].tolist()
    assert majority(labels).tolist() == MajorityLabel().predict(*tasks)[:, -1].tolist()


def test_black_and_white_images_that_are_equally_far_are_ties_that_the_earlier_wins() -> None:
    generator = np.random.default_rng(0)
    query = generator.integers(2, size=(50, 1, 105 * 105), dtype=np.uint8)
    # Each context image differs from the query in other places: 4001 x 255^2 is beyond what float32 holds exactly.
    flips = generator.permuted(np.tile(np.arange(105 * 105) < 4001, (50, 4, 1)), axis=-1).astype(np.uint8)
    vectors = np.concatenate([query ^ flips, query], axis=1) * np.uint8(255)
    labels = np.tile(np.array([4, 1, 2, 3, 0], np.int32), (50, 1))
    assert nearest(vectors, labels).tolist() == [4] * 50


def test_near_ties_far_from_the_origin_are_not_misordered() -> None:
    vectors = np.array([[[4096.5, 0], [4097, 0], [4097.25, 0]]], np.float32)
    labels = np.array([[1, 2, 0]])
    assert nearest(vectors, labels).tolist() == prototype(vectors, labels).tolist() == [2]


def test_images_too_large_for_exact_sums_do_not_overflow() -> None:
    vectors = np.zeros((1, 3, 200, 200), np.uint8)  # 40,000 x 255^2 is beyond int32
    vectors[0, 0] = 255
    vectors[0, 1, 0] = 9
    assert nearest(vectors, np.array([[1, 2, 0]])).tolist() == [2]


def test_ties_go_to_the_earlier_item_the_first_label_and_the_lowest_label() -> None:
    labels = np.array([[9, 3, 3, 9, 0]])
    vectors = np.array([[[1.0], [-1.0], [1.0], [-1.0], [0.0]]], np.float32)
    assert nearest(vectors, labels).tolist() == [9]
    assert prototype(vectors, labels).tolist() == [9]
    assert majority(labels).tolist() == [3]


@pytest.mark.parametrize("answer", [0, 7, -1, 2**31 - 1])
def test_the_querys_label_is_not_read(labels: np.ndarray, answer: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 9, 3)).astype(np.float32)
    batch = {"items": vectors, "labels": labels}
    changed = {"items": vectors, "labels": labels.copy()}
    changed["labels"][:, -1] = answer
    for baseline in context_baselines(lambda batch: batch["items"] ** 2).values():
        assert baseline(batch).tolist() == baseline(changed).tolist()


def test_the_order_of_the_context_does_not_matter_where_nothing_ties(labels: np.ndarray) -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 9, 3)).astype(np.float32)
    order = [3, 1, 7, 0, 5, 2, 4, 6, 8]
    for baseline in (nearest, prototype):
        assert baseline(vectors, labels).tolist() == baseline(vectors[:, order], labels[:, order]).tolist()


def test_baselines_have_the_names_of_what_they_compare(labels: np.ndarray) -> None:
    images = np.random.default_rng(0).integers(256, size=(200, 9, 6, 4), dtype=np.uint8)
    batch = {"images": images, "labels": labels}

    def embed(batch: Any) -> np.ndarray:
        return np.sin(batch["images"].reshape(200, 9, -1)[..., :2].astype(np.float32))

    baselines = context_baselines(embed, pixels=True)
    assert list(baselines) == [
        "nearest_pixels", "prototype_pixels", "nearest_embedding", "prototype_embedding", "majority",
    ]  # fmt: skip
    found = {name: baseline(batch) for name, baseline in baselines.items()}
    assert {(array.dtype.name, array.shape) for array in found.values()} == {("int32", (200,))}
    assert found["nearest_pixels"].tolist() == slow_nearest(images.reshape(200, 9, -1), labels)
    assert found["prototype_pixels"].tolist() == slow_prototype(images.reshape(200, 9, -1), labels)
    assert found["nearest_embedding"].tolist() == slow_nearest(embed(batch), labels)
    assert found["prototype_embedding"].tolist() == slow_prototype(embed(batch), labels)
    assert found["majority"].tolist() == slow_majority(labels)
    assert list(context_baselines(pixels=False)) == ["majority"]
    assert list(context_baselines(embed, pixels=False)) == ["nearest_embedding", "prototype_embedding", "majority"]


def test_images_come_before_items() -> None:
    batch = {
        "images": np.array([[[[0]], [[9]], [[8]]]], np.uint8),
        "items": np.array([[[0.0], [9.0], [1.0]]], np.float32),
        "labels": np.array([[1, 2, 0]]),
    }
    assert context_baselines()["nearest_pixels"](batch).tolist() == [2]


def test_labels_may_be_as_large_as_int32_holds() -> None:
    labels = np.array([[2**31 - 1, 5, 2**31 - 1, 0]])
    vectors = np.array([[[0.0], [4.0], [1.0], [0.9]]], np.float32)
    for found in (nearest(vectors, labels), prototype(vectors, labels), majority(labels)):
        assert found.tolist() == [2**31 - 1]


@pytest.mark.parametrize("baseline", [nearest, prototype])
@pytest.mark.parametrize(
    ("vectors", "labels", "message"),
    [
        ((4, 3), (4, 3), r"\[B, S, X\].*got the shape \[4, 3\]"),
        ((4, 3, 2), (4, 2), r"for labels \[4, 2\], got the shape \[4, 3, 2\]"),
        ((4, 1, 2), (4, 1), r"at least one context item, got the shape \[4, 1\]"),
    ],
)
def test_arrays_that_do_not_fit_are_an_error(
    baseline: Callable[..., Any], vectors: tuple[int, ...], labels: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        # Without the checks of shapes that only tests have, to see the function's own.
        inspect.unwrap(baseline)(np.zeros(vectors, np.float32), np.zeros(labels, np.int32))


def test_a_batch_without_items_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'images' or 'items' in a batch, got the keys \['labels'\]"):
        context_baselines()["nearest_pixels"]({"labels": np.zeros((2, 3), np.int32)})


def test_a_majority_without_context_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one context item"):
        majority(np.zeros((2, 1), np.int32))
