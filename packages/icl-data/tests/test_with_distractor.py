"""Sequences with a distractor, row by row against what the papers say of them, written out."""

import collections
import itertools

import numpy as np
import pytest

from icl_data import (
    Bursty,
    ClassSplit,
    Exchanged,
    Iid,
    LabelElsewhere,
    NoSupport,
    Ordered,
    PairLabels,
    Pattern,
    Polysemy,
    SequenceSampler,
    WithDistractor,
    label_pairs,
)

SPLIT = ClassSplit(num_classes=15, rare=12, holdout=3)
ZIPF = ClassSplit(num_classes=15, rare=12, holdout=3, zipf_exponent=1.0)
EXEMPLARS = 5
COUNT = 600


def sampled(kind, *, length=9, split=SPLIT, count=COUNT, exemplars=EXEMPLARS, **options):
    counts = np.full(split.num_classes, exemplars)
    sampler = SequenceSampler(kind=kind, split=split, exemplar_counts=counts, length=length, **options)
    return sampler.sample(np.arange(count))


def rows(batch, split=SPLIT):
    """Yield the positions, exemplars and labels of each sequence as lists."""
    place = {cls: position for position, cls in enumerate(split.classes.tolist())}
    for classes, exemplars, labels in zip(
        *(batch[name].tolist() for name in ("classes", "exemplars", "labels")), strict=True
    ):
        yield [place[cls] for cls in classes], exemplars, labels


def two_classes(positions, shots):
    """Return the query's class and those of which there are enough besides to be the distractor's."""
    counted = collections.Counter(positions[:-1])
    assert counted[positions[-1]] >= shots
    return positions[-1], [cls for cls, count in counted.items() if count >= shots and cls != positions[-1]]


@pytest.mark.parametrize("distinct_fillers", [False, True])
def test_the_context_has_as_many_of_the_query_and_of_one_other_class(distinct_fillers):
    for positions, _, labels in rows(sampled(WithDistractor(shots=3, distinct_fillers=distinct_fillers))):
        query, distractors = two_classes(positions, 3)
        assert distractors and labels == positions
        if distinct_fillers:
            (distractor,) = distractors
            counted = collections.Counter(positions[:-1])
            assert counted[query] == counted[distractor] == 3 and len(counted) == 4


@pytest.mark.parametrize("exemplars", ["with_replacement", "matched", "same"])
def test_which_items_of_a_class_come(exemplars):
    repeats, repeats_query = 0, 0
    for positions, chosen, _ in rows(sampled(WithDistractor(shots=2, exemplars=exemplars), length=8)):
        query, distractors = two_classes(positions, 2)
        of = collections.defaultdict(list)
        for position, exemplar in zip(positions[:-1], chosen[:-1], strict=True):
            of[position].append(exemplar)
        shared = [len(set(of[cls])) == 1 for cls in (query, *distractors)]
        repeats += all(shared)
        repeats_query += chosen[-1] in of[query]
        assert all(exemplar < EXEMPLARS for exemplar in chosen)
        if exemplars != "with_replacement":
            # A third class of which two fillers came by chance is not a distractor, and its items are any.
            assert shared[0] and any(shared[1:])
        if exemplars == "matched":
            assert chosen[-1] == of[query][0]
        elif exemplars == "same":
            assert chosen[-1] != of[query][0]
    if exemplars == "with_replacement":
        # The fifth part of pairs is alike by chance; three fillers make some of them larger.
        assert 0 < repeats < COUNT / 10 and abs(repeats_query / COUNT - (1 - (4 / 5) ** 2)) < 0.1


def test_the_exemplars_are_each_as_often():
    for exemplars in ("with_replacement", "matched", "same"):
        batch = sampled(WithDistractor(exemplars=exemplars), length=3, count=4_000)
        for place in range(3):
            counted = np.bincount(batch["exemplars"][:, place], minlength=EXEMPLARS)
            assert np.abs(counted - 800).max() < 5 * np.sqrt(4_000 * 0.16), (exemplars, place)


def test_a_class_of_one_item_has_nothing_else_to_show():
    batch = sampled(WithDistractor(exemplars="same"), length=3, exemplars=1)
    assert not batch["exemplars"].any()


