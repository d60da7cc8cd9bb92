"""Numbers and what they mean: the same in NumPy and under ``jax.jit``, whole or in parts, of our own and of others."""

import dataclasses
import pickle
import typing

import numpy as np
import pytest

from icl_data import (
    KNOWN_FAMILIES,
    UNSEEN,
    BatchSource,
    Bursty,
    ClassSplit,
    DecisionTree,
    DeviceNormalInputs,
    Expandable,
    FunctionSampler,
    Linear,
    NormalInputs,
    NormalProjection,
    NumbersOf,
    PixelNoise,
    ProjectedSampler,
    RandomFraction,
    RandomMLP,
    RandomRareImages,
    Rotation,
    SequenceSampler,
    Sine,
    SparseProjection,
    Tasks,
    ToFloat,
    WithItems,
    batches,
    glyphs,
    random_vectors,
)
from icl_data.tasks.families.random_mlp import Activation

BANK = random_vectors(7, exemplars=30, dimensions=12, seed=3)
FEW = random_vectors(5, exemplars=2, dimensions=6)
ACTIVATIONS = {name: RandomMLP(num_inputs=3, hidden=(5, 4), activations=name) for name in typing.get_args(Activation)}
FAMILIES = (
    KNOWN_FAMILIES
    | ACTIVATIONS
    | {
        "wide": RandomMLP(num_outputs=3, hidden=(8,), weight_scale=(0.5, 4.0), bias_scale=(0.1, 2.0)),
        "one_layer": RandomMLP(num_inputs=15, hidden=(), output_activation="sigmoid", divide_by_fan_in=False),
        "in_3d": Sine(num_inputs=3),
        "tree_of_garg": DecisionTree(num_inputs=20, depth=4, thresholds=(0.0, 0.0)),
    }
)
OF_FUNCTIONS = {name: {"family": family} for name, family in FAMILIES.items()} | {
    "pool": {"tasks": Tasks(count=3)},
    "unseen": {"tasks": Tasks(first=UNSEEN), "standardise": True, "noise": 0.2},
    "masks": {"queries": RandomFraction(), "inputs": NormalInputs(), "standardise": True},
    "device_inputs": {"inputs": DeviceNormalInputs(scale=2.0), "family": Linear(num_inputs=7), "noise": 0.2},
    "other_seed": {"task_seed": 9, "stream": "seen"},
}
OF_SETS = {
    "all_classes": {},
    "ways": {"ways": 3, "tasks": Tasks(count=4)},
    "some_plain": {"ways": 4, "p_identity": 0.5, "tasks": Tasks(first=UNSEEN)},
    "all_plain": {"p_identity": 1.0, "task_seed": 3},
    "too_few_exemplars": {"bank": FEW, "length": 25},
    "one_item": {"length": 1},
    "paper_length": {"length": 100},
    "sparse": {"projection": SparseProjection(0.3), "ways": 3},
    "rotation": {"projection": Rotation(), "tasks": Tasks(count=4)},
    "double": {"projection": NormalProjection(2.0)},
    "noisy_labels": {"label_noise": 0.3, "ways": 5},
    "uneven": {"zipf_exponent": 1.5, "ways": 5, "label_noise": 0.5},
}
IMAGES = glyphs(12, num_exemplars=5, cache=False).augmented()
SPLIT = ClassSplit(num_classes=96, rare=80, holdout=16, group=8)
SEQUENCES = SequenceSampler(kind=Bursty(), split=SPLIT, exemplar_counts=IMAGES.counts, seed=4)
SAMPLERS = (
    {
        f"function_{name}": FunctionSampler(**{"family": RandomMLP(hidden=(8,)), "num_points": 12, "seed": 5} | options)
        for name, options in OF_FUNCTIONS.items()
    }
    | {
        f"projected_{name}": ProjectedSampler(**{"bank": BANK, "length": 20, "seed": 2} | options)
        for name, options in OF_SETS.items()
    }
    | {
        "images": WithItems(SEQUENCES, IMAGES),
        "noisy_images": WithItems(SEQUENCES, IMAGES, [RandomRareImages(), PixelNoise(scale=0.3)]),
    }
)
INDICES = np.array([5, 0, 2**40, 2**62 - 1, 7, 5])


class OnTheHost:
    """A family of somebody's own, for NumPy alone."""

    num_inputs, num_outputs = 1, 2

    def draw(self, draws):
        assert isinstance(draws.keys, np.ndarray)
        return {"slope": draws.normals("slope", 2)}

    def values(self, specs, draws, inputs):
        return np.asarray(inputs.tolist()).reshape(inputs.shape) * specs["slope"][:, None]


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax", reason="the accelerator's side needs jax: pip install icl-data[jax]")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    return jax


