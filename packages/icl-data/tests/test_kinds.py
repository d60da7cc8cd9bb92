"""Every kind of sequence and labelling against a slow, obvious oracle that draws one sequence at a time."""

import collections
import itertools
import math
import random

import numpy as np
import pytest

from icl_data import (
    Bursty,
    ClassSplit,
    FewShot,
    Iid,
    LabelElsewhere,
    Mixed,
    MixtureOf,
    NoSupport,
    Offset,
    Ordered,
    Original,
    Polysemy,
    RandomLabels,
    SequenceSampler,
    SwappedLabels,
    num_labels,
)

COUNT = 10_000
S = 9
EXEMPLARS = 10
SPLIT = ClassSplit(num_classes=45, rare=20, common=10, holdout=10, zipf_exponent=1.0)
WITHIN = ClassSplit(num_classes=45, rare=20, common=10, holdout=10, zipf_exponent=1.5, zipf_within_sets=True)

CASES = [
    (Bursty(p_bursty=0.5), SPLIT),
    (Bursty(p_bursty=0.8, p_bursty_zipfian=0.3, p_bursty_common=0.4, non_bursty="common"), SPLIT),
    (Bursty(p_bursty=0.6, p_bursty_zipfian=0.0, p_bursty_common=0.5, non_bursty="common_no_support"), WITHIN),
    (Bursty(p_bursty=0.6, p_bursty_zipfian=0.0, p_bursty_common=0.5, labels=Offset(start=3)), SPLIT),
    (Bursty(p_bursty=0.8, shots=2, ways=3, labels=Polysemy(labels_per_class=3)), SPLIT),
    (Bursty(distinct_ways=False), SPLIT),
    (FewShot(), SPLIT),
    (FewShot(classes="rare", grouped=True), WITHIN),
    (FewShot(classes="common", shots=2, ways=4), WITHIN),
    (FewShot(classes="zipfian", distinct_ways=False), SPLIT),
    (FewShot(classes="zipfian", labels=Polysemy(labels_per_class=2)), SPLIT),
    (FewShot(classes="holdout", labels=Offset()), SPLIT),
    (FewShot(classes="holdout", labels=Ordered(), grouped=True, shots=2, ways=4), SPLIT),
    (NoSupport(), SPLIT),
    (NoSupport(classes="rare", labels=Original()), WITHIN),
    (NoSupport(classes="common"), SPLIT),
    (NoSupport(distinct_fillers=True), SPLIT),
    (NoSupport(labels=Polysemy(labels_per_class=3)), SPLIT),
    (Iid(), SPLIT),
    (Iid(classes="holdout"), SPLIT),
    (Iid(distinct_fillers=True), SPLIT),
    (Iid(labels=Polysemy(labels_per_class=2)), SPLIT),
    (Mixed(p_few_shot=0.3), SPLIT),
    (SwappedLabels(), SPLIT),
    (SwappedLabels(classes="common", shots=2, ways=4), SPLIT),
    (LabelElsewhere(), SPLIT),
    (LabelElsewhere(classes="rare", labels=Polysemy(labels_per_class=2)), SPLIT),
    (MixtureOf(kinds=(Bursty(p_bursty=0.8), FewShot(classes="rare"), NoSupport()), shares=(3.0, 2.0, 1.0)), SPLIT),
    (MixtureOf(kinds=(Mixed(), Iid(classes="rare"))), SPLIT),
]
NAMES = [f"{number}-{type(kind).__name__}" for number, (kind, _) in enumerate(CASES)]


