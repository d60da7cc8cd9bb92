"""Function tasks: pure in (seed, index), the context standardised by itself, queries where the mask says."""

import dataclasses
import itertools

import numpy as np
import pytest

from icl_data import (
    UNSEEN,
    BatchSource,
    ContextThenGrid,
    FunctionSampler,
    LastQueries,
    Linear,
    NormalInputs,
    RandomFraction,
    RandomMLP,
    RandomQueries,
    Sine,
    Tasks,
    UniformInputs,
    batches,
    glyphs,
)
from icl_data.tasks.functions import standardised

SAMPLER = FunctionSampler(family=RandomMLP(hidden=(8,)), num_points=12, queries=LastQueries(3), noise=0.1, seed=3)


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_a_batch_is_its_tasks_one_by_one():
    block = SAMPLER.sample(np.array([7, 0, 2**40]))
    for place, index in enumerate((7, 0, 2**40)):
        alone = SAMPLER.sample(np.array([index]))
        for name, values in alone.items():
            assert np.allclose(values[0], block[name][place], atol=1e-6), name
    assert {name: (values.shape, values.dtype) for name, values in block.items()} == {
        "inputs": ((3, 12, 1), np.float32),
        "targets": ((3, 12, 1), np.float32),
        "is_query": ((3, 12), np.bool_),
        "task": ((3,), np.int64),
        "index": ((3,), np.int64),
    }


def test_weights_are_fresh_for_each_task_and_the_points_too():
    # The notebook that this form comes from had one network for all tasks of a call.
    batch = dataclasses.replace(SAMPLER, noise=0.0, inputs=ContextThenGrid(grid=11)).sample(np.arange(50))
    on_the_grid = batch["targets"][:, 1:, 0]
    assert np.array_equal(batch["inputs"][0, 1:], batch["inputs"][1, 1:])
    for one, other in itertools.combinations(range(50), 2):
        assert not np.allclose(on_the_grid[one], on_the_grid[other], atol=1e-3)
    assert len(np.unique(SAMPLER.sample(np.arange(50))["inputs"])) == 50 * 12


def test_a_pool_shows_the_same_functions_at_new_points():
    raw = dataclasses.replace(SAMPLER, tasks=Tasks(count=5), noise=0.0, standardise=False)
    batch = raw.sample(np.arange(200))
    assert set(batch["task"]) == set(range(5))
    functions = raw.functions(np.arange(200))
    one, other = np.flatnonzero(batch["task"] == batch["task"][0])[:2]
    assert (batch["inputs"][one] != batch["inputs"][other]).all()
    swapped = functions(batch["inputs"][::-1])[::-1]
    assert not np.allclose(swapped, batch["targets"])
    x = batch["inputs"][[one, other]][::-1]
    assert np.allclose(raw.functions(np.array([one, other]))(x)[::-1][0], batch["targets"][one], atol=1e-5)


def test_another_stream_has_the_same_tasks_and_unseen_ones_are_others():
    pool = dataclasses.replace(SAMPLER, tasks=Tasks(count=1))
    seen = dataclasses.replace(pool, stream="seen")
    x = np.zeros((1, 1, 1), np.float32)
    assert np.array_equal(pool.functions(np.array([0]))(x), seen.functions(np.array([9]))(x))
    assert not np.array_equal(pool.sample(np.array([0]))["inputs"], seen.sample(np.array([0]))["inputs"])
    unseen = dataclasses.replace(seen, tasks=Tasks(first=UNSEEN))
    assert not np.array_equal(unseen.functions(np.array([0]))(x), pool.functions(np.array([0]))(x))
    elsewhere = dataclasses.replace(pool, seed=99, task_seed=3)
    assert np.array_equal(elsewhere.functions(np.array([0]))(x), pool.functions(np.array([0]))(x))


def test_targets_are_as_the_function_gives_them_unless_asked_otherwise():
    line = FunctionSampler(family=Linear(slopes=(2.0, 2.0)), num_points=12, queries=LastQueries(3))
    batch = line.sample(np.arange(5))
    assert np.array_equal(batch["targets"], 2 * batch["inputs"])


