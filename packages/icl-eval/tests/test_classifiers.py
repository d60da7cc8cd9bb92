import itertools
from typing import Any

import jaxtyping
import numpy as np
import pytest
import sklearn.linear_model
import sklearn.svm

from icl_eval import (
    CLASSIFIERS,
    Classifier,
    MajorityLabel,
    NearestLabels,
    RidgeLabels,
    Sklearn,
    labels_by_position,
)

Tasks = tuple[np.ndarray, np.ndarray, np.ndarray]
V = 5


def tasks(*contexts: int, items: int = 14, spread: float = 1.0, seed: int = 0) -> Tasks:
    """Make a task for each number of context items: V classes around random means, in four dimensions."""
    generator = np.random.default_rng(seed)
    B = len(contexts)
    labels = generator.integers(V, size=(B, items), dtype=np.int32)
    means = generator.normal(size=(B, V, 4))
    x = means[np.arange(B)[:, None], labels] + spread * generator.normal(size=(B, items, 4))
    is_query = np.ones((B, items), bool)
    for row, context in zip(is_query, contexts, strict=True):
        row[generator.permutation(items)[:context]] = False
    return x.astype(np.float32), labels, is_query


@pytest.fixture
def unchecked() -> Any:
    """Switch jaxtyping's checks off: what a caller without them is told."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


table = pytest.mark.parametrize("name", CLASSIFIERS)


@table
def test_predictions_are_labels_of_the_context_and_label_0_without_any(name: str) -> None:
    items, labels, is_query = tasks(0, 1, 2, 5, 14)
    predicted = CLASSIFIERS[name].predict(items, labels, is_query, V)
    assert predicted.shape == labels.shape
    assert predicted.dtype == np.int32
    assert not predicted[0].any()
    for b in range(1, 5):
        assert set(predicted[b]) <= set(labels[b, ~is_query[b]])


@table
def test_labels_of_queries_are_not_read_and_those_of_the_context_are(name: str) -> None:
    items, labels, is_query = tasks(1, 4, 9)
    predicted = CLASSIFIERS[name].predict(items, labels, is_query, V)
    nonsense = np.where(is_query, np.int32(-7), labels)
    np.testing.assert_array_equal(CLASSIFIERS[name].predict(items, nonsense, is_query, V), predicted)
    # All labels up by one, in more labels: the predictions follow.
    np.testing.assert_array_equal(CLASSIFIERS[name].predict(items, labels + 1, is_query, V + 1), predicted + 1)


@table
def test_the_order_of_the_items_does_not_matter(name: str) -> None:
    items, labels, is_query = tasks(3, 8, 11)
    order = np.random.default_rng(1).permutation(items.shape[1])
    there = CLASSIFIERS[name].predict(items[:, order], labels[:, order], is_query[:, order], V)
    np.testing.assert_array_equal(there, CLASSIFIERS[name].predict(items, labels, is_query, V)[:, order])


@table
def test_a_task_alone_is_predicted_as_in_a_batch_of_contexts_of_other_sizes(name: str) -> None:
    items, labels, is_query = tasks(3, 0, 10, 1)
    together = CLASSIFIERS[name].predict(items, labels, is_query, V)
    for b in range(4):
        row = slice(b, b + 1)
        alone = CLASSIFIERS[name].predict(items[row], labels[row], is_query[row], V)
        np.testing.assert_array_equal(alone[0], together[b])


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name != "majority label"])
def test_classes_far_apart_are_told_apart(name: str) -> None:
    items, labels, is_query = tasks(40, 40, items=60, spread=0.01, seed=3)
    predicted = CLASSIFIERS[name].predict(10 * items, labels, is_query, V)
    # Ridge regression may hide a class behind others; it still is far above the chance of 1/5.
    assert (predicted == labels)[is_query].mean() > (0.7 if name == "ridge" else 0.99)


def nearest_label(items: np.ndarray, labels: np.ndarray, is_query: np.ndarray, n: int, k: int) -> int:
    """Return the k-NN label of item n of one task, with plain loops."""
    context = [m for m in range(len(items)) if not is_query[m]]
    nearest = sorted(context, key=lambda m: (float(((items[m] - items[n]) ** 2).sum()), m))[:k]
    winner, most = 0, 0
    for m in nearest:
        votes = sum(labels[other] == labels[m] for other in nearest)
        if votes > most:
            winner, most = int(labels[m]), votes
    return winner


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 2, 3, 4, 20])
def test_nearest_labels_agree_with_a_loop_on_items_full_of_ties(seed: int, k: int) -> None:
    _, labels, is_query = tasks(0, 2, 6, 10, items=10, seed=seed)
    items = np.random.default_rng(seed).integers(-1, 2, size=(4, 10, 2)).astype(np.float32)
    predicted = NearestLabels(k).predict(items, labels, is_query, V)
    for b, n in itertools.product(range(4), range(10)):
        assert predicted[b, n] == nearest_label(items[b], labels[b], is_query[b], n, k)


def test_the_majority_is_counted_in_the_context_and_ties_go_to_the_lowest_label() -> None:
    labels = np.array([[4, 2, 2, 4, 3, 3, 3], [1, 1, 1, 1, 0, 0, 0]], np.int32)
    is_query = np.array([[0, 0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 0, 0, 1]], bool)
    predicted = MajorityLabel().predict(np.zeros((2, 7, 1), np.float32), labels, is_query, V)
    np.testing.assert_array_equal(predicted, np.array([[2], [0]]).repeat(7, axis=1))


def test_a_classifier_of_scikit_learn_is_fitted_to_each_task_alone() -> None:
    items, labels, is_query = tasks(12, 9, 1, 0, items=30)
    predicted = Sklearn(sklearn.svm.SVC()).predict(items, labels, is_query, V)
    for b in range(2):
        theirs = sklearn.svm.SVC().fit(items[b, ~is_query[b]], labels[b, ~is_query[b]])
        np.testing.assert_array_equal(predicted[b], theirs.predict(items[b]))
    assert set(predicted[2]) == {labels[2, ~is_query[2]].item()}  # which an SVC alone refuses
    assert not predicted[3].any()


def test_ridge_on_labels_agrees_with_scikit_learn_on_one_hot_labels() -> None:
    items, labels, is_query = tasks(12, 3, items=30)
    predicted = RidgeLabels(0.5).predict(items, labels, is_query, V)
    for b in range(2):
        shown = ~is_query[b]
        theirs = sklearn.linear_model.Ridge(alpha=0.5).fit(items[b, shown], np.eye(V)[labels[b, shown]])
        np.testing.assert_array_equal(predicted[b], theirs.predict(items[b]).argmax(axis=1))


@pytest.mark.parametrize("weak", [RidgeLabels(1e9), Sklearn(sklearn.linear_model.LogisticRegression(C=1e-9))])
def test_a_heavy_penalty_leaves_the_majority(weak: Classifier) -> None:
    items, _, is_query = tasks(7, 7, items=7)
    labels = np.array([[3, 3, 1, 3, 0, 1, 3], [2, 0, 0, 4, 0, 4, 0]], np.int32)
    np.testing.assert_array_equal(weak.predict(items, labels, is_query, V), [[3] * 7, [0] * 7])


@table
def test_by_position_only_what_came_before_is_seen(name: str) -> None:
    items, labels, _ = tasks(0, 0, 0, items=9)
    positions = [0, 1, 4, 8]
    predicted = labels_by_position(CLASSIFIERS[name], items, labels, num_labels=V, positions=positions)
    assert predicted.shape == (3, 4)
    assert not predicted[:, 0].any()
    np.testing.assert_array_equal(predicted[:, 1], labels[:, 0])
    for column, position in enumerate(positions):
        later_items, later_labels = items.copy(), labels.copy()
        later_items[:, position + 1 :] = 100
        later_labels[:, position:] = 0
        again = labels_by_position(CLASSIFIERS[name], later_items, later_labels, num_labels=V, positions=[position])
        np.testing.assert_array_equal(again[:, 0], predicted[:, column])


def test_by_position_agrees_with_a_loop() -> None:
    items, labels, _ = tasks(0, 0, items=8)
    predicted = labels_by_position(NearestLabels(3), items, labels, num_labels=V, positions=range(8))
    for b, position in itertools.product(range(2), range(8)):
        is_query = np.arange(8) >= position
        assert predicted[b, position] == nearest_label(items[b], labels[b], is_query, position, 3)


@pytest.mark.parametrize("positions", [[], [-1], [0, 9]])
def test_positions_outside_the_sequence_are_refused(positions: list[int]) -> None:
    items, labels, _ = tasks(0, items=9)
    with pytest.raises(ValueError, match=r"one or more positions in 0\.\.8, got \["):
        labels_by_position(MajorityLabel(), items, labels, num_labels=V, positions=positions)


def test_penalties_and_k_must_be_positive() -> None:
    for penalty in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="penalty must be a finite number above 0, got"):
            RidgeLabels(penalty)
    with pytest.raises(ValueError, match="k must be a whole number of at least 1, got 0"):
        NearestLabels(0)


@table
def test_wrong_arrays_are_refused(name: str, unchecked: None) -> None:
    items, labels, is_query = tasks(3, 14)
    wrong = [
        ((items[0], labels[0], is_query[0], V), r"\[14, 4\], \[14\] \(int32\) and \[14\]"),
        ((items, labels[:, 1:], is_query, V), r"\[2, 13\] \(int32\)"),
        ((items, labels.astype(np.float32), is_query, V), "float32"),
        ((items, labels, is_query[:, 1:], V), r"and \[2, 13\]"),
        ((items, labels, is_query.astype(np.int32), V), "is_query as bool, got int32"),
        ((items * np.nan, labels, is_query, V), "items hold 112 others"),
        ((items[:0], labels[:0], is_query[:0], V), "at least one of everything in items"),
        ((items, labels, is_query, int(labels[1].max())), "Wanted labels in 0.."),
        ((items, labels - 1, is_query, V), r"Wanted labels in 0\.\.4 in the context, got some in -1"),
        ((items, labels, is_query, 0), "num_labels must be a whole number of at least 1, got 0"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ValueError, match=message):
            CLASSIFIERS[name].predict(*arguments)
