"""Random bits that NumPy and an accelerator make alike, from keys: Threefry-2x32 (Salmon et al. 2011, "Random123").

A sequence (or a task) has a random key of its own, 64 bits that the host makes from (seed, stream, index). What is
drawn in such numbers that it should not travel, such as the noise of pixels, is drawn from the key where it is needed,
by the same code in NumPy and under ``jax.jit``, to the same bits. Keys of one seed and stream are all different.
"""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32, Integer, UInt32

from icl_data.arrays import array_module
from icl_data.draws import checked_indices, seed_sequence

# As everywhere: 20 rounds, five for each of these groups, and a constant of the cipher's key schedule.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_GROUPS = 5
_PARITY = np.uint32(0x1BD11BDA)

_UNIT_OF_24_BITS = 2.0**-24  # of each word, as many as a float32 holds
_IN_CACHE = 2**14  # words that NumPy works on at once


def random_keys(seed: int, stream: str, indices: Integer[np.ndarray, " B"]) -> UInt32[np.ndarray, "B 2"]:
    """Return the key of each index; another seed or stream gives other keys.

    Args:
      seed: any non-negative integer.
      stream: name of what the keys are for.
      indices: integers [B], at least 0.

    Raises:
      ValueError: a negative seed or index, or one that is not whole.

    >>> random_keys(0, "example", np.arange(3)).dtype
    dtype('uint32')
    """
    of_stream = seed_sequence(seed, stream).generate_state(2, np.uint32)
    halves = checked_indices(indices).astype("<u8").view("<u4").reshape(-1, 2)  # a part of 32 bits each, the low first
    low, high = (np.ascontiguousarray(halves[:, place], np.uint32) for place in (0, 1))
    return np.stack(threefry(of_stream[0], of_stream[1], low, high), axis=1)


def random_bits(
    keys: UInt32[Any, "B 2"], purpose: int, count: int, *, first: int = 0
) -> tuple[UInt32[Any, "B n"], UInt32[Any, "B n"]]:
    """Return two arrays of ``count`` random numbers of 32 bits for each key, NumPy's or jax's as the keys are.

    Args:
      keys: of sequences or tasks.
      purpose: below 2**32; what the numbers are for: those of another purpose are independent.
      count: n, below 2**32.
      first: how many numbers come before these.

    >>> low, high = random_bits(random_keys(0, "example", np.arange(3)), 0, 5)
    >>> low.shape, high.dtype
    ((3, 5), dtype('uint32'))
    """
    xp = array_module(keys)
    places = xp.arange(first, first + count, dtype=np.uint32)[None, :] + xp.zeros((len(keys), 1), np.uint32)
    return threefry(keys[:, :1], keys[:, 1:], places, xp.full_like(places, np.uint32(purpose)))


def random_uniforms(keys: UInt32[Any, "B 2"], name: str, width: int) -> Float32[Any, "B width"]:
    """Return float32 uniforms in [0, 1) for each key, of 24 bits, in NumPy and jax to the same bit.

    Args:
      keys: of sequences or tasks.
      name: what the numbers are for; other names are independent, also of normals of the same name.
      width: how many.

    >>> random_uniforms(random_keys(0, "example", np.arange(2)), "labels", 3).round(3)
    array([[0.709, 0.947, 0.422],
           [0.193, 0.076, 0.465]], dtype=float32)
    """
    return _floats(_two_uniforms, keys, f"uniforms {name}", width)


def random_normals(keys: UInt32[Any, "B 2"], name: str, width: int) -> Float32[Any, "B width"]:
    """Return float32 standard normals for each key, in NumPy and jax up to the rounding of logarithm, sine and cosine.

    Two words of 32 bits make two normals (Box and Muller 1958) of 24 bits each, so the largest is 5.9.

    Args:
      keys: of sequences or tasks.
      name: what the numbers are for, as in ``random_uniforms``.
      width: how many.

    >>> random_normals(random_keys(0, "example", np.arange(2)), "weights", 3).round(3)
    array([[-0.604,  3.21 ,  1.047],
           [-0.727,  0.814, -0.392]], dtype=float32)
    """
    return _floats(_two_normals, keys, f"normals {name}", width)


def _floats(two_of: Callable[[Any, Any], tuple[Any, Any]], keys: Any, name: str, width: int) -> Any:
    """Return what is made of words, two floats of two words; in NumPy so many at a time that they stay in the cache."""
    purpose, half = zlib.crc32(name.encode()), -(-width // 2)
    xp = array_module(keys)
    if xp is not np:
        import jax

        floats = xp.concatenate(two_of(*random_bits(keys, purpose, half)), axis=1)[:, :width]
        # Else XLA draws them again within each thing that reads them, and compiles for minutes.
        return jax.lax.optimization_barrier(floats)
    floats = np.empty((len(keys), 2, half), np.float32)
    rows_at_once = max(1, _IN_CACHE // max(half, 1))
    for row in range(0, len(keys), rows_at_once):
        rows = slice(row, row + rows_at_once)
        for place in range(0, half, _IN_CACHE):
            stop = min(place + _IN_CACHE, half)
            words = random_bits(keys[rows], purpose, stop - place, first=place)
            floats[rows, 0, place:stop], floats[rows, 1, place:stop] = two_of(*words)
    return floats.reshape(len(keys), 2 * half)[:, :width]


def _two_uniforms(low: Any, high: Any) -> tuple[Any, Any]:
    return _upper(low) * np.float32(_UNIT_OF_24_BITS), _upper(high) * np.float32(_UNIT_OF_24_BITS)


def _two_normals(low: Any, high: Any) -> tuple[Any, Any]:
    xp = array_module(low)
    # The half keeps the logarithm's argument above 0.
    radius = xp.sqrt(np.float32(-2) * xp.log((_upper(low) + np.float32(0.5)) * np.float32(_UNIT_OF_24_BITS)))
    angle = _upper(high) * np.float32(2 * np.pi * _UNIT_OF_24_BITS)
    return radius * xp.cos(angle), radius * xp.sin(angle)


def _upper(word: Any) -> Any:
    """Return the upper 24 bits of words as float32; by way of int32, from which NumPy is fastest."""
    return (word >> np.uint32(8)).astype(np.int32).astype(np.float32)


def threefry(key_0: Any, key_1: Any, counter_0: Any, counter_1: Any) -> tuple[Any, Any]:
    """Return the two words of 32 bits that Threefry-2x32 with 20 rounds makes of counters under keys.

    Args:
      key_0: uint32, of a shape that broadcasts against the counters, as the other half ``key_1``.
      key_1: see there.
      counter_0: uint32 of any shape, as the other half ``counter_1``; arrays of NumPy or of jax.
      counter_1: see there.

    >>> [hex(int(word[0])) for word in threefry(*np.zeros((4, 1), np.uint32))]
    ['0x6b200159', '0x99ba4efe']
    """
    schedule = key_0, key_1, key_0 ^ key_1 ^ _PARITY
    first, second = counter_0 + schedule[0], counter_1 + schedule[1]
    for group in range(_GROUPS):
        for turn in _ROTATIONS[group % 2]:
            # In place for NumPy, to which memory is what costs; jax makes new arrays of it, and fuses all.
            first += second
            right = second >> np.uint32(32 - turn)
            second <<= np.uint32(turn)
            second |= right
            second ^= first
        first += schedule[(group + 1) % 3]
        second += schedule[(group + 2) % 3]
        second += np.uint32(group + 1)
    return first, second
