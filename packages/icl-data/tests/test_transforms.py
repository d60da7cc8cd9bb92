import statistics

import numpy as np
import pytest
from PIL import Image

from icl_data import PixelNoise, RandomRareImages, Resize, ToFloat, random_keys, resize, to_float

TRANSFORMS = [ToFloat(), Resize(5), PixelNoise(scale=0.3), RandomRareImages()]
names = pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda transform: type(transform).__name__)


def made(count=8, *, side=12, items=9, dtype=np.uint8, seed=7, stream="train"):
    """Return a batch in which sequence i depends on i only, but for its key."""
    index = np.arange(count)
    rngs = [np.random.default_rng(i) for i in index]
    images = np.stack([rng.integers(0, 256, (items, side, side), dtype=np.uint8) for rng in rngs])
    classes = np.stack([rng.integers(0, 5, items, dtype=np.int32) for rng in rngs])
    images = images if dtype == np.uint8 else (images / 255).astype(dtype)
    return {
        "images": images,
        "classes": classes,
        "is_rare": classes < 3,
        "labels": classes + 1,
        "index": index,
        "random_key": random_keys(seed, stream, index),
    }


def part(batch, rows):
    return {name: np.asarray(values[rows]) for name, values in batch.items()}


@names
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("side", [7, 12])
def test_a_sequence_is_the_same_in_any_batch_and_alone(transform, dtype, side):
    whole = transform(made(20, side=side, dtype=dtype))["images"]
    for rows in (slice(0, 7), slice(7, 20), [3], [19, 0, 4], []):
        assert np.array_equal(transform(part(made(20, side=side, dtype=dtype), rows))["images"], whole[rows])
    for row in (0, 13):
        alone = transform(part(made(20, side=side, dtype=dtype), row))["images"]
        assert alone.shape == whole.shape[1:]
        assert np.array_equal(alone, whole[row])


@names
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_transform_changes_a_copy_and_the_images_only(transform, dtype):
    batch, before = made(dtype=dtype), made(dtype=dtype)
    for values in batch.values():
        values.setflags(write=False)
    after = transform(batch)
    assert list(after) == list(batch)
    assert all(after[name] is batch[name] for name in batch if name != "images")
    assert np.array_equal(batch["images"], before["images"])
    assert not np.array_equal(after["images"], before["images"]) or (
        dtype == np.float32 and isinstance(transform, ToFloat)
    )


@names
def test_a_transform_without_images_says_so(transform):
    batch = made()
    del batch["images"]
    with pytest.raises(
        ValueError, match=f"{type(transform).__name__} needs a batch with 'images' .pass .* got only classes"
    ):
        transform(batch | {"items": np.zeros((8, 9))})


@names
def test_integers_that_are_no_grey_levels_are_refused(transform):
    with pytest.raises(TypeError, match="uint8 or float"):
        transform(made() | {"images": np.zeros((8, 9, 12, 12), np.int32)})


@pytest.mark.parametrize("transform", TRANSFORMS[2:], ids=lambda transform: type(transform).__name__)
def test_a_random_transform_needs_a_key_for_each_sequence(transform):
    batch = made()
    for wrong in (batch["random_key"][:7], batch["random_key"].astype(np.int64), batch["random_key"][:, :1]):
        with pytest.raises(ValueError, match=r"wants a random_key, uint32 \[\*batch, 2\], for each sequence"):
            transform(batch | {"random_key": wrong})
    del batch["random_key"]
    with pytest.raises(ValueError, match="needs a batch with 'random_key'"):
        transform(batch)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PixelNoise(scale=-0.1),
        lambda: PixelNoise(scale=float("nan")),
        lambda: Resize(0),
    ],
)
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=r"got (-|nan|0)"):
        wrong()


def test_to_float_maps_every_grey_level_to_0_to_1():
    levels = np.arange(256, dtype=np.uint8)
    floats = to_float(levels[None, :])[0]
    assert floats.dtype == np.float32
    assert floats[0] == 0
    assert floats[255] == 1
    np.testing.assert_allclose(floats, np.arange(256) / 255, rtol=2e-7)
    assert to_float(floats[None, :])[0].tolist() == floats.tolist()


def pillow(image, size):
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BOX))