@pytest.mark.lengthy
@pytest.mark.parametrize("name", SAMPLERS)
def test_numbers_mean_the_same_in_numpy_and_under_jit(name, jax):
    from icl_data.device_bank import device_bank

    sampler = SAMPLERS[name]
    assert isinstance(sampler, Expandable)
    here, resident = sampler.sample(INDICES), sampler.resident
    assert all(isinstance(values, np.ndarray) for values in here.values())
    there = jax.jit(sampler.expand)(resident if resident is None else device_bank(resident), sampler.numbers(INDICES))
    assert there.keys() == here.keys()
    for key, values in here.items():
        assert values.shape == there[key].shape
        if values.dtype.kind == "f":
            np.testing.assert_allclose(there[key], values, atol=5e-5, rtol=1e-4, err_msg=key)
        elif values.dtype.itemsize < 8:  # which jax makes smaller
            assert np.array_equal(there[key], values) and there[key].dtype == values.dtype, key


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sequence_is_the_same_in_whatever_company(name):
    sampler = SAMPLERS[name]
    block, numbers = sampler.sample(INDICES), sampler.numbers(INDICES)
    assert all(np.array_equal(values[0], values[5]) for values in block.values())
    for place in (1, 2, 3):
        alone = sampler.sample(INDICES[place : place + 1])
        part = sampler.expand(sampler.resident, {key: values[place : place + 2] for key, values in numbers.items()})
        for key, values in block.items():
            np.testing.assert_allclose(alone[key][0], values[place], atol=5e-5, rtol=1e-4, err_msg=key)
            np.testing.assert_allclose(part[key][0], values[place], atol=5e-5, rtol=1e-4, err_msg=key)


@pytest.mark.parametrize("name", ["function_pool", "projected_ways", "images"])
def test_a_stream_of_numbers_is_small_and_the_batches_are_made_of_it(name):
    sampler = SAMPLERS[name]
    numbers = next(iter(batches(BatchSource(sampler=NumbersOf(sampler), bank=None, batch_size=6))))
    whole = next(iter(batches(BatchSource(sampler=sampler, bank=None, batch_size=6))))
    made = sampler.expand(sampler.resident, numbers)
    assert all(np.allclose(made[key], whole[key], atol=1e-5) for key in whole)
    assert not {"targets", "items", "images"} & numbers.keys()
    again = pickle.loads(pickle.dumps(sampler)).numbers(np.arange(6))  # as worker processes get it
    assert all(np.array_equal(again[key], numbers[key]) for key in numbers)


def test_what_members_of_an_ensemble_may_differ_in_is_in_the_numbers():
    function, projected = SAMPLERS["function_pool"], SAMPLERS["projected_ways"]
    for sampler, changes in (
        (function, {"noise": 1.0, "tasks": Tasks(count=9), "seed": 8, "stream": "seen", "num_points": 40}),
        (projected, {"p_identity": 1.0, "tasks": Tasks(), "seed": 8, "stream": "seen", "task_seed": 1}),
    ):
        for name, value in changes.items():
            assert dataclasses.replace(sampler, **{name: value}).expand == sampler.expand, name
    assert dataclasses.replace(projected, ways=4).expand != projected.expand
    assert dataclasses.replace(projected, length=4).expand != projected.expand
    assert dataclasses.replace(function, standardise=True).expand != function.expand
    assert dataclasses.replace(function, family=Sine()).expand != function.expand
    assert WithItems(SEQUENCES, IMAGES, [ToFloat()]).expand == WithItems(SEQUENCES, IMAGES, (ToFloat(),)).expand
    assert SAMPLERS["images"].expand != SAMPLERS["noisy_images"].expand


@pytest.mark.parametrize("standardise", [False, True])
def test_a_family_for_numpy_alone_is_evaluated_on_the_host(jax, standardise):
    sampler = FunctionSampler(family=OnTheHost(), num_points=12, noise=0.3, standardise=standardise)
    numbers, here = sampler.numbers(INDICES), sampler.sample(INDICES)
    there = jax.jit(sampler.expand)(None, numbers)
    assert "values" in numbers and "task_key" not in numbers and here["targets"].shape == (6, 12, 2)
    np.testing.assert_allclose(there["targets"], here["targets"], atol=1e-5)
    clean = dataclasses.replace(sampler, noise=0.0, standardise=False).sample(INDICES)["targets"]
    assert np.array_equal(clean, sampler.functions(INDICES)(here["inputs"]))


