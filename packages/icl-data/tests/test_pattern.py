"""Every choice that a pattern has, against the probabilities that its description gives, written out."""

import collections
import dataclasses
import itertools

import numpy as np
import pytest

from icl_data import ClassSplit, Ordered, Pattern, SequenceSampler

SPLIT = ClassSplit(num_classes=9, rare=3, common=3, holdout=2, zipf_exponent=1.0)
ZIPF = dict(enumerate(1 / np.arange(6, 0, -1.0)))
COUNT = 20_000


@dataclasses.dataclass(frozen=True)
class Always:
    """Sequences of one pattern alone."""

    pattern: Pattern

    def mixture(self, split, length):
        return ((1.0, self.pattern),)


def pattern_of(*, classes="zipfian", others="zipfian", **options):
    sets = {"classes": SPLIT.distribution(classes), "others": SPLIT.distribution(others)}
    return Pattern(**sets, **{"query": "burst", "labels": Ordered(), **options})


def sampled(pattern, count=COUNT, exemplars=20, **options):
    length = pattern.ways * pattern.shots + pattern.fillers + 1
    counts = np.full(SPLIT.num_classes, exemplars)
    sampler = SequenceSampler(
        kind=Always(pattern), split=SPLIT, exemplar_counts=counts, length=length, stream="x", **options
    )
    return sampler.sample(np.arange(count))


def drawn_from(weights, without):
    """Yield each class that can come with its probability."""
    left = {position: weight for position, weight in weights.items() if position not in without}
    for position, weight in left.items():
        yield position, weight / sum(left.values())


def several(weights, count, without, *, distinct):
    """Yield each row of classes that can come with its probability."""
    if count == 0:
        yield (), 1.0
        return
    for before, probability in several(weights, count - 1, without, distinct=distinct):
        for position, share in drawn_from(weights, {*without, *(before if distinct else ())}):
            yield (*before, position), probability * share


def written_out(pattern):
    """Return the probability of each (class of the query, classes of the context in order of size)."""
    found = collections.Counter()
    for bursts, of_bursts in several(ZIPF, pattern.ways, (), distinct=pattern.distinct_ways):
        if pattern.query == "burst":
            queries = [(burst, 1 / len(bursts)) for burst in bursts]
        elif pattern.query == "absent":
            queries = list(drawn_from(ZIPF, bursts))
        else:
            queries = [(None, 1.0)]
        for query, of_query in queries:
            without = set(bursts) if pattern.avoid == "bursts" else set()
            if pattern.query == "absent" or pattern.avoid == "query":
                without.add(query)
            more = pattern.fillers + (query is None)
            for fillers, of_fillers in several(ZIPF, more, without, distinct=pattern.distinct_fillers):
                probability = of_bursts * of_query * of_fillers
                # If the query is one filler more, it is each of them as often as any other.
                for own in range(more) if query is None else [None]:
                    rest = [filler for place, filler in enumerate(fillers) if place != own]
                    context = tuple(sorted([*bursts * pattern.shots, *rest]))
                    found[query if own is None else fillers[own], context] += probability / (
                        more if own is not None else 1
                    )
    return found


@pytest.mark.parametrize(
    ("query", "avoid"),
    [
        *itertools.product(["burst", "absent"], ["nothing", "bursts"]),
        ("burst", "query"),
        ("filler", "nothing"),
        ("filler", "bursts"),
    ],
)
@pytest.mark.parametrize(("distinct_ways", "distinct_fillers"), [(True, False), (False, True), (True, True)])
def test_classes_come_with_the_probabilities_of_the_description(query, avoid, distinct_ways, distinct_fillers):
    pattern = pattern_of(
        query=query,
        avoid=avoid,
        ways=2,
        shots=1,
        fillers=2,
        distinct_ways=distinct_ways,
        distinct_fillers=distinct_fillers,
    )
    wanted = written_out(pattern)
    assert sum(wanted.values()) == pytest.approx(1)
    inverse = np.argsort(np.append(SPLIT.classes, np.setdiff1d(np.arange(9), SPLIT.classes)))
    found = collections.Counter(
        (row[-1], tuple(sorted(row[:-1]))) for row in inverse[sampled(pattern)["classes"]].tolist()
    )
    assert found.keys() <= wanted.keys()
    expected = np.array(list(wanted.values())) * COUNT
    differences = np.array([found[key] for key in wanted]) - expected
    often = expected > 5
    deviations = np.append(differences[often] ** 2 / expected[often], 0)
    assert abs(deviations.sum() - often.sum()) < 5 * np.sqrt(2 * often.sum())


ONE_SUPPORT = pattern_of(ways=1, shots=1, fillers=3, avoid="query")


