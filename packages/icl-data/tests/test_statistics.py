"""Statistics against batches made by hand, and against what each kind is known to hold."""

import collections

import numpy as np
import pytest

from icl_data import ClassSplit, FewShot, Iid, LabelElsewhere, NoSupport, SequenceSampler, SwappedLabels, statistics
from icl_data.inspection.statistics import statistics_of

SPLIT = ClassSplit(num_classes=60, rare=30, common=14, holdout=10, zipf_exponent=1.0)


def batch_of(classes, exemplars, labels):
    return {"classes": np.array(classes), "exemplars": np.array(exemplars), "labels": np.array(labels)}


def sampler_of(kind, exemplars=20):
    return SequenceSampler(kind=kind, split=SPLIT, exemplar_counts=np.full(60, exemplars))


def slow_statistics(batch, exemplar_counts):
    """Count one sequence at a time, in Python."""
    S = batch["classes"].shape[1]
    counts = {name: collections.Counter() for name in ("class", "label", "query_class", "query_label", "different")}
    repeats = forced = 0
    for classes, exemplars, labels in zip(batch["classes"], batch["exemplars"], batch["labels"], strict=True):
        counts["class"].update(classes.tolist())
        counts["label"].update(labels.tolist())
        counts["query_class"][list(classes[:-1]).count(classes[-1])] += 1
        counts["query_label"][list(labels[:-1]).count(labels[-1])] += 1
        counts["different"][len(set(classes.tolist()))] += 1
        pairs = collections.Counter(zip(classes.tolist(), exemplars.tolist(), strict=True))
        twice = {cls for (cls, _), count in pairs.items() if count > 1}
        avoidable = any(classes.tolist().count(cls) <= exemplar_counts[cls] for cls in twice)
        repeats += avoidable
        forced += bool(twice) and not avoidable
    sizes = {"class": len(exemplar_counts), "query_class": S, "query_label": S, "different": S + 1}
    found = {name: [counts[name][n] for n in range(size)] for name, size in sizes.items()}
    return found | {"label": counts["label"].keys()}, repeats, forced


@pytest.mark.parametrize("seed", range(5))
def test_statistics_agree_with_counting_one_sequence_at_a_time(seed):
    rng = np.random.default_rng(seed)
    exemplar_counts = rng.integers(1, 6, size=5)
    classes = rng.integers(5, size=(300, 6))
    batch = batch_of(classes, rng.integers(exemplar_counts[classes]), rng.choice([0, 3, 4, 2**31 - 1], size=(300, 6)))
    found = statistics_of(batch, exemplar_counts)
    wanted, repeats, forced = slow_statistics(batch, exemplar_counts)
    assert found.class_counts.tolist() == wanted["class"]
    assert found.labels.tolist() == sorted(wanted["label"])
    assert found.query_class.tolist() == wanted["query_class"]
    assert found.query_label.tolist() == wanted["query_label"]
    assert found.different_classes.tolist() == wanted["different"]
    assert (found.repeats, found.forced_repeats) == (repeats, forced)
    assert repeats
    assert forced
    assert found.sequences == 300


def test_one_exemplar_number_in_two_classes_is_no_repeat():
    found = statistics_of(batch_of([[0, 1, 2]], [[1, 1, 0]], [[0, 1, 2]]), np.array([2, 2, 1]))
    assert (found.repeats, found.forced_repeats) == (0, 0)


def test_a_repeat_is_forced_only_if_its_own_class_has_too_few():
    counts = np.array([1, 5])
    assert statistics_of(batch_of([[0, 0, 1]], [[0, 0, 3]], [[0, 0, 0]]), counts).forced_repeats == 1
    both = statistics_of(batch_of([[0, 0, 1, 1]], [[0, 0, 3, 3]], [[0, 0, 0, 0]]), counts)
    assert (both.repeats, both.forced_repeats) == (1, 0)


@pytest.mark.parametrize(
    ("kind", "classes", "labels", "different"),
    [
        (FewShot(), 4, 4, 2),
        (FewShot(classes="rare", shots=2, ways=4, grouped=True), 2, 2, 4),
        (SwappedLabels(), 4, 4, 2),
        (LabelElsewhere(), 0, 1, None),
        (NoSupport(), 0, 0, None),
        (NoSupport(distinct_fillers=True), 0, 0, 9),
        (Iid(distinct_fillers=True), 0, 0, 9),
    ],
)
def test_what_a_kind_promises_of_every_sequence_is_counted_in_every_sequence(kind, classes, labels, different):
    found = statistics(sampler_of(kind), count=2000)
    assert found.query_class[classes] == found.sequences == 2000
    assert found.query_label[labels] == 2000
    assert different is None or found.different_classes[different] == 2000
    assert found.repeats == found.forced_repeats == 0


def test_sequences_are_counted_a_part_at_a_time(monkeypatch):
    sampler = sampler_of(Iid(), exemplars=2)
    whole, batch = statistics(sampler, count=500), statistics_of(sampler.sample(np.arange(500)), np.full(60, 2))
    monkeypatch.setattr("icl_data.inspection.statistics._ITEMS_AT_ONCE", 9 * 70)
    parts = statistics(sampler, count=500)
    for found in (whole, parts):
        assert all(np.array_equal(getattr(found, name), values) for name, values in vars(batch).items())
    assert whole.repeats == 0 < whole.forced_repeats < 500
    with pytest.raises(ValueError, match="at least 1, got 0"):
        statistics(sampler, count=0)