def test_the_context_is_standardised_by_itself_alone():
    generator = np.random.default_rng(0)
    targets = generator.normal(5, 3, size=(20, 12, 2)).astype(np.float32)
    is_query = RandomFraction(low=0.2, high=0.8).mask(generator.random((20, 13)))
    found = standardised(targets, is_query)
    for task in range(20):
        context = targets[task][~is_query[task]]
        expected = (targets[task] - context.mean(0)) / (context.std(0) if len(context) > 1 else 1)
        assert np.allclose(found[task], expected, atol=1e-4)
    # What queries hold changes no target of the context, and moves their own along with it.
    moved = np.where(is_query[:, :, None], targets + 100, targets)
    assert np.array_equal(standardised(moved, is_query)[~is_query], found[~is_query])


def test_a_constant_context_is_shifted_and_not_blown_up():
    targets = np.array([[[2.0], [2.0], [5.0]], [[1e6], [1e6], [1e6]]], np.float32)
    is_query = np.array([[False, False, True], [False, False, True]])
    assert np.array_equal(standardised(targets, is_query)[:, :, 0], [[0, 0, 3], [0, 0, 0]])


def test_noise_is_on_all_points_and_of_its_size():
    quiet = dataclasses.replace(SAMPLER, standardise=False, noise=0.0)
    loud = dataclasses.replace(quiet, noise=0.5)
    noise = loud.sample(np.arange(2_000))["targets"] - quiet.sample(np.arange(2_000))["targets"]
    assert np.allclose(noise.std(axis=(0, 2)), 0.5, atol=0.04) and abs(noise.mean()) < 0.02


@pytest.mark.parametrize("mask", [LastQueries(3), RandomQueries(3), RandomFraction(low=0.25, high=0.75)])
def test_masks_have_as_many_queries_as_they_say(mask):
    chosen = mask.mask(np.random.default_rng(0).random((500, 13)))
    counts = chosen.sum(axis=1)
    if isinstance(mask, RandomFraction):
        assert set(counts) == set(range(3, 10))
        assert np.abs(np.bincount(counts)[3:] / 500 - 1 / 7).max() < 0.06
    else:
        assert (counts == 3).all()
    if isinstance(mask, LastQueries):
        assert chosen[:, -3:].all()
    else:
        assert np.abs(chosen.mean(axis=0) - chosen.mean()).max() < 0.08
    with pytest.raises(ValueError, match="left to learn from"):
        mask.mask(np.zeros((1, 2)))


def test_a_random_fraction_never_takes_all_points_nor_none():
    for low, high in ((0.0, 0.0), (1.0, 1.0)):
        counts = RandomFraction(low=low, high=high).mask(np.random.default_rng(0).random((9, 6))).sum(axis=1)
        assert set(counts) == {1 if high == 0 else 4}


def test_inputs_lie_where_they_should():
    base = dataclasses.replace(SAMPLER, family=Sine(num_inputs=2), num_points=50)
    uniform = dataclasses.replace(base, inputs=UniformInputs(low=2.0, high=3.0)).sample(np.arange(100))["inputs"]
    assert 2 <= uniform.min() < 2.01 and 2.99 < uniform.max() <= 3
    normal = dataclasses.replace(base, inputs=NormalInputs(scale=2.0)).sample(np.arange(100))["inputs"]
    assert abs(normal.std() - 2) < 0.05 and abs(normal.mean()) < 0.06
    grid = dataclasses.replace(SAMPLER, inputs=ContextThenGrid(grid=5), num_points=9).sample(np.arange(3))["inputs"]
    assert np.allclose(grid[:, 4:, 0], np.linspace(-1, 1, 5)[None]) and len(np.unique(grid[:, :4])) == 12


