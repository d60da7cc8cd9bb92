"""A mixture of kinds: every sequence is one that its kind makes alone at that index, as often as its share says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icl_data import (
    Bursty,
    ClassSplit,
    FewShot,
    Iid,
    LabelElsewhere,
    Mixed,
    MixtureOf,
    NoSupport,
    Ordered,
    SequenceSampler,
    SwappedLabels,
)

COUNT = 2_000
SPLIT = ClassSplit(num_classes=60, rare=30, common=20, holdout=10, zipf_exponent=0.5)
# Told apart by what stands in the sequences: kinds whose query the rescaled choice does not touch, and others.
KINDS = [Bursty(p_bursty=1.0), FewShot(classes="common"), NoSupport(classes="rare"), Iid(distinct_fillers=True)]
KINDS += [SwappedLabels(classes="rare"), LabelElsewhere(classes="common"), FewShot(classes="rare", labels=Ordered())]


def sample(kind, seed=0, indices=None):
    sampler = SequenceSampler(kind=kind, split=SPLIT, exemplar_counts=np.full(60, 20), seed=seed)
    return sampler.sample(np.arange(COUNT) if indices is None else indices)


def same_context(one, other):
    """Return for each sequence whether the contexts are the same to the bit: classes and labels."""
    return np.all([one[key][:, :-1] == other[key][:, :-1] for key in ("classes", "labels")], axis=(0, 2))


@settings(max_examples=15, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(KINDS[:3] + KINDS[4:]), min_size=1, max_size=4, unique=True),
    weights=st.lists(st.integers(0, 5).map(float), min_size=4, max_size=4).filter(lambda weights: weights[0] > 0),
    seed=st.integers(0, 2**32),
)
def test_each_sequence_is_what_its_kind_alone_gives_at_that_index(kinds, weights, seed):
    shares = weights[: len(kinds)]
    made = sample(MixtureOf(kinds=kinds, shares=shares), seed)
    alone = [sample(kind, seed) for kind in kinds]
    of_kind = np.array([same_context(made, each) for each in alone])
    assert of_kind.any(axis=0).all()
    for number, (found, each) in enumerate(zip(of_kind, alone, strict=True)):
        only = found & (of_kind.sum(axis=0) == 1)  # by chance two kinds may have one context
        # The query is of the kind too: of a class of the context, or of none.
        supported = (made["classes"][only, :-1] == made["classes"][only, -1:]).any(axis=1)
        assert (supported == (each["classes"][only, :-1] == each["classes"][only, -1:]).any(axis=1)).all()
        p = shares[number] / sum(shares)
        assert abs(found.sum() - p * COUNT) <= 5 * math.sqrt(p * (1 - p) * COUNT) + (of_kind.sum(axis=0) > 1).sum()


def test_kinds_without_a_burst_for_the_query_are_the_same_to_the_bit():
    kinds = NoSupport(), Iid(classes="common"), LabelElsewhere(classes="rare")
    made, alone = sample(MixtureOf(kinds=kinds)), [sample(kind) for kind in kinds]
    keys = "classes", "exemplars", "labels", "is_rare"
    equal = np.array([np.all([(made[key] == each[key]).all(axis=1) for key in keys], axis=0) for each in alone])
    assert equal.any(axis=0).all() and (np.abs(equal.mean(axis=1) - 1 / 3) < 0.06).all()


def test_a_mixture_of_one_kind_is_that_kind():
    for kind in (*KINDS, Mixed(), Bursty(p_bursty=0.3)):
        for mixture in (MixtureOf(kinds=(kind,), shares=(0.2,)), MixtureOf(kinds=(Iid(), kind), shares=(0.0, 7.0))):
            made, alone = sample(mixture), sample(kind)
            assert all(np.array_equal(made[key], alone[key]) for key in alone)


def test_bursty_is_a_mixture_of_bursts_and_what_has_none():
    made = sample(Bursty(p_bursty=0.7))
    parts = MixtureOf(kinds=(Bursty(p_bursty=1.0), Bursty(p_bursty=0.0)), shares=(0.7, 0.3))
    assert all(np.array_equal(made[key], values) for key, values in sample(parts).items())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kinds": ()}, "at least one kind"),
        ({"kinds": (Iid(),), "shares": (1.0, 2.0)}, "got 1 kinds and 2 shares"),
        ({"kinds": (Iid(), Iid()), "shares": (1.0, -1.0)}, r"at least 0, and one of them above 0, got \[1.0, -1.0\]"),
        ({"kinds": (Iid(),), "shares": (0.0,)}, "one of them above 0"),
        ({"kinds": (Iid(),), "shares": (float("nan"),)}, "got"),
        ({"kinds": (Iid(),), "shares": (float("inf"),)}, "got"),
    ],
)
def test_mixtures_that_cannot_be_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        MixtureOf(**options)