@pytest.mark.parametrize(("height", "width"), [(105, 105), (28, 28), (31, 50)])
def test_resize_agrees_with_pillow_at_every_size(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    for size in range(1, min(height, width) + 1):
        assert np.abs(resize(image, size).astype(int) - pillow(image, size)).max() <= 1, size
    square = image[: min(height, width), : min(height, width)]
    assert np.array_equal(resize(square, len(square)), square)


@pytest.mark.parametrize("factor", [2, 3, 15])
def test_resize_by_a_whole_number_is_the_mean_of_squares(factor):
    images = np.random.default_rng(1).integers(0, 256, (4, 2, 7 * factor, 7 * factor), dtype=np.uint8)
    means = images.reshape(4, 2, 7, factor, 7, factor).astype(int).sum((3, 5)) / factor**2
    assert np.array_equal(resize(images, 7), np.floor(means + 0.5).astype(np.uint8))
    floats = to_float(images)
    assert resize(floats, 7).dtype == np.float32
    np.testing.assert_allclose(resize(floats, 7), means / 255, atol=1e-6)


def test_resize_rounds_one_half_upwards_and_keeps_white_white():
    assert resize(np.array([[0, 1], [1, 0]], np.uint8), 1).tolist() == [[1]]
    assert resize(np.array([[1, 2], [2, 1]], np.uint8), 1).tolist() == [[2]]
    assert np.all(resize(np.full((3, 105, 105), 255, np.uint8), 28) == 255)


@pytest.mark.parametrize("size", [0, 13, -2])
def test_resize_only_shrinks(size):
    with pytest.raises(ValueError, match=rf"in 1\.\.12 for images of 12x13, got {size}"):
        resize(np.zeros((12, 13), np.uint8), size)


def noise(count=40, scale=0.5, seed=0, side=40):
    batch = made(count, side=side, seed=seed)
    return PixelNoise(scale=scale)(batch)["images"] - to_float(batch["images"])


def test_noise_is_normal_with_the_asked_deviation():
    drawn = noise().astype(float)
    count = drawn.size  # 576,000
    assert abs(drawn.mean()) < 5 * 0.5 / count**0.5
    assert drawn.std() == pytest.approx(0.5, rel=5 / (2 * count) ** 0.5)
    assert (drawn**4).mean() / 0.5**4 == pytest.approx(3, abs=5 * 96**0.5 / count**0.5)
    for quantile in (0.001, 0.01, 0.3, 0.5, 0.9, 0.999):
        below = np.mean(drawn <= 0.5 * statistics.NormalDist().inv_cdf(quantile))
        assert below == pytest.approx(quantile, abs=5 * (quantile * (1 - quantile) / count) ** 0.5)


def test_noise_is_independent_between_pixels_sequences_and_seeds():
    drawn = noise(count=6).reshape(6, -1).astype(float)
    limit = 5 / drawn.shape[1] ** 0.5
    together = np.concatenate([drawn, noise(count=6, seed=1).reshape(6, -1)])
    assert np.abs(np.corrcoef(together) - np.eye(12)).max() < limit
    for shift in (1, 2, 3, 4, 40, 1600):
        assert abs(np.corrcoef(drawn[0, shift:], drawn[0, :-shift])[0, 1]) < 1.2 * limit


@pytest.mark.parametrize("transform", TRANSFORMS[2:], ids=lambda transform: type(transform).__name__)
@pytest.mark.parametrize("change", [{"seed": 8}, {"stream": "fewshot_holdout"}])
def test_another_seed_or_stream_gives_other_images(transform, change):
    here, there = (transform(made(**options))["images"] for options in ({}, change))
    changed = np.any(here != there, axis=(-2, -1))
    assert np.all(changed if isinstance(transform, PixelNoise) else changed == made()["is_rare"])


def test_noise_is_added_to_float_and_grey_images_alike_and_not_clipped():
    batch = made()
    grey = PixelNoise(scale=2.0)(batch)["images"]
    floats = PixelNoise(scale=2.0)(ToFloat()(batch))["images"]
    assert grey.dtype == floats.dtype == np.float32
    assert np.array_equal(grey, floats)
    assert grey.min() < -1
    assert grey.max() > 2
    assert np.array_equal(PixelNoise(scale=0.0)(batch)["images"], to_float(batch["images"]))


def test_noise_of_large_and_of_scattered_sequences_is_that_of_each_alone():
    batch = made(3, side=105)
    batch["random_key"] = random_keys(3, "train", np.array([2**40, 5, 2**62]))
    transform = PixelNoise(scale=1.0)
    together = transform(batch)["images"]
    for row in range(3):
        assert np.array_equal(transform(part(batch, slice(row, row + 1)))["images"][0], together[row])


def test_noise_never_changes_between_versions():
    batch = {"images": np.zeros((1, 1, 1, 5), np.uint8), "random_key": random_keys(11, "train", np.array([3]))}
    golden = PixelNoise(scale=1.0)(batch)["images"].ravel()
    np.testing.assert_allclose(golden, [0.508728, -0.052367, 2.19731, -0.727135, -1.161665], atol=1e-6)


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.float32, 1.0)])
def test_a_rare_class_has_one_binary_image_per_sequence_and_others_keep_theirs(dtype, full):
    batch = made(30, dtype=dtype)
    after = RandomRareImages()(batch)["images"]
    assert after.dtype == dtype
    assert np.array_equal(after[~batch["is_rare"]], batch["images"][~batch["is_rare"]])
    assert set(np.unique(after[batch["is_rare"]])) == {0, full}
    seen = set()
    for row in range(30):
        of_class = {}
        for place in np.flatnonzero(batch["is_rare"][row]):
            of_class.setdefault(batch["classes"][row, place], set()).add(after[row, place].tobytes())
        assert all(len(images) == 1 for images in of_class.values())
        images = set().union(*of_class.values())
        assert len(images) == len(of_class)  # another class, another image
        assert not images & seen  # another sequence, another image
        seen |= images


