"""Random numbers addressed by (seed, stream, index), and orders and draws of few from them.

Nothing here keeps state: row ``i`` of a stream is the same whether it is asked for alone, in a block, or on
another machine. Only raw Philox output is used, which NumPy promises never to change (NEP 19).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, Integer, UInt64

from icl_data.checks import check_whole

_UPPER, _UPPER_OF_LOW, _BITS = np.uint64(40), np.uint64(8), np.uint64(2**24 - 1)  # 24 bits of either half of a word
_UNIT_OF_24_BITS = 2.0**-24
_IN_CACHE = 2**14  # numbers that are worked on at once

_WORDS_PER_COUNTER = 4  # Philox 4x64 gives four 64-bit words for each value of its counter.
_COUNTERS = 2**256
_UNIT = 2.0**-53
_LOW_BITS = np.uint64(0xFFFF)
_MARK = 256  # more than any byte of a name
_LARGEST = 2**63 - 1


def random_words(
    seed: int, stream: str, indices: Integer[np.ndarray, " B"], *, width: int
) -> UInt64[np.ndarray, "B width"]:
    """Return one row of random 64-bit words for each index.

    Args:
      seed: any non-negative integer.
      stream: name of what the numbers are for; different names are independent.
      indices: integers [B], at least 0, in any order.
      width: words per row.

    Returns:
      uint64 [B, width]. Row b depends on (seed, stream, indices[b], width) only.

    Raises:
      ValueError: a negative seed or index, or one that is not whole.
    """
    indices = checked_indices(indices)
    key = seed_sequence(seed, stream).generate_state(2, np.uint64)
    counters = -(-width // _WORDS_PER_COUNTER)
    philox, position = np.random.Philox(key=key, counter=0), 0
    parts = []
    for start, stop in _runs(indices):
        # One call serves a whole run of consecutive indices, so a block costs hardly more than a row. To the next run
        # the generator is moved, backwards too, which takes a quarter of the time of making another.
        first = int(indices[start]) * counters
        philox.advance((first - position) % _COUNTERS)
        parts.append(philox.random_raw((stop - start) * counters * _WORDS_PER_COUNTER))
        position = first + (stop - start) * counters
    # Most blocks are one run, and a copy of so many words would cost more than they do.
    words = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint64), *parts])
    return words.reshape(len(indices), counters * _WORDS_PER_COUNTER)[:, :width]


def checked_indices(indices: Integer[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
    """Return indices as int64 [B]; raise a ValueError for what is not whole, negative, too large or not [B]."""
    given = np.asarray(indices)
    whole = given.dtype.kind in "iu" and given.ndim == 1
    if not whole or (given.size and (given.min() < 0 or given.max() > _LARGEST)):
        extremes = f" from {given.min()} to {given.max()}" if whole else ""
        raise ValueError(
            f"indices must be a one-dimensional array of whole numbers in 0..{_LARGEST}, "
            f"got {given.dtype} {list(given.shape)}{extremes}."
        )
    return given.astype(np.int64)


def seed_sequence(seed: int, stream: str) -> np.random.SeedSequence:
    """Return what no other seed and stream give; above 2**32 a seed has a second part behind a mark.

    Raises:
      ValueError: a negative seed, or one that is not whole; a null character in the stream's name.
    """
    check_whole("seed", seed)
    if "\0" in stream:
        raise ValueError(f"A stream's name must not contain a null character, got {stream!r}.")
    high, low = divmod(int(seed), 2**32)
    return np.random.SeedSequence([low, *stream.encode(), *([_MARK, high] if high else [])])


def uniforms(words: UInt64[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return float64 uniforms in [0, 1), of the words' upper 53 bits."""
    return (words >> np.uint64(11)) * _UNIT


def uniform_rows(
    seed: int, stream: str, indices: Integer[np.ndarray, " B"], *, width: int
) -> Float[np.ndarray, "B width"]:
    """Return one row of float64 uniforms in [0, 1) for each index.

    Args:
      seed: any non-negative integer, as the next three are for ``random_words``.
      stream: name of what the numbers are for.
      indices: integers [B], at least 0.
      width: uniforms per row.

    >>> block = uniform_rows(0, "example", np.arange(5), width=3)
    >>> np.array_equal(block[[4, 1]], uniform_rows(0, "example", np.array([4, 1]), width=3))
    True
    """
    return uniforms(random_words(seed, stream, indices, width=width))


def _runs(indices: Int[np.ndarray, " B"]) -> Iterator[tuple[int, int]]:
    """Yield the bounds of the runs of consecutive indices."""
    bounds = np.flatnonzero(np.diff(indices) != 1) + 1
    starts = np.concatenate([np.zeros(min(1, len(indices)), np.int64), bounds])
    yield from zip(starts.tolist(), [*bounds.tolist(), len(indices)], strict=len(indices) > 0)