class Oracle:
    """Draws single sequences straight from the definitions of PAPERS: positions and labels."""

    def __init__(self, split):
        self.split, self.rng = split, random.Random(0)
        n = split.rare + split.common
        zipf = {position: 1 / (n - position) ** split.zipf_exponent for position in range(n)}
        sets = {"zipfian": range(n), "rare": range(split.rare), "common": range(split.rare, n)}
        weights = {
            name: {p: zipf[p] if name == "zipfian" or split.zipf_within_sets else 1.0 for p in positions}
            for name, positions in sets.items()
        }
        weights["holdout"] = dict.fromkeys(range(n, n + split.holdout), 1.0)
        self.positions = {name: list(of_set) for name, of_set in weights.items()}
        self.sums = {name: list(itertools.accumulate(of_set.values())) for name, of_set in weights.items()}

    def one(self, class_set, without=()):
        while (drawn := self.rng.choices(self.positions[class_set], cum_weights=self.sums[class_set])[0]) in without:
            pass  # drawn again: the weights of what is left, renormalised
        return drawn

    def different(self, class_set, count, without=()):
        drawn = []
        while len(drawn) < count:
            drawn.append(self.one(class_set, [*without, *drawn]))
        return drawn

    def label(self, labels, position, class_set):
        """Label one draw that stands alone, or all of a burst."""
        rare = self.split.rare
        match labels:
            case Ordered():
                return position
            case Original():
                return int(self.split.classes[position])
            case Offset(start):
                return start + self.positions[class_set].index(position)
            case Polysemy(X):
                if position < rare:
                    return self.rng.choice(range(position * X, position * X + X))
                return rare * X + (position - rare)

    def sequence(self, kind):
        match kind:
            case Bursty():
                return self.bursty(kind)
            case FewShot():
                return self.few_shot(kind)
            case Mixed():
                return self.sequence(kind.few_shot if self.rng.random() < kind.p_few_shot else kind.iid)
            case MixtureOf():
                return self.sequence(self.rng.choices(kind.kinds, kind.shares or None)[0])
            case Iid():
                drawn = [self.one(kind.classes) for _ in range(S)]
                if kind.distinct_fillers:
                    drawn = self.different(kind.classes, S)
                    self.rng.shuffle(drawn)
                return drawn, [self.label(kind.labels, position, kind.classes) for position in drawn]
            case NoSupport():
                query = self.one(kind.classes)
                if kind.distinct_fillers:
                    context = self.different(kind.classes, S - 1, [query])
                    self.rng.shuffle(context)
                    drawn = [*context, query]
                else:
                    drawn = [*(self.one(kind.classes, [query]) for _ in range(S - 1)), query]
                return drawn, [self.label(kind.labels, position, kind.classes) for position in drawn]
            case SwappedLabels():
                classes = self.different(kind.classes, kind.ways)
                taken = [self.label(kind.labels, position, kind.classes) for position in [*classes[1:], classes[0]]]
                return self.few_shot_of(list(zip(classes, taken, strict=True)), kind.shots, grouped=False)
            case LabelElsewhere():
                drawn, labels = self.sequence(NoSupport(classes=kind.classes, labels=kind.labels))
                labels[self.rng.randrange(S - 1)] = labels[-1]
                return drawn, labels

    def bursty(self, kind):
        if self.rng.random() >= kind.p_bursty:
            others = {
                "zipfian": Iid(labels=kind.labels),
                "common": Iid(classes="common", labels=kind.labels),
                "common_no_support": NoSupport(classes="common", labels=kind.labels),
            }
            return self.sequence(others[kind.non_bursty])
        sort = self.rng.random()
        if sort < kind.p_bursty_zipfian:
            of_bursts, of_fillers = "zipfian", "zipfian"
        elif sort < kind.p_bursty_zipfian + kind.p_bursty_common:
            of_bursts, of_fillers = "common", "rare"
        else:
            of_bursts, of_fillers = "rare", "common"
        if kind.distinct_ways:
            classes = self.different(of_bursts, kind.ways)
        else:
            classes = [self.one(of_bursts) for _ in range(kind.ways)]
        bursts = [(cls, self.label(kind.labels, cls, of_bursts)) for cls in classes]
        fillers = [self.one(of_fillers) for _ in range(S - 1 - kind.shots * kind.ways)]
        context = bursts * kind.shots + [(cls, self.label(kind.labels, cls, of_fillers)) for cls in fillers]
        self.rng.shuffle(context)
        return tuple(map(list, zip(*context, self.rng.choice(bursts), strict=True)))

    def few_shot(self, kind):
        if kind.distinct_ways:
            classes = self.different(kind.classes, kind.ways)
        else:
            classes = [self.one(kind.classes) for _ in range(kind.ways)]
        if kind.labels == RandomLabels():
            labels = self.rng.sample(range(kind.ways), kind.ways)
        else:
            labels = [self.label(kind.labels, position, kind.classes) for position in classes]
        return self.few_shot_of(list(zip(classes, labels, strict=True)), kind.shots, grouped=kind.grouped)

    def few_shot_of(self, bursts, shots, *, grouped):
        if grouped:
            context = [pair for _ in range(shots) for pair in self.rng.sample(bursts, len(bursts))]
        else:
            context = bursts * shots
            self.rng.shuffle(context)
        return tuple(map(list, zip(*context, self.rng.choice(bursts), strict=True)))


