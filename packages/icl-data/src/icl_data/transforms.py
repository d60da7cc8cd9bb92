"""Pure transforms from a batch to a batch: float images, smaller images, pixel noise, random images for rare classes.

A transform returns a new batch and leaves the one it was given as it was. It works on whole batches (``images``
[B, S, H, W]) and on single sequences ([S, H, W]) alike, and sequence i comes out the same in either. All but
``ToFloat`` are for grey images and refuse colour ([B, S, H, W, 3]). All of them, and ``to_float`` and ``resize``, work
on jax arrays as on NumPy's, on an accelerator or under ``jax.jit``: the same pixels, floats to rounding.
"""

import dataclasses
import functools
import math
import statistics
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped

from icl_data.arrays import array_module
from icl_data.batch import Arrays
from icl_data.checks import check_whole
from icl_data.random_keys import random_bits

_QUANTILES = 2**16
_LOW, _HALF = np.uint32(_QUANTILES - 1), np.uint32(16)  # the lower half of a word, and what shifts it away
_BITS_OF_WORD = 32
_NOISE, _RARE = 0, 1  # what a sequence's random numbers are for
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

    def __call__(self, batch: Arrays) -> Arrays:
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

    def __call__(self, batch: Arrays) -> Arrays:
        """Return another batch, with such images."""
        return {**batch, "images": resize(_grey(batch, self), self.size)}


@dataclasses.dataclass(frozen=True)
class PixelNoise:
    """Adds Gaussian noise to the images, which become float32 (an option of Chan et al. 2022's code).

    As in the original nothing is clipped, so pixels leave 0..1. The noise of a pixel depends on the sequence's
    ``random_key`` and the place in it only. It takes one of 65,536 values, of which the largest is 4.3 standard
    deviations: a table is several times faster than drawing from the distribution itself.

    Attributes:
      scale: standard deviation of the noise, on images of 0..1; at least 0.

    >>> from icl_data import random_keys
    >>> batch = {"images": np.zeros((2, 9, 28, 28), np.uint8), "random_key": random_keys(0, "train", np.arange(2))}
    >>> f"{PixelNoise(scale=0.1)(batch)['images'].std():.2f}"
    '0.10'
    """

    scale: float

    def __post_init__(self) -> None:
        if not 0 <= self.scale < float("inf"):
            raise ValueError(f"scale must be a standard deviation of at least 0, got {self.scale}.")

    def __call__(self, batch: Arrays) -> Arrays:
        """Return another batch, with such images."""
        images, keys = _grey_and_keys(batch, self)
        sequences = images.reshape(len(keys), math.prod(images.shape[-3:]))
        table = _normal_quantiles() * np.float32(self.scale)
        noisy = _add_noise(sequences, keys, table) if array_module(images) is np else _noisy(sequences, keys, table)
        return {**batch, "images": noisy.reshape(images.shape)}


