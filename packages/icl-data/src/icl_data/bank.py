"""A bank of items by [class, exemplar], and views of it that copy nothing."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Integer, Shaped, UInt8

SYMMETRIES = 8  # flip left-right (no, yes) x rotation (0, 90, 180, 270 degrees), in this order


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ExemplarBank:
    """Items of C classes, each a run of consecutive rows of one array.

    A view (more classes by symmetry, fewer exemplars, a subset of the classes) is another bank over the same
    ``items``: only the three small integer arrays differ.

    Attributes:
      items: the stored items [rows, ...]; images are uint8 [rows, H, W].
      starts: int64 [C], the row of each class's first exemplar.
      counts: int64 [C], how many exemplars each class has, at least 1.
      symmetries: int64 [C] in 0..7, applied to an item when it is gathered: ``flip * 4 + quarter turns``.
      group: how many consecutive classes belong together (8 for the views of one character) and must never
        be split between training and holdout classes.
    """

    items: Shaped[np.ndarray, "rows ..."]
    starts: Int[np.ndarray, " C"]
    counts: Int[np.ndarray, " C"]
    symmetries: Int[np.ndarray, " C"]
    group: int = 1

    def __post_init__(self) -> None:
        """Check that every class lies within the items."""
        if len(self.starts) == 0 or self.counts.min() < 1:
            raise ValueError("A bank needs at least one class, and each class at least one exemplar.")
        if self.starts.min() < 0 or (self.starts + self.counts).max() > len(self.items):
            raise ValueError(f"A class reaches outside the {len(self.items)} rows of the bank.")
        if self.symmetries.any() and (self.items.ndim != 3 or self.items.shape[1] != self.items.shape[2]):
            raise ValueError(f"Rotating needs square images [rows, H, H], got items {self.items.shape}.")

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.starts)

    def gather(
        self, classes: Integer[np.ndarray, "*batch"], exemplars: Integer[np.ndarray, "*batch"]
    ) -> Shaped[np.ndarray, "*batch_and_item"]:
        """Fetch the items of (class, exemplar) pairs.

        Args:
          classes: in 0..C-1.
          exemplars: in 0..counts[class]-1.

        Returns:
          A new array [*batch, ...] of the items' dtype.

        Raises:
          IndexError: a class or exemplar that the bank does not have.
        """
        classes, exemplars = np.asarray(classes), np.asarray(exemplars)
        if classes.size and (classes.min() < 0 or classes.max() >= self.num_classes):
            raise IndexError(f"Classes must be in 0..{self.num_classes - 1}, got {classes.min()}..{classes.max()}.")
        if np.any((exemplars < 0) | (exemplars >= self.counts[classes])):
            raise IndexError("An exemplar number is negative or beyond its class's count.")
        gathered = np.take(self.items, self.starts[classes] + exemplars, axis=0)
        symmetries = self.symmetries[classes]
        for symmetry in np.unique(symmetries[symmetries > 0]):
            chosen = symmetries == symmetry
            gathered[chosen] = _transform(gathered[chosen], int(symmetry))
        return gathered

    def augmented(self) -> "ExemplarBank":
        """Make 8 classes of each: flip left-right (no, yes) x rotation by 0, 90, 180, 270 degrees.

        The 8 views of a class are consecutive and form a group (Chan et al. 2022, section 2.1, and their code).

        >>> bank = bank_from_arrays([np.zeros((2, 4, 4), np.uint8)] * 3)
        >>> bank.augmented().num_classes
        24
        """
        if self.symmetries.any():
            raise ValueError("This bank is augmented already.")
        return dataclasses.replace(
            self,
            starts=np.repeat(self.starts, SYMMETRIES),
            counts=np.repeat(self.counts, SYMMETRIES),
            symmetries=np.tile(np.arange(SYMMETRIES), self.num_classes),
            group=self.group * SYMMETRIES,
        )

    def first_exemplars(self, count: int = 1) -> "ExemplarBank":
        """Keep the first ``count`` exemplars of each class."""
        if count < 1:
            raise ValueError(f"Each class must keep at least 1 exemplar, got count={count}.")
        return dataclasses.replace(self, counts=np.minimum(self.counts, count))

    def subset(self, classes: Sequence[int] | Int[np.ndarray, " K"]) -> "ExemplarBank":
        """Keep only these classes, in this order; class k of the result is ``classes[k]`` here.

        Grouping is lost, since a subset need not hold whole groups.
        """
        chosen = np.asarray(classes)
        if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= self.num_classes:
            raise ValueError(f"subset wants class numbers in 0..{self.num_classes - 1}, got {list(chosen[:5])}.")
        return dataclasses.replace(
            self,
            starts=self.starts[chosen],
            counts=self.counts[chosen],
            symmetries=self.symmetries[chosen],
            group=1,
        )


def bank_from_arrays(classes: Sequence[Shaped[np.ndarray, "_ ..."]]) -> ExemplarBank:
    """Make a bank from one array [exemplars, ...] for each class.

    >>> bank = bank_from_arrays([np.zeros((3, 28, 28), np.uint8), np.ones((2, 28, 28), np.uint8)])
    >>> bank.num_classes, bank.counts.tolist()
    (2, [3, 2])
    """
    if not classes:
        raise ValueError("A bank needs at least one class, got none.")
    counts = np.array([len(items) for items in classes], np.int64)
    return ExemplarBank(
        items=np.concatenate(classes),
        starts=np.cumsum(counts) - counts,
        counts=counts,
        symmetries=np.zeros(len(classes), np.int64),
    )


def _transform(images: UInt8[np.ndarray, "N H H"], symmetry: int) -> UInt8[np.ndarray, "N H H"]:
    flipped = images[:, :, ::-1] if symmetry >= SYMMETRIES // 2 else images
    return np.rot90(flipped, k=symmetry % (SYMMETRIES // 2), axes=(1, 2))
