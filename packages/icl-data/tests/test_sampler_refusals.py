"""What cannot be made is refused in words: what was wanted, what came."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from icl_data import (
    Bursty,
    ClassSplit,
    FewShot,
    Iid,
    Mixed,
    NoSupport,
    Offset,
    Polysemy,
    RandomLabels,
    SequenceSampler,
    SwappedLabels,
)

SPLIT = ClassSplit(num_classes=40, rare=20, common=8, holdout=10, zipf_exponent=1.0)


def make(kind, *, split=SPLIT, length=9, count=20, **options):
    return SequenceSampler(
        kind=kind, split=split, exemplar_counts=np.full(split.num_classes, count), length=length, **options
    )


@dataclasses.dataclass(frozen=True)
class Own:
    """A labelling of one's own, which gives whatever it was made with."""

    labels: object
    outputs: int = 38

    def label(self, draws, uniforms):
        return self.labels(draws.positions)

    def num_labels(self, split):
        return self.outputs


@pytest.mark.parametrize(
    ("labels", "got"),
    [
        (lambda positions: positions + 0.5, "float64"),
        (lambda positions: positions > 3, "bool"),
        (lambda positions: positions[:, :1], r"int64 \[0, 1\]"),
        (lambda positions: None, "object"),
    ],
)
def test_labels_that_are_no_whole_numbers_are_refused_before_the_first_sequence(labels, got):
    with pytest.raises(ValueError, match=rf"Own\.label must return whole numbers \[0, 9\] in 0\.\.V-1, .* got {got}"):
        make(Iid(labels=Own(labels)))


@pytest.mark.parametrize("shift", [-1, 11, 2**32])
def test_labels_outside_of_those_that_a_model_has_are_refused(shift):
    sampler = make(Iid(labels=Own(lambda positions: positions + shift)))
    with pytest.raises(
        ValueError, match=r"in 0\.\.V-1, where V = num_labels\(split\) = 38, got int64 .* from -?\d+ to \d+"
    ):
        sampler.sample(np.arange(100))
    assert make(Iid(labels=Own(lambda positions: positions + 10))).sample(np.arange(100))["labels"].max() == 37


def test_a_sampler_tells_how_many_labels_its_largest_labelling_has():
    assert make(Iid()).num_labels == 38 and make(Iid(labels=Own(abs, outputs=7))).num_labels == 7
    assert make(Bursty(labels=Polysemy(4))).num_labels == 4 * 20 + 8


def test_a_mixture_whose_probabilities_do_not_add_up_is_refused():
    class Half:
        def mixture(self, split, length):
            return ((0.5, Iid().mixture(split, length)[0][1]),)

    with pytest.raises(ValueError, match=r"add up to 1, got \[0.5\]"):
        make(Half())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Bursty(shots=3, ways=3), {}, "needs at least 10 items, got length=9"),
        (FewShot(shots=3), {}, "has 7 items, got length=9"),
        (
            FewShot(ways=4, shots=1),
            {"length": 5, "split": ClassSplit(num_classes=9, rare=6, holdout=3)},
            "4 different holdout classes are wanted in a sequence, but the split has 3",
        ),
        (
            Bursty(ways=3, shots=1),
            {"split": ClassSplit(num_classes=9, rare=2)},
            "3 different zipfian classes",
        ),
        (NoSupport(), {"split": ClassSplit(num_classes=9, rare=1)}, "2 different zipfian classes"),
        (FewShot(), {"split": ClassSplit(num_classes=9, rare=9)}, "holdout=0"),
        (Iid(distinct_fillers=True), {"split": ClassSplit(num_classes=9, rare=8)}, "9 different zipfian .* has 8"),
        (
            NoSupport(distinct_fillers=True),
            {"split": ClassSplit(num_classes=9, rare=8)},
            "9 different zipfian .* has 8",
        ),
        (Bursty(p_bursty_zipfian=0.5), {"split": ClassSplit(num_classes=9, rare=9)}, "common=0"),
        (Bursty(non_bursty="common"), {"split": ClassSplit(num_classes=9, rare=9)}, "common=0"),
        (Mixed(few_shot=FewShot(shots=2)), {}, "has 5 items, got length=9"),
        (Bursty(labels=RandomLabels()), {}, "2 other items"),
        (Iid(labels=RandomLabels()), {}, "9 other items"),
        (FewShot(labels=Polysemy(2)), {}, "holdout classes"),
        (SwappedLabels(classes="holdout", labels=Polysemy(2)), {}, "holdout classes"),
        (NoSupport(), {"length": 1}, "at least 2, got 1"),
        (NoSupport(), {"length": 2**16 + 1}, "at most 65536"),
        (NoSupport(), {"stream": "a\0"}, "null character"),
        (Iid(labels=Polysemy(2**28)), {}, "32-bit integers"),
        (Iid(labels=Offset(2**31)), {}, "32-bit integers"),
        (
            FewShot(classes="rare", distinct_ways=False, shots=2, ways=4),
            {"split": ClassSplit(num_classes=4, rare=1)},
            "4 ways need as many labels, but a model of this split has 1",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_before_the_first_batch(kind, options, message):
    with pytest.raises(ValueError, match=message):
        make(kind, **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Bursty, {"p_bursty": 1.1}),
        (Bursty, {"shots": 0}),
        (Bursty, {"p_bursty_common": -0.1}),
        (Bursty, {"p_bursty_zipfian": 0.6, "p_bursty_common": 0.5}),
        (FewShot, {"ways": 0}),
        (Mixed, {"p_few_shot": float("nan")}),
        (SwappedLabels, {"ways": 1}),
        (Polysemy, {"labels_per_class": 0}),
        (Offset, {"start": -1}),
    ],
)
def test_impossible_kinds_and_labellings_are_refused(kind, options):
    with pytest.raises(ValueError, match="got"):
        kind(**options)


