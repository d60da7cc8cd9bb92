"""What holds for sequences of every kind, and what cannot be made. The kinds themselves are in test_kinds.py."""

import dataclasses

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
    NoSupport,
    Offset,
    Original,
    Polysemy,
    RandomLabels,
    SequenceSampler,
    SwappedLabels,
    num_labels,
)
from icl_data.sequences.pattern import Pattern

SPLIT = ClassSplit(num_classes=40, rare=20, common=8, holdout=10, zipf_exponent=1.0)


def make(kind, *, split=SPLIT, length=9, count=20, **options):
    return SequenceSampler(
        kind=kind, split=split, exemplar_counts=np.full(split.num_classes, count), length=length, **options
    )


def test_keys_shapes_and_dtypes_are_the_contract():
    batch = make(Bursty()).sample(np.arange(5))
    assert {name: (values.shape, values.dtype) for name, values in batch.items()} == {
        "classes": ((5, 9), np.int32),
        "exemplars": ((5, 9), np.int32),
        "labels": ((5, 9), np.int32),
        "is_rare": ((5, 9), np.bool_),
        "index": ((5,), np.int64),
        "random_key": ((5, 2), np.uint32),
    }


@pytest.mark.parametrize("change", [{"seed": 1}, {"stream": "other"}])
def test_another_seed_or_stream_gives_other_sequences(change):
    sampler = make(Bursty())
    one, two = (s.sample(np.arange(200))["classes"] for s in (sampler, dataclasses.replace(sampler, **change)))
    assert (one == two).mean() < 0.3


def test_random_labels_tell_nothing_of_the_class():
    batch = make(FewShot()).sample(np.arange(100_000))
    query_classes, query_labels = batch["classes"][:, -1], batch["labels"][:, -1]
    for cls in np.unique(query_classes):
        labels = query_labels[query_classes == cls]
        assert abs(labels.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(labels))


def test_training_sequences_never_hold_a_holdout_class():
    holdout = set(SPLIT.classes[-SPLIT.holdout :].tolist())
    trains = (
        Bursty(p_bursty_zipfian=0.3, p_bursty_common=0.3),
        Mixed(),
        Iid(),
        NoSupport(),
        FewShot(classes="zipfian"),
    )
    for kind in trains:
        assert not holdout & set(make(kind).sample(np.arange(20_000))["classes"].ravel().tolist())
    assert set(make(FewShot()).sample(np.arange(5000))["classes"].ravel().tolist()) == holdout