def test_the_weights_say_how_often_each_class_is_asked_for():
    wanted = 1 / np.arange(12, 0, -1.0)
    wanted /= wanted.sum()
    asked, beside = np.zeros(12), np.zeros(12)
    for positions, _, _ in rows(sampled(WithDistractor(), length=3, split=ZIPF, count=5_000), ZIPF):
        asked[positions[-1]] += 1
        beside[(*({*positions} - {positions[-1]}),)[0]] += 1
    deviations = (asked - 5_000 * wanted) / np.sqrt(5_000 * wanted)
    assert np.abs(deviations).max() < 4
    # And the distractor is another one by the same weights.
    others = [
        sum(wanted[query] * wanted[cls] / (1 - wanted[query]) for query in range(12) if query != cls)
        for cls in range(12)
    ]
    assert np.abs((beside - 5_000 * np.array(others)) / np.sqrt(5_000 * np.array(others))).max() < 4


def test_the_pair_replaces_the_labels_of_both_classes_wherever_they_stand():
    pairs, unseen = label_pairs(5, held_out=2)
    found = collections.Counter()
    for positions, _, labels in rows(sampled(WithDistractor(shots=3, labels=PairLabels(pairs=pairs)))):
        query, distractors = two_classes(positions, 3)
        given = dict(zip(positions, labels, strict=True))
        assert all(given[position] == label for position, label in zip(positions, labels, strict=True))
        relabelled = [cls for cls in distractors if (given[query], given[cls]) in pairs]
        assert relabelled
        assert all(given[cls] == cls for cls in given if cls not in (query, relabelled[0]))
        found[given[query], given[relabelled[0]]] += 1
    assert found.keys() == {*pairs} and not found.keys() & {*unseen}
    assert max(abs(count - COUNT / 16) for count in found.values()) < 5 * np.sqrt(COUNT / 16)


def test_the_labels_of_the_two_classes_are_exchanged_wherever_they_stand():
    for positions, _, labels in rows(sampled(WithDistractor(shots=3, labels=Exchanged()))):
        query, distractors = two_classes(positions, 3)
        given = dict(zip(positions, labels, strict=True))
        assert given[query] in distractors and given[given[query]] == query
        assert [given[position] for position in positions] == labels
        assert all(given[cls] == cls for cls in given if cls not in (query, given[query]))


def test_a_label_to_copy_in_a_context_of_different_classes():
    places, carriers = collections.Counter(), collections.Counter()
    kind = LabelElsewhere(distinct_fillers=True)
    for positions, _, labels in rows(sampled(kind, split=ZIPF, length=5, count=4_000), ZIPF):
        assert len({*positions}) == 5 and labels[-1] == positions[-1]
        (place,) = (place for place in range(4) if labels[place] == labels[-1])
        assert all(labels[other] == positions[other] for other in range(4) if other != place)
        places[place] += 1
        carriers[sorted(positions[:-1]).index(positions[place])] += 1
    for counted in (places, carriers):  # any item of the context, however frequent its class is
        assert max(abs(counted[each] - 1_000) for each in range(4)) < 5 * np.sqrt(750)


def test_the_item_that_carries_the_label_says_nothing_of_other_labels():
    batch = sampled(LabelElsewhere(distinct_fillers=True, labels=Polysemy(2)), length=4, count=4_000)
    positions = np.array([row for row, _, _ in rows(batch)])
    is_own = batch["labels"] // 2 == positions
    counted = np.bincount((batch["labels"] % 2)[is_own], minlength=2)
    assert abs(counted[0] / counted.sum() - 0.5) < 0.02


def test_pure_in_weights_sequences_have_no_class_twice():
    for positions, _, labels in rows(sampled(NoSupport(distinct_fillers=True))):
        assert len({*positions}) == 9 and labels == positions


@pytest.mark.parametrize("kind", [WithDistractor(label_noise=0.25), Bursty(p_bursty=0.5, label_noise=0.25)])
def test_label_noise_shows_another_class_in_a_part_of_the_context_and_changes_nothing_else(kind):
    plain_kind = type(kind)() if isinstance(kind, WithDistractor) else Bursty(p_bursty=0.5)
    noisy, plain = sampled(kind), sampled(plain_kind)
    assert all(np.array_equal(noisy[name], plain[name]) for name in noisy if name != "labels")
    differ = noisy["labels"] != plain["labels"]
    assert not differ[:, -1].any()
    share, deviation = differ[:, :-1].mean(), np.sqrt(0.25 * 0.75 / (COUNT * 8))
    assert abs(share - 0.25) < 4 * deviation  # one that is replaced is always another
    assert {*noisy["labels"][differ].tolist()} == set(range(12))
    assert all(abs(differ[:, place].mean() - 0.25) < 0.08 for place in range(8))


