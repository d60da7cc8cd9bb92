"""Which exemplar of its class each item of a sequence is."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Int32

from icl_data.distinct import distinct_in_group

Exemplars = Literal["distinct", "query_repeats_support", "with_replacement", "matched", "same"]


def choose_exemplars(
    how: Exemplars,
    uniforms: Float[np.ndarray, "B S"],
    *,
    slots: Int[np.ndarray, "B S"],
    positions: Int[np.ndarray, "B S"],
    counts: Int[np.ndarray, "B S"],
    ways: int,
    shots: int,
) -> Int32[np.ndarray, "B S"]:
    """Return the exemplars of items; what each choice means stands with ``Pattern``.

    Args:
      how: they are chosen.
      uniforms: float64 [B, S] in [0, 1).
      slots: which draw each item is of, 0..D-1, those of the bursts first.
      positions: each item's class.
      counts: how many exemplars that class has.
      ways: number of burst classes.
      shots: items of each in the context.
    """
    if how == "distinct":
        return distinct_in_group(uniforms, positions, counts)
    if how == "query_repeats_support":
        context = distinct_in_group(uniforms[:, :-1], positions[:, :-1], counts[:, :-1])
        support = nth_place(slots[:, :-1] == slots[:, -1:], uniforms[:, -1] * shots)
        return np.concatenate([context, np.take_along_axis(context, support[:, None], axis=1)], axis=1)
    if how == "with_replacement":
        return (uniforms * counts).astype(np.int32)
    # A filler that is of a burst class by chance is like its burst.
    of_burst = (positions[:, :, None] == positions[:, None, :]) & (slots < ways)[:, None, :]
    is_shared, first = of_burst.any(axis=2), of_burst.argmax(axis=2)
    sources = np.where(is_shared, first, np.arange(slots.shape[1]))
    chosen = (np.take_along_axis(uniforms, sources, axis=1) * counts).astype(np.int32)
    if how == "same":
        others = (uniforms[:, -1] * (counts[:, -1] - 1)).astype(np.int32)
        others += others >= chosen[:, -1]  # past the one that its burst repeats
        chosen[:, -1] = np.where(is_shared[:, -1] & (counts[:, -1] > 1), others, chosen[:, -1])
    return chosen


def nth_place(wanted: Bool[np.ndarray, "B S"], number: Float[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
    """Return the place of each row's n-th True, where n is the whole part of ``number``.

    >>> nth_place(np.array([[True, False, True]] * 2), np.array([0.9, 1.2]))
    array([0, 2])
    """
    return (wanted.cumsum(axis=1) > number.astype(np.int64)[:, None]).argmax(axis=1)