def sampler_of(kind, split, **options):
    counts = np.full(split.num_classes, EXEMPLARS)
    return SequenceSampler(kind=kind, split=split, exemplar_counts=counts, length=S, **options)


def positions_of(batch, split):
    """Turn the bank's classes back into positions."""
    inverse = np.full(split.num_classes, -1)
    inverse[split.classes] = np.arange(split.num_positions)
    return inverse[batch["classes"]]


def partition(rows):
    """Number each row by which of its items are equal, whatever they are."""
    equal = rows[:, :, None] == rows[:, None, :]
    return equal.reshape(len(rows), -1) @ (1 << np.arange(rows.shape[1] ** 2))


def statistics(positions, labels):
    """Count what can be asked of sequences: one histogram for each question."""
    positions, labels = np.asarray(positions), np.asarray(labels)
    same_class, same_label = (rows[:, :-1] == rows[:, -1:] for rows in (positions, labels))
    some = [0, 1, 2, 7, 8]
    answers = {
        "query's class in context": same_class.sum(1),
        "query's label in context": same_label.sum(1) * S + same_class.sum(1),
        "query's label of its class": positions[:, -1] * 1000 + labels[:, -1],
        "number of classes": (np.diff(np.sort(positions, axis=1)) > 0).sum(1),
        "number of labels": (np.diff(np.sort(labels, axis=1)) > 0).sum(1),
        "equal items": partition(positions[:, some]),
        "equal labels": partition(labels[:, some]),
        "first two": positions[:, 0] // 4 * 1000 + positions[:, 1] // 4,
        "last two": positions[:, -2] // 4 * 1000 + positions[:, -1] // 4,
    }
    for place in range(S):
        answers |= {f"class at {place}": positions[:, place], f"label at {place}": labels[:, place]}
    for place in range(S - 1):
        answers |= {
            f"query's class at {place}": same_class[:, place],
            f"query's label at {place}": same_label[:, place],
        }
    return {name: collections.Counter(values.tolist()) for name, values in answers.items()}


