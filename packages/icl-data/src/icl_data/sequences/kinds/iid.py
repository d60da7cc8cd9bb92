"""Items that are all drawn alike."""

import dataclasses

from icl_data.sequences.labels import Labelling, Ordered
from icl_data.sequences.pattern import Mixture, Pattern, distribution_of
from icl_data.sequences.split import ClassSet, ClassSplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Iid:
    """All items drawn independently from one set: ``c a f c b h c g (a)``.

    Attributes:
      classes: the set that all items are drawn from.
      distinct_fillers: draw without replacement instead, in a random order: ``c a f d b h e g (k)``.
      labels: how the items are labelled.

    >>> ((_, pattern),) = Iid(classes="rare").mixture(ClassSplit(num_classes=20, rare=20), 9)
    >>> pattern.num_draws, pattern.query
    (9, 'filler')
    """

    classes: ClassSet = "zipfian"
    distinct_fillers: bool = False
    labels: Labelling = Ordered()

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the one pattern of sequences of ``length`` items over the classes of ``split``."""
        classes = distribution_of(split, self.classes, different=length if self.distinct_fillers else 1)
        pattern = Pattern(
            classes=classes,
            others=classes,
            query="filler",
            labels=self.labels,
            fillers=length - 1,
            distinct_fillers=self.distinct_fillers,
        )
        return ((1.0, pattern),)
