"""Statistics and tables against batches made by hand, and against what each kind is known to hold."""

import collections
import dataclasses

import numpy as np
import pytest

from icl_data import Bursty, ClassSplit, FewShot, Iid, LabelElsewhere, Mixed, NoSupport, SequenceSampler, SwappedLabels
from icl_data.inspection import drawn, expected_shares, frequency_text, repeat_text, sequence_text, statistics
from icl_data.inspection.text import letters

SPLIT = ClassSplit(num_classes=60, rare=30, common=14, holdout=10, zipf_exponent=1.0)
EVEN = dataclasses.replace(SPLIT, zipf_exponent=0.0)
EXEMPLARS = np.full(60, 20)
KINDS = [
    Bursty(),
    Bursty(p_bursty=0.5, p_bursty_zipfian=0.2, p_bursty_common=0.3, non_bursty="common"),
    FewShot(),
    FewShot(classes="rare", shots=2, ways=4),
    NoSupport(classes="common"),
    Iid(),
    Mixed(p_few_shot=0.3),
    SwappedLabels(),
    LabelElsewhere(),
]


def batch_of(classes, exemplars, labels):
    return {"classes": np.array(classes), "exemplars": np.array(exemplars), "labels": np.array(labels)}


def sampled(kind, count=2000, split=SPLIT):
    length = 9
    return SequenceSampler(kind=kind, split=split, exemplar_counts=EXEMPLARS, length=length).sample(np.arange(count))


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
    found = statistics(batch, exemplar_counts)
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
    found = statistics(batch_of([[0, 1, 2]], [[1, 1, 0]], [[0, 1, 2]]), np.array([2, 2, 1]))
    assert (found.repeats, found.forced_repeats) == (0, 0)


def test_a_repeat_is_forced_only_if_its_own_class_has_too_few():
    counts = np.array([1, 5])
    assert statistics(batch_of([[0, 0, 1]], [[0, 0, 3]], [[0, 0, 0]]), counts).forced_repeats == 1
    both = statistics(batch_of([[0, 0, 1, 1]], [[0, 0, 3, 3]], [[0, 0, 0, 0]]), counts)
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
    found = statistics(sampled(kind), EXEMPLARS)
    assert found.query_class[classes] == found.sequences == 2000
    assert found.query_label[labels] == 2000
    assert different is None or found.different_classes[different] == 2000
    assert found.repeats == found.forced_repeats == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_expected_shares_add_up_and_are_what_equal_weights_give(kind):
    expected = expected_shares(kind, EVEN, 9)
    counts = statistics(sampled(kind, 20_000, EVEN), EXEMPLARS).class_counts[EVEN.classes]
    assert expected.sum() == pytest.approx(1)
    assert not counts[expected == 0].any()
    # Items of a sequence come in bursts of up to 5, which widens the spread: five sigma of a fifth of the items.
    assert counts / 180_000 == pytest.approx(expected, abs=5 * np.sqrt(expected.max() / 36_000))


def test_expected_shares_are_zipfian_where_draws_are():
    ranks = np.arange(44, 0, -1.0)
    weights = np.append(1 / ranks / (1 / ranks).sum(), np.zeros(10))
    assert expected_shares(Iid(), SPLIT, 9) == pytest.approx(weights, rel=1e-9)
    assert expected_shares(Bursty(), SPLIT, 9) == pytest.approx(weights, rel=1e-9)
    half = expected_shares(Bursty(p_bursty=1.0, p_bursty_zipfian=0.0, p_bursty_common=1.0), SPLIT, 9)
    assert half[30:44].sum() == pytest.approx(7 / 9)  # 3 shots of 2 ways and the query; the 2 fillers are rare
    assert half[:30].sum() == pytest.approx(2 / 9)


def test_letters_go_by_first_occurrence_and_on_after_z():
    assert drawn(np.array([5, 9, 5, 2, 9])) == "a b a c (b)"
    assert letters(np.arange(80, 0, -1))[25:29] == ["z", "aa", "ab", "ac"]
    assert letters(np.arange(800))[701:703] == ["zz", "aaa"]


