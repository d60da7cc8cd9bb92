"""Where a model holds what decides: inner values of one run carried into another, one layer and token at a time."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from icl_eval.checks import check_whole
from icl_eval.results.collect import as_shaped
from icl_eval.results.estimate import Estimate, mean

PatchedPredictor = Callable[[Bool[np.ndarray, "L T"]], Float[Array | np.ndarray, "B V"]]
"""The logits of the query in the second of two runs, with those values that the mask names taken from the first."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Patched:
    """What `patch_each` found.

    Attributes:
      effects: by layer and token, how far the logit difference came from that of the second run towards that of the
        first, in nats: mean over sequences, with its interval.
      whole: how far it comes with all of these values at once. Where they are all that the answer is made of, as the
        residual stream after every block is, that is the way from the second run to the first.
    """

    effects: tuple[tuple[Estimate, ...], ...]
    whole: Estimate

    @property
    def recovered(self) -> Float[np.ndarray, "L T"]:
        """The effects as shares of the whole: 0 is the second run, 1 all values of the first; both can be exceeded."""
        return np.array([[each.value for each in row] for row in self.effects]) / self.whole.value


def patch_each(
    predict: PatchedPredictor,
    *,
    layers: int,
    tokens: int,
    first_answers: Int[np.ndarray, " B"],
    second_answers: Int[np.ndarray, " B"],
) -> Patched:
    """Return what each value of the first of two runs makes of the second, alone, by layer and token.

    What is measured is the logit of the first run's answer less that of the second's.

    Args:
      predict: gives the logits [B, V] of the second run, with the values of the first where a mask [L, T] is true.
      layers: L, the values that may be taken.
      tokens: T.
      first_answers: labels [B] that the first run is to give.
      second_answers: those that the second is to give; another one in each sequence.

    Raises:
      ValueError: no layers or tokens, answers that are alike, logits of another shape; or two runs that do not differ.

    Source: Heimersheim and Nanda (2024), arXiv 2404.15255, section 3, for the logit difference and its shares.

    >>> def reads_the_second_token(mask):
    ...     return np.where(mask[0, 1], [[3.0, 1.0]], [[0.0, 2.0]])
    >>> patch_each(
    ...     reads_the_second_token, layers=1, tokens=3, first_answers=np.array([0]), second_answers=np.array([1])
    ... ).recovered.tolist()
    [[0.0, 1.0, 0.0]]
    """
    check_whole("layers", layers, least=1)
    check_whole("tokens", tokens, least=1)
    first, second = np.asarray(first_answers), np.asarray(second_answers)
    if first.ndim != 1 or first.shape != second.shape or not first.size or (first == second).any():
        raise ValueError(
            "Wanted answers [B] of two runs that differ in every sequence, got the shapes "
            f"{list(first.shape)} and {list(second.shape)}, {int(np.sum(first == second))} alike."
        )
    rows = np.arange(len(first))

    def difference(mask: Bool[np.ndarray, "L T"]) -> Float[np.ndarray, " B"]:
        found = np.asarray(predict(mask))
        labels = found.shape[-1] if found.ndim else 0
        logits = np.asarray(as_shaped(found, (len(first), labels), name="patch_each", who="predict"), np.float64)
        return logits[rows, first] - logits[rows, second]

    nothing = np.zeros((layers, tokens), bool)
    before = difference(nothing)
    whole = mean(difference(~nothing) - before)
    if not whole.value:
        raise ValueError("Wanted two runs that differ, but with all values of the first the second stays as it was.")
    effects = []
    for layer in range(layers):
        row = []
        for token in range(tokens):
            mask = nothing.copy()
            mask[layer, token] = True
            row.append(mean(difference(mask) - before))
        effects.append(tuple(row))
    return Patched(effects=tuple(effects), whole=whole)
