"""Lists of all sequences: each once, and as many as can be counted by hand."""

import itertools

import numpy as np
import pytest

from icl_data import (
    ClassSplit,
    EverySequence,
    Exchanged,
    PairLabels,
    Polysemy,
    RandomLabels,
    SequenceSampler,
    WithDistractor,
    WithItems,
    label_pairs,
    symbols,
)

SPLIT = ClassSplit(num_classes=7, rare=4, holdout=3)
ONES = np.ones(7, np.int64)
PAIRS, _ = label_pairs(4, held_out=1)


def every(kind, split=SPLIT, **options):
    return EverySequence(**{"kind": kind, "split": split, "exemplar_counts": ONES} | options)


def as_rows(batch):
    return [*zip(map(tuple, batch["classes"].tolist()), map(tuple, batch["labels"].tolist()), strict=True)]


@pytest.mark.parametrize("classes", ["zipfian", "holdout"])
@pytest.mark.parametrize("shots", [1, 2])
@pytest.mark.parametrize("labels", [PairLabels(pairs=PAIRS, others=None), Exchanged()])
def test_each_sequence_is_listed_once_and_then_all_begin_again(classes, shots, labels):
    listed = every(WithDistractor(classes=classes, shots=shots, labels=labels))
    positions = range(4) if classes == "zipfian" else range(4, 7)
    wanted = set()
    for query, other in itertools.permutations(positions, 2):
        for context in {*itertools.permutations([query, other] * shots)}:
            for pair in PAIRS if isinstance(labels, PairLabels) else [(other, query)]:
                label = {query: pair[0], other: pair[1]}
                sequence = [*context, query]
                wanted.add((tuple(int(SPLIT.classes[p]) for p in sequence), tuple(label[p] for p in sequence)))
    found = as_rows(listed.sample(np.arange(len(listed))))
    assert len(found) == len(listed) == len(wanted) and {*found} == wanted
    assert as_rows(listed.sample(np.arange(len(listed), 2 * len(listed)))) == found


def test_they_are_the_sequences_that_are_sampled_and_each_is_as_likely():
    kind = WithDistractor(labels=PairLabels(pairs=PAIRS, others=None))
    sampler = SequenceSampler(kind=kind, split=SPLIT, exemplar_counts=ONES, length=3)
    listed, count = every(kind), 20_000
    of_all = dict.fromkeys(as_rows(listed.sample(np.arange(len(listed)))), 0)
    for row in as_rows(sampler.sample(np.arange(count))):
        of_all[row] += 1
    expected = count / len(listed)
    squared = sum((number - expected) ** 2 for number in of_all.values()) / expected
    assert abs(squared - len(listed)) < 5 * np.sqrt(2 * len(listed))
    assert listed.num_labels == sampler.num_labels == 4
    one, other = listed.sample(np.arange(3)), sampler.sample(np.arange(3))
    assert {name: (values.dtype, values.shape) for name, values in one.items()} == {
        name: (values.dtype, values.shape) for name, values in other.items()
    }


def test_the_training_sequences_of_the_induction_heads_are_78_400():
    split, pairs = ClassSplit(num_classes=50, rare=50), label_pairs(5, held_out=2)
    for of_pairs, wanted in zip(pairs, (78_400, 19_600), strict=True):
        kind = WithDistractor(labels=PairLabels(pairs=of_pairs, others=None))
        listed = EverySequence(kind=kind, split=split, exemplar_counts=np.ones(50, np.int64))
        assert len(listed) == wanted
        batch = listed.sample(np.arange(wanted))
        codes = np.concatenate([batch["classes"], batch["labels"]], axis=1) @ 50 ** np.arange(6)
        assert len(np.unique(codes)) == wanted


def test_the_first_ones_are_of_all_sorts_and_the_order_is_the_seeds():
    kind = WithDistractor(labels=PairLabels(pairs=PAIRS, others=None))
    first = every(kind).sample(np.arange(40))
    assert len(np.unique(first["classes"][:, -1])) == 4 and len({*as_rows(first)}) == 40
    assert as_rows(every(kind, seed=1).sample(np.arange(40))) != as_rows(first)
    assert as_rows(every(kind, stream="y").sample(np.arange(40))) != as_rows(first)
    alone = every(kind).sample(np.array([17]))
    assert all(np.array_equal(alone[name][0], first[name][17]) for name in first)


def test_items_come_with_them():
    sampler = WithItems(every(WithDistractor()), symbols(7))
    batch = sampler.sample(np.arange(5))
    assert np.array_equal(batch["items"], batch["classes"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: every(WithDistractor(label_noise=0.5)), "without label_noise"),
        (
            lambda: every(WithDistractor(), ClassSplit(num_classes=7, rare=7, zipf_exponent=1.0)),
            "must be equally likely.*zipf_exponent=0",
        ),
        (lambda: every(WithDistractor(), exemplar_counts=2 * ONES), "one exemplar each, got up to 2"),
        (lambda: every(WithDistractor(labels=Polysemy(2))), "draws them at random"),
        (lambda: every(WithDistractor(labels=RandomLabels())), "draws them at random"),
        (lambda: every(WithDistractor(shots=20)), "At most 16,777,216 sequences can be listed"),
    ],
)
def test_what_cannot_be_listed_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