def test_random_images_are_half_ink_and_independent_pixel_by_pixel():
    batch = made(2000, items=3, side=9)
    batch["is_rare"] = np.ones((2000, 3), bool)
    batch["classes"] = np.tile(np.arange(3, dtype=np.int32), (2000, 1))
    bits = (RandomRareImages()(batch)["images"] > 0).reshape(2000, -1).astype(float)
    assert np.abs(bits.mean(0) - 0.5).max() < 5 * 0.5 / 2000**0.5
    assert np.abs(np.corrcoef(bits.T) - np.eye(243)).max() < 5.5 / 2000**0.5
    batch["random_key"] = random_keys(1, "train", np.arange(2000))
    other = (RandomRareImages()(batch)["images"] > 0).reshape(2000, -1)
    assert np.mean(other == bits) == pytest.approx(0.5, abs=5 * 0.5 / bits.size**0.5)


@pytest.mark.parametrize("transform", TRANSFORMS[1:], ids=lambda transform: type(transform).__name__)
def test_colour_images_are_refused_and_not_taken_for_rows(transform):
    batch = made() | {"images": np.zeros((8, 9, 12, 12, 3), np.uint8)}
    for case in (batch, part(batch, 0)):
        with pytest.raises(ValueError, match=rf"{type(transform).__name__} works on grey images .* \(.*12, 12, 3\)"):
            transform(case)
    assert ToFloat()(batch)["images"].dtype == np.float32


def test_a_box_too_large_to_be_exact_is_refused():
    assert resize(np.full((256, 256), 255, np.uint8), 1).tolist() == [[255]]
    assert resize(np.full((256, 257), 255, np.uint8), 1).tolist() == [[255]]  # the largest sum below 2**24
    with pytest.raises(ValueError, match="at most 65793 pixels of uint8 exactly, got boxes of 9000000; shrink in two"):
        resize(np.full((3000, 3000), 255, np.uint8), 1)
    assert resize(resize(np.full((3000, 3000), 255, np.uint8), 30), 1).tolist() == [[255]]
    assert resize(np.ones((3000, 3000), np.float32), 1).tolist() == [[1.0]]


def test_half_precision_is_averaged_in_full():
    images = np.random.default_rng(0).random((2, 40, 40)).astype(np.float16)
    small = resize(images, 1)
    assert small.dtype == np.float16 and to_float(images) is images
    assert np.array_equal(small, images.astype(np.float64).mean((1, 2), keepdims=True).astype(np.float16))


@names
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_on_an_accelerator_it_makes_the_same_pixels(transform, dtype):
    jax = pytest.importorskip("jax", reason="the accelerator's side needs jax: pip install icl-data[jax]")
    here = transform(made(5, side=11, dtype=dtype))["images"]
    for wrap in (jax.jit, lambda function: function):
        there = wrap(transform)(jax.tree.map(jax.numpy.asarray, made(5, side=11, dtype=dtype)))["images"]
        assert isinstance(there, jax.Array) and there.dtype == here.dtype
        if isinstance(transform, RandomRareImages) or here.dtype == np.uint8:
            assert np.array_equal(there, here)
        np.testing.assert_allclose(there, here, atol=1e-6)
