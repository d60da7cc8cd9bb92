"""Every measure of the query and of context items against plain loops, on random logits full of ties."""

import collections
import math
from typing import Any

import jax
import numpy as np
import pytest

from icl_eval import Evaluation, LabelSets, evaluate
from icl_eval.sequences.sequence_measures import LabelLookups, Sequences, measure

V, C, S = 9, 6, 5
RARE, COMMON, FEW_SHOT = (0, 1, 2, 3), (4, 5, 6), (0, 1)
CLASS_OF_LABEL = np.array([0, 0, 1, 1, 2, 3, 4, -1, -1])  # two classes have two labels, class 5 has none
FREQUENCY = np.array([1.0, 2.0, 3.0, 8.0, 9.0, 0.0])
SETS = LabelSets(
    rare=RARE, common=COMMON, few_shot=FEW_SHOT, class_of_label=CLASS_OF_LABEL, class_frequency=FREQUENCY
)  # fmt: skip


def random_batch(
    seed: int, count: int = 200, broken: float = 0.01, impossible: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    logits = generator.integers(0, 4, size=(count, S, V)).astype(np.float32)
    logits[generator.random(logits.shape) < impossible] = -np.inf
    logits[generator.random(logits.shape) < broken] = np.nan
    labels = generator.integers(2, size=(count, S)).astype(np.int32)
    labels[:, :-1] = np.where(generator.random((count, S - 1)) < 0.3, 5, labels[:, :-1])
    classes = generator.integers(C, size=(count, S)).astype(np.int32)
    return logits, labels, classes


def best(row: np.ndarray, labels: list[int]) -> int:
    if np.isnan(row).any() or np.isposinf(row).any() or np.isneginf(row).all():
        return -1
    found = [label for label in sorted(labels) if row[label] > -np.inf]
    return max(found, key=lambda label: (row[label], -label)) if found else -1


def oracle(logits: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> dict[str, tuple[float, int]]:
    """Return the sum and the count of each measure, item by item."""
    sums: dict[str, float] = collections.defaultdict(float)
    counts: dict[str, int] = collections.defaultdict(int)

    def add(name: str, value: float, counted: bool = True) -> None:
        sums[name] += value if counted else 0
        counts[name] += counted

    for b in range(len(labels)):
        for item in range(S):
            is_query, prefix = item == S - 1, "" if item == S - 1 else "context_"
            row, target, own = logits[b, item], int(labels[b, item]), int(classes[b, item])
            before = labels[b, :item].tolist()
            opened, closed, inside = best(row, list(range(V))), best(row, [0, 1]), best(row, before)
            total = float(np.exp(row.astype(np.float64)).sum()) if opened >= 0 else math.nan
            with np.errstate(divide="ignore"):
                add(f"{prefix}loss", float(np.log(total) - row[target]))
            add(f"{prefix}accuracy_open", opened == target)
            add(f"{prefix}accuracy_closed", closed == target)
            add(f"{prefix}accuracy_in_context", inside == target, bool(before))
            mass = sum(float(np.exp(row[label])) / total for label in set(before)) if opened >= 0 else 0.0
            add(f"{prefix}probability_in_context", mass, bool(before))
            add(f"{prefix}from_none", opened == -1)
            add(f"{prefix}from_context", opened in before, bool(before))
            for name, members in (("rare", RARE), ("common", COMMON), ("fewshot", FEW_SHOT)):
                add(f"{prefix}from_{name}", opened in members)
                add(f"{prefix}from_context_{name}", opened in members and opened in before, bool(before))
            has_label = own in CLASS_OF_LABEL
            is_own = opened >= 0 and CLASS_OF_LABEL[opened] == own
            add(f"{prefix}accuracy_any_label", is_own, has_label)
            add(f"{prefix}accuracy_closed_any_label", closed >= 0 and CLASS_OF_LABEL[closed] == own, has_label)
            disagree = has_label and target in before and CLASS_OF_LABEL[target] != own
            add(f"{prefix}follows_context", opened == target, disagree)
            add(f"{prefix}follows_weights", is_own, disagree)
            if is_query:
                for j in (0, 1):
                    add(f"confusion_{target}_to_{j}", opened == j)
                add(f"confusion_{target}_to_other", opened not in (0, 1))
                # Five classes are drawn at all: the n-th of them is in the tenth 2 n, counted from 0.
                order = [c for c in np.argsort(FREQUENCY) if FREQUENCY[c] > 0]
                if own in order:
                    add(f"accuracy_open_decile_{2 * order.index(own) + 1}", is_own)  # any label is right
    return {name: (sums[name], counts[name]) for name in sums}


@pytest.mark.parametrize(("seed", "broken"), [(0, 0.01), (1, 0.0)])
def test_every_measure_agrees_with_a_loop(seed: int, broken: float) -> None:
    logits, labels, classes = random_batch(seed, broken=broken, impossible=0.1 if broken else 0.0)
    lookups = LabelLookups.of(range(2), SETS, V)
    _, found = jax.jit(measure)(Sequences(logits, labels, classes), lookups)
    wanted = oracle(logits, labels, classes)
    assert broken or np.isfinite([wanted["loss"][0], wanted["context_loss"][0]]).all()
    assert {name for name in found if not name.startswith("_") and found[name].denominators.sum()} == wanted.keys() - {
        name for name, (_, count) in wanted.items() if not count
    }
    for name, (total, count) in wanted.items():
        assert found[name].denominators.sum() == count, name
        assert float(found[name].numerators.sum()) == pytest.approx(total, rel=1e-5, abs=1e-5, nan_ok=True), name


def test_the_calibration_error_agrees_with_a_loop() -> None:
    logits, labels, _ = random_batch(7, broken=0)
    result = evaluate(lambda batch: logits[:, -1], [{"labels": labels}], Evaluation("x", range(2)), count=200)
    probabilities = np.exp(logits[:, -1].astype(np.float64))
    probabilities /= probabilities.sum(1, keepdims=True)
    confidence, predicted = probabilities.max(1), probabilities.argmax(1)
    error = 0.0
    for lower in np.arange(15) / 15:
        inside = (confidence > lower + 1e-7) & (confidence <= lower + 1 / 15 + 1e-7)
        if inside.any():
            gap = abs(confidence[inside].mean() - (predicted == labels[:, -1])[inside].mean())
            error += gap * inside.mean()
    assert result.metrics["calibration_error"].value == pytest.approx(error, rel=1e-4)


def test_what_is_not_known_is_not_measured() -> None:
    logits, labels, _ = random_batch(0)
    _, found = jax.jit(measure)(Sequences(logits[:, -1:], labels), LabelLookups.of(range(2), LabelSets(), V))
    assert {name for name in found if not name.startswith(("_", "confusion"))} == {
        "accuracy_closed", "accuracy_open", "accuracy_in_context", "loss", "probability_in_context", "from_context",
        "from_none",
    }  # fmt: skip


def test_a_sequence_of_one_item_has_no_context_measures() -> None:
    logits, labels, _ = random_batch(0)
    result = evaluate(lambda batch: logits[:, -1:], [{"labels": labels[:, -1:]}], Evaluation("x", range(2)), count=200)
    assert result.metrics.keys() & {"from_context", "accuracy_in_context", "probability_in_context"} == set()
    assert "accuracy_open" in result.metrics and not any("context_" in name for name in result.metrics)


def test_with_one_class_alone_the_context_always_says_it() -> None:
    labels = np.zeros((20, S), np.int32)
    result = evaluate(lambda batch: np.zeros((20, V)), [{"labels": labels}], Evaluation("x", [0]), count=20)
    for name in ("accuracy_closed", "accuracy_open", "accuracy_in_context", "from_context", "confusion_0_to_0"):
        assert result.metrics[name].value == 1, name
    assert result.chance["accuracy_in_context"] == result.chance["accuracy_closed"] == 1


def test_chance_in_the_context_is_what_a_random_label_of_it_gives() -> None:
    labels = np.array([[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 3], [0, 1, 2, 0]], np.int32)
    labels = np.tile(labels, (100, 1))
    result = evaluate(lambda batch: np.zeros((400, 4)), [{"labels": labels}], Evaluation("x", range(4)), count=400)
    assert result.chance["accuracy_in_context"] == pytest.approx((1 / 2 + 1 + 0 + 1 / 3) / 4)


def test_a_model_that_only_knows_its_weights_never_follows_swapped_labels() -> None:
    generator = np.random.default_rng(0)
    classes = generator.integers(2, size=(40, S)).astype(np.int32)
    labels = 1 - classes
    sets = LabelSets(class_of_label=np.array([0, 1]))

    def follow(own: bool) -> dict[str, Any]:
        logits = np.eye(2)[classes[:, -1] if own else labels[:, -1]]
        evaluation = Evaluation("swapped", range(2))
        batches = [{"labels": labels, "classes": classes}]
        return dict(evaluate(lambda _: logits, batches, evaluation, count=40, label_sets=sets).metrics)

    assert (follow(own=True)["follows_weights"].value, follow(own=True)["follows_context"].value) == (1, 0)
    assert (follow(own=False)["follows_weights"].value, follow(own=False)["follows_context"].value) == (0, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rare": [-1]}, "rare labels of 0 or more, got -1"),
        ({"class_of_label": np.array([-2])}, "class_of_label as integers"),
        ({"class_frequency": np.array([-1.0])}, "class_frequency as finite"),
        ({"class_frequency": np.array([np.nan])}, "class_frequency as finite"),
    ],
)
def test_label_sets_are_checked(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelSets(**fields)


def test_label_sets_beyond_the_output_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"common labels go up to 9, but the output has 9"):
        LabelLookups.of(range(2), LabelSets(common=[9]), V)
    with pytest.raises(ValueError, match=r"up to 9 labels, got class_of_label of 10"):
        LabelLookups.of(range(2), LabelSets(class_of_label=np.zeros(10, int)), V)


def test_classes_of_one_frequency_have_no_deciles() -> None:
    assert LabelSets(class_frequency=np.ones(30)).deciles() is None
    deciles = LabelSets(class_frequency=np.arange(100.0)).deciles()
    assert deciles is not None
    assert np.bincount(deciles[1:]).tolist() == [10] * 9 + [9] and deciles[0] == -1


def test_a_model_that_knows_every_class_is_right_at_every_frequency_whichever_label_was_drawn() -> None:
    generator = np.random.default_rng(0)
    classes = generator.integers(5, size=(300, S)).astype(np.int32)
    labels = np.array([generator.choice(np.flatnonzero(c == CLASS_OF_LABEL)) for c in classes.ravel()])
    batches = [{"labels": labels.reshape(classes.shape), "classes": classes}]
    first = np.array([np.flatnonzero(c == CLASS_OF_LABEL)[0] for c in range(5)])
    result = evaluate(
        lambda _: np.eye(V)[first[classes[:, -1]]], batches, Evaluation("x", range(7)), count=300, label_sets=SETS
    )
    tenths = [estimate.value for name, estimate in result.metrics.items() if "_decile_" in name]
    assert len(tenths) == 5 and set(tenths) == {1.0}
    for name in ("accuracy_any_label", "accuracy_closed_any_label"):
        assert result.metrics[name].value == 1 > result.metrics["accuracy_open"].value
    of_class = np.bincount(CLASS_OF_LABEL[:7])[classes[:, -1]].mean()
    assert result.chance["accuracy_any_label"] == pytest.approx(of_class / V)
    assert result.chance["accuracy_closed_any_label"] == pytest.approx(of_class / 7)


def test_a_tie_that_the_normaliser_would_make_is_none() -> None:
    logits = np.zeros((1, 1000), np.float32)
    logits[0, 7] = 1e-7
    result = evaluate(lambda _: logits, [{"labels": np.array([[3, 7, 7]])}], Evaluation("x", range(9)), count=1)
    assert result.metrics["accuracy_in_context"].value == result.metrics["accuracy_open"].value == 1


def test_a_model_that_is_calibrated_may_be_so_by_its_interval() -> None:
    generator, inside = np.random.default_rng(0), 0
    for _ in range(20):
        probabilities = generator.dirichlet(np.ones(4), size=400)
        labels = np.zeros((400, 4), int)
        labels[:, -1] = [generator.choice(4, p=row) for row in probabilities]
        logits = np.log(probabilities)
        result = evaluate(lambda _, x=logits: x, [{"labels": labels}], Evaluation("x", range(4)), count=400)
        inside += result.metrics["calibration_error"].low == 0
    assert inside >= 18