def test_views_of_one_character_never_straddle_train_and_holdout():
    split = ClassSplit(num_classes=40 * 8, rare=240, common=16, holdout=64, group=8)
    trained, held_out = (
        set((make(kind, split=split).sample(np.arange(20_000))["classes"] // 8).ravel().tolist())
        for kind in (Bursty(), FewShot())
    )
    assert len(trained) == 32 and len(held_out) == 8 and not trained & held_out


def test_pattern_exemplars_and_labels_are_chosen_independently():
    count = 40_000
    mixed = make(Mixed()).sample(np.arange(count))
    # All different classes, so that exemplars are independent, and a number used twice would show.
    polysemy = make(Iid(classes="rare", distinct_fillers=True, labels=Polysemy(2))).sample(np.arange(count))
    for one, others in [
        (mixed["is_rare"][:, :1], mixed["exemplars"]),
        (polysemy["labels"] % 2, polysemy["exemplars"]),
        (polysemy["classes"][:, -1:], polysemy["labels"] % 2),
    ]:
        columns = np.column_stack([one, others]).T
        assert np.abs(np.corrcoef(columns)[: one.shape[1], one.shape[1] :]).max() < 5 / np.sqrt(count)


def test_the_number_that_chooses_the_pattern_is_uniform_again_within_it(monkeypatch):
    seen = {}
    arrange = Pattern.arrange

    def spy(pattern, words, uniforms):
        seen.setdefault(pattern.num_draws, []).extend(uniforms.tolist())
        return arrange(pattern, words, uniforms)

    monkeypatch.setattr(Pattern, "arrange", spy)
    make(Bursty(p_bursty=0.3, p_bursty_zipfian=0.5, p_bursty_common=0.5)).sample(np.arange(20_000))
    assert sorted(seen) == [4, 9]
    for uniforms in seen.values():
        n = len(uniforms)
        distance = np.abs(np.sort(uniforms) - (np.arange(n) + 0.5) / n).max()
        assert distance < 1.95 / np.sqrt(n)  # Kolmogorov and Smirnov, p = 0.001


def test_a_bank_with_one_exemplar_each_repeats_it():
    assert not make(Bursty(), count=1).sample(np.arange(100))["exemplars"].any()


def test_a_class_with_too_few_exemplars_repeats_them_and_the_others_do_not():
    counts = np.where(np.arange(40) % 2 == 0, 2, 20)
    sampler = SequenceSampler(kind=FewShot(classes="zipfian"), split=SPLIT, exemplar_counts=counts)
    batch = sampler.sample(np.arange(3000))
    assert (batch["exemplars"] < counts[batch["classes"]]).all()
    for classes, exemplars in zip(batch["classes"], batch["exemplars"], strict=True):
        for cls in set(classes.tolist()):
            drawn = exemplars[classes == cls]
            assert cls % 2 == 0 or len(set(drawn.tolist())) == len(drawn)


def test_labels_of_all_labellings_fill_their_range():
    split = ClassSplit(num_classes=12, rare=6, common=3, holdout=3)
    for labels, wanted in [
        (Original(), set(split.classes[:9].tolist())),
        (Offset(start=5), set(range(5, 14))),
        (Polysemy(labels_per_class=4), set(range(6 * 4 + 3))),
    ]:
        batch = make(Iid(labels=labels), split=split).sample(np.arange(4000))
        assert set(batch["labels"].ravel().tolist()) == wanted
        assert max(wanted) < num_labels(split, labels)
    sizes = [num_labels(split, labels) for labels in (Original(), Offset(start=5), Polysemy(4), RandomLabels())]
    assert sizes == [12, 14, 27, 12]


def test_somebody_elses_kind_and_labelling_will_do():
    class Parity:
        def label(self, draws, uniforms):
            return draws.positions % 2

        def num_labels(self, split):
            return 2

    class OnlyRare:
        def mixture(self, split, length):
            return Iid(classes="rare", labels=Parity()).mixture(split, length)

    batch = make(OnlyRare()).sample(np.arange(50))
    inverse = np.argsort(np.concatenate([SPLIT.classes, np.setdiff1d(np.arange(40), SPLIT.classes)]))
    assert np.array_equal(batch["labels"], inverse[batch["classes"]] % 2) and batch["is_rare"].all()


def test_the_largest_and_unsigned_indices_will_do_and_stay_the_callers():
    batch = make(Iid()).sample(np.array([2**62, 0], np.uint64))
    assert batch["index"].dtype == np.int64
    assert np.array_equal(batch["classes"][1:], make(Iid()).sample(np.array([0]))["classes"])
    given = np.arange(3)
    make(Iid()).sample(given)["index"][:] = 99
    assert given.tolist() == [0, 1, 2]


def test_no_other_seed_and_stream_give_the_same_sequences():
    pairs = [(5 + ord("t") * 2**32, "rain"), (5, "train")]
    one, two = (make(Iid(), seed=seed, stream=stream).sample(np.arange(9))["classes"] for seed, stream in pairs)
    assert not np.array_equal(one, two)


def test_the_classes_of_a_split_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        SPLIT.classes[:] = 0


@st.composite
def configurations(draw):
    """Draw a split, a kind that it has room for, and a length."""
    rare, common, holdout = draw(st.integers(3, 30)), draw(st.integers(3, 9)), draw(st.integers(3, 9))
    split = ClassSplit(
        num_classes=rare + common + holdout + draw(st.integers(0, 5)),
        rare=rare,
        common=common,
        holdout=holdout,
        zipf_exponent=draw(st.floats(0, 5)),
        zipf_within_sets=draw(st.booleans()),
        seed=draw(st.integers(0, 99)),
    )
    shots, ways, length = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(2, 16))
    few_shot_length = shots * ways + 1
    labels = draw(st.sampled_from([Original(), Offset(3), Polysemy(4), Polysemy(1)]))
    train_set = draw(st.sampled_from(["rare", "common", "zipfian"]))
    zipfian = draw(st.floats(0, 1))
    bursty = Bursty(
        p_bursty=draw(st.floats(0, 1)),
        shots=shots,
        ways=ways,
        p_bursty_zipfian=zipfian,
        p_bursty_common=draw(st.floats(0, 1)) * (1 - zipfian),
        non_bursty=draw(st.sampled_from(["zipfian", "common", "common_no_support"])),
        labels=labels,
    )
    few_shot = FewShot(
        classes=draw(st.sampled_from(["rare", "common", "zipfian", "holdout"])),
        shots=shots,
        ways=ways,
        grouped=draw(st.booleans()),
        distinct_ways=draw(st.booleans()),
    )
    return split, draw(
        st.sampled_from(
            [
                (bursty, few_shot_length + length),
                (few_shot, few_shot_length),
                (Mixed(few_shot=few_shot), few_shot_length),
                (NoSupport(classes=train_set, labels=labels), length),
                (NoSupport(distinct_fillers=True), min(length, rare + common)),
                (Iid(classes=train_set, labels=labels), length),
                (Iid(classes="holdout", distinct_fillers=True), min(length, holdout)),
                (
                    SwappedLabels(classes=train_set, shots=shots, ways=max(2, ways), labels=labels),
                    shots * max(2, ways) + 1,
                ),
                (LabelElsewhere(classes=train_set, labels=labels), length),
            ]
        )
    )


@settings(max_examples=150, deadline=None)
@given(configurations(), st.integers(1, 20), st.integers(0, 2**70), st.integers(0, 2**60))
def test_any_valid_configuration_keeps_its_promises(configuration, most, seed, first):
    split, (kind, length) = configuration
    counts = np.random.default_rng(0).integers(1, most + 1, split.num_classes)
    sampler = SequenceSampler(kind=kind, split=split, exemplar_counts=counts, length=length, seed=seed)
    batch = sampler.sample(np.arange(first, first + 20))
    assert all(batch[name].shape == (20, length) for name in ("classes", "exemplars", "labels", "is_rare"))
    assert batch["labels"].min() >= 0
    assert batch["labels"].max() < num_labels(split, getattr(kind, "labels", RandomLabels()))
    assert ((batch["exemplars"] >= 0) & (batch["exemplars"] < counts[batch["classes"]])).all()
    assert np.isin(batch["classes"], split.classes).all()
    for classes, exemplars in zip(batch["classes"], batch["exemplars"], strict=True):
        for cls in set(classes.tolist()):
            drawn = exemplars[classes == cls].tolist()
            assert len(drawn) > counts[cls] or len(set(drawn)) == len(drawn)
    alone = sampler.sample(np.array([first + 13]))
    assert all(np.array_equal(values[0], batch[name][13]) for name, values in alone.items())
