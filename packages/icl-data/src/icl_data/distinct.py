"""Draws without replacement from groups, by one deck of cards for each: in NumPy, and on an accelerator.

A draw from n cards takes the card at a random place of 0 .. n - 1, and the last card goes into the gap.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int32

from icl_data.arrays import array_module


def distinct_in_group(
    uniforms: Float[Any, "B S"], groups: Int[Any, "B S"], sizes: Int[Any, "B S"]
) -> Int32[Any, "B S"]:
    """Return a member for each place, without repeats among places of one group; NumPy's or jax's, to the bit.

    Where a row asks a group for more members than it has, that group is drawn with replacement.

    Args:
      uniforms: in [0, 1), one for each place; what a draw is of many members depends on their bits.
      groups: group of each place, in 0 .. 2**31 - 1.
      sizes: number of members of that place's group, at least 1 and below 2**24 (2**31 with uniforms in float64).

    Returns:
      int32 [B, S], ``0 <= result < sizes``.
    """
    return _with_numpy(uniforms, groups, sizes) if array_module(groups) is np else _with_jax(uniforms, groups, sizes)


def _with_numpy(uniforms: np.ndarray, groups: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    S = groups.shape[1]
    groups, sizes = (np.ascontiguousarray(array.T).astype(np.int32) for array in (groups, sizes))  # rows of length B
    same = [groups[place] == groups[place + 1 :] for place in range(S - 1)]  # of each place and all later ones
    if sizes.size and sizes.min() < S:
        wanted = np.ones(groups.shape, np.int32)
        for place in range(S - 1):
            wanted[place] += same[place].sum(0, dtype=np.int32)
            wanted[place + 1 :] += same[place]
        enough = wanted <= sizes
        same = [pairs & enough[place] for place, pairs in enumerate(same)]
    left = sizes.copy()
    for place in range(S - 1):
        left[place + 1 :] -= same[place]
    gaps = (uniforms.T * left.astype(uniforms.dtype)).astype(np.int32)
    members = gaps.copy()
    # What lies at a place now was the last card when the place became a gap, and so on back in time.
    for place in range(S - 2, -1, -1):
        refilled = same[place] & (members[place + 1 :] == gaps[place])
        np.copyto(members[place + 1 :], left[place] - 1, where=refilled)
    return members.T


def _with_jax(uniforms: Any, groups: Any, sizes: Any) -> Any:
    import jax

    places, sizes = np.arange(groups.shape[1]), sizes.astype(np.int32)
    pairs = groups[:, :, None] == groups[:, None, :]
    enough = pairs.sum(axis=2, dtype=np.int32) <= sizes
    same = pairs & enough[:, :, None] & (places[None, :, None] < places[None, None, :])  # [B, S, S], of later ones
    left = sizes - same.sum(axis=1, dtype=np.int32)
    gaps = (uniforms * left.astype(uniforms.dtype)).astype(np.int32)

    def refill(members: Any, at: tuple[Any, Any, Any]) -> tuple[Any, None]:
        same, gap, left = at
        return jax.numpy.where(same & (members == gap[:, None]), left[:, None] - 1, members), None

    members, _ = jax.lax.scan(refill, gaps, (same.swapaxes(0, 1), gaps.T, left.T), reverse=True)
    return members