def test_one_support_is_a_value_of_a_pattern():
    batch = sampled(ONE_SUPPORT)
    support = batch["classes"][:, :-1] == batch["classes"][:, -1:]
    assert (support.sum(axis=1) == 1).all()
    assert np.abs(support.mean(axis=0) - 1 / 4).max() < 5 * np.sqrt(3 / 16 / COUNT)  # at any place
    assert (batch["labels"][:, :-1][support] == batch["labels"][:, -1]).all()


@pytest.mark.parametrize("grouped", [False, True])
def test_a_query_that_repeats_a_support_is_each_item_of_its_burst_as_often_and_no_other(grouped):
    pattern = pattern_of(ways=2, shots=3, exemplars="query_repeats_support", grouped=grouped)
    batch = sampled(pattern)
    context, query = (
        (batch["classes"] * 20 + batch["exemplars"])[:, :-1],
        (batch["classes"] * 20 + batch["exemplars"])[:, -1:],
    )
    same = context == query
    assert (same.sum(axis=1) == 1).all()
    assert (np.diff(np.sort(context, axis=1), axis=1) > 0).all()  # the context's own items are all different
    supports = batch["classes"][:, :-1] == batch["classes"][:, -1:]
    first, middle, last = (same[(supports.cumsum(axis=1) == n + 1) & supports].mean() for n in range(3))
    assert np.abs(np.array([first, middle, last]) - 1 / 3).max() < 5 * np.sqrt(2 / 9 / COUNT)
    plain = sampled(dataclasses.replace(pattern, exemplars="distinct"))
    assert not (plain["classes"] * 20 + plain["exemplars"] == query).all(axis=1).any()
    assert all(np.array_equal(plain[name], batch[name]) for name in ("classes", "labels", "is_rare"))
    assert np.array_equal(plain["exemplars"][:, :-1], batch["exemplars"][:, :-1])


def test_a_support_that_is_repeated_is_of_the_querys_burst_though_a_filler_is_of_its_class():
    batch = sampled(pattern_of(ways=1, shots=1, fillers=3, exemplars="query_repeats_support", labels=NumberOfDraw()))
    same = batch["classes"] * 20 + batch["exemplars"]
    assert ((same[:, :-1] == same[:, -1:]) == (batch["labels"][:, :-1] == 0)).all()


class NumberOfDraw:
    """Labels that tell which draw an item is of."""

    def label(self, draws, uniforms):
        return np.broadcast_to(np.arange(draws.positions.shape[1]), draws.positions.shape)

    def num_labels(self, split):
        return 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": "burst"}, "wants one, got ways=0 and shots=0"),
        ({"query": "absent", "avoid": "query"}, "for a query of a burst, got query='absent'; .* is query=\"absent\""),
        ({"query": "filler", "exemplars": "query_repeats_support"}, "for a query of a burst, got query='filler'"),
        ({"ways": 7, "shots": 1}, "7 burst classes of 6"),
        (
            {"ways": 4, "shots": 1, "fillers": 3, "distinct_fillers": True, "avoid": "bursts"},
            "7 different other classes of 6",
        ),
        ({"ways": 6, "shots": 1, "fillers": 1, "avoid": "bursts"}, "7 different other classes of 6"),
        ({"query": "absent", "ways": 6, "shots": 1}, "7 different other classes of 6"),
        ({"query": "absent", "fillers": 6, "distinct_fillers": True}, "7 different other classes of 6"),
        ({"query": "filler", "fillers": 6, "distinct_fillers": True}, "7 different other classes of 6"),
        (
            {
                "classes": "rare",
                "ways": 3,
                "shots": 1,
                "fillers": 3,
                "others": "common",
                "distinct_fillers": True,
                "avoid": "bursts",
            },
            None,
        ),
        ({"ways": 4, "shots": 1, "fillers": 2, "distinct_fillers": True, "avoid": "bursts"}, None),
        ({"ways": 7, "shots": 1, "distinct_ways": False}, None),
    ],
)
def test_a_pattern_whose_draws_may_run_out_of_classes_is_refused_and_no_other(options, message):
    if message is None:
        batch = sampled(pattern_of(**options), 500)
        assert np.isin(batch["classes"], SPLIT.classes).all()
    else:
        with pytest.raises(ValueError, match=message):
            pattern_of(**options)


def test_golden_sequences_of_the_choices_that_no_kind_makes():
    patterns = [
        ONE_SUPPORT,
        pattern_of(query="absent", ways=2, shots=1, fillers=2, avoid="bursts"),
        pattern_of(ways=2, shots=2, exemplars="query_repeats_support"),
    ]
    batches = [sampled(pattern, 2, seed=7) for pattern in patterns]
    assert [[batch[name][1].tolist() for name in ("classes", "exemplars")] for batch in batches] == GOLDEN


GOLDEN = [
    [[0, 8, 8, 6, 6], [9, 13, 7, 19, 5]],
    [[0, 5, 5, 6, 8], [9, 13, 7, 19, 6]],
    [[6, 0, 0, 6, 0], [9, 13, 7, 18, 13]],
]