def test_the_table_of_a_sequence_says_what_stands_where():
    split = ClassSplit(num_classes=6, rare=2, common=1, holdout=2)
    rare, common, holdout = (int(split.classes[position]) for position in (1, 2, 3))
    unused = next(iter(set(range(6)) - set(split.classes.tolist())))
    classes = [[0] * 5, [rare, holdout, unused, rare, common]]
    batch = batch_of(classes, [[0] * 5, [3, 14, 15, 9, 2]], [[0] * 5, [10, 20, 30, 40, 50]])
    rows = [line.split() for line in sequence_text(batch, 1, split).splitlines()]
    assert rows == [
        ["place", "letter", "class", "exemplar", "label", "set"],
        ["0", "a", str(rare), "3", "10", "rare"],
        ["1", "b", str(holdout), "14", "20", "holdout"],
        ["2", "c", str(unused), "15", "30", "unused"],
        ["3", "a", str(rare), "9", "40", "rare"],
        ["4", "(d)", str(common), "2", "50", "common"],
    ]


def test_the_set_of_each_item_agrees_with_the_samplers_word_on_rare():
    batch = sampled(Bursty(), 50)
    for row in range(50):
        lines = sequence_text(batch, row, SPLIT).splitlines()[1:]
        assert [line.endswith(" rare") for line in lines] == batch["is_rare"][row].tolist()


def test_the_frequency_tables_name_the_most_and_least_frequent_classes_that_can_occur():
    split = ClassSplit(num_classes=5, rare=2, common=1, holdout=1)
    classes = split.classes
    items = np.repeat(classes[[0, 1, 2]], [10, 60, 30])
    found = statistics(
        batch_of(items.reshape(10, 10), np.zeros((10, 10), int), np.ones((10, 10), int)), np.ones(5, int)
    )
    text = frequency_text(found, split, np.array([0.25, 0.25, 0.5, 0.0]))
    rows = [line.split() for line in text.splitlines()]
    assert ["rare", "2", "70", "70.00", "%", "50.00", "%"] in rows
    assert ["common", "1", "30", "30.00", "%", "50.00", "%"] in rows
    assert ["holdout", "1", "0", "0.00", "%", "0.00", "%"] in rows
    assert ["most", "frequent", str(classes[1]), "rare", "60", "60.0000", "%", "25.0000", "%"] in rows
    assert ["median", str(classes[2]), "common", "30", "30.0000", "%", "50.0000", "%"] in rows
    assert ["least", "frequent", str(classes[0]), "rare", "10", "10.0000", "%", "25.0000", "%"] in rows
    assert "of 3 classes" in text


def test_the_repeat_table_has_a_bar_for_each_count_and_says_what_is_wrong():
    batch = batch_of(
        [[0, 0, 0], [0, 1, 2], [1, 1, 2], [2, 1, 1]], [[4, 4, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]], [[7] * 3] * 4
    )
    text = repeat_text(statistics(batch, np.array([9, 1, 1])), num_labels=8)
    rows = [line.split() for line in text.splitlines()]
    assert rows[1:5] == [
        ["0", "50.00", "%", "########", "0.00", "%", "0.00", "%"],
        ["1", "25.00", "%", "####", "0.00", "%", "25.00", "%", "####"],
        ["2", "25.00", "%", "####", "100.00", "%", "#" * 16, "50.00", "%", "########"],
        ["3", "0.00", "%", "0.00", "%", "25.00", "%", "####"],
    ]
    assert "in 1 of 4 sequences, but for 2 in which a class has fewer exemplars than items" in text
    assert text.endswith("labels: 7..7, 1 different, of V = 8")
    assert "7 IS BEYOND V - 1 = 6" in repeat_text(statistics(batch, np.array([9, 1, 1])), num_labels=7)


def test_no_repeats_are_called_none():
    text = repeat_text(statistics(sampled(FewShot()), EXEMPLARS), num_labels=54)
    assert "exemplars that repeat within a sequence: in none of 2,000 sequences\n" in text
    assert text.endswith("labels: 0..1, 2 different, of V = 54")
