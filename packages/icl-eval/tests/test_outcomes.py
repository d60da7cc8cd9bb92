"""The outcomes of meta-training, from synthetic curves: which there are, and when intervals leave one undecided."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from icl_eval import (
    Estimate,
    LearnerType,
    Result,
    Run,
    ShotCurves,
    Thresholds,
    append_evaluations,
    classify_learner,
    learner_type,
    proportion,
    read_run,
    write_summary,
)
from icl_eval.results.against_bar import difference, reaches
from icl_eval.tasks.shots import accuracy_by_shots

GENERAL, IDENTIFIES, MEMORIZES = "general learning to learn", "task identification", "task memorization"
FAILS, UNDECIDED = "fails to meta-train", "undecided"
LABELS, POSITIONS, STEPS = 10, 16, np.arange(10, 1001, 10)
GUESSING = math.log(LABELS)

FLAT = np.full(POSITIONS, 0.1)
HIGH = np.full(POSITIONS, 0.8)
RISING = 0.1 + 0.6 * (1 - 0.7 ** np.arange(POSITIONS))
PLATEAU = np.full(len(STEPS), GUESSING - 0.02)
FALLEN = np.where(STEPS < 400, PLATEAU, 0.9)
LATE = np.where(STEPS < 960, PLATEAU, 1.2)


def evaluated(name: str, accuracies: np.ndarray, *, count: int, seed: int = 0) -> Result:
    """Return the evaluation of a model of such accuracies by position, of tasks that differ by chance alone."""
    correct = np.random.default_rng(seed).random((count, POSITIONS)) < accuracies
    curve = accuracy_by_shots(correct, examples=np.arange(POSITIONS), chance=1 / LABELS)
    right = correct[:, -2:]
    metrics = {
        "accuracy_first": proportion(int(correct[:, 0].sum()), count),
        "accuracy_last": dataclasses.replace(proportion(int(right.sum()), right.size), count=count),
    }
    chance = dict.fromkeys(metrics, 1 / LABELS)
    shots = ShotCurves(measure="accuracy", curves={"model": curve}, count=count)
    return Result(name, metrics, chance, unit="tasks", arrays={"shots": shots})


def run_of(seen: np.ndarray, unseen: np.ndarray, loss: np.ndarray, *, count: int = 1000) -> Run:
    """Return a run that ends with these accuracies by position, and had this loss over training."""
    results = {
        "a": evaluated("a", seen, count=count, seed=1),
        "b": evaluated("b", unseen, count=count, seed=2),
    }
    return Run(
        "run",
        config={"learner": {"seen": "a", "unseen": "b"}},
        metrics={int(step): {"loss": float(each)} for step, each in zip(STEPS, loss, strict=True)},
        evaluations={name: {1000: result} for name, result in results.items()},
        shots={name: result.arrays["shots"] for name, result in results.items()},  # type: ignore[misc]
    )


def told(run: Run, **thresholds: float) -> LearnerType:
    found = learner_type(run, thresholds=Thresholds(**thresholds))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("seen", "unseen", "loss", "expected"),
    [
        (FLAT, FLAT, PLATEAU, FAILS),
        (HIGH, FLAT, FALLEN, MEMORIZES),
        (RISING, FLAT, FALLEN, IDENTIFIES),
        (RISING, RISING, FALLEN, GENERAL),
        (RISING, RISING, LATE, GENERAL),  # after most of the training was on the plateau
        (FLAT, FLAT, FALLEN, UNDECIDED),  # learnt something that neither evaluation shows
        (np.where(np.arange(POSITIONS) == 7, 0.5, FLAT), FLAT, PLATEAU, UNDECIDED),  # better at one position
    ],
)
def test_each_outcome_is_told_from_its_curves(
    seen: np.ndarray, unseen: np.ndarray, loss: np.ndarray, expected: str
) -> None:
    found = told(run_of(seen, unseen, loss))
    assert found.kind == expected, found.reason
    assert found.reason.count(". ") == 0 and found.reason.endswith(".")


def test_the_reason_of_a_failure_and_of_no_rule_say_what_they_hang_on() -> None:
    drop = 0.02 / GUESSING
    best = max(run_of(FLAT, FLAT, PLATEAU).shots["a"].curves["model"].values)
    reason = told(run_of(FLAT, FLAT, PLATEAU)).reason
    assert f"at any position of seen tasks is {best:.2f}" in reason and f"guessing is {drop:.2f}, where 0.10" in reason
    assert "guessing is 0.61, not below 0.10" in told(run_of(FLAT, FLAT, FALLEN)).reason
    odd = told(run_of(np.where(np.arange(POSITIONS) == 7, 0.5, FLAT), FLAT, PLATEAU)).reason
    assert "at any position of seen tasks is 0.48" in odd and "not below 0.20" in odd


def test_only_the_last_part_of_training_tells_of_the_plateau() -> None:
    run = run_of(FLAT, FLAT, np.where(STEPS > 900, PLATEAU, 0.1))
    assert told(run).kind == FAILS
    assert told(run, tail=0.5).kind == UNDECIDED
    assert told(run_of(FLAT, FLAT, np.full(len(STEPS), 2 * GUESSING))).kind == FAILS  # worse than guessing
    assert told(run_of(FLAT, FLAT, PLATEAU), plateau=0.005).kind == UNDECIDED
    assert told(dataclasses.replace(run, metrics={})).reason.endswith("of guessing is not known.")
    assert told(dataclasses.replace(run, metrics={0: {"loss": GUESSING}})).kind == FAILS


def test_the_loss_is_that_on_seen_tasks_where_it_was_measured() -> None:
    # What else a run trains on, such as sequences of fixed labels, may take its training loss off the plateau.
    run = run_of(FLAT, FLAT, 0.2 * PLATEAU)
    assert told(run).kind == UNDECIDED
    seen = run.evaluations["a"][1000]
    guessing = Estimate(GUESSING, GUESSING - 0.01, GUESSING + 0.01, 1000)
    measured = dataclasses.replace(seen, metrics={**seen.metrics, "loss": guessing})
    assert told(dataclasses.replace(run, evaluations={**run.evaluations, "a": {1000: measured}})).kind == FAILS


def test_a_noisy_loss_around_its_bar_is_undecided_until_enough_steps_are_logged() -> None:
    loss = 0.88 * GUESSING + 0.1 * GUESSING * np.resize([-1, 1], len(STEPS))
    found = told(run_of(FLAT, FLAT, loss))
    assert found.kind == UNDECIDED and "below that of guessing, 0.120 (" in found.reason
    assert told(run_of(FLAT, FLAT, loss), tail=1.0).kind == UNDECIDED
    assert "is 0.12, not below 0.10" in told(run_of(FLAT, FLAT, loss), tail=1.0).reason


def test_without_its_arrays_a_run_is_told_by_the_first_and_last_position() -> None:
    run = run_of(np.where(np.arange(POSITIONS) == 7, 0.5, FLAT), FLAT, PLATEAU)
    assert told(dataclasses.replace(run, shots={})).kind == FAILS


@pytest.mark.parametrize(("last", "expected"), [(0.24, GENERAL), (0.16, FAILS)])
def test_few_tasks_around_the_bar_decide_nothing_and_many_do(last: float, expected: str) -> None:
    curve = np.full(POSITIONS, last)
    curve[0] = 0.02  # a gain of more than the margin, whichever side the last is on
    few, many = (told(run_of(curve, curve, PLATEAU, count=count)) for count in (20, 20_000))
    assert (few.kind, many.kind) == (UNDECIDED, expected)
    assert "the last accuracy on unseen tasks, 0." in few.reason and "has 0.20 within its interval." in few.reason


def test_a_gain_around_the_margin_is_undecided_until_there_are_many_tasks() -> None:
    def found(first: float, count: int) -> LearnerType:
        scores = proportion(round(first * count), count), proportion(round(0.7 * count), count)
        return classify_learner(seen=scores, unseen=(0.1, 0.1), chance=0.1)

    assert found(0.58, 50).kind == found(0.62, 50).kind == UNDECIDED
    assert "the gain in score on seen tasks, 0.120 (" in found(0.58, 50).reason
    assert (found(0.58, 20_000).kind, found(0.62, 20_000).kind) == (IDENTIFIES, MEMORIZES)


@pytest.mark.parametrize("seed", range(40))
def test_more_tasks_turn_no_verdict_into_another_and_end_undecidedness(seed: int) -> None:
    generator = np.random.default_rng(seed)
    shares = np.round(generator.choice([generator.uniform(0, 1, 5), generator.uniform(0.05, 0.4, 5)]), 2)
    drop = float(generator.uniform(0, 0.2))

    def kind(count: int) -> str:
        first, last, other_first, other_last, middle = (proportion(round(each * count), count) for each in shares)
        return classify_learner(
            seen=(first, last), unseen=(other_first, other_last), chance=0.1, positions=[middle], loss_drop=drop
        ).kind

    plain = classify_learner(
        seen=(shares[0], shares[1]), unseen=(shares[2], shares[3]), chance=0.1, positions=[shares[4]], loss_drop=drop
    ).kind
    kinds = [kind(100 * 4**power) for power in range(8)]
    decided = [each for each in kinds if each != UNDECIDED]
    assert set(decided) <= {plain}
    first_decided = kinds.index(decided[0]) if decided else len(kinds)
    assert UNDECIDED not in kinds[first_decided:]
    distances = [*(shares - 0.2), shares[1] - shares[0] - 0.1, shares[3] - shares[2] - 0.1]
    if min(map(abs, distances)) > 0.005:
        assert kinds[-1] == plain


def test_the_order_of_the_rules_is_kept_where_an_earlier_one_is_open() -> None:
    sure, open_ = Estimate(0.7, 0.68, 0.72, 2000), Estimate(0.21, 0.15, 0.27, 100)
    low = Estimate(0.1, 0.09, 0.11, 2000)
    assert classify_learner(seen=(low, sure), unseen=(low, open_), chance=0.1).kind == UNDECIDED
    # A rule that another of its numbers rejects is not open.
    assert classify_learner(seen=(low, sure), unseen=(sure, open_), chance=0.1).kind == IDENTIFIES


def test_a_difference_has_the_interval_of_a_simulation_and_numbers_without_one_none() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(500):
        last, first = (proportion(int(generator.binomial(200, share)), 200) for share in (0.6, 0.05))
        found = difference(last, first)
        covered += found.low <= 0.55 <= found.high
    assert 0.93 <= covered / 500 <= 0.98
    assert math.isnan(difference(Estimate(0.5, math.nan, math.nan, 9), Estimate(0.1, math.nan, math.nan, 3)).low)
    one = difference(Estimate(0.5, 0.4, 0.6, 9), Estimate(0.1, math.nan, math.nan, 3))
    assert (one.low, one.high, one.count) == (pytest.approx(0.3), pytest.approx(0.5), 3)
    # Newcombe's own example: 56/70 less 48/80.
    listed = difference(proportion(56, 70), proportion(48, 80))
    assert (round(listed.low, 4), round(listed.high, 4)) == (0.0524, 0.3339)


def test_an_interval_that_ends_at_the_bar_is_past_it() -> None:
    assert reaches(Estimate(0.35, 0.3, 0.4, 9), 0.1 + 0.2) is True
    assert reaches(Estimate(0.25, 0.2, 0.3, 9), 0.1 + 0.2) is None
    assert reaches(Estimate(0.2, 0.1, 0.29, 9), 0.1 + 0.2) is False
    assert reaches(Estimate(math.nan, math.nan, math.nan, 9), 0.3) is None


def test_a_folder_says_it_in_its_summary_and_reads_one_of_before(tmp_path: Path) -> None:
    results = [evaluated("a", FLAT, count=500), evaluated("b", FLAT, count=500)]
    append_evaluations(tmp_path, step=1000, results=results)
    lines = [json.dumps({"step": int(step), "loss": float(loss)}) for step, loss in zip(STEPS, PLATEAU, strict=True)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "config.json").write_text(json.dumps({"learner": {"seen": "a", "unseen": "b"}}))
    assert write_summary(tmp_path)["learner"]["kind"] == FAILS
    before = {"learner": {"kind": "undecided", "reason": "The accuracy is low."}}
    (tmp_path / "summary.json").write_text(json.dumps(before))
    run = read_run(tmp_path)
    assert LearnerType(**run.summary["learner"]).kind == UNDECIDED and told(run).kind == FAILS


@pytest.mark.parametrize("name", ["margin", "plateau", "tail"])
@pytest.mark.parametrize("value", [0.0, -0.1, 1.1, math.nan])
def test_a_threshold_that_is_none_is_an_error(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"Wanted a {name} above 0 and at most 1"):
        Thresholds(**{name: value})