def step_over(
    draws: Int[np.ndarray, " B"], starts: Int[np.ndarray, "B K"], lengths: Int[np.ndarray, "B K"]
) -> Int[np.ndarray, " B"]:
    """Return draws from what is left as draws from the whole, by stepping over what was taken.

    Args:
      draws: each from 0 .. whole - lengths.sum(1) - 1.
      starts: where each taken piece starts in the whole; pieces do not overlap.
      lengths: how long each taken piece is; 0 for a slot that holds nothing.

    Returns:
      int64 [B], in no taken piece; uniform over the rest if ``draws`` were uniform.

    >>> step_over(np.array([0, 1, 2]), np.array([[1]] * 3), np.array([[2]] * 3))  # 1 and 2 are taken
    array([0, 3, 4])
    """
    if starts.shape[1] > 1:
        order = np.argsort(starts, axis=1)
        starts, lengths = np.take_along_axis(starts, order, 1), np.take_along_axis(lengths, order, 1)
    for k in range(starts.shape[1]):
        draws = draws + lengths[:, k] * (draws >= starts[:, k])
    return draws


def shuffled(words: UInt64[np.ndarray, "B K"], values: Int[np.ndarray, " K"]) -> Int[np.ndarray, "B K"]:
    """Return K small values in a random order of each row's own.

    Args:
      words: random words; their upper 48 bits decide the order.
      values: int64 [K] in 0..65535, not necessarily different.

    Returns:
      int64 [B, K].
    """
    # The values ride in the low bits of the sorting keys: half the time of an argsort and a gather.
    keys = (words & ~_LOW_BITS) | values.astype(np.uint64)
    keys.sort(axis=1)
    return (keys & _LOW_BITS).astype(np.int64)


def normals(uniforms: Float[np.ndarray, "rows even"]) -> Float[np.ndarray, "rows half"]:
    """Return standard normals, float64 [rows, n], for 2 n uniforms in [0, 1) (Box and Muller 1958).

    >>> normals(np.array([[0.0, 0.5, 0.25, 0.5]])).round(3)
    array([[ 0.   , -1.177]])
    """
    first, second = np.split(uniforms, 2, axis=1)
    return np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)


def normal_rows(
    seed: int, stream: str, indices: Integer[np.ndarray, " B"], *, width: int
) -> Float32[np.ndarray, "B width"]:
    """Return one row of float32 standard normals for each index.

    A word of 64 bits makes two normals (Box and Muller 1958) of 24 bits each, so the largest is 5.9. They are the same
    on every machine up to the rounding of its logarithm, sine and cosine.

    Args:
      seed: any non-negative integer, as the next three are for ``random_words``.
      stream: name of what the numbers are for.
      indices: integers [B], at least 0.
      width: normals per row.

    >>> block = normal_rows(0, "example", np.arange(5), width=3)
    >>> np.array_equal(block[[4, 1]], normal_rows(0, "example", np.array([4, 1]), width=3))
    True
    """
    half = -(-width // 2)
    words = random_words(seed, stream, indices, width=half)
    normals = np.empty((len(words), 2, half), np.float32)
    at_once = max(1, _IN_CACHE // max(half, 1))
    for start in range(0, len(words), at_once):
        part = slice(start, start + at_once)
        # float32 is several times as fast here as float64; the half keeps the logarithm's argument above 0.
        radius = ((words[part] >> _UPPER_OF_LOW & _BITS).astype(np.int32)).astype(np.float32)
        radius += np.float32(0.5)
        radius *= np.float32(_UNIT_OF_24_BITS)
        np.log(radius, out=radius)
        radius *= np.float32(-2)
        np.sqrt(radius, out=radius)
        angle = (words[part] >> _UPPER).astype(np.int32).astype(np.float32)
        angle *= np.float32(2 * np.pi * _UNIT_OF_24_BITS)
        np.multiply(radius, np.cos(angle), out=normals[part, 0])
        np.multiply(radius, np.sin(angle, out=angle), out=normals[part, 1])
    return normals.reshape(len(words), 2 * half)[:, :width]


def scale_to(uniform: Float[Any, "*shape"], bounds: tuple[float, float]) -> Float32[Any, "*shape"]:
    """Return uniforms in [0, 1), NumPy's or jax's, stretched over ``bounds``, as float32."""
    low, high = bounds
    return (low + (high - low) * uniform).astype(np.float32)


def check_bounds(name: str, bounds: tuple[float, float]) -> None:
    """Check that ``bounds`` are two finite numbers in ascending order."""
    if len(bounds) != 2 or not np.isfinite(bounds).all() or bounds[0] > bounds[1]:
        raise ValueError(f"{name} must be two finite numbers, the lower one first, got {bounds}.")
