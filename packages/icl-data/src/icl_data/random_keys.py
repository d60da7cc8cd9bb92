"""Random bits that NumPy and an accelerator make alike, from keys: Threefry-2x32 (Salmon et al. 2011, "Random123").

A sequence (or a task) has a random key of its own, 64 bits that the host makes from (seed, stream, index). What is
drawn in such numbers that it should not travel, such as the noise of pixels, is drawn from the key where it is needed,
by the same code in NumPy and under ``jax.jit``, to the same bits. Keys of one seed and stream are all different.
"""

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Integer, UInt32

from icl_data.draws import checked_indices, seed_sequence

# As everywhere: 20 rounds, five for each of these groups, and a constant of the cipher's key schedule.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_GROUPS = 5
_PARITY = np.uint32(0x1BD11BDA)


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


def random_bits(keys: UInt32[Any, "B 2"], purpose: int, count: int) -> tuple[UInt32[Any, "B n"], UInt32[Any, "B n"]]:
    """Return two arrays of ``count`` random numbers of 32 bits for each key, NumPy's or jax's as the keys are.

    Args:
      keys: of sequences or tasks.
      purpose: below 2**32; what the numbers are for: those of another purpose are independent.
      count: n, below 2**32.

    >>> low, high = random_bits(random_keys(0, "example", np.arange(3)), 0, 5)
    >>> low.shape, high.dtype
    ((3, 5), dtype('uint32'))
    """
    xp = array_module(keys)
    places = xp.arange(count, dtype=np.uint32)[None, :] + xp.zeros((len(keys), 1), np.uint32)
    return threefry(keys[:, :1], keys[:, 1:], places, xp.full_like(places, np.uint32(purpose)))


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


def array_module(array: Any) -> ModuleType:
    """Return NumPy for what is NumPy's, else ``jax.numpy``."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    import jax.numpy

    return jax.numpy
