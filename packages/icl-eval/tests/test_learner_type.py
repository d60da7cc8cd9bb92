from collections.abc import Mapping

import numpy as np
import pytest

from icl_eval import (
    Estimate,
    LearnerType,
    Result,
    Run,
    Thresholds,
    classify_learner,
    evaluate_functions,
    evaluate_labels,
    learner_type,
)

Progress = tuple[float | None, float]
GENERAL, IDENTIFIES, MEMORIZES = "general learning to learn", "task identification", "task memorization"
FAILS, UNDECIDED = "fails to meta-train", "undecided"


def classified(seen: Progress, unseen: Progress, *, chance: float = 0.1, margin: float = 0.1) -> str:
    return classify_learner(seen=seen, unseen=unseen, chance=chance, thresholds=Thresholds(margin)).kind


LEARNS, KNOWS, GUESSES = (0.1, 0.7), (0.7, 0.7), (0.1, 0.1)


@pytest.mark.parametrize(
    ("seen", "unseen", "expected"),
    [
        (LEARNS, LEARNS, GENERAL),
        (GUESSES, LEARNS, GENERAL),
        (LEARNS, GUESSES, IDENTIFIES),
        (LEARNS, KNOWS, IDENTIFIES),
        (KNOWS, GUESSES, MEMORIZES),
        (KNOWS, KNOWS, MEMORIZES),
        (GUESSES, KNOWS, "undecided"),
        (GUESSES, GUESSES, "undecided"),
        ((0.0, 0.15), (0.0, 0.15), "undecided"),  # improves, but is not above chance + margin
    ],
)
def test_the_first_rule_that_holds_decides(seen: Progress, unseen: Progress, expected: str) -> None:
    assert classified(seen, unseen) == expected


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("chance", [0.0, 0.1, 1 / 3])
def test_a_threshold_that_is_met_exactly_counts_and_a_little_less_does_not(chance: float, margin: float) -> None:
    last = chance + margin
    met, guesses = (chance, last), (chance, chance)
    assert classified(met, guesses, chance=chance, margin=margin) == IDENTIFIES
    assert classified(guesses, met, chance=chance, margin=margin) == GENERAL
    assert classified((last, last), guesses, chance=chance, margin=margin) == MEMORIZES
    low, steep = (chance - 0.001, last - 0.001), (chance + 0.001, last)
    assert classified(low, low, chance=chance, margin=margin) == "undecided"
    assert classified(guesses, low, chance=chance, margin=margin) == "undecided"
    assert classified(steep, low, chance=chance, margin=margin) == MEMORIZES


def test_a_model_of_the_query_alone_is_told_by_its_last_score() -> None:
    high, low = (None, 0.7), (None, 0.1)
    assert classified(high, high) == GENERAL
    assert classified(high, low) == MEMORIZES
    assert classified(low, low) == "undecided"


def test_numbers_that_are_nan_decide_nothing() -> None:
    nan = float("nan")
    assert classified((nan, nan), (nan, nan)) == UNDECIDED
    assert classified((nan, 0.7), (nan, 0.7)) == UNDECIDED
    assert classified((nan, 0.7), (nan, 0.1)) == UNDECIDED
    assert classified((0.1, nan), LEARNS) == GENERAL
    found = classify_learner(seen=GUESSES, unseen=GUESSES, chance=0.1, loss_drop=nan)
    assert found.kind == UNDECIDED and found.reason.endswith("below that of guessing is not known.")


def test_the_reason_is_one_sentence_with_the_numbers() -> None:
    reason = classify_learner(seen=(0.11, 0.72), unseen=(0.12, 0.13), chance=0.1, score="accuracy").reason
    assert reason.count(". ") == 0
    assert reason.endswith(".")
    for number in ("accuracy", "0.11", "0.72", "0.12", "0.13", "0.20", "0.10"):
        assert number in reason
    assert "gain" not in classify_learner(seen=(None, 0.7), unseen=(None, 0.7), chance=0.1).reason


