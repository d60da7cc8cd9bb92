"""The one builder of sequences: which classes stand where. The query is the last of the S items."""

import dataclasses
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt64

from icl_data.draws import shuffled
from icl_data.sequences.labels import Draws, Labelling
from icl_data.sequences.split import ClassDistribution, ClassSet, ClassSplit

Query = Literal["burst", "filler", "absent"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pattern:
    """What every kind of sequence is made of: bursts, fillers and a query.

    A sequence has D draws of a class: the burst classes, the fillers and, unless it is of a burst class, the query.

    Attributes:
      classes: what the burst classes are drawn from.
      others: what fillers, and a query that is not of a burst class, are drawn from.
      query: ``"burst"``: one of the burst classes; ``"filler"``: one more filler; ``"absent"``: drawn first, and the
        fillers then leave its class out.
      labels: how the draws are labelled.
      ways: number of burst classes.
      shots: items of each burst class in the context.
      fillers: further context items.
      distinct_ways: whether the burst classes are all different; otherwise they are drawn with replacement.
      distinct_fillers: whether fillers and query are all of different classes; otherwise with replacement.
      grouped: whether each run of ``ways`` items holds every burst class once; otherwise the context is shuffled.
    """

    classes: ClassDistribution
    others: ClassDistribution
    query: Query
    labels: Labelling
    ways: int = 0
    shots: int = 0
    fillers: int = 0
    distinct_ways: bool = True
    distinct_fillers: bool = False
    grouped: bool = False

    @property
    def num_draws(self) -> int:
        """Number of draws D."""
        return self.ways + self.fillers + (self.query != "burst")

    def draw(self, split: ClassSplit, uniforms: Float[np.ndarray, "B S"]) -> Draws:
        """Draw the classes of B sequences."""
        positions = np.empty((len(uniforms), self.num_draws), np.int64)
        for way in range(self.ways):
            positions[:, way] = self.classes.draw(uniforms[:, way], positions[:, : way if self.distinct_ways else 0])
        stop = self.num_draws
        if self.query == "absent":
            stop -= 1
            positions[:, stop] = self.others.draw(uniforms[:, stop], positions[:, :0])
        avoided = positions[:, stop:]  # the unseen query, or nothing
        if self.distinct_fillers:
            for column in range(self.ways, stop):
                taken = np.concatenate([avoided, positions[:, self.ways : column]], axis=1)
                positions[:, column] = self.others.draw(uniforms[:, column], taken)
        elif stop > self.ways:
            each = np.repeat(avoided, stop - self.ways, axis=0)
            of_others = uniforms[:, self.ways : stop]
            positions[:, self.ways : stop] = self.others.draw(of_others.reshape(-1), each).reshape(of_others.shape)
        used = [self.classes] * self.ways + [self.others] * (self.num_draws - self.ways)
        return Draws(
            split=split,
            positions=positions,
            set_starts=np.array([distribution.first for distribution in used]),
            ways=self.ways,
            from_holdout=any(each.first + each.size > split.rare + split.common for each in used),
        )

    def arrange(
        self, words: UInt64[np.ndarray, "B context"], uniforms: Float[np.ndarray, " B"]
    ) -> Int[np.ndarray, "B S"]:
        """Say which draw each item is of, 0..D-1: the context by random words, the query by uniforms."""
        fillers = np.arange(self.ways, self.ways + self.fillers)
        if self.grouped:
            context = shuffled(words.reshape(-1, self.ways), np.arange(self.ways)).reshape(words.shape)
        else:
            context = shuffled(words, np.concatenate([np.repeat(np.arange(self.ways), self.shots), fillers]))
        if self.query == "burst":
            query = (uniforms * self.ways).astype(np.int64)
        else:
            query = np.full(len(words), self.num_draws - 1)
        slots = np.concatenate([context, query[:, None]], axis=1)
        if self.distinct_fillers and self.query == "filler":
            # Without replacement the frequent classes come first: the query, drawn last, changes places with any.
            rows, places = np.arange(len(words)), (uniforms * slots.shape[1]).astype(np.int64)
            slots[:, -1], slots[rows, places] = slots[rows, places], slots[:, -1].copy()
        return slots


Mixture = tuple[tuple[float, Pattern], ...]  # probabilities, which add up to 1, and what is then made


@runtime_checkable
class SequenceKind(Protocol):
    """Any kind of sequence: to make one of your own, write a class with this method."""

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Give the patterns of sequences of ``length`` items over the classes of ``split``, with probabilities.

        Raises:
          ValueError: the split or the length has no room for these sequences.
        """
        ...


def distribution_of(split: ClassSplit, class_set: ClassSet, *, different: int = 1) -> ClassDistribution:
    """Give a set's distribution.

    Args:
      split: the classes.
      class_set: which of them.
      different: how many different classes a sequence needs of the set.

    Raises:
      ValueError: the set has fewer classes.
    """
    distribution = split.distribution(class_set)
    if different > distribution.size:
        raise ValueError(
            f"{different} different {class_set} classes are wanted in a sequence, but the split has "
            f"{distribution.size}; lower ways or the length, or give the split more classes."
        )
    return distribution