def test_pairs_are_held_out_in_both_orders_and_by_the_seed():
    sides = [label_pairs(5, held_out=2, seed=seed) for seed in range(6)]
    for training, unseen in sides:
        assert len(training) == 16 and len(unseen) == 4
        assert {*training} | {*unseen} == {*itertools.permutations(range(5), 2)}
        assert all(pair[::-1] in unseen for pair in unseen)
    assert len({unseen for _, unseen in sides}) > 1
    assert label_pairs(5, held_out=2) == sides[0]


class Always:
    """Sequences of one pattern alone."""

    def __init__(self, **options):
        self.options = options

    def mixture(self, split, length):
        of_set = split.distribution("zipfian")
        return ((1.0, Pattern(classes=of_set, others=of_set, query="burst", **self.options)),)


def test_a_class_under_two_labels_keeps_both():
    kind = Always(ways=2, shots=1, distinct_ways=False, labels=PairLabels(pairs=((3, 4),), others=None))
    for positions, _, labels in rows(sampled(kind, length=3)):
        assert sorted(labels[:2]) == [3, 4], positions


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sampled(WithDistractor(shots=4), length=8), "needs at least 9 items, got length=8"),
        (lambda: WithDistractor(shots=0), "shots must be a whole number of at least 1"),
        (lambda: sampled(WithDistractor(label_noise=2.0)), "label_noise must be a probability"),
        (lambda: sampled(WithDistractor(distinct_fillers=True), length=14), "13 different zipfian classes are wanted"),
        (
            lambda: sampled(
                Bursty(shots=1, ways=1, label_noise=0.1), split=ClassSplit(num_classes=1, rare=1), length=2
            ),
            "label_noise=0.1 wants another class",
        ),
        (lambda: PairLabels(pairs=()), "pairs must be at least one"),
        (lambda: PairLabels(pairs=((0, 1), (2, 2))), "equally many different labels"),
        (lambda: PairLabels(pairs=((0, 1), (0, 1, 2))), "equally many different labels"),
        (lambda: PairLabels(pairs=((0, -1),)), "label of a pair must be a whole number of at least 0"),
        (
            lambda: sampled(WithDistractor(labels=PairLabels(pairs=((0, 1),), others=None))),
            "no other items, but these sequences have 2 and 6 other items",
        ),
        (lambda: sampled(WithDistractor(labels=PairLabels(pairs=((0, 1, 2),)))), "PairLabels of 3 labels"),
        (lambda: label_pairs(1), "num_labels must be a whole number of at least 2"),
        (lambda: label_pairs(3, held_out=3), "held_out must be below 3"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_ordered_labels_and_no_bursts_go_on_as_before():
    assert np.array_equal(sampled(Bursty(p_bursty=0.0))["labels"], sampled(Iid(labels=Ordered()))["labels"])


def test_golden_sequences():
    kinds = [
        (WithDistractor(), 3),
        (WithDistractor(shots=3, exemplars="matched", label_noise=0.5), 9),
        (WithDistractor(shots=3, exemplars="same", labels=PairLabels(pairs=label_pairs(5, held_out=2)[0])), 9),
        (LabelElsewhere(distinct_fillers=True), 4),
    ]
    found = [
        [sampled(kind, length=length, seed=7, count=2)[name][1].tolist() for name in ("classes", "exemplars", "labels")]
        for kind, length in kinds
    ]
    assert found == GOLDEN


GOLDEN = [
    [[13, 9, 9], [3, 2, 1], [0, 4, 4]],
    [[5, 11, 12, 11, 12, 12, 11, 0, 11], [3, 2, 2, 2, 2, 2, 2, 2, 2], [6, 2, 8, 0, 8, 3, 3, 7, 11]],
    [[5, 11, 12, 11, 12, 12, 11, 0, 11], [3, 2, 2, 2, 2, 2, 2, 2, 4], [6, 1, 4, 1, 4, 4, 1, 7, 1]],
    [[0, 6, 8, 9], [0, 3, 4, 1], [4, 5, 9, 4]],
]
