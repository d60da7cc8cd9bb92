"""Tables about sequences, made by hand or drawn."""

import numpy as np

from icl_data import (
    Bursty,
    ClassSplit,
    FewShot,
    Iid,
    Offset,
    Polysemy,
    SequenceSampler,
    describe,
    statistics,
)
from icl_data.inspection.describe import drawn, frequency_text, letters, repeat_text, sequence_text
from icl_data.inspection.statistics import statistics_of

SPLIT = ClassSplit(num_classes=60, rare=30, common=14, holdout=10, zipf_exponent=1.0)


def batch_of(classes, exemplars, labels):
    return {"classes": np.array(classes), "exemplars": np.array(exemplars), "labels": np.array(labels)}


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
    sampler = SequenceSampler(kind=Bursty(), split=SPLIT, exemplar_counts=np.full(60, 20))
    batch = sampler.sample(np.arange(50))
    for row in range(50):
        lines = sequence_text(batch, row, SPLIT).splitlines()[1:]
        assert [line.endswith(" rare") for line in lines] == batch["is_rare"][row].tolist()


def test_the_frequency_tables_name_the_most_and_least_frequent_classes_that_occur():
    split = ClassSplit(num_classes=5, rare=2, common=1, holdout=1)
    classes = split.classes
    items = np.repeat(classes[[0, 1, 2]], [10, 60, 30]).reshape(10, 10)
    found = statistics_of(batch_of(items, np.zeros((10, 10), int), np.ones((10, 10), int)), np.ones(5, int))
    text = frequency_text(found, split)
    rows = [line.split() for line in text.splitlines()]
    assert ["rare", "2", "70", "70.00", "%"] in rows
    assert ["common", "1", "30", "30.00", "%"] in rows
    assert ["holdout", "1", "0", "0.00", "%"] in rows
    assert ["most", "frequent", str(classes[1]), "rare", "60", "60.0000", "%"] in rows
    assert ["median", str(classes[2]), "common", "30", "30.0000", "%"] in rows
    assert ["least", "frequent", str(classes[0]), "rare", "10", "10.0000", "%"] in rows
    assert "of 3 classes" in text


def test_the_repeat_table_has_a_bar_for_each_count():
    batch = batch_of(
        [[0, 0, 0], [0, 1, 2], [1, 1, 2], [2, 1, 1]], [[4, 4, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]], [[7] * 3] * 4
    )
    text = repeat_text(statistics_of(batch, np.array([9, 1, 1])), num_labels=8)
    rows = [line.split() for line in text.splitlines()]
    assert rows[1:5] == [
        ["0", "50.00", "%", "########", "0.00", "%", "0.00", "%"],
        ["1", "25.00", "%", "####", "0.00", "%", "25.00", "%", "####"],
        ["2", "25.00", "%", "####", "100.00", "%", "#" * 16, "50.00", "%", "########"],
        ["3", "0.00", "%", "0.00", "%", "25.00", "%", "####"],
    ]
    assert "in 1 of 4 sequences, but for 2 in which a class has fewer exemplars than items" in text
    assert text.endswith("labels: 7..7, 1 different, of V = 8")


def test_a_description_has_the_sequence_the_frequencies_and_the_repeats():
    sampler = SequenceSampler(kind=FewShot(), split=SPLIT, exemplar_counts=np.full(60, 20), seed=5, stream="x")
    text, found = describe(sampler, index=3, count=2000), statistics(sampler, count=2000)
    batch = sampler.sample(np.array([3]))
    for part in (sequence_text(batch, 0, SPLIT), frequency_text(found, SPLIT), repeat_text(found, num_labels=54)):
        assert f"\n\n{part}" in text
    assert f"sequence 3 (seed 5, stream 'x'): {drawn(batch['classes'][0])}\n" in text
    assert text.startswith(
        "9 items a sequence, 30 rare + 14 common + 10 holdout of 60 classes, V = 54 labels\nFewShot("
    )
    assert "exemplars that repeat within a sequence: in none of 2,000 sequences\n" in text
    assert text.endswith("labels: 0..1, 2 different, of V = 54")


def test_v_is_that_of_the_labels_in_use_and_the_kind_may_be_ones_own():
    class Own:
        def mixture(self, split, length):
            labels = (Polysemy(labels_per_class=4), Offset(start=17))
            return tuple((0.5, Iid(labels=each).mixture(split, length)[0][1]) for each in labels)

    sampler = SequenceSampler(kind=Own(), split=SPLIT, exemplar_counts=np.full(60, 20))
    assert "V = 134 labels" in describe(sampler, count=10)  # the larger of 4 * 30 + 14 and 17 + 44
