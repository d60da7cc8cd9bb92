"""Evaluation of in-weights learning: the context does not help."""

import dataclasses

from icl_data.sequences.labels import Labelling, Ordered
from icl_data.sequences.pattern import Mixture, Pattern, distribution_of
from icl_data.sequences.split import ClassSet, ClassSplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoSupport:
    """No context item has the query's class, so that only the weights know its label: ``a d c a f b d e (k)``.

    The query's class is drawn first, the context then from the same weights without it.

    Attributes:
      classes: the set that all items are drawn from.
      distinct_fillers: draw the context without replacement as well: ``a d c h f b g e (k)``.
      labels: how the items are labelled.

    >>> ((_, pattern),) = NoSupport().mixture(ClassSplit(num_classes=20, rare=20), 9)
    >>> pattern.num_draws, pattern.query
    (9, 'absent')
    """

    classes: ClassSet = "zipfian"
    distinct_fillers: bool = False
    labels: Labelling = Ordered()

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the one pattern of sequences of ``length`` items over the classes of ``split``."""
        classes = distribution_of(split, self.classes, different=length if self.distinct_fillers else 2)
        pattern = Pattern(
            classes=classes,
            others=classes,
            query="absent",
            labels=self.labels,
            fillers=length - 1,
            distinct_fillers=self.distinct_fillers,
        )
        return ((1.0, pattern),)
