"""The sequences of Nguyen & Reddy (2024): classes with one of a few labels, and a context with the query's class."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

import icl_data as data
from icl_data.draws import uniform_rows
from icl_data.sequences.pattern import distribution_of

_RARER = 1e-15  # how many copies of the query's class are more than ever come


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedLabels:
    """Each class has one of a few labels, at random and for good.

    Attributes:
      num: how many labels, 0, 1, ...
      seed: another seed gives classes other labels.
    """

    num: int = 2
    seed: int = 0

    def label(self, draws: data.Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return the label of each draw's class."""
        return _shared(self.num, self.seed, draws.split.num_positions)[draws.positions]

    def num_labels(self, split: data.ClassSplit) -> int:
        """Return how many labels there are."""
        return self.num


@functools.lru_cache(maxsize=8)
def _shared(num: int, seed: int, classes: int) -> Int[np.ndarray, " classes"]:
    return (uniform_rows(seed, "shared labels", np.arange(classes), width=1)[:, 0] * num).astype(np.int64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithQuery:
    """Items drawn alike, and a query drawn alike; where the context lacks its class, one of its items becomes a copy.

    All classes are equally frequent. Then the query's class stands in the context m times with the probabilities of a
    binomial distribution, and the others are any other classes: so this is a mixture over m, and m = 0 is made m = 1.

    Attributes:
      labels: how the items are labelled.
      among: the query's class stands in the context as often as if there were so many classes; None for as many as
        there are. So new classes, of which no two are alike, are seen as often as trained ones.

    >>> mixture = WithQuery(labels=SharedLabels()).mixture(data.ClassSplit(num_classes=4, rare=4), 3)
    >>> [(round(probability, 4), pattern.shots) for probability, pattern in mixture]
    [(0.9375, 1), (0.0625, 2)]
    """

    labels: data.Labelling
    among: int | None = None

    def mixture(self, split: data.ClassSplit, length: int) -> data.Mixture:
        """Return a pattern for each number of context items of the query's class."""
        K, N = self.among or split.rare, length - 1
        chances = stats.binom.pmf(np.arange(N + 1), N, 1 / K).tolist()
        shares = {1: chances[0] + chances[1], **{m: chances[m] for m in range(2, N + 1) if chances[m] > _RARER}}
        classes = distribution_of(split, "rare")
        return tuple(
            (
                share / sum(shares.values()),
                data.Pattern(
                    classes=classes,
                    others=classes,
                    query="first_burst",
                    labels=self.labels,
                    ways=1,
                    shots=m,
                    fillers=N - m,
                    avoid="query",
                ),
            )
            for m, share in shares.items()
        )