@pytest.mark.parametrize(
    "options",
    [
        {"num_points": 1},
        {"num_points": 3},
        {"noise": -0.1},
        {"noise": np.inf},
        {"seed": -1},
        {"task_seed": -2},
        {"inputs": ContextThenGrid(grid=12)},
        {"family": Sine(num_inputs=2), "inputs": ContextThenGrid(grid=5)},
    ],
)
def test_what_does_not_go_together_is_refused_at_once(options):
    with pytest.raises(ValueError, match=r"points|noise|seed|ContextThenGrid"):
        dataclasses.replace(SAMPLER, **options)


def test_streams_of_tasks_are_cut_into_batches_sharded_and_resumed():
    source = BatchSource(sampler=SAMPLER, bank=None, batch_size=6)
    stream = iter(batches(source))
    first, state = next(stream), stream.get_state()
    second = next(stream)
    for batch, start in ((first, 0), (second, 6)):
        whole = SAMPLER.sample(np.arange(start, start + 6))
        assert all(np.allclose(batch[name], whole[name], atol=1e-6) for name in whole)
    stream.set_state(state)
    assert same(next(stream), second)
    halves = [dataclasses.replace(source, shard=shard, shard_count=2)[1]["index"] for shard in range(2)]
    assert np.array_equal(np.concatenate(halves), second["index"])
    with pytest.raises(ValueError, match="needs no bank"):
        BatchSource(sampler=SAMPLER, bank=glyphs(3, cache=False), batch_size=6)


@dataclasses.dataclass(frozen=True)
class Own:
    """A family, distribution of inputs and query mask of one's own, which give whatever they were made with."""

    change: object
    num_inputs = num_outputs = 1

    def draw(self, draws):
        return {}

    def values(self, specs, draws, inputs):
        return self.change(inputs)

    def points(self, *, seed, stream, indices, num_points, num_inputs):
        return self.change(np.ones((len(indices), num_points, num_inputs), np.float32))

    def mask(self, uniforms):
        return self.change(uniforms[:, :-1] > 0.5)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("family", lambda x: x[:, :, 0], r"Own.values must return float32 \[0, 12, 1\], got float32 \[0, 12\]"),
        ("family", lambda x: x.astype(int), "Own.values must return float32 .* got int64"),
        ("family", lambda x: None, "Own.values must return float32 .* got object"),
        ("inputs", lambda x: x[:, 1:], r"Own.points must return float32 \[0, 12, 1\], got float32 \[0, 11, 1\]"),
        ("queries", lambda mask: mask.astype(int), r"Own.mask must return bool \[0, 12\], got int64"),
        ("queries", lambda mask: mask[:, :, None], r"Own.mask must return bool \[0, 12\], got bool \[0, 12, 1\]"),
    ],
)
def test_parts_of_ones_own_give_what_they_promise_or_are_named(part, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SAMPLER, **{part: Own(change)})


def test_floats_of_another_width_become_those_of_the_contract():
    sampler = dataclasses.replace(SAMPLER, family=Own(lambda x: x.astype(np.float64)), noise=0.0)
    batch = sampler.sample(np.arange(3))
    assert batch["targets"].dtype == np.float32 and np.array_equal(batch["targets"], batch["inputs"])


def test_golden_values_of_function_tasks():
    sampler = FunctionSampler(
        family=RandomMLP(), tasks=Tasks(count=2**10), num_points=6, queries=RandomQueries(2), standardise=True
    )
    batch = dataclasses.replace(sampler, seed=5).sample(np.array([0, 2**33]))
    assert batch["task"].tolist() == GOLDEN_TASKS
    assert batch["is_query"].astype(int).tolist() == GOLDEN_QUERIES
    assert np.allclose(batch["targets"][:, :, 0], GOLDEN_TARGETS, atol=1e-4)


GOLDEN_TASKS = [526, 973]
GOLDEN_QUERIES = [[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 1]]
GOLDEN_TARGETS = [
    [0.6706814, 0.9874063, -1.1861234, -1.6682515, 0.8659022, 0.1316680],
    [-0.8108074, 0.9603152, -1.1722989, -1.3477241, 1.0227910, -0.4328207],
]
