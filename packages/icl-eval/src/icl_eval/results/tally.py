"""A tally: sums of measures over sequences, and over resamples of them, that merge across batches and hosts."""

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from icl_eval.results.estimate import Estimate, proportion, wilson
from icl_eval.results.resampling import RESAMPLES, resampling_weights

Arrays = Array | np.ndarray
MEANS = frozenset({"loss", "probability_in_context"})  # all other measures are proportions
CONTEXT = "context_"  # before the names of measures of context items
HIDDEN = "_"  # before the names of what is not reported by itself
CALIBRATION = f"{HIDDEN}calibration_"

CALIBRATION_ERROR = "calibration_error"


class Ratio(NamedTuple):
    """What each sequence adds to a measure: the sum of numerators over that of denominators is its value.

    Attributes:
      numerators: how many predictions are such; or the sum of a number over them.
      denominators: how many predictions are counted, 0 or more.
    """

    numerators: Float[Arrays, " B"]
    denominators: Float[Arrays, " B"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Tally:
    """Sums of M measures over sequences.

    Tallies of different sequences add up to that of all, `sum(tallies, start=Tally.empty())`: the values to the last
    bit where they count things, and the intervals too, since a sequence's weight in a resample depends on its number.

    Attributes:
      names: of the measures.
      numerators: the sums, of all sequences in row 0 and of each resample below.
      denominators: likewise.
      counts: how many sequences count in each measure.
      means: which of the measures are means of numbers; the others are proportions.
    """

    names: tuple[str, ...]
    numerators: Float[np.ndarray, "R M"]
    denominators: Float[np.ndarray, "R M"]
    counts: Float[np.ndarray, " M"]
    means: frozenset[str] = MEANS

    @classmethod
    def of(
        cls, measures: Mapping[str, Ratio], *, first: int, count: int | None = None, means: frozenset[str] = MEANS
    ) -> "Tally":
        """Sum the measures of a batch.

        Args:
          measures: what `measure` gave, one row per sequence.
          first: the number of the first sequence: those of two tallies that are added must differ.
          count: how many sequences to take; all if not given.
          means: which of the measures are means of numbers, of context items as well as of the query.

        >>> tally = Tally.of({"accuracy_open": Ratio(np.array([1.0, 0.0]), np.ones(2))}, first=0)
        >>> print(tally.estimates()["accuracy_open"])
        0.500 (0.095-0.905, n=2)
        """
        above = np.stack([np.asarray(fraction.numerators, np.float64)[:count] for fraction in measures.values()], 1)
        below = np.stack([np.asarray(fraction.denominators, np.float64)[:count] for fraction in measures.values()], 1)
        weights = resampling_weights(first, len(above)).T
        with np.errstate(invalid="ignore"):  # a loss that is not finite makes a sum that is not
            numerators = np.concatenate([above.sum(0, keepdims=True), weights @ above])
        return cls(
            names=tuple(measures),
            numerators=numerators,
            denominators=np.concatenate([below.sum(0, keepdims=True), weights @ below]),
            counts=(below > 0).sum(0).astype(np.float64),
            means=means,
        )

    @classmethod
    def empty(cls) -> "Tally":
        """Return the tally of no sequences, which adds nothing to another."""
        nothing = np.zeros((RESAMPLES + 1, 0))
        return cls(names=(), numerators=nothing, denominators=nothing, counts=np.zeros(0))

    def __add__(self, other: "Tally") -> "Tally":
        """Return the tally of both.

        Raises:
          ValueError: if they are of different measures.
        """
        if not self.names or not other.names:
            return self if self.names else other
        if self.names != other.names:
            differing = sorted(set(self.names) ^ set(other.names))
            raise ValueError(f"Wanted tallies of the same measures, but they differ in {', '.join(differing)}.")
        return Tally(
            names=self.names,
            numerators=self.numerators + other.numerators,
            denominators=self.denominators + other.denominators,
            counts=self.counts + other.counts,
            means=self.means,
        )

    def estimates(self) -> dict[str, Estimate]:
        """Return every measure that something counted in, with its 95 % interval, but for the hidden ones.

        Proportions of sequences have Wilson's interval, those of context items Wilson's at the number of independent
        items that the resamples tell of; means have percentiles of the bootstrap, the calibration error what its
        bins can be off by together.
        """
        found = {}
        for place, (name, count) in enumerate(zip(self.names, self.counts, strict=True)):
            if count and not name.startswith(HIDDEN):
                found[name] = self._estimate(name, place, int(count))
        parts = [place for place, name in enumerate(self.names) if name.startswith(CALIBRATION)]
        if parts:
            found[CALIBRATION_ERROR] = self._calibration_error(parts)
        return found

    def _calibration_error(self, parts: list[int]) -> Estimate:
        """Return the sum over bins of how far confidence is from accuracy there.

        Noise makes every bin's gap larger and none smaller, so percentiles of resamples would leave out the truth. The
        error cannot be off by more than the gaps are together, and resamples tell how much that is.
        """
        with np.errstate(invalid="ignore"):  # a resample of nothing is 0 / 0, and left out
            gaps = self.numerators[:, parts] / self.denominators[:, parts[:1]]
        value = float(np.abs(gaps[0]).sum())
        count = int(self.counts[parts[0]])
        if count == 1:
            return Estimate(value=value, low=math.nan, high=math.nan, count=1)
        off = float(np.nanquantile(np.abs(gaps[1:] - gaps[:1]).sum(1), 0.95))
        return Estimate(value=value, low=max(0.0, value - off), high=min(1.0, value + off), count=count)

    def hidden(self, name: str) -> float | None:
        """Return the value of a measure that is no result by itself, or None if nothing counted in it."""
        if name not in self.names or not self.counts[self.names.index(name)]:
            return None
        place = self.names.index(name)
        return float(self.numerators[0, place] / self.denominators[0, place])

    def _estimate(self, name: str, place: int, count: int) -> Estimate:
        above, below = self.numerators[:, place], self.denominators[:, place]
        if name.removeprefix(CONTEXT) in self.means:
            return _percentiles(above, below, count)
        if not name.startswith(CONTEXT):
            return proportion(round(above[0]), count)
        value = float(above[0] / below[0])
        if count == 1 or value in (0.0, 1.0):
            return wilson(value, size=count, count=count)
        ratios = above[1:][below[1:] > 0] / below[1:][below[1:] > 0]
        # Items of a sequence at best independent: fewer that agree by chance must not feign more than that.
        variance = max(float(ratios.var()), value * (1 - value) / float(below[0]))
        return wilson(value, size=value * (1 - value) / variance, count=count)


def _percentiles(above: Float[np.ndarray, " R"], below: Float[np.ndarray, " R"], count: int) -> Estimate:
    """Return a ratio of sums with the middle 95 % of its resamples; NaN where one sequence cannot tell."""
    if not np.isfinite(above).all():
        return Estimate(value=math.nan, low=math.nan, high=math.nan, count=count)
    value = float(above[0] / below[0])
    if count == 1:
        return Estimate(value=value, low=math.nan, high=math.nan, count=1)
    some = below[1:] > 0
    low, high = np.quantile(above[1:][some] / below[1:][some], [0.025, 0.975])
    return Estimate(value=value, low=min(float(low), value), high=max(float(high), value), count=count)
