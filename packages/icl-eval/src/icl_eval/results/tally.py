"""A tally: sums of measures over sequences, which add up over batches and hosts and tell each measure's interval."""

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from icl_eval.results.estimate import Estimate, about_mean, effective_proportion
from icl_eval.results.result import Kind, Measure

Arrays = Array | np.ndarray
CONTEXT = "context_"  # before the names of measures of context items
HIDDEN = "_"  # before the names of what is not reported by itself


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
    """Sums of M measures over sequences, each a ratio of two sums.

    Tallies of different sequences add up to that of all, `sum(tallies, start=Tally.empty())`: the values to the last
    bit where they count things, and the intervals to rounding.

    Attributes:
      names: of the measures.
      sequences: how many there are.
      counts: how many of them count in each measure.
      above: the sums of numerators.
      below: the sums of denominators.
      spread: sums of squared numerators, of products and of squared denominators, all about their means: so sequences
        with large numbers and small differences lose no digits.
      lowest: the least ratio of a sequence that counts.
      highest: the greatest.
    """

    names: tuple[str, ...]
    sequences: int
    counts: Float[np.ndarray, " M"]
    above: Float[np.ndarray, " M"]
    below: Float[np.ndarray, " M"]
    spread: Float[np.ndarray, "3 M"]
    lowest: Float[np.ndarray, " M"]
    highest: Float[np.ndarray, " M"]

    @classmethod
    def of(cls, ratios: Mapping[str, Ratio]) -> "Tally":
        """Return the sums over a batch, given what each sequence adds to the measures by name.

        >>> tally = Tally.of({"loss": Ratio(np.array([1.0, 3.0, 2.0]), np.ones(3))})
        >>> print(tally.estimate("loss", "mean"))
        2.000 (1.000-3.000, n=3)
        """
        shapes = {name: [np.shape(part) for part in ratio] for name, ratio in ratios.items()}
        found = {shape for of_ratio in shapes.values() for shape in of_ratio}
        if len(found) != 1 or [len(shape) for shape in found] != [1] or found == {(0,)}:
            raise ValueError(f"Wanted one or more ratios, all of the same one or more sequences, got {shapes}.")
        above = np.stack([np.asarray(ratio.numerators, np.float64) for ratio in ratios.values()], 1)
        below = np.stack([np.asarray(ratio.denominators, np.float64) for ratio in ratios.values()], 1)
        with np.errstate(invalid="ignore", over="ignore"):  # a loss that is not finite makes sums that are not
            above_centred, below_centred = above - above.mean(0), below - below.mean(0)
            products = (above_centred**2, above_centred * below_centred, below_centred**2)
            each = np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
            return cls(
                names=tuple(ratios),
                sequences=len(above),
                counts=(below > 0).sum(0).astype(np.float64),
                above=above.sum(0),
                below=below.sum(0),
                spread=np.stack([product.sum(0) for product in products]),
                lowest=np.fmin.reduce(each, axis=0),
                highest=np.fmax.reduce(each, axis=0),
            )

    @classmethod
    def empty(cls) -> "Tally":
        """Return the tally of no sequences, which adds nothing to another."""
        nothing = dict.fromkeys(("counts", "above", "below", "lowest", "highest"), np.zeros(0))
        return cls(names=(), sequences=0, spread=np.zeros((3, 0)), **nothing)

    def __add__(self, other: "Tally") -> "Tally":
        """Return the tally of both."""
        if not self.names or not other.names:
            return self if self.names else other
        if self.names != other.names:
            differing = sorted(set(self.names) ^ set(other.names))
            raise ValueError(f"Wanted tallies of the same measures, but they differ in {', '.join(differing)}.")
        with np.errstate(invalid="ignore", over="ignore"):
            # Chan, Golub and LeVeque (1983): what the difference of the two means adds to the squares about both.
            above = other.above / other.sequences - self.above / self.sequences
            below = other.below / other.sequences - self.below / self.sequences
            shift = np.stack([above**2, above * below, below**2])
            shift *= self.sequences * other.sequences / (self.sequences + other.sequences)
            return Tally(
                names=self.names,
                sequences=self.sequences + other.sequences,
                counts=self.counts + other.counts,
                above=self.above + other.above,
                below=self.below + other.below,
                spread=self.spread + other.spread + shift,
                lowest=np.fmin(self.lowest, other.lowest),
                highest=np.fmax(self.highest, other.highest),
            )

    def estimates(self, measures: Mapping[str, Measure]) -> dict[str, Estimate]:
        """Return every measure that something counted in, with its 95 % interval, but for the hidden ones.

        The kinds of measures tell which interval: Wilson's for proportions, at the number of independent predictions
        that are worth as much; the normal one for others, and for those without words.
        """
        kinds: dict[str, Kind] = {name: measure.kind for name, measure in measures.items()}
        found = {name: self.estimate(name, kinds.get(name, "mean")) for name in self.names if name[:1] != HIDDEN}
        return {name: estimate for name, estimate in found.items() if estimate is not None}

    def estimate(self, name: str, kind: Kind) -> Estimate | None:
        """Return a measure with its interval, or None if nothing counted in it.

        Source: the variance of a ratio of sums over sequences by the delta method, Cochran (1977), Sampling techniques,
        section 6.3; for proportions `effective_proportion`.
        """
        if (value := self.value(name)) is None:
            return None
        place, variance = self.names.index(name), self.variance(name)
        count, below = int(self.counts[place]), float(self.below[place])
        if kind == "proportion" and math.isfinite(value):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: wanted a proportion in 0..1, got {value}; what can be beyond is a mean.")
            return effective_proportion(value, variance, count=count, predictions=below)
        lowest, highest = float(self.lowest[place]), float(self.highest[place])
        return about_mean(value, variance, count=count, lowest=lowest, highest=highest)

    def value(self, name: str) -> float | None:
        """Return the value of a measure, or None if nothing counted in it."""
        if name not in self.names or not self.counts[self.names.index(name)]:
            return None
        place = self.names.index(name)
        return float(self.above[place] / self.below[place])

    def variance(self, name: str) -> float:
        """Return the variance of the value of a measure, as sequences differ: that of the bootstrap, to first order."""
        place = self.names.index(name)
        above, below, (squares, products, others) = self.above[place], self.below[place], self.spread[:, place]
        with np.errstate(invalid="ignore", over="ignore"):
            ratio = above / below
            return float(np.maximum(squares - 2 * ratio * products + ratio**2 * others, 0) / below**2)
