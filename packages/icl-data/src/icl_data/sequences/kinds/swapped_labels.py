"""Evaluation: does the model follow the context or its weights?"""

import dataclasses

from icl_data.checks import check_whole
from icl_data.sequences.kinds.few_shot import FewShot
from icl_data.sequences.labels import Labelling, Ordered
from icl_data.sequences.pattern import Mixture
from icl_data.sequences.relabelling import Exchanged
from icl_data.sequences.split import ClassSet, ClassSplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwappedLabels:
    """Few-shot sequences of trained classes whose labels are exchanged: ``y x x y x y y x (x)``, x labelled as y was.

    The query's label is what the context says. With more than two ways each class has the next one's label.

    Attributes:
      classes: the set that the classes are drawn from.
      shots: items of each class in the context.
      ways: number of classes, at least 2.
      labels: the labels in training, before they are exchanged.

    Source: the flipped labels of Singh et al. (2023), arXiv 2311.08360, and IC2 of Reddy (2023), arXiv 2312.03002.

    >>> import numpy as np
    >>> from icl_data import SequenceSampler
    >>> split = ClassSplit(num_classes=2, rare=2)
    >>> sampler = SequenceSampler(kind=SwappedLabels(), split=split, exemplar_counts=np.full(2, 9))
    >>> batch = sampler.sample(np.arange(3))
    >>> np.array_equal(split.classes[1 - batch["labels"]], batch["classes"])
    True
    """

    classes: ClassSet = "zipfian"
    shots: int = 4
    ways: int = 2
    labels: Labelling = Ordered()

    def __post_init__(self) -> None:
        check_whole("shots", self.shots, least=1)
        check_whole("ways", self.ways, least=2)  # among which labels can be exchanged

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the one pattern of sequences of ``length`` items over the classes of ``split``."""
        from_few_shot = FewShot(classes=self.classes, shots=self.shots, ways=self.ways, labels=Exchanged(self.labels))
        return from_few_shot.mixture(split, length)
