"""How the items of a sequence are labelled.

A labelling gives one label to each *draw* of a sequence: the items of a burst share a draw, every other item is a
draw of its own (``Draws``). To make a labelling of your own, write a class with the two methods of ``Labelling``.
"""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from icl_data.checks import check_whole
from icl_data.sequences.split import ClassSplit


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Draws:
    """The classes that were drawn for B sequences, before they are laid out: burst classes first.

    Attributes:
      split: what they are classes of.
      positions: int64 [B, D], each draw's class as a position in the split.
      set_starts: int64 [D], the first position of the class set that a draw came from.
      ways: how many of the D draws are burst classes.
      from_holdout: whether any draw comes from the holdout classes.
    """

    split: ClassSplit
    positions: Int[np.ndarray, "B D"]
    set_starts: Int[np.ndarray, " D"]
    ways: int
    from_holdout: bool


@runtime_checkable
class Labelling(Protocol):
    """Any way to label draws."""

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return each draw's label; uniforms in [0, 1) are there for those that are chosen at random.

        Raises:
          ValueError: these draws cannot be labelled so.
        """

    def num_labels(self, split: ClassSplit) -> int:
        """Return V, the number of outputs that a model of these labels needs."""


@dataclasses.dataclass(frozen=True)
class Ordered:
    """A class's label is its position in the split: rare 0..R-1, common R..R+K-1, then holdout.

    >>> Ordered().num_labels(ClassSplit(num_classes=100, rare=80, common=10, holdout=10))
    100
    """

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return each draw's position."""
        return draws.positions

    def num_labels(self, split: ClassSplit) -> int:
        """Return rare + common + holdout."""
        return split.num_positions


@dataclasses.dataclass(frozen=True)
class Original:
    """A class's label is the bank's own class number (``labeling="original"`` of Chan et al. 2022).

    >>> Original().num_labels(ClassSplit(num_classes=100, rare=8))
    100
    """

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return the number of each draw's class in the bank."""
        return draws.split.classes[draws.positions]

    def num_labels(self, split: ClassSplit) -> int:
        """Return the bank's number of classes, in use or not."""
        return split.num_classes


@dataclasses.dataclass(frozen=True)
class RandomLabels:
    """The sequence's classes get the labels 0..ways-1 in a random order, so that only the context tells them.

    >>> from icl_data import FewShot, SequenceSampler
    >>> split, counts = ClassSplit(num_classes=9, rare=5, holdout=4), np.full(9, 20)
    >>> few_shot = SequenceSampler(kind=FewShot(labels=RandomLabels()), split=split, exemplar_counts=counts)
    >>> np.unique(few_shot.sample(np.arange(100))["labels"])
    array([0, 1], dtype=int32)
    """

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return a random permutation of the ways."""
        if others := draws.positions.shape[1] - draws.ways:
            raise ValueError(
                "RandomLabels labels are for few-shot sequences, in which every item is of one of the ways; "
                f"these have {others} other items. Use Ordered labels, or FewShot."
            )
        if draws.ways > (V := self.num_labels(draws.split)):
            raise ValueError(
                f"{draws.ways} ways need as many labels, but a model of this split has {V}; "
                "lower ways or give the split more classes."
            )
        return np.argsort(uniforms, axis=1, kind="stable")

    def num_labels(self, split: ClassSplit) -> int:
        """Return rare + common + holdout, so that one model does for these and ordered labels."""
        return split.num_positions


@dataclasses.dataclass(frozen=True)
class Offset:
    """A class's label is ``start`` plus its place within the set it was drawn from.

    Attributes:
      start: the first label, at least 0.

    >>> Offset(start=10).num_labels(ClassSplit(num_classes=100, rare=80, common=10, holdout=10))
    100
    """

    start: int = 0

    def __post_init__(self) -> None:
        check_whole("start", self.start)

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return each draw's place in its set."""
        return draws.positions - draws.set_starts + self.start

    def num_labels(self, split: ClassSplit) -> int:
        """Return ``start`` plus the size of the largest set."""
        return self.start + max(split.rare + split.common, split.holdout)


@dataclasses.dataclass(frozen=True)
class Polysemy:
    """Each rare class has several labels: rare class c the labels cX..cX+X-1, common class R+k only RX+k.

    Every draw picks one at random; so a burst keeps its label for the whole sequence (Chan et al. 2022, section 3.1,
    "multiplicity of labels").

    Attributes:
      labels_per_class: X, at least 1.

    >>> Polysemy(4).num_labels(ClassSplit(num_classes=100, rare=80, common=10, holdout=10))
    330
    """

    labels_per_class: int

    def __post_init__(self) -> None:
        check_whole("labels_per_class", self.labels_per_class, least=1)

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return one of the labels of each draw's class."""
        if draws.from_holdout:
            raise ValueError(
                "Polysemy gives labels to rare and common classes only, but these sequences draw holdout classes; "
                "label them RandomLabels()."
            )
        X, rare, positions = self.labels_per_class, draws.split.rare, draws.positions
        of_rare = positions * X + (uniforms * X).astype(np.int64)
        return np.where(positions < rare, of_rare, positions + rare * (X - 1))

    def num_labels(self, split: ClassSplit) -> int:
        """Return X * rare + common."""
        return self.labels_per_class * split.rare + split.common


def labels_of(labelling: Labelling, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
    """Return the labels that a labelling gives to draws, once they are whole numbers in 0..V-1.

    Raises:
      ValueError: other labels; none is cast or cut to fit.
    """
    labels, V = np.asarray(labelling.label(draws, uniforms)), labelling.num_labels(draws.split)
    whole = labels.dtype.kind in "iu" and labels.shape == draws.positions.shape
    if not whole or (labels.size and (labels.min() < 0 or labels.max() >= V)):
        extremes = f" from {labels.min()} to {labels.max()}" if whole else ""
        raise ValueError(
            f"{type(labelling).__name__}.label must return whole numbers {list(draws.positions.shape)} in 0..V-1, "
            f"where V = num_labels(split) = {V}, got {labels.dtype} {list(labels.shape)}{extremes}."
        )
    return labels


def num_labels(split: ClassSplit, labels: Labelling | None = None) -> int:
    """Return V, the size of a model's output for this split and the labelling of training, by default ``Ordered()``.

    >>> split = ClassSplit(num_classes=100, rare=80, common=10, holdout=10)
    >>> num_labels(split), num_labels(split, Polysemy(labels_per_class=4))
    (100, 330)
    """
    return (labels or Ordered()).num_labels(split)
