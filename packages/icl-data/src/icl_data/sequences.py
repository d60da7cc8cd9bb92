"""Kinds of sequences: which classes stand where. The query is the last of the S items (Chan et al. 2022)."""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from icl_data.labels import Labelling, Ordered, Unfixed
from icl_data.split import ClassDistribution, ClassSet, ClassSplit

Query = Literal["burst", "filler", "unseen"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pattern:
    """What every kind of sequence is made of: bursts, fillers and a query, the context shuffled.

    Attributes:
      classes: what burst classes, fillers and an own query are drawn from.
      ways: number of different burst classes.
      shots: items of each burst class in the context.
      fillers: further context items, drawn with replacement.
      query: ``"burst"``: one of the burst classes; ``"filler"``: one more draw with replacement; ``"unseen"``: a
        class that the fillers then leave out.
      labels: how the items are labelled.
    """

    classes: ClassDistribution
    ways: int
    shots: int
    fillers: int
    query: Query
    labels: Labelling

    def positions_and_ways(
        self, class_uniforms: Float[np.ndarray, "B S"], order_uniforms: Float[np.ndarray, "B S"]
    ) -> tuple[Int[np.ndarray, "B S"], Int[np.ndarray, "B S"]]:
        """Draw each item's class (as a position in the split) and way (the burst it belongs to, or -1)."""
        B = len(class_uniforms)
        bursts = np.empty((B, 0), np.int64)
        for way in range(self.ways):
            drawn = self.classes.draw(class_uniforms[:, way], bursts)
            bursts = np.concatenate([bursts, drawn[:, None]], axis=1)
        nothing = np.empty((B, 0), np.int64)
        if self.query == "burst":
            query_way = (class_uniforms[:, self.ways] * self.ways).astype(np.int64)
            query = bursts[np.arange(B), query_way]
        else:
            query_way = np.full(B, -1)
            query = self.classes.draw(class_uniforms[:, self.ways], nothing)
        avoided = query[:, None] if self.query == "unseen" else nothing
        filler_uniforms = class_uniforms[:, self.ways + 1 : self.ways + 1 + self.fillers]
        fillers = self.classes.draw(filler_uniforms.reshape(-1), np.repeat(avoided, self.fillers, axis=0))
        context = np.concatenate([np.repeat(bursts, self.shots, axis=1), fillers.reshape(B, self.fillers)], axis=1)
        ways = np.concatenate([np.repeat(np.arange(self.ways), self.shots), np.full(self.fillers, -1)])
        order = np.argsort(order_uniforms[:, : context.shape[1]], axis=1, kind="stable")
        context = np.take_along_axis(context, order, axis=1)
        return (
            np.concatenate([context, query[:, None]], axis=1),
            np.concatenate([ways[order], query_way[:, None]], axis=1),
        )


Mixture = tuple[tuple[float, Pattern], ...]  # probabilities, which add up to 1, and what is then made


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bursty:
    """Training sequences: a few-shot problem among other items, or, not bursty, all items drawn alike.

    A bursty sequence has ``shots`` items of each of ``ways`` classes, the query's among them, and fillers. The
    fillers are drawn from the same weights and may by chance be of a burst class. Labels are ordered.

    Attributes:
      p_bursty: probability of a bursty sequence, in [0, 1].
      shots: items of each burst class in the context.
      ways: number of burst classes.
    """

    p_bursty: float = 0.9
    shots: int = 3
    ways: int = 2

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.p_bursty <= 1:
            raise ValueError(f"p_bursty must be a probability in [0, 1], got {self.p_bursty}.")
        _check_shots_and_ways(self.shots, self.ways)

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Give the patterns of sequences of ``length`` items over the classes of ``split``."""
        fillers = length - 1 - self.shots * self.ways
        if fillers < 0:
            raise ValueError(
                f"A sequence with {self.shots} shots of {self.ways} ways and a query needs at least "
                f"{self.shots * self.ways + 1} items, got length={length}; raise it or lower shots or ways."
            )
        classes = split.distribution("zipfian")
        _check_enough_classes(self.ways, classes, "zipfian")
        bursty = Pattern(
            classes=classes,
            ways=self.ways,
            shots=self.shots,
            fillers=fillers,
            query="burst",
            labels=Ordered(),
        )
        alike = Pattern(classes=classes, ways=0, shots=0, fillers=length - 1, query="filler", labels=Ordered())
        return ((self.p_bursty, bursty), (1 - self.p_bursty, alike))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FewShot:
    """Evaluation of ICL: ``shots`` items of each of ``ways`` different classes, one of which the query is of.

    Attributes:
      classes: the set that the classes are drawn from.
      shots: items of each class in the context.
      ways: number of classes.
    """

    classes: ClassSet = "holdout"
    shots: int = 4
    ways: int = 2

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check_shots_and_ways(self.shots, self.ways)

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Give the one pattern of sequences of ``length`` items over the classes of ``split``."""
        if length != self.shots * self.ways + 1:
            raise ValueError(
                f"A few-shot sequence with {self.shots} shots of {self.ways} ways and a query has "
                f"{self.shots * self.ways + 1} items, got length={length}; change one of the three."
            )
        classes = split.distribution(self.classes)
        _check_enough_classes(self.ways, classes, self.classes)
        pattern = Pattern(classes=classes, ways=self.ways, shots=self.shots, fillers=0, query="burst", labels=Unfixed())
        return ((1.0, pattern),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoSupport:
    """Evaluation of IWL: no context item has the query's class, so that only the weights know its label.

    Attributes:
      classes: the set that all items are drawn from.
    """

    classes: ClassSet = "zipfian"

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Give the one pattern of sequences of ``length`` items over the classes of ``split``."""
        classes = split.distribution(self.classes)
        _check_enough_classes(2, classes, self.classes)
        pattern = Pattern(classes=classes, ways=0, shots=0, fillers=length - 1, query="unseen", labels=Ordered())
        return ((1.0, pattern),)


SequenceKind = Bursty | FewShot | NoSupport


def _check_shots_and_ways(shots: int, ways: int) -> None:
    if shots < 1 or ways < 1:
        raise ValueError(f"shots and ways must be at least 1, got {shots} and {ways}.")


def _check_enough_classes(wanted: int, classes: ClassDistribution, class_set: ClassSet) -> None:
    if wanted > classes.size:
        raise ValueError(
            f"{wanted} different {class_set} classes are wanted in a sequence, but the split has {classes.size}; "
            "lower ways or give the split more classes."
        )
