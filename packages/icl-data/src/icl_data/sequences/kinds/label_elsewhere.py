"""Evaluation: does the model copy a label that stands in the context, though on an item of another class?"""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from icl_data.sequences.kinds.no_support import NoSupport
from icl_data.sequences.labels import Draws, Labelling, Ordered
from icl_data.sequences.pattern import Mixture
from icl_data.sequences.split import ClassSet, ClassSplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelElsewhere:
    """No-support sequences, but one context item, of another class, carries the query's label.

    So there is a label to copy, and no item that says so: ``a d c a f b d e (k)`` where one of the eight, at a random
    place, is labelled as k.

    Attributes:
      classes: the set that all items are drawn from.
      distinct_fillers: draw the context without replacement as well (*CIWL*, context-constrained in-weights, of Singh
        et al. 2025, arXiv 2503.05631).
      labels: the labels in training.

    >>> from icl_data import SequenceSampler
    >>> split = ClassSplit(num_classes=20, rare=20)
    >>> sampler = SequenceSampler(kind=LabelElsewhere(), split=split, exemplar_counts=np.full(20, 9))
    >>> labels = sampler.sample(np.arange(3))["labels"]
    >>> (labels[:, :-1] == labels[:, -1:]).sum(1)
    array([1, 1, 1])
    """

    classes: ClassSet = "zipfian"
    distinct_fillers: bool = False
    labels: Labelling = Ordered()

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the one pattern of sequences of ``length`` items over the classes of ``split``."""
        labels = _LastLabelOnAny(self.labels) if self.distinct_fillers else _LastLabelOnFirst(self.labels)
        no_support = NoSupport(classes=self.classes, distinct_fillers=self.distinct_fillers, labels=labels)
        return no_support.mixture(split, length)


@dataclasses.dataclass(frozen=True)
class _LastLabelOnFirst:
    """The first filler, whose place in the context is random, has the label of the query, the last draw."""

    labels: Labelling

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        labels = self.labels.label(draws, uniforms)
        return np.concatenate([labels[:, -1:], labels[:, 1:]], axis=1)

    def num_labels(self, split: ClassSplit) -> int:
        return self.labels.num_labels(split)


@dataclasses.dataclass(frozen=True)
class _LastLabelOnAny:
    """Any filler has the label of the query: without replacement the first ones are of the more frequent classes."""

    labels: Labelling

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        fillers = uniforms.shape[1] - 1
        which = (uniforms[:, :1] * fillers).astype(np.int64)
        # Where in its part of the interval the number lies is uniform again, and labels the first filler.
        rest = uniforms[:, :1] * fillers - which
        labels = self.labels.label(draws, np.concatenate([rest, uniforms[:, 1:]], axis=1))
        return np.where(np.arange(fillers + 1) == which, labels[:, -1:], labels)

    def num_labels(self, split: ClassSplit) -> int:
        return self.labels.num_labels(split)
