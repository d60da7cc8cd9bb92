"""Curricula: each sequence is one that its stage makes alone at that number, and turns follow the shares."""

import dataclasses

import numpy as np
import pytest

from icl_data import (
    BatchSource,
    Bursty,
    ClassSplit,
    Curriculum,
    Expandable,
    ExpandableCurriculum,
    FewShot,
    FunctionSampler,
    Iid,
    NoSupport,
    NumbersOf,
    SequenceSampler,
    Sine,
    Tasks,
    WithItems,
    symbols,
)

SPLIT = ClassSplit(num_classes=12, rare=12)
STAGES = [
    SequenceSampler(kind=kind, split=SPLIT, exemplar_counts=np.full(12, 9), seed=3)
    for kind in (FewShot(classes="rare"), NoSupport(), Iid())
]
BLENDED = Curriculum(stages=STAGES, starts=(0, 1_000, 4_000), blends=(0, 2_000, 500), seed=5)


def written_out(number):
    """Return the share of each stage of BLENDED at a number, by its description."""
    second = min(max((number - 1_000) / 2_000, 0), 1)
    third = min(max((number - 4_000) / 500, 0), 1)
    return [(1 - second) * (1 - third), second * (1 - third), third]


def test_the_shares_are_those_of_the_description():
    numbers = np.array([0, 999, 1_000, 1_001, 2_000, 2_999, 3_000, 3_999, 4_000, 4_100, 4_499, 4_500, 10**12])
    assert np.allclose(BLENDED.shares(numbers), [written_out(number) for number in numbers.tolist()])


def test_each_sequence_is_that_of_its_stage_alone():
    indices = np.random.default_rng(0).permutation(6_000)
    batch, chosen = BLENDED.sample(indices), BLENDED.stage_of(indices)
    assert {*chosen.tolist()} == {0, 1, 2}
    for stage, sampler in enumerate(STAGES):
        alone = sampler.sample(indices)
        assert all(np.array_equal(batch[name][chosen == stage], alone[name][chosen == stage]) for name in alone)
        assert alone.keys() == batch.keys()


def test_the_stages_take_turns_as_often_as_their_shares_say_and_independently():
    chosen = BLENDED.stage_of(np.arange(6_000))
    wanted = np.array([written_out(number) for number in range(6_000)])
    for stage in range(3):
        for part in np.split(np.arange(6_000), 12):
            expected, variance = wanted[part, stage].sum(), (wanted[part, stage] * (1 - wanted[part, stage])).sum()
            assert abs((chosen[part] == stage).sum() - expected) <= 4 * np.sqrt(variance), (stage, part[0])
    middle = chosen[1_500:2_500] == 1
    assert abs(np.corrcoef(middle[1:], middle[:-1])[0, 1]) < 0.12
    assert not np.array_equal(chosen, dataclasses.replace(BLENDED, seed=6).stage_of(np.arange(6_000)))


def test_a_switch_at_once_is_exact():
    switched = Curriculum(stages=STAGES[:2], starts=(0, 37))
    assert switched.stage_of(np.arange(80)).tolist() == [0] * 37 + [1] * 43


def test_a_later_stage_changes_nothing_before_it():
    two = dataclasses.replace(BLENDED, stages=STAGES[:2], starts=(0, 1_000), blends=(0, 2_000))
    assert np.array_equal(two.stage_of(np.arange(4_000)), BLENDED.stage_of(np.arange(4_000)))


@pytest.mark.parametrize("batch_size", [8, 96])
def test_batches_hold_the_same_sequences_whatever_their_size_and_wherever_one_begins(batch_size):
    source = BatchSource(sampler=BLENDED, bank=None, batch_size=batch_size)
    numbers = [1_008 // batch_size, 2_400 // batch_size, 4_224 // batch_size]
    for number in numbers:
        batch = source[number]
        whole = BLENDED.sample(np.arange(number * batch_size, (number + 1) * batch_size))
        assert all(np.array_equal(batch[name], whole[name]) for name in whole)
    halves = [
        BatchSource(sampler=BLENDED, bank=None, batch_size=batch_size, shard=shard, shard_count=2)[numbers[1]]
        for shard in range(2)
    ]
    whole = source[numbers[1]]
    assert all(np.array_equal(np.concatenate([half[name] for half in halves]), whole[name]) for name in whole)


def test_the_distribution_at_a_number_is_that_of_its_shares_for_all():
    at = dataclasses.replace(BLENDED, at=2_000, stream="now")
    chosen = at.stage_of(np.arange(4_000))
    assert abs((chosen == 1).mean() - 0.5) < 4 * 0.5 / np.sqrt(4_000) and not (chosen == 2).any()
    assert np.array_equal(at.shares(np.array([0, 10**9])), [[0.5, 0.5, 0.0]] * 2)
    assert (dataclasses.replace(BLENDED, at=0).stage_of(np.arange(6_000)) == 0).all()


def test_with_items_it_is_expandable():
    sampler = WithItems(
        Curriculum(
            stages=[dataclasses.replace(stage, exemplar_counts=np.ones(12, np.int64)) for stage in STAGES],
            starts=(0, 5, 9),
        ),
        symbols(12),
    )
    assert isinstance(sampler, Expandable) and not isinstance(BLENDED, Expandable)
    batch = sampler.sample(np.arange(12))
    assert np.array_equal(batch["items"], batch["classes"])


def test_pools_of_tasks_grow_and_stages_are_expanded_alike():
    stages = [FunctionSampler(family=Sine(), num_points=12, tasks=Tasks(count=count)) for count in (2, 500)]
    growing = ExpandableCurriculum(stages=stages, starts=(0, 300), blends=(0, 100))
    assert isinstance(growing, Expandable) and growing.generation == FunctionSampler.generation
    batch = growing.sample(np.arange(600))
    assert batch["task"][:300].max() < 2 and len(np.unique(batch["task"][400:])) > 100
    numbers = NumbersOf(growing).sample(np.arange(600))
    again = growing.expand(growing.resident, numbers)
    assert all(np.allclose(again[name], batch[name], atol=1e-5) for name in batch)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Curriculum(stages=(), starts=()), "at least one stage"),
        (lambda: Curriculum(stages=STAGES, starts=(0, 5)), "3 stages and starts=.0, 5."),
        (lambda: Curriculum(stages=STAGES[:2], starts=(1, 5)), "0 and then ascending"),
        (lambda: Curriculum(stages=STAGES, starts=(0, 5, 5)), "0 and then ascending"),
        (lambda: Curriculum(stages=STAGES[:2], starts=(0, -5)), "start must be a whole number of at least 0"),
        (lambda: Curriculum(stages=STAGES[:2], starts=(0, 5), blends=(3, 3)), "0 for the first, or none"),
        (lambda: Curriculum(stages=STAGES[:2], starts=(0, 5), blends=(3,)), "a number for each of the 2 stages"),
        (lambda: Curriculum(stages=STAGES[:1], starts=(0,), at=-1), "at must be a whole number"),
        (
            lambda: Curriculum(
                stages=[STAGES[0], dataclasses.replace(STAGES[0], kind=Bursty(), length=10)], starts=(0, 5)
            ),
            r"of one form, got .*\(9,\).* and .*\(10,\)",
        ),
        (
            lambda: ExpandableCurriculum(
                stages=[FunctionSampler(family=Sine(), standardise=given) for given in (False, True)], starts=(0, 5)
            ),
            "must have one expand and one resident",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_golden_turns():
    assert BLENDED.stage_of(np.arange(1_990, 2_010)).tolist() == GOLDEN


GOLDEN = [0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0]
