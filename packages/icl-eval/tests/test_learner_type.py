import numpy as np
import pytest

from icl_eval import (
    Estimate,
    Judgement,
    Progress,
    Result,
    Thresholds,
    evaluate_functions,
    evaluate_labels,
    judge,
    judge_functions,
    judge_labels,
)


def verdict(seen: Progress, unseen: Progress, *, chance: float = 0.1, margin: float = 0.1) -> str:
    return judge(seen=seen, unseen=unseen, chance=chance, thresholds=Thresholds(margin)).verdict


LEARNS, KNOWS, GUESSES = Progress(0.1, 0.7), Progress(0.7, 0.7), Progress(0.1, 0.1)


@pytest.mark.parametrize(
    ("seen", "unseen", "expected"),
    [
        (LEARNS, LEARNS, "learns to learn"),
        (GUESSES, LEARNS, "learns to learn"),
        (LEARNS, GUESSES, "identifies the task"),
        (LEARNS, KNOWS, "identifies the task"),
        (KNOWS, GUESSES, "memorises"),
        (KNOWS, KNOWS, "memorises"),
        (GUESSES, KNOWS, "undecided"),
        (GUESSES, GUESSES, "undecided"),
        (Progress(0.0, 0.15), Progress(0.0, 0.15), "undecided"),  # improves, but is not above chance + margin
    ],
)
def test_the_first_rule_that_holds_decides(seen: Progress, unseen: Progress, expected: str) -> None:
    assert verdict(seen, unseen) == expected


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("chance", [0.0, 0.1, 1 / 3])
def test_a_threshold_that_is_met_exactly_counts_and_a_little_less_does_not(chance: float, margin: float) -> None:
    last = chance + margin
    met, guesses = Progress(chance, last), Progress(chance, chance)
    assert verdict(met, guesses, chance=chance, margin=margin) == "identifies the task"
    assert verdict(guesses, met, chance=chance, margin=margin) == "learns to learn"
    assert verdict(Progress(last, last), guesses, chance=chance, margin=margin) == "memorises"
    low, steep = Progress(chance - 0.001, last - 0.001), Progress(chance + 0.001, last)
    assert verdict(low, low, chance=chance, margin=margin) == "undecided"
    assert verdict(guesses, low, chance=chance, margin=margin) == "undecided"
    assert verdict(steep, low, chance=chance, margin=margin) == "memorises"


def test_a_model_of_the_query_alone_is_told_by_its_last_score() -> None:
    high, low = Progress(None, 0.7), Progress(None, 0.1)
    assert verdict(high, high) == "learns to learn"
    assert verdict(high, low) == "memorises"
    assert verdict(low, low) == "undecided"


def test_numbers_that_are_nan_decide_nothing() -> None:
    nan = float("nan")
    assert verdict(Progress(nan, nan), Progress(nan, nan)) == "undecided"
    assert verdict(Progress(nan, 0.7), Progress(nan, 0.7)) == "memorises"


def test_the_reason_is_one_sentence_with_the_numbers() -> None:
    reason = judge(seen=Progress(0.11, 0.72), unseen=Progress(0.12, 0.13), chance=0.1, score="accuracy").reason
    assert reason.count(". ") == 0
    assert reason.endswith(".")
    for number in ("accuracy", "0.11", "0.72", "0.12", "0.13", "0.20", "0.10"):
        assert number in reason
    assert "gain" not in judge(seen=Progress(None, 0.7), unseen=Progress(None, 0.7), chance=0.1).reason


def test_judging_evaluated_classifiers() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(generator.integers(4, size=(200, 1)), 8, axis=1)
    batch = {"labels": labels}

    def result(predict):
        return evaluate_labels(predict, [batch], name="tasks", count=200, num_labels=4)[0]

    def copies(batch):
        return np.eye(4)[np.concatenate([np.zeros((200, 1), int), batch["labels"][:, :-1]], axis=1)]

    learns, guesses = result(copies), result(lambda batch: np.zeros((200, 8, 4)))
    knows = result(lambda batch: np.eye(4)[labels])
    assert judge_labels(learns, learns).verdict == "learns to learn"
    assert judge_labels(learns, guesses).verdict == "identifies the task"
    assert judge_labels(knows, guesses).verdict == "memorises"
    assert judge_labels(guesses, guesses).verdict == "undecided"
    assert judge_labels(learns, guesses, Thresholds(0.9)).verdict == "undecided"


def test_judging_evaluated_regressors() -> None:
    generator = np.random.default_rng(0)
    slope = generator.normal(size=(50, 1, 1))
    inputs = generator.normal(size=(50, 8, 1))
    is_query = np.tile(np.arange(8) >= 4, (50, 1))
    batch = {"inputs": inputs, "targets": slope * inputs, "is_query": is_query}

    def result(predict):
        return evaluate_functions(predict, [batch], name="lines", count=50, context_sizes=(0,))[0]

    def fits(batch):
        x, y = batch["inputs"], batch["targets"]  # targets of queries are 0 and add nothing
        seen = ~batch["is_query"][..., None]
        return x * (x * y).sum(axis=1, keepdims=True) / np.maximum((x * x * seen).sum(axis=1, keepdims=True), 1e-9)

    learns, guesses = result(fits), result(lambda batch: np.zeros_like(inputs))
    knows = result(lambda batch: slope * inputs)
    assert judge_functions(learns, learns).verdict == "learns to learn"
    assert judge_functions(learns, guesses).verdict == "identifies the task"
    assert judge_functions(knows, guesses).verdict == "memorises"
    assert judge_functions(guesses, guesses).verdict == "undecided"


def test_results_that_cannot_be_judged_are_errors() -> None:
    half = Estimate(0.5, 0.4, 0.6, 9)
    full = Result("a", {"accuracy_first": half, "accuracy_last": half}, {"accuracy_last": 0.1})
    with pytest.raises(ValueError, match="same chance"):
        judge_labels(full, Result("b", full.metrics, {"accuracy_last": 0.5}))
    with pytest.raises(ValueError, match="same chance"):
        judge_labels(Result("a", full.metrics, {}), Result("b", full.metrics, {}))
    with pytest.raises(ValueError, match="both kinds of tasks or for neither"):
        judge_labels(full, Result("b", {"accuracy_last": half}, full.chance))
    with pytest.raises(ValueError, match="b: wanted the metric accuracy_last, got loss"):
        judge_labels(full, Result("b", {"loss": half}, full.chance))
    no_first = Result("a", {"normalised_error": half}, {})
    with pytest.raises(ValueError, match=r"normalised_error_first.*context_sizes=\(0"):
        judge_functions(no_first, no_first)


@pytest.mark.parametrize("margin", [0.0, -0.1, 1.1, float("nan")])
def test_a_margin_that_is_none_is_an_error(margin: float) -> None:
    with pytest.raises(ValueError, match="margin above 0"):
        Thresholds(margin)


def test_another_verdict_is_an_error() -> None:
    with pytest.raises((ValueError, TypeError)):
        Judgement("perfect", "It is.")  # type: ignore[arg-type]
