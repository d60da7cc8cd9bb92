"""Pure transforms from a batch to a batch: float images, smaller images, pixel noise, random images for rare classes.

A transform returns a new batch and leaves the one it was given as it was. It works on whole batches (``images``
[B, S, H, W]) and on single sequences ([S, H, W]) alike, and sequence i comes out the same in either. All but
``ToFloat`` are for grey images and refuse colour ([B, S, H, W, 3]). ``to_float`` and ``resize`` also take jax arrays,
on the accelerator or under ``jax.jit``; ``icl_data.device_bank`` has the noise.
"""

import dataclasses
import functools
import math
import statistics
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped

from icl_data.batch import Batch
from icl_data.checks import check_whole
from icl_data.draws import random_words

_QUANTILES = 2**16
_MAX_BOX = 2**24 // 255  # pixels; the sum of more grey levels than this need not be exact in float32
_PIXELS_AT_ONCE = 2**17  # so that what lies between two passes over the pixels stays in the processor's cache


def to_float(images: Shaped[Any, "*batch H W"]) -> Float[Any, "*batch H W"]:
    """Return uint8 images, NumPy's or jax's, as float32 in 0..1, and floats of any width, bfloat16 too, as they are.

    Raises:
      TypeError: images of another dtype.

    >>> to_float(np.array([[0, 102, 255]], np.uint8)).round(6)
    array([[0. , 0.4, 1. ]], dtype=float32)
    """
    if images.dtype == np.uint8:
        return images * np.float32(1 / 255)  # a quotient would come out different once compiled by jax
    if not _is_float(images):
        raise TypeError(f"Images are uint8 or float, got {images.dtype}; numbers that stand for items stay numbers.")
    return images


