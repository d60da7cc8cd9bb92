"""Random numbers addressed by (seed, stream, index), and draws without replacement from them.

Nothing here keeps state: row ``i`` of a stream is the same whether it is asked for alone, in a block, or on
another machine. Only raw Philox output is used, which NumPy promises never to change (NEP 19).
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

_WORDS_PER_COUNTER = 4  # Philox 4x64 gives four 64-bit words for each value of its counter.
_UNIT = 2.0**-53


def uniform_rows(
    seed: int, stream: str, indices: Integer[np.ndarray, " B"], *, width: int
) -> Float[np.ndarray, "B width"]:
    """Draw one row of uniforms for each index.

    Args:
      seed: any non-negative integer.
      stream: name of what the numbers are for; different names are independent.
      indices: int64 [B], at least 0, in any order.
      width: numbers per row.

    Returns:
      float64 [B, width] in [0, 1). Row b depends on (seed, stream, indices[b], width) only.

    Raises:
      ValueError: a negative seed or index.

    >>> block = uniform_rows(0, "example", np.arange(5), width=3)
    >>> np.array_equal(block[[4, 1]], uniform_rows(0, "example", np.array([4, 1]), width=3))
    True
    """
    if seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed}.")
    indices = np.asarray(indices, np.int64)
    if indices.size and indices.min() < 0:
        raise ValueError(f"indices must be at least 0, got {indices.min()}.")
    key = np.random.SeedSequence([seed, *stream.encode()]).generate_state(2, np.uint64)
    counters = -(-width // _WORDS_PER_COUNTER)
    words = np.empty((len(indices), counters * _WORDS_PER_COUNTER), np.uint64)
    for start, stop in _runs(indices):
        # One generator serves a whole run of consecutive indices, so a block costs hardly more than a row.
        philox = np.random.Philox(key=key, counter=int(indices[start]) * counters)
        words[start:stop] = philox.random_raw((stop - start) * words.shape[1]).reshape(stop - start, -1)
    return (words[:, :width] >> np.uint64(11)) * _UNIT


def _runs(indices: Int[np.ndarray, " B"]) -> Iterator[tuple[int, int]]:
    """Yield the bounds of the runs of consecutive indices."""
    bounds = np.flatnonzero(np.diff(indices) != 1) + 1
    starts = np.concatenate([np.zeros(min(1, len(indices)), np.int64), bounds])
    yield from zip(starts.tolist(), [*bounds.tolist(), len(indices)], strict=len(indices) > 0)


def step_over(
    draws: Int[np.ndarray, " B"], starts: Int[np.ndarray, "B K"], lengths: Int[np.ndarray, "B K"]
) -> Int[np.ndarray, " B"]:
    """Turn draws from what is left into draws from the whole, by stepping over what was taken.

    Args:
      draws: each from 0 .. whole - lengths.sum(1) - 1.
      starts: where each taken piece starts in the whole; pieces do not overlap.
      lengths: how long each taken piece is; 0 for a slot that holds nothing.

    Returns:
      int64 [B], in no taken piece; uniform over the rest if ``draws`` were uniform.

    >>> step_over(np.array([0, 1, 2]), np.array([[1]] * 3), np.array([[2]] * 3))  # 1 and 2 are taken
    array([0, 3, 4])
    """
    order = np.argsort(starts, axis=1)
    starts, lengths = np.take_along_axis(starts, order, 1), np.take_along_axis(lengths, order, 1)
    for k in range(starts.shape[1]):
        draws = draws + lengths[:, k] * (draws >= starts[:, k])
    return draws


def distinct_in_group(
    uniforms: Float[np.ndarray, "B S"], groups: Int[np.ndarray, "B S"], sizes: Int[np.ndarray, "B S"]
) -> Int[np.ndarray, "B S"]:
    """Draw a member for each place, without repeats among places of one group.

    Where a row asks a group for more members than it has, that group is drawn with replacement.

    Args:
      uniforms: float64 in [0, 1), one for each place.
      groups: group of each place, at least 0.
      sizes: number of members of that place's group, at least 1.

    Returns:
      int64 [B, S], ``0 <= result < sizes``.
    """
    same = groups[:, :, None] == groups[:, None, :]
    enough = same.sum(2) <= sizes
    members = np.empty(groups.shape, np.int64)
    for place in range(groups.shape[1]):
        taken: Bool[np.ndarray, "B K"] = same[:, place, :place] & enough[:, place, None]
        left = sizes[:, place] - taken.sum(1)
        draws = (uniforms[:, place] * left).astype(np.int64)
        members[:, place] = step_over(draws, members[:, :place], taken.astype(np.int64))
    return members