def surprise(one, two):
    """Return the two-sample chi-square statistic as a standard normal deviate (Wilson and Hilferty 1931)."""
    often = [key for key in one.keys() | two.keys() if one[key] + two[key] > 20]
    rest = [sum(counter.values()) - sum(counter[key] for key in often) for counter in (one, two)]
    pairs = [*((one[key], two[key]) for key in often), *([tuple(rest)] if sum(rest) > 20 else [])]
    freedom = len(pairs) - 1
    if freedom == 0:
        return 0.0
    statistic = sum((a - b) ** 2 / (a + b) for a, b in pairs)
    return ((statistic / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / math.sqrt(2 / (9 * freedom))


@pytest.mark.lengthy
@pytest.mark.parametrize(("kind", "split"), CASES, ids=NAMES)
def test_distributions_agree_with_the_oracle(kind, split):
    batch = sampler_of(kind, split, seed=1).sample(np.arange(COUNT))
    ours = statistics(positions_of(batch, split), batch["labels"])
    oracle = Oracle(split)
    slow = statistics(*zip(*(oracle.sequence(kind) for _ in range(COUNT)), strict=True))
    # About 1,000 comparisons in all: one of them passes 4.5 by chance in 300 suites of other seeds.
    assert {name: value for name in ours if (value := surprise(ours[name], slow[name])) > 4.5} == {}


@pytest.mark.parametrize(("kind", "split"), CASES, ids=NAMES)
def test_what_every_kind_promises(kind, split):
    batch = sampler_of(kind, split, seed=2).sample(np.arange(5_000))
    positions = positions_of(batch, split)
    assert positions.min() >= 0
    assert np.array_equal(batch["is_rare"], positions < split.rare)
    # Exemplars are distinct within a class, across the whole sequence.
    pairs = batch["classes"].astype(np.int64) * EXEMPLARS + batch["exemplars"]
    assert (np.diff(np.sort(pairs, axis=1)) > 0).all()
    assert set(batch["exemplars"].ravel().tolist()) == set(range(EXEMPLARS))
    assert (np.bincount(batch["exemplars"].ravel()) > 4_000).all()
    labels = getattr(kind, "labels", RandomLabels())
    assert batch["labels"].min() >= 0
    assert batch["labels"].max() < num_labels(split, labels)
    of_holdout = positions >= split.rare + split.common
    assert of_holdout.all() if getattr(kind, "classes", "") == "holdout" else not of_holdout.any()


@pytest.mark.lengthy
@pytest.mark.parametrize(("kind", "split"), CASES, ids=NAMES)
def test_a_sequence_does_not_depend_on_its_company(kind, split):
    sampler = sampler_of(kind, split, seed=3)
    whole = sampler.sample(np.arange(100))
    order = np.random.default_rng(0).permutation(100)
    for name, values in sampler.sample(order).items():
        assert np.array_equal(values, whole[name][order]), name
    for size in (1, 7, 32):
        parts = [sampler.sample(np.arange(first, min(first + size, 100))) for first in range(0, 100, size)]
        for name, values in whole.items():
            assert np.array_equal(np.concatenate([part[name] for part in parts]), values), name


# Sequence 11 of seed 7 of each case: classes, exemplars, labels. Pins the streams across versions: a change here
# changes everybody's data, and needs a new major version of icl-data and a line in its README.
GOLDEN = [
    ([0, 8, 8, 4, 27, 4, 4, 8, 6], [3, 6, 2, 3, 7, 9, 4, 4, 1], [22, 28, 28, 29, 5, 29, 29, 28, 10]),
    ([5, 23, 23, 5, 35, 35, 5, 23, 23], [3, 6, 2, 9, 7, 3, 4, 4, 0], [12, 14, 14, 12, 27, 27, 12, 14, 14]),
    ([8, 4, 4, 4, 0, 4, 4, 4, 24], [3, 6, 2, 8, 7, 3, 9, 7, 1], [28, 29, 29, 29, 22, 29, 29, 29, 24]),
    ([0, 8, 8, 4, 27, 4, 4, 8, 6], [3, 6, 2, 3, 7, 9, 4, 4, 1], [25, 31, 31, 32, 8, 32, 32, 31, 13]),
    ([4, 35, 8, 35, 4, 4, 4, 8, 4], [3, 6, 2, 3, 6, 9, 4, 5, 0], [69, 67, 68, 67, 69, 69, 69, 68, 69]),
    ([8, 8, 8, 8, 8, 4, 8, 8, 8], [3, 5, 2, 7, 4, 4, 9, 6, 0], [28, 28, 28, 28, 28, 29, 28, 28, 28]),
    ([14, 25, 25, 25, 14, 14, 14, 25, 14], [3, 6, 2, 8, 6, 9, 4, 4, 0], [1, 0, 0, 0, 1, 1, 1, 0, 1]),
    ([38, 41, 41, 38, 38, 41, 41, 38, 38], [3, 6, 2, 9, 6, 3, 4, 4, 0], [1, 0, 0, 1, 1, 0, 0, 1, 1]),
    ([35, 8, 4, 8, 17, 17, 35, 4, 35], [3, 6, 2, 3, 7, 3, 5, 5, 0], [0, 2, 3, 2, 1, 1, 0, 3, 0]),
    ([8, 8, 8, 8, 8, 8, 8, 8, 8], [3, 5, 2, 7, 4, 6, 8, 1, 0], [1, 0, 0, 0, 1, 1, 1, 0, 1]),
    ([35, 8, 8, 8, 35, 35, 35, 8, 35], [3, 6, 2, 8, 6, 9, 4, 4, 0], [47, 48, 48, 48, 47, 47, 47, 48, 47]),
    ([14, 25, 25, 25, 14, 14, 14, 25, 14], [3, 6, 2, 8, 6, 9, 4, 4, 0], [5, 7, 7, 7, 5, 5, 5, 7, 5]),
    ([2, 14, 16, 25, 14, 2, 16, 25, 2], [3, 6, 2, 3, 9, 9, 5, 5, 0], [36, 35, 38, 37, 35, 36, 38, 37, 36]),
    ([42, 8, 8, 4, 39, 4, 4, 8, 6], [3, 6, 2, 3, 7, 9, 4, 4, 1], [23, 28, 28, 29, 4, 29, 29, 28, 10]),
    ([15, 41, 33, 41, 1, 41, 41, 41, 39], [3, 6, 2, 3, 7, 8, 4, 7, 1], [15, 41, 33, 41, 1, 41, 41, 41, 39]),
    ([24, 35, 17, 35, 44, 35, 8, 35, 26], [3, 6, 2, 3, 7, 8, 6, 4, 1], [24, 27, 26, 27, 20, 27, 28, 27, 21]),
    ([23, 4, 35, 24, 7, 0, 12, 8, 6], [3, 6, 2, 3, 7, 4, 6, 5, 1], [14, 29, 27, 24, 2, 22, 25, 28, 10]),
    ([42, 8, 8, 4, 39, 4, 4, 8, 6], [3, 6, 2, 3, 7, 9, 4, 4, 1], [63, 68, 68, 69, 12, 69, 69, 68, 30]),
    ([0, 8, 8, 4, 27, 4, 4, 8, 6], [3, 6, 2, 3, 7, 9, 4, 4, 1], [22, 28, 28, 29, 5, 29, 29, 28, 10]),
    ([20, 25, 2, 25, 30, 25, 25, 25, 32], [3, 6, 2, 3, 7, 8, 4, 7, 1], [33, 37, 36, 37, 30, 37, 37, 37, 31]),
    ([23, 4, 35, 24, 7, 0, 27, 8, 12], [3, 6, 2, 3, 7, 4, 6, 5, 1], [14, 29, 27, 24, 2, 22, 5, 28, 25]),
    ([0, 8, 8, 4, 27, 4, 4, 8, 6], [3, 6, 2, 3, 7, 9, 4, 4, 1], [42, 48, 48, 49, 10, 49, 49, 48, 20]),
    ([42, 35, 17, 35, 44, 35, 35, 35, 26], [3, 6, 2, 3, 7, 8, 4, 7, 1], [23, 27, 26, 27, 20, 27, 27, 27, 21]),
    ([35, 8, 8, 8, 35, 35, 35, 8, 35], [3, 6, 2, 8, 6, 9, 4, 4, 0], [28, 27, 27, 27, 28, 28, 28, 27, 28]),
    ([17, 12, 35, 12, 8, 8, 17, 35, 17], [3, 6, 2, 3, 7, 3, 5, 5, 0], [28, 26, 25, 26, 27, 27, 28, 25, 28]),
    ([42, 8, 8, 4, 39, 4, 4, 8, 6], [3, 6, 2, 3, 7, 9, 4, 4, 1], [23, 28, 28, 29, 4, 29, 29, 10, 10]),
    ([19, 38, 36, 38, 13, 38, 38, 23, 7], [3, 6, 2, 3, 7, 8, 4, 5, 1], [14, 30, 27, 30, 0, 30, 31, 4, 4]),
    ([5, 23, 23, 23, 5, 5, 5, 23, 5], [3, 6, 2, 8, 6, 9, 4, 4, 0], [1, 0, 0, 0, 1, 1, 1, 0, 1]),
    ([37, 23, 5, 38, 13, 38, 38, 23, 7], [3, 6, 2, 3, 7, 9, 4, 5, 1], [6, 14, 12, 15, 0, 15, 15, 14, 2]),
]


@pytest.mark.parametrize("number", range(len(CASES)), ids=NAMES)
def test_golden_sequences(number):
    kind, split = CASES[number]
    batch = sampler_of(kind, split, seed=7).sample(np.array([11]))
    assert tuple(batch[name][0].tolist() for name in ("classes", "exemplars", "labels")) == GOLDEN[number]