def resize(images: Shaped[Any, "*batch H W"], size: int) -> Shaped[Any, "*batch size size"]:
    """Return images, NumPy's or jax's, shrunk by averaging boxes of pixels, as Pillow's ``BOX`` filter does.

    A pixel counts for the box that its centre lies in, so boxes differ by a pixel in size where ``size`` does not
    divide the side. Pillow rounds twice, after each axis, hence may differ by one grey level.

    Args:
      images: grey, uint8 or float (bfloat16 included), on NumPy or jax. On an accelerator that multiplies matrices in
        bfloat16 by default, wrap the call in ``jax.default_matmul_precision("highest")`` to have every grey level
        right.
      size: new height and width, at most the old.

    Returns:
      Images of the same dtype. uint8 is rounded to the nearest grey level, one half upwards.

    Raises:
      ValueError: a size below 1 or above the image's, or boxes of more than 65,793 pixels of uint8.
      TypeError: images of another dtype.

    >>> resize(np.array([[0, 2, 9, 9], [1, 3, 9, 9]] * 2, np.uint8), 2)
    array([[2, 9],
           [2, 9]], dtype=uint8)
    """
    height, width = images.shape[-2:]
    if not 1 <= size <= min(height, width):
        raise ValueError(f"size must be in 1..{min(height, width)} for images of {height}x{width}, got {size}.")
    if images.dtype != np.uint8 and not _is_float(images):
        raise TypeError(f"Images are uint8 or float, got {images.dtype}.")
    rows, columns = _boxes(height, size), _boxes(width, size)
    pixels = np.outer(rows.sum(1), columns.sum(1)).astype(np.int32)
    if images.dtype == np.uint8 and pixels.max() > _MAX_BOX:
        raise ValueError(
            f"resize averages boxes of at most {_MAX_BOX} pixels of uint8 exactly, got boxes of {pixels.max()}; "
            "shrink in two steps, or convert with to_float first."
        )
    flat = images.reshape(-1, width).astype(np.promote_types(images.dtype, np.float32))
    # Sums of grey levels below 2**24 are exact in float32, so the only rounding is the one that is wanted.
    sums = rows.astype(flat.dtype) @ (flat @ columns.T.astype(flat.dtype)).reshape(*images.shape[:-1], size)
    # With every axis written out, it also works where jax is told to refuse arrays of different ranks.
    pixels = pixels.reshape(*[1] * (images.ndim - 2), size, size)
    if images.dtype != np.uint8:
        return (sums / pixels.astype(flat.dtype)).astype(images.dtype)
    return ((2 * sums.astype(np.int32) + pixels) // (2 * pixels)).astype(np.uint8)


def _is_float(images: Shaped[Any, "..."]) -> bool:
    # By name, since NumPy counts bfloat16 and its like, which are not its own, as neither float nor number.
    return images.dtype.name.startswith(("float", "bfloat"))


@functools.lru_cache
def _boxes(side: int, size: int) -> Float32[np.ndarray, "size side"]:
    """Return 1 for the pixels of each box: those whose centre is in it, by Pillow's own floating-point sums."""
    scale = side / size
    middles = (np.arange(size)[:, None] + 0.5) * scale
    pixels = np.arange(side)
    first, end = (middles - scale / 2 + 0.5).astype(int), (middles + scale / 2 + 0.5).astype(int)
    # Done exactly, or in another order, a centre that lies on a border could fall on its other side.
    distances = (pixels - middles + 0.5) * (1 / scale)
    inside = (first <= pixels) & (pixels < end) & (distances > -0.5) & (distances <= 0.5)
    return inside.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class ToFloat:
    """Makes the images float32 in 0..1; see ``to_float``."""

    def __call__(self, batch: Batch) -> Batch:
        """Return another batch, with such images."""
        return {**batch, "images": to_float(_images(batch, self))}


@dataclasses.dataclass(frozen=True)
class Resize:
    """Shrinks the images; see ``resize``.

    Attributes:
      size: new height and width, at most the old.

    >>> batch = {"images": np.zeros((2, 9, 105, 105), np.uint8), "index": np.arange(2)}
    >>> Resize(28)(batch)["images"].shape
    (2, 9, 28, 28)
    """

    size: int

    def __post_init__(self) -> None:
        check_whole("size, in pixels,", self.size, least=1)

    def __call__(self, batch: Batch) -> Batch:
        """Return another batch, with such images."""
        images, _ = _grey(batch, self)
        return {**batch, "images": resize(images, self.size)}


@dataclasses.dataclass(frozen=True)
class PixelNoise:
    """Adds Gaussian noise to the images, which become float32 (an option of Chan et al. 2022's code).

    As in the original nothing is clipped, so pixels leave 0..1. The noise of a pixel depends on the seed, the stream,
    the sequence's index and the place in it only. It takes one of 65,536 values, of which the largest is 4.3 standard
    deviations: a table is several times faster than drawing from the distribution itself.

    Attributes:
      scale: standard deviation of the noise, on images of 0..1; at least 0.
      seed: any non-negative integer; another seed gives other noise.
      stream: name of the series of sequences, as the sampler's: sequence i of another has other noise.

    >>> batch = {"images": np.zeros((2, 9, 28, 28), np.uint8), "index": np.arange(2)}
    >>> f"{PixelNoise(scale=0.1)(batch)['images'].std():.2f}"
    '0.10'
    """

    scale: float
    seed: int = 0
    stream: str = "train"

    def __post_init__(self) -> None:
        if not 0 <= self.scale < float("inf"):
            raise ValueError(f"scale must be a standard deviation of at least 0, got {self.scale}.")
        check_whole("seed", self.seed)

    def __call__(self, batch: Batch) -> Batch:
        """Return another batch, with such images."""
        images, index = _grey(batch, self)
        pixels = math.prod(images.shape[-3:])
        sequences = images.reshape(index.size, pixels)
        noisy = np.empty(sequences.shape, np.float32)
        table = _normal_quantiles() * np.float32(self.scale)
        sequences_at_once = max(1, _PIXELS_AT_ONCE // max(pixels, 1))
        name = f"pixel noise {self.stream}"
        for start in range(0, index.size, sequences_at_once):
            rows = slice(start, start + sequences_at_once)
            quantiles = _random_integers(self.seed, name, index.reshape(-1)[rows], count=pixels, dtype="<u2")
            # A 16-bit number is never outside the table; "wrap" only spares the check and a copy.
            np.take(table, quantiles, out=noisy[rows], mode="wrap")
            noisy[rows] += to_float(sequences[rows])
        return {**batch, "images": noisy.reshape(images.shape)}


@functools.cache
def _normal_quantiles() -> Float32[np.ndarray, " quantiles"]:
    """Return the middles of 65,536 equally likely slices of the normal distribution, at a variance of exactly 1."""
    inverse = statistics.NormalDist().inv_cdf
    upper = np.array([inverse((k + 0.5) / _QUANTILES) for k in range(_QUANTILES // 2, _QUANTILES)])
    upper /= np.sqrt(np.mean(upper**2))
    return np.concatenate([-upper[::-1], upper]).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class RandomRareImages:
    """Gives each rare class a new random image in every sequence (an option of Chan et al. 2022's code).

    Each pixel is nothing or full (0 or 255; 0.0 or 1.0 in float images) with equal probability. The items of one rare
    class within a sequence share their image; it depends on the seed, the stream, the sequence's index and the place
    where the class first stands.

    Attributes:
      seed: any non-negative integer; another seed gives other images.
      stream: name of the series of sequences, as the sampler's: sequence i of another has other images.

    >>> batch = {"images": np.zeros((1, 3, 2, 2), np.uint8), "index": np.arange(1)}
    >>> batch |= {"classes": np.array([[7, 3, 7]]), "is_rare": np.array([[True, False, True]])}
    >>> RandomRareImages(seed=2)(batch)["images"].tolist()
    [[[[255, 255], [0, 0]], [[0, 0], [0, 0]], [[255, 255], [0, 0]]]]
    """

    seed: int = 0
    stream: str = "train"

    def __post_init__(self) -> None:
        check_whole("seed", self.seed)

    def __call__(self, batch: Batch) -> Batch:
        """Return another batch, with such images."""
        images, index = _grey(batch, self)
        S, H, W = images.shape[-3:]
        classes, is_rare = (_of_batch(batch, self, name).reshape(index.size, S) for name in ("classes", "is_rare"))
        first = np.argmax(classes[:, :, None] == classes[:, None, :], axis=2)  # the place where a class first stands
        octets = -(-H * W // 8)
        name = f"random rare images {self.stream}"
        bits = _random_integers(self.seed, name, index.reshape(-1), count=S * octets, dtype="u1")
        rows, places = np.nonzero(is_rare)
        chosen = bits.reshape(index.size, S, octets)[rows, first[rows, places]]
        random = np.unpackbits(chosen, axis=1, count=H * W, bitorder="little").reshape(len(rows), H, W)
        full = 255 if images.dtype == np.uint8 else 1
        replaced = images.reshape(index.size, S, H, W).copy()
        replaced[rows, places] = random * images.dtype.type(full)
        return {**batch, "images": replaced.reshape(images.shape)}


def _random_integers(seed: int, stream: str, indices: np.ndarray, *, count: int, dtype: str) -> np.ndarray:
    """Return a row of ``count`` small unsigned integers for each index, cut out of random words."""
    per_counter = 32 // np.dtype(dtype).itemsize
    width = -(-count // per_counter) * 4  # a whole number of Philox's counters is a row without a gap
    words = random_words(seed, stream, indices, width=width)
    return words.astype("<u8", copy=False).view(dtype)[:, :count]


def _of_batch(batch: Batch, transform: object, name: str) -> np.ndarray:
    """Return an array of a batch, or raise what is missing."""
    if name not in batch:
        what = " (pass the source a bank of images)" if name == "images" else ""
        raise ValueError(f"{type(transform).__name__} needs a batch with {name!r}{what}, got only {', '.join(batch)}.")
    return np.asarray(batch[name])


def _images(batch: Batch, transform: object) -> np.ndarray:
    images = _of_batch(batch, transform, "images")
    if images.dtype != np.uint8 and not _is_float(images):
        raise TypeError(f"{type(transform).__name__} works on uint8 or float images, got {images.dtype}.")
    return images


def _grey(batch: Batch, transform: object) -> tuple[np.ndarray, np.ndarray]:
    """Return the images [*batch, S, H, W] of a batch and their indices [*batch], once they go together."""
    images, index = _images(batch, transform), _of_batch(batch, transform, "index")
    if images.ndim != index.ndim + 3:
        raise ValueError(
            f"{type(transform).__name__} works on grey images [*batch, S, H, W] with an index [*batch], "
            f"got images {images.shape} and an index {index.shape}; make colour images grey first."
        )
    if index.shape != images.shape[:-3]:
        raise ValueError(
            f"{type(transform).__name__} wants one index for each sequence of images [*batch, S, H, W], "
            f"got an index {index.shape} and images {images.shape}."
        )
    return images, index
