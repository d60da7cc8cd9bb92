"""Evaluation of in-context learning: only the context tells the labels."""

import dataclasses

from icl_data.checks import check_whole
from icl_data.sequences.labels import Labelling, RandomLabels
from icl_data.sequences.pattern import Mixture, Pattern, distribution_of
from icl_data.sequences.split import ClassSet, ClassSplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class FewShot:
    """``shots`` items of each of ``ways`` classes, one of which the query is of: ``y x x y x y y x (x)``.

    Attributes:
      classes: the set that the classes are drawn from.
      shots: items of each class in the context.
      ways: number of classes.
      grouped: each run of ``ways`` items holds every class once, ``y x x y y x x y (x)``; otherwise shuffled.
      distinct_ways: draw ``ways`` different classes; otherwise with replacement, as the original code did, so that one
        class may go under two labels.
      labels: how the items are labelled.

    >>> ((share, pattern),) = FewShot().mixture(ClassSplit(num_classes=20, rare=10, holdout=10), 9)
    >>> pattern.ways, pattern.shots, pattern.fillers
    (2, 4, 0)
    """

    classes: ClassSet = "holdout"
    shots: int = 4
    ways: int = 2
    grouped: bool = False
    distinct_ways: bool = True
    labels: Labelling = RandomLabels()

    def __post_init__(self) -> None:
        check_whole("shots", self.shots, least=1)
        check_whole("ways", self.ways, least=1)

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the one pattern of sequences of shots * ways + 1 items over the classes of ``split``."""
        needed = self.shots * self.ways + 1
        if length != needed:
            raise ValueError(
                f"A few-shot sequence with {self.shots} shots of {self.ways} ways and a query has {needed} items, "
                f"got length={length}; change one of the three."
            )
        classes = distribution_of(split, self.classes, different=self.ways if self.distinct_ways else 1)
        pattern = Pattern(
            classes=classes,
            others=classes,
            query="burst",
            labels=self.labels,
            ways=self.ways,
            shots=self.shots,
            distinct_ways=self.distinct_ways,
            grouped=self.grouped,
        )
        return ((1.0, pattern),)