def test_a_family_that_is_on_devices_and_not_hashable_is_refused():
    family = OnTheHost()
    family.__class__ = type("Unhashable", (OnTheHost,), {"on_device": True, "__hash__": None})
    with pytest.raises(ValueError, match=r"must be hashable.*frozen dataclass"):
        FunctionSampler(family=family)


def test_a_context_of_equal_targets_is_not_blown_up_however_long_it_is(jax):
    from icl_data.tasks.functions import standardised

    targets = np.full((4, 500, 1), 12345.678, np.float32) * np.array([1, -0.3, 1e-3, 77], np.float32)[:, None, None]
    is_query = np.zeros((4, 500), bool)
    is_query[:, -1] = True
    targets[:, -1] += 1
    for found in (standardised(targets, is_query), jax.jit(standardised)(targets, is_query)):
        assert np.array_equal(found[:, :-1], np.zeros((4, 499, 1))) and np.allclose(found[:, -1], 1, atol=0.1)


@pytest.mark.parametrize("exemplars", [3, 8, 40])
def test_items_of_a_class_differ_on_an_accelerator_too_where_it_has_enough(jax, exemplars):
    from icl_data.device_bank import device_bank
    from icl_data.distinct import distinct_in_group
    from icl_data.random_keys import random_keys, random_uniforms

    bank = random_vectors(4, exemplars=exemplars, dimensions=5)
    uniforms = random_uniforms(random_keys(0, "test", np.arange(200)), "both", 40)
    groups = (uniforms[:, 20:] * 4).astype(np.int32)
    sizes = np.array([exemplars, 2, 30, exemplars], np.int32)[groups]
    here, there = (
        np.asarray(draw(uniforms[:, :20], groups, sizes)) for draw in (distinct_in_group, jax.jit(distinct_in_group))
    )
    assert np.array_equal(here, there) and (here >= 0).all() and (here < sizes).all()
    for row in range(200):
        for group in range(4):
            drawn = there[row][groups[row] == group]
            if len(drawn) and len(drawn) <= sizes[row][groups[row] == group][0]:
                assert len(set(drawn.tolist())) == len(drawn)
    sampler = ProjectedSampler(bank=bank, length=12)
    items = np.asarray(jax.jit(sampler.expand)(device_bank(bank), sampler.numbers(np.arange(100)))["items"])
    if exemplars >= 12:
        assert all(len(np.unique(row.round(4), axis=0)) == 12 for row in items)


def test_golden_values_of_projected_tasks():
    batch = dataclasses.replace(SAMPLERS["projected_some_plain"], length=5).sample(np.array([1, 2**33]))
    assert batch["labels"].tolist() == GOLDEN_LABELS and batch["classes"].tolist() == GOLDEN_CLASSES
    assert np.allclose(batch["items"][:, :2, 0], GOLDEN_ITEMS, atol=1e-4)


GOLDEN_LABELS = [[1, 2, 2, 1, 3], [0, 3, 3, 3, 1]]
GOLDEN_CLASSES = [[1, 2, 2, 1, 3], [0, 3, 3, 3, 1]]
GOLDEN_ITEMS = [[-0.101621486, 0.117699198], [0.015818773, 1.408111811]]


class Flat:
    """Forgets the axis of outputs."""

    num_inputs = num_outputs = 1

    def draw(self, draws):
        return {}

    def values(self, specs, draws, inputs):
        return inputs[:, :, 0]


def test_values_of_another_shape_are_refused_under_jit_too():
    jax = pytest.importorskip("jax")
    sampler = FunctionSampler(family=Sine(), num_points=5, queries=RandomFraction())
    numbers = sampler.numbers(np.arange(3))
    expand = dataclasses.replace(sampler.expand, family=Flat())
    with pytest.raises(ValueError, match=r"Flat.values must return float32 \[3, 5, 1\], got float32 \[3, 5\]"):
        jax.jit(expand)(None, numbers)


class Scaled(Sine):
    """Has more to it than its fields, so that two of them are equal and not alike."""

    def __init__(self, scale):
        super().__init__()
        object.__setattr__(self, "scale", scale)


def test_a_family_with_more_to_it_than_its_fields_is_refused():
    with pytest.raises(ValueError, match="'scale', which is no field"):
        FunctionSampler(family=Scaled(2.0))


def test_noise_must_be_a_float32():
    with pytest.raises(ValueError, match="finite in float32"):
        FunctionSampler(family=Sine(), noise=1e39)