def _add_noise(sequences: np.ndarray, keys: np.ndarray, table: np.ndarray) -> Float32[np.ndarray, "B pixels"]:
    """Return ``_noisy`` of sequences, some at a time, so that what lies between two passes stays in the cache."""
    noisy = np.empty(sequences.shape, np.float32)
    at_once = max(1, _PIXELS_AT_ONCE // max(sequences.shape[1], 1))
    for start in range(0, len(keys), at_once):
        rows = slice(start, start + at_once)
        noisy[rows] = _noisy(sequences[rows], keys[rows], table)
    return noisy


def _noisy(sequences: Any, keys: Any, table: np.ndarray) -> Any:
    """Return images [B, pixels] as floats with noise, a value of the table for each pixel."""
    pixels = sequences.shape[1]
    halves = [half for word in random_bits(keys, _NOISE, -(-pixels // 4)) for half in (word & _LOW, word >> _HALF)]
    quantiles = array_module(keys).concatenate(halves, axis=1)[:, :pixels]
    if isinstance(quantiles, np.ndarray):
        # A 16-bit number is never outside the table; "wrap" only spares the check and a copy.
        return np.take(table, quantiles, mode="wrap") + to_float(sequences)
    return array_module(keys).asarray(table)[quantiles] + to_float(sequences)


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
    class within a sequence share their image; it depends on the sequence's ``random_key`` and the place where the class
    first stands.

    >>> from icl_data import random_keys
    >>> batch = {"images": np.zeros((1, 3, 2, 2), np.uint8), "random_key": random_keys(2, "train", np.arange(1))}
    >>> batch |= {"classes": np.array([[7, 3, 7]]), "is_rare": np.array([[True, False, True]])}
    >>> RandomRareImages()(batch)["images"].tolist()
    [[[[0, 255], [255, 255]], [[0, 0], [0, 0]], [[0, 255], [255, 255]]]]
    """

    def __call__(self, batch: Arrays) -> Arrays:
        """Return another batch, with such images."""
        images, keys = _grey_and_keys(batch, self)
        xp, (S, H, W) = array_module(images), images.shape[-3:]
        classes, is_rare = (_of_batch(batch, self, name).reshape(len(keys), S) for name in ("classes", "is_rare"))
        first = xp.argmax(classes[:, :, None] == classes[:, None, :], axis=2)  # the place where a class first stands
        words = -(-H * W // _BITS_OF_WORD)
        both = xp.concatenate(random_bits(keys, _RARE, -(-S * words // 2)), axis=1)[:, : S * words]
        of_item = xp.take_along_axis(both.reshape(len(keys), S, words), first[:, :, None], axis=1)
        shifts = xp.arange(_BITS_OF_WORD, dtype=np.uint32)[None, None, None, :]
        bits = (of_item[..., None] >> shifts & np.uint32(1)).reshape(len(keys), S, words * _BITS_OF_WORD)[:, :, : H * W]
        full = images.dtype.type(255 if images.dtype == np.uint8 else 1)
        random = bits.reshape(len(keys), S, H, W).astype(images.dtype) * full
        chosen = xp.where(is_rare[:, :, None, None], random, images.reshape(len(keys), S, H, W))
        return {**batch, "images": chosen.reshape(images.shape)}


def _of_batch(batch: Arrays, transform: object, name: str) -> Any:
    """Return an array of a batch, or raise what is missing."""
    if name not in batch:
        what = " (pass the source a bank of images)" if name == "images" else ""
        raise ValueError(f"{type(transform).__name__} needs a batch with {name!r}{what}, got only {', '.join(batch)}.")
    return batch[name]


def _images(batch: Arrays, transform: object) -> Any:
    images = _of_batch(batch, transform, "images")
    if images.dtype != np.uint8 and not _is_float(images):
        raise TypeError(f"{type(transform).__name__} works on uint8 or float images, got {images.dtype}.")
    return images


def _grey(batch: Arrays, transform: object) -> Any:
    """Return the images [*batch, S, H, W] of a batch, once they go with its index [*batch], if it has one."""
    images = _images(batch, transform)
    axes = len(batch["index"].shape) if "index" in batch else None
    if axes is not None and images.ndim != axes + 3:
        raise ValueError(
            f"{type(transform).__name__} works on grey images [*batch, S, H, W] with an index [*batch], "
            f"got images {images.shape} and an index {batch['index'].shape}; make colour images grey first."
        )
    return images


def _grey_and_keys(batch: Arrays, transform: object) -> tuple[Any, Any]:
    """Return the images [*batch, S, H, W] of a batch and its keys [B, 2], once they go together."""
    images, keys = _grey(batch, transform), _of_batch(batch, transform, "random_key")
    if keys.shape != (*images.shape[:-3], 2) or keys.dtype != np.uint32:
        raise ValueError(
            f"{type(transform).__name__} wants a random_key, uint32 [*batch, 2], for each sequence of grey images "
            f"[*batch, S, H, W], got {keys.dtype} {keys.shape} and images {images.shape}."
        )
    return images, keys.reshape(-1, 2)
