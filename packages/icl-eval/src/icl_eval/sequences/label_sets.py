"""Label sets: what the labels of a model's output stand for in training, so that a prediction can be told apart."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

DECILES = 10


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LabelSets:
    """Which labels are rare, common and of few-shot sequences, and which class each is of.

    The sets may overlap: the few-shot labels 0 and 1 are those of two rare classes as well. What is left out is
    not measured.

    Attributes:
      rare: labels of rare classes.
      common: labels of common classes.
      few_shot: labels that few-shot sequences give out anew each time, 0..ways-1.
      class_of_label: integers [V], the class (as in a batch's `classes`) that has this label in training, -1 for a
        label of no class. With several labels per class it occurs several times.
      class_frequency: floats [C], how often each class is drawn in training, to any scale; 0 for never.

    >>> sets = LabelSets(rare=range(4), common=[4], class_of_label=np.array([7, 3, 5, 0, 1]))
    >>> sets.labels_per_class
    1
    """

    rare: Sequence[int] = ()
    common: Sequence[int] = ()
    few_shot: Sequence[int] = ()
    class_of_label: Int[np.ndarray, " V"] | None = None
    class_frequency: Float[np.ndarray, " C"] | None = None

    def __post_init__(self) -> None:
        for name in ("rare", "common", "few_shot"):
            if len(getattr(self, name)) and min(getattr(self, name)) < 0:
                raise ValueError(f"Wanted {name} labels of 0 or more, got {min(getattr(self, name))}.")
        for name in ("class_of_label", "class_frequency"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.asarray(given))
        classes, frequency = self.class_of_label, self.class_frequency
        if classes is not None and (classes.ndim != 1 or classes.dtype.kind not in "iu" or classes.min(initial=0) < -1):
            raise ValueError(
                f"Wanted class_of_label as integers [V] of -1 or more, got {classes.dtype} {list(classes.shape)}."
            )
        if frequency is not None and (
            frequency.ndim != 1 or not np.isfinite(frequency).all() or frequency.min(initial=0) < 0
        ):
            raise ValueError("Wanted class_frequency as finite floats [C] of 0 or more.")

    @property
    def labels_per_class(self) -> int:
        """How many labels the class with most of them has; 0 if that is not known."""
        if self.class_of_label is None:
            return 0
        return int(np.bincount(self.class_of_label[self.class_of_label >= 0], minlength=1).max())

    def deciles(self) -> Int[np.ndarray, " C"] | None:
        """Return the tenth of the classes that each is in, 0 the rarest and 9 the most frequent, -1 for never drawn.

        Classes of equal frequency could be put in any tenth, so None if all are alike.

        >>> LabelSets(class_frequency=np.array([0.0, 3.0, 1.0, 2.0])).deciles()
        array([-1,  6,  0,  3])
        """
        frequency = self.class_frequency
        if frequency is None or len(np.unique(frequency[frequency > 0])) < 2:
            return None
        order = np.argsort(frequency, kind="stable")
        order = order[frequency[order] > 0]
        deciles = np.full(len(frequency), -1)
        deciles[order] = np.arange(len(order)) * DECILES // len(order)
        return deciles

    def members(self, name: str, num_labels: int) -> np.ndarray | None:
        """Return which of `num_labels` labels are in the set `name`, bool [V], or None for an empty set."""
        labels = np.asarray(getattr(self, name), np.int64)
        if not labels.size:
            return None
        if labels.max() >= num_labels:
            raise ValueError(f"The {name} labels go up to {labels.max()}, but the output has {num_labels} labels.")
        return np.isin(np.arange(num_labels), labels)