def of_run(seen: Result, unseen: Result, *, margin: float = 0.1, names: Mapping[str, str] | None = None) -> str | None:
    """Return the kind of learner that a run with these two evaluations has."""
    names = {"seen": "a", "unseen": "b"} if names is None else names
    run = Run("run", config={"learner": names}, evaluations={"a": {1: unseen, 2: seen}, "b": {2: unseen}})
    found = learner_type(run, thresholds=Thresholds(margin))
    return None if found is None else found.kind


def test_a_run_of_classifiers_is_told_by_its_last_accuracies() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(generator.integers(4, size=(200, 1)), 8, axis=1)
    batch = {"labels": labels}

    def result(predict):
        return evaluate_labels(predict, [batch], name="tasks", count=200, num_labels=4)

    def copies(batch):
        return np.eye(4)[np.concatenate([np.zeros((200, 1), int), batch["labels"][:, :-1]], axis=1)]

    learns, guesses = result(copies), result(lambda batch: np.zeros((200, 8, 4)))
    knows = result(lambda batch: np.eye(4)[labels])
    assert of_run(learns, learns) == GENERAL
    assert of_run(learns, guesses) == IDENTIFIES
    assert of_run(knows, guesses) == MEMORIZES
    assert of_run(guesses, guesses) == FAILS
    assert of_run(learns, guesses, margin=0.9) == "undecided"


def test_a_run_of_regressors_is_told_by_its_explained_variance() -> None:
    generator = np.random.default_rng(0)
    slope = generator.normal(size=(50, 1, 1))
    inputs = generator.normal(size=(50, 8, 1))
    is_query = np.tile(np.arange(8) >= 4, (50, 1))
    batch = {"inputs": inputs, "targets": slope * inputs, "is_query": is_query}

    def result(predict):
        return evaluate_functions(predict, [batch], name="lines", count=50, context_sizes=(0,))

    def fits(batch):
        x, y = batch["inputs"], batch["targets"]  # targets of queries are 0 and add nothing
        seen = ~batch["is_query"][..., None]
        return x * (x * y).sum(axis=1, keepdims=True) / np.maximum((x * x * seen).sum(axis=1, keepdims=True), 1e-9)

    learns, guesses = result(fits), result(lambda batch: np.zeros_like(inputs))
    knows = result(lambda batch: slope * inputs)
    assert of_run(learns, learns) == GENERAL
    assert of_run(learns, guesses) == IDENTIFIES
    assert of_run(knows, guesses) == MEMORIZES
    assert of_run(guesses, guesses) == FAILS


def test_a_run_that_tells_no_kind_of_learner_has_none() -> None:
    half = Estimate(0.5, 0.4, 0.6, 9)
    full = Result("a", {"accuracy_first": half, "accuracy_last": half}, {"accuracy_last": 0.1})
    assert of_run(full, full) == UNDECIDED  # from intervals as wide as these a gain may be 0 or 0.14
    sure = dict.fromkeys(full.metrics, Estimate(0.5, 0.48, 0.52, 2500))
    assert of_run(*[Result("a", sure, full.chance)] * 2) == MEMORIZES
    assert of_run(full, full, names={"seen": "a"}) is None
    assert of_run(full, full, names={"seen": "a", "unseen": "c"}) is None
    for other in (
        Result("b", full.metrics, {"accuracy_last": 0.5}),
        Result("b", full.metrics, {}),
        Result("b", {"accuracy_last": half}, full.chance),
        Result("b", {"loss": half}, full.chance),
        Result("b", {"normalised_error": half}, {}),
    ):
        assert of_run(full, other) is None
        assert of_run(other, full) is None
    assert of_run(other, other) is None
    with pytest.raises(ValueError, match="both kinds of tasks or for neither"):
        classified((None, 0.5), (0.5, 0.5))


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.1, float("nan")])
def test_a_margin_that_is_none_is_an_error(margin: float) -> None:
    with pytest.raises(ValueError, match="margin above 0"):
        Thresholds(margin)


def test_another_kind_is_an_error() -> None:
    with pytest.raises((ValueError, TypeError)):
        LearnerType("perfect", "It is.")  # type: ignore[arg-type]