def test_shares_that_leave_nothing_but_rounding_need_no_third_sort():
    no_common = ClassSplit(num_classes=9, rare=9)
    make(Bursty(p_bursty_zipfian=1.0, p_bursty_common=0.0), split=no_common)
    two_common = ClassSplit(num_classes=12, rare=9, common=2)
    kind = Bursty(p_bursty_zipfian=0.7, p_bursty_common=0.3, ways=2)  # 1 - 0.7 - 0.3 > 0 in floating point
    assert len(kind.mixture(two_common, 9)) == 3


@pytest.mark.parametrize("counts", [np.full(39, 20), np.full(40, 0), np.full(40, -3)])
def test_counts_that_no_such_bank_has_are_refused(counts):
    with pytest.raises(ValueError, match="same bank"):
        SequenceSampler(kind=NoSupport(), split=SPLIT, exemplar_counts=counts)


WRONG_TYPES = """
import sys
sys.modules["jax"] = None  # Grain would take two seconds to import it
import numpy as np
from icl_data import *

split = ClassSplit(num_classes=40, rare=20, common=8, holdout=10)

def make(kind, counts=np.full(40, 20), **options):
    return SequenceSampler(kind=kind, split=split, exemplar_counts=counts, **options)

def pattern(**options):
    classes = split.distribution("rare")
    return Pattern(classes=classes, others=classes, labels=Ordered(), **{"query": "filler", **options})

for wrong in (
    lambda: make(Bursty),
    lambda: make("bursty"),
    lambda: make(Iid(labels="ordered")),
    lambda: make(Iid(labels=RandomLabels)),
    lambda: make(FewShot(classes="hold")),
    lambda: make(Bursty(p_bursty=1.0, non_bursty="zipf")),
    lambda: make(NoSupport(), length=2.5),
    lambda: make(NoSupport(), seed=None),
    lambda: make(NoSupport(), counts=[2.5] * 40),
    lambda: make(NoSupport(), counts=np.full((40, 2), 20)),
    lambda: make(Iid()).sample(np.array([0.7])),
    lambda: make(Iid()).sample(np.array(3)),
    lambda: make(Iid()).sample(np.array([True])),
    lambda: FewShot(shots=1.5),
    lambda: Polysemy(2.5),
    lambda: ClassSplit(num_classes=40, rare=20.5),
    lambda: pattern(query="unseen"),
    lambda: pattern(avoid="all"),
    lambda: pattern(exemplars="any"),
):
    try:
        wrong()
        print("nothing raised")
    except ValueError as error:
        print(error)
"""


def test_wrong_types_are_refused_in_words_where_no_type_checker_runs():
    result = subprocess.run([sys.executable, "-c", WRONG_TYPES], capture_output=True, text=True, check=True)
    wanted = [
        *["such as Bursty(), got"] * 2,
        *["such as Ordered(), got"] * 2,
        "must be one of 'rare', 'common', 'zipfian', 'holdout', got 'hold'",
        "must be one of 'zipfian', 'common', 'common_no_support', got 'zipf'",
        "at least 2, got 2.5",
        "seed must be a whole number of at least 0, got None",
        *["one for each of the 40 classes"] * 2,
        *["whole numbers in 0.."] * 3,
        "shots must be a whole number of at least 1, got 1.5",
        "labels_per_class must be a whole number of at least 1, got 2.5",
        "rare must be a whole number of at least 0, got 20.5",
        "query must be one of 'burst', 'first_burst', 'filler', 'absent', got 'unseen'",
        "avoid must be one of 'nothing', 'query', 'bursts', got 'all'",
        "'with_replacement', 'matched', 'same', got 'any'",
    ]
    for line, part in zip(result.stdout.splitlines(), wanted, strict=True):
        assert part in line


@pytest.mark.parametrize("indices", [np.array([-1]), np.array([2**63], np.uint64)])
def test_indices_out_of_range_are_refused(indices):
    with pytest.raises(ValueError, match=r"whole numbers in 0\.\."):
        make(Iid()).sample(indices)
