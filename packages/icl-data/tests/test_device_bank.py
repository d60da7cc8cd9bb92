import re
import sys
import textwrap

import numpy as np
import pytest

import icl_data
from icl_data import (
    BatchSource,
    Bursty,
    ClassSplit,
    PixelNoise,
    RandomRareImages,
    SequenceSampler,
    bank_from_arrays,
    batches,
    resize,
    to_float,
)
from icl_data.device_bank import device_bank

jax = pytest.importorskip("jax", reason="the accelerator's side needs jax: pip install icl-data[jax]")
jax.config.update("jax_numpy_rank_promotion", "raise")

RNG = np.random.default_rng(0)
UNEVEN = [3, 7, 1, 5, 4, 2]


def bank_of(shape, dtype):
    values = RNG.integers(0, 256, (sum(UNEVEN), *shape)).astype(dtype)
    return bank_from_arrays(np.split(values, np.cumsum(UNEVEN)[:-1]))


IMAGES = bank_of((7, 7), np.uint8)
BANKS = {
    "images": IMAGES,
    "oblong images": bank_of((5, 7), np.uint8),
    "symmetries": IMAGES.augmented(),
    "some symmetries": IMAGES.augmented().subset([*range(16, 24), *range(8)]),
    "single exemplars": IMAGES.augmented().first_exemplars(1),
    "vectors": bank_of((16,), np.float32),
    "numbers": bank_of((), np.int32),
}


def pairs_of(bank, *shape):
    classes = RNG.integers(0, bank.num_classes, shape)
    return classes, RNG.integers(0, bank.counts[classes])


@pytest.mark.parametrize("name", BANKS)
@pytest.mark.parametrize("shape", [(40, 9), (9,)])
def test_gathering_there_is_gathering_here(name, shape):
    bank = BANKS[name]
    device = device_bank(bank)
    classes, exemplars = pairs_of(bank, *shape)
    expected = bank.gather(classes, exemplars)
    for gathered in (
        device.gather(classes, exemplars),
        jax.jit(lambda device, *pairs: device.gather(*pairs))(device, classes, exemplars),
        jax.jit(device.gather)(classes.astype(np.int32), exemplars.astype(np.int32)),
    ):
        assert gathered.dtype == expected.dtype
        assert np.array_equal(gathered, expected)


def test_every_symmetry_of_every_item_agrees():
    bank = IMAGES.augmented()
    classes = np.repeat(np.arange(bank.num_classes), bank.counts)
    exemplars = np.concatenate([np.arange(count) for count in bank.counts])
    assert np.array_equal(device_bank(bank).gather(classes, exemplars), bank.gather(classes, exemplars))


def test_a_bank_without_symmetries_costs_no_flips():
    text = str(jax.make_jaxpr(lambda device, *pairs: device.gather(*pairs))(device_bank(IMAGES), *pairs_of(IMAGES, 4)))
    assert "rev" not in text
    assert "transpose" not in text


def test_items_are_an_argument_of_the_compiled_function_not_a_constant_in_it():
    bank = bank_from_arrays([np.zeros((1000, 28, 28), np.uint8)] * 3)
    device = device_bank(bank.augmented())
    lowered = jax.jit(lambda device, *pairs: device.gather(*pairs)).lower(device, *pairs_of(bank, 32, 9))
    assert len(lowered.as_text()) < 50_000


def test_a_bank_goes_where_the_sharding_says():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    device = device_bank(IMAGES.augmented(), sharding)
    assert all(array.sharding == sharding for array in jax.tree.leaves(device))
    assert len(jax.tree.leaves(device)) == 4


def test_a_stream_of_indices_gives_the_images_of_a_stream_of_images():
    bank = IMAGES.augmented()
    split = ClassSplit(num_classes=48, rare=40, holdout=8, group=8)
    sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts)
    with_images, without = (iter(batches(BatchSource(sampler=sampler, bank=b, batch_size=8))) for b in (bank, None))
    device = device_bank(bank)
    for _ in range(3):
        here, there = next(with_images), next(without)
        assert np.array_equal(here["images"], device.gather(there["classes"], there["exemplars"]))


def test_the_example_in_the_module_runs():
    bank = IMAGES.augmented()
    split = ClassSplit(num_classes=48, rare=40, holdout=8, group=8)
    sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts)
    documentation = sys.modules[device_bank.__module__].__doc__
    code = textwrap.dedent(re.search(r"::\n\n(.*?)\n\n(?=\S)", documentation, re.DOTALL)[1])
    scope = vars(icl_data) | {"jax": jax, "bank": bank, "sampler": sampler, "device_bank": device_bank}
    exec(code, scope, scope)
    expected = BatchSource(sampler=sampler, bank=bank, batch_size=32)[0]
    for transform in (RandomRareImages(), PixelNoise(scale=0.1)):
        expected = transform(expected)
    np.testing.assert_allclose(scope["images"], expected["images"], atol=1e-6)


@pytest.mark.parametrize("under_jit", [False, True])
def test_floats_and_sizes_are_the_same_there_and_here(under_jit):
    wrap = jax.jit if under_jit else lambda function: function
    images = RNG.integers(0, 256, (3, 2, 105, 105), dtype=np.uint8)
    floats = to_float(images)
    there = wrap(to_float)(jax.numpy.asarray(images))
    assert isinstance(there, jax.Array)
    assert there.dtype == np.float32
    assert np.array_equal(there, floats)
    for size in (28, 52):
        there = wrap(lambda images, size=size: resize(images, size))(jax.numpy.asarray(images))
        assert isinstance(there, jax.Array)
        assert there.dtype == np.uint8
        assert np.array_equal(there, resize(images, size))
        there = wrap(lambda images, size=size: resize(images, size))(jax.numpy.asarray(floats))
        np.testing.assert_allclose(there, resize(floats, size), atol=1e-6)


@pytest.mark.parametrize("under_jit", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_float_there_too(dtype, under_jit):
    wrap = jax.jit if under_jit else lambda function: function
    images = jax.numpy.asarray(RNG.random((3, 2, 12, 12)), dtype)
    assert np.array_equal(wrap(to_float)(images), images)
    small = wrap(lambda images: resize(images, 3))(images)
    assert small.dtype == images.dtype
    means = np.asarray(images, np.float64).reshape(3, 2, 3, 4, 3, 4).mean((3, 5))
    np.testing.assert_allclose(np.asarray(small, np.float64), means, rtol=2**-8)
