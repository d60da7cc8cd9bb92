"""A bank of items by [class, exemplar], and views of it that copy nothing."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer, Shaped, UInt8

from icl_data.checks import check_whole
from icl_data.fragments import first_numbers, fragment, is_picture, picture, soft, table

_HASHED_AT_ONCE = 1 << 24  # bytes of items
_SHOWN = 8  # classes, and exemplars of each, that a notebook shows
SYMMETRIES = 8  # flip left-right (no, yes) x rotation (0, 90, 180, 270 degrees), in this order


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ExemplarBank:
    """Items of C classes, each a run of consecutive rows of one array.

    A view (more classes by symmetry or by exemplar, fewer exemplars, a subset of the classes) is another bank over
    the same ``items``: only the three small integer arrays differ.

    Attributes:
      items: the stored items [rows, ...]; images, which have two axes or more, are uint8 [rows, H, W] or floats
        of 0..1.
      starts: int64 [C], the row of each class's first exemplar; other integers become int64, as in the next two.
      counts: int64 [C], how many exemplars each class has, at least 1.
      symmetries: int64 [C] in 0..7, applied to an item when it is gathered: ``flip * 4 + quarter turns``.
      group: how many consecutive classes belong together (8 for the views of one character, 20 for its separated
        exemplars) and must never be split between training and holdout classes; divides C.
    """

    items: Shaped[np.ndarray, "rows ..."]
    starts: Integer[np.ndarray, " C"]
    counts: Integer[np.ndarray, " C"]
    symmetries: Integer[np.ndarray, " C"]
    group: int = 1

    def __post_init__(self) -> None:
        if self.items.ndim == 0 or self.items.dtype.hasobject:
            got = "Python objects; are they of different shapes?" if self.items.ndim else "a single number."
            raise ValueError(f"items must be an array [rows, ...] of numbers, got {got}")
        if self.key == "images" and self.items.dtype.kind in "iub" and self.items.dtype != np.uint8:
            raise ValueError(
                f"Images must be uint8 (0..255) or floats (0..1), got {self.items.dtype} {list(self.items.shape)}. Of "
                "grey levels 0..255 make items.astype(np.uint8); divide others by their largest: items / 65535, say."
            )
        for name in ("starts", "counts", "symmetries"):
            numbers = np.asarray(getattr(self, name))
            if numbers.dtype.kind not in "iu" or numbers.shape != (np.size(self.starts),):
                raise ValueError(
                    f"{name} must be integers [C], one for each of the {np.size(self.starts)} classes in starts, "
                    f"got {numbers.dtype} {list(numbers.shape)}."
                )
            object.__setattr__(self, name, numbers.astype(np.int64, copy=False))
        if len(self.starts) == 0 or self.counts.min() < 1:
            raise ValueError("A bank needs at least one class, and each class at least one exemplar.")
        if self.starts.min() < 0 or (self.starts > len(self.items) - self.counts).any():
            raise ValueError(f"A class reaches outside the {len(self.items)} rows of the bank.")
        check_whole("group", self.group, least=1)
        if self.num_classes % self.group:
            raise ValueError(f"group must divide the {self.num_classes} classes, got {self.group}.")
        if self.symmetries.min() < 0 or self.symmetries.max() >= SYMMETRIES:
            raise ValueError(
                f"symmetries must be in 0..{SYMMETRIES - 1}, got {self.symmetries.min()}..{self.symmetries.max()}."
            )
        if self.symmetries.any() and (self.items.ndim != 3 or self.items.shape[1] != self.items.shape[2]):
            raise ValueError(f"Rotating needs square images [rows, H, H], got items {self.items.shape}.")

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.starts)

    @property
    def key(self) -> str:
        """What a batch calls these items: ``"images"`` if an item has at least two axes, else ``"items"``.

        >>> bank_from_arrays([np.zeros((2, 4, 4), np.uint8)]).key, bank_from_arrays([np.zeros((2, 16))]).key
        ('images', 'items')
        """
        return "images" if self.items.ndim >= 3 else "items"

    def rows(
        self, classes: Integer[np.ndarray, "*#batch"], exemplars: Integer[np.ndarray, "*#batch"]
    ) -> Int64[np.ndarray, "*batch"]:
        """Return the rows of ``items`` that (class, exemplar) pairs are stored in, int64 `[*batch]`.

        Args:
          classes: in 0..C-1.
          exemplars: in 0..counts[class]-1; their shape and that of ``classes`` may be broadcast.

        Raises:
          IndexError: a class or exemplar that the bank does not have.
          TypeError: numbers that are not integers.

        >>> bank_from_arrays([np.zeros(3), np.ones(2)]).rows(np.array([0, 1]), np.array([2, 1]))
        array([2, 4])
        """
        classes, exemplars = self._pairs(classes, exemplars)
        return np.take(self.starts, classes) + exemplars

    def gather(
        self, classes: Integer[np.ndarray, "*#batch"], exemplars: Integer[np.ndarray, "*#batch"]
    ) -> Shaped[np.ndarray, "*batch_and_item"]:
        """Return the items of (class, exemplar) pairs, as ``rows`` takes them: a new array `[*batch, ...]`.

        >>> bank = bank_from_arrays([np.array([[1, 2], [3, 4]]), np.array([[5, 6]])])
        >>> bank.gather(np.array([1, 0]), np.array([0, 1]))
        array([[5, 6],
               [3, 4]])
        """
        classes, exemplars = self._pairs(classes, exemplars)
        rows = np.take(self.starts, classes) + exemplars
        symmetries = np.take(self.symmetries, classes)
        if not symmetries.any():
            return np.take(self.items, rows, axis=0)
        gathered = np.empty(rows.shape + self.items.shape[1:], self.items.dtype)
        for symmetry in range(SYMMETRIES):
            # Together for each symmetry: NumPy then turns many images in one call, which is all the cost.
            chosen = symmetries == symmetry
            gathered[chosen] = _transform(np.take(self.items, rows[chosen], axis=0), symmetry)
        return gathered

    def every_item(self) -> Shaped[np.ndarray, "all ..."]:
        """Return all items, class after class.

        >>> bank_from_arrays([np.array([1, 2]), np.array([3])]).subset([1, 0]).every_item()
        array([3, 1, 2])
        """
        firsts = np.cumsum(self.counts) - self.counts
        exemplars = np.arange(self.counts.sum()) - np.repeat(firsts, self.counts)
        return self.gather(np.repeat(np.arange(self.num_classes), self.counts), exemplars)

    def fingerprint(self) -> str:
        """Return 16 hex digits that tell these data from others: same items and classes, same digits.

        What counts is what a sampler and a model get to see: the items of each class in their order, their dtype and
        shape, symmetries and group; not where they were read, nor how the bank keeps them. Nothing is copied, so
        it also does for items that are mapped from a file; a gigabyte takes about a second.

        Items that were computed as floats (``gaussian``, ``Vectors.apply``) can differ in the last bit from one machine
        to another; to know such data again elsewhere, take that of the images they were made of.

        >>> bank = bank_from_arrays([np.array([1, 2]), np.array([3])])
        >>> bank.fingerprint(), bank.subset([1, 0]).fingerprint() == bank.fingerprint()
        ('c6117761c360d4c5', False)
        """
        firsts = np.cumsum(self.counts) - self.counts
        rows = np.repeat(self.starts - firsts, self.counts) + np.arange(self.counts.sum())
        # Views share rows: each is hashed once, where it first comes, and told by its place in that order.
        _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
        order = np.argsort(first)
        distinct, places = rows[np.sort(first)], np.argsort(order)[inverse]
        head = {"dtype": self.items.dtype.name, "shape": self.items.shape[1:], "group": int(self.group)}
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for numbers in (self.counts, self.symmetries, places):
            digest.update(numbers.astype("<i8").tobytes())
        little = self.items.dtype.newbyteorder("<")
        at_once = max(1, _HASHED_AT_ONCE // max(1, self.items[:1].nbytes))
        for start in range(0, len(distinct), at_once):
            digest.update(self.items[distinct[start : start + at_once]].astype(little, copy=False).tobytes())
        return digest.hexdigest()[:16]

    def _repr_html_(self) -> str:
        """Return what a notebook shows: how much there is of what, and a few exemplars of a few classes."""
        fewest, most = int(self.counts.min()), int(self.counts.max())
        symmetries, are_drawn = len(np.unique(self.symmetries)), is_picture(self.items.shape[1:])
        words = [
            f"ExemplarBank of {self.num_classes:,} classes" + (f" in groups of {self.group}" if self.group > 1 else ""),
            f"{fewest:,} exemplars each" if fewest == most else f"{fewest:,} to {most:,} exemplars each",
            f"{self.key} {self.items.dtype} {list(self.items.shape[1:])}",
            *([f"{symmetries} symmetries"] if symmetries > 1 else []),
        ]
        rows = []
        for cls in np.unique(np.linspace(0, self.num_classes - 1, _SHOWN).round().astype(np.int64)):
            items = self.gather(np.array([cls]), np.arange(min(_SHOWN, self.counts[cls])))
            alt = f"the first {len(items)} exemplars of class {cls}"
            shown = picture(_in_a_row(items), alt=alt, height=40) if are_drawn else first_numbers(items[:1])
            rows.append([cls, f"{self.counts[cls]:,}", shown])
        header = ["class", "exemplars", "the first of them" if are_drawn else "the first"]
        return fragment(soft("; ".join(words)), table(header, rows))

    def _pairs(self, classes: np.ndarray, exemplars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (class, exemplar) pairs, once checked, as int64 of one shape."""
        classes, exemplars = _integers(classes, "classes"), _integers(exemplars, "exemplars")
        if classes.shape != exemplars.shape:
            classes, exemplars = np.broadcast_arrays(classes, exemplars)
        if classes.size and (classes.min() < 0 or classes.max() >= self.num_classes):
            raise IndexError(f"Classes must be in 0..{self.num_classes - 1}, got {classes.min()}..{classes.max()}.")
        if ((exemplars < 0) | (exemplars >= np.take(self.counts, classes))).any():
            raise IndexError("An exemplar number is negative or beyond its class's count.")
        return classes, exemplars

    def augmented(self) -> "ExemplarBank":
        """Return 8 classes for each: flip left-right (no, yes) x rotation by 0, 90, 180, 270 degrees.

        The 8 views of a class are consecutive and form a group (Chan et al. 2022, section 2.1, and their code).

        >>> bank_from_arrays([np.zeros((2, 4, 4), np.uint8)] * 3).augmented().num_classes
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

    def separated(self) -> "ExemplarBank":
        """Return a bank in which every exemplar is a class of its own.

        The exemplars of a class are consecutive and form a group, so that those of one character never straddle
        training and holdout (Chan et al. 2022, in their code).

        Raises:
          ValueError: classes with different numbers of exemplars.

        >>> bank = bank_from_arrays([np.zeros((20, 4, 4), np.uint8)] * 3).separated()
        >>> bank.num_classes, bank.group
        (60, 20)
        """
        fewest, most = int(self.counts.min()), int(self.counts.max())
        if fewest != most:
            raise ValueError(
                f"Separating needs as many exemplars in every class, got {fewest}..{most}; "
                f"call first_exemplars({fewest}) first."
            )
        return dataclasses.replace(
            self,
            starts=(self.starts[:, None] + np.arange(most)).reshape(-1),
            counts=np.ones(self.num_classes * most, np.int64),
            symmetries=np.repeat(self.symmetries, most),
            group=self.group * most,
        )

    def first_exemplars(self, count: int = 1) -> "ExemplarBank":
        """Return a bank of the first ``count`` exemplars of each class.

        >>> bank_from_arrays([np.zeros((3, 4)), np.ones((1, 4))]).first_exemplars(2).counts
        array([2, 1])
        """
        check_whole("count, of the exemplars that each class keeps,", count, least=1)
        return dataclasses.replace(self, counts=np.minimum(self.counts, count))

    def split_exemplars(self, last: float) -> tuple["ExemplarBank", "ExemplarBank"]:
        """Return two banks of each class's exemplars: images to train on and images to be tested on, for example.

        The second gets the last ones, a share of ``last`` above 0 and below 1; both get at least one of each class.

        Raises:
          ValueError: a share outside of that, or a class of one exemplar.

        >>> first, second = bank_from_arrays([np.zeros((10, 4)), np.ones((5, 4))]).split_exemplars(0.2)
        >>> first.counts, second.counts, second.starts
        (array([8, 4]), array([2, 1]), array([ 8, 14]))
        """
        if not 0 < last < 1 or self.counts.min() < 2:
            raise ValueError(
                "split_exemplars wants a share above 0 and below 1, and two exemplars of each class at least, "
                f"got {last} and a class of {self.counts.min()}."
            )
        kept = np.clip(np.round(self.counts * (1 - last)).astype(np.int64), 1, self.counts - 1)
        second = dataclasses.replace(self, starts=self.starts + kept, counts=self.counts - kept)
        return dataclasses.replace(self, counts=kept), second

    def subset(self, classes: Sequence[int] | Integer[np.ndarray, " K"]) -> "ExemplarBank":
        """Return a bank of these classes, all different, in this order: its class k is ``classes[k]`` here.

        The classes of a group stay together: those of a bank with ``group > 1`` must be whole groups, in any order, but
        each with its classes in theirs.

        Raises:
          ValueError: classes that are not there or come twice, or that are a part of a group.

        >>> bank_from_arrays([np.zeros(3), np.ones(2)]).subset([1]).gather(np.array([0]), np.array([0]))
        array([1.])
        """
        chosen = np.asarray(classes)
        if not chosen.size or chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            got = f"{chosen.dtype} {list(chosen.shape)}" if chosen.size else "none"
            raise ValueError(f"subset wants class numbers, integers [K], got {got}.")
        if chosen.min() < 0 or chosen.max() >= self.num_classes:
            raise ValueError(
                f"subset wants class numbers in 0..{self.num_classes - 1}, got {chosen.min()}..{chosen.max()}."
            )
        chosen = chosen.astype(np.int64)
        if len(np.unique(chosen)) < len(chosen):
            raise ValueError("subset wants each class once, got some twice; a copy could be trained and held out both.")
        firsts = chosen[:: self.group] // self.group * self.group
        if not np.array_equal(chosen, (firsts[:, None] + np.arange(self.group)).reshape(-1)):
            raise ValueError(
                f"subset wants whole groups of {self.group} consecutive classes, so that none straddles training and "
                "holdout, got a part of one; call subset before augmented() and separated()."
            )
        return dataclasses.replace(
            self, starts=self.starts[chosen], counts=self.counts[chosen], symmetries=self.symmetries[chosen]
        )


def bank_from_arrays(
    classes: Sequence[Shaped[np.ndarray, "_ ..."]] | Shaped[np.ndarray, "C exemplars ..."],
) -> ExemplarBank:
    """Return a bank of copies of one array [exemplars, ...] for each class, or of one array [C, exemplars, ...].

    Raises:
      ValueError: no classes, a class without exemplars, items of different shapes or that are Python objects.

    >>> bank_from_arrays([np.zeros((3, 28, 28), np.uint8), np.ones((2, 28, 28), np.uint8)]).counts
    array([3, 2])
    """
    if len(classes) == 0:
        raise ValueError("A bank needs at least one class, got none.")
    shapes = {np.shape(items)[1:] if np.ndim(items) else None for items in classes}
    if None in shapes or len(shapes) > 1:
        got = sorted({np.shape(items) for items in classes})[:3]
        raise ValueError(f"Each class must be an array [exemplars, ...] of items of one shape, got shapes {got}.")
    return bank_from_runs(np.concatenate(classes), np.array([len(items) for items in classes], np.int64))


def bank_from_labels(
    items: Shaped[np.ndarray, "rows ..."] | Sequence[Any], labels: Shaped[np.ndarray, "..."] | Sequence[int]
) -> ExemplarBank:
    """Return a bank of any labelled array.

    Args:
      items: [N, ...]; an array is kept as it is if the labels are in ascending order, else copied.
      labels: integers [N], any that the items have; they need not be consecutive.

    Returns:
      A bank with a class for each label that occurs, in ascending order; exemplars in the order they come.

    Raises:
      ValueError: labels that are not integers [N], no items, or items that are Python objects.

    >>> bank = bank_from_labels(np.array([[1.0], [2.0], [3.0]]), np.array([7, 4, 7]))
    >>> bank.gather(np.array([0, 1, 1]), np.array([0, 0, 1])).ravel()
    array([2., 1., 3.])
    """
    items, labels = np.asarray(items), np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers [N], got {labels.dtype} {list(labels.shape)}.")
    if items.ndim == 0 or len(items) != len(labels):
        raise ValueError(f"Each item needs one label, got items {list(items.shape)} and {len(labels)} labels.")
    if not len(items):
        raise ValueError("A bank needs at least one item, got none.")
    if np.any(labels[1:] < labels[:-1]):
        order = np.argsort(labels, kind="stable")
        items, labels = items[order], labels[order]
    return bank_from_runs(items, np.unique(labels, return_counts=True)[1])


def bank_from_runs(items: Shaped[np.ndarray, "rows ..."], counts: Integer[np.ndarray, " C"]) -> ExemplarBank:
    """Return a bank over items [rows, ...] whose first ``counts[0]`` rows are class 0, and so on; without a copy.

    >>> bank_from_runs(np.arange(5), np.array([3, 2])).starts
    array([0, 3])
    """
    starts, symmetries = np.cumsum(counts) - counts, np.zeros(len(counts), np.int64)
    return ExemplarBank(items=items, starts=starts, counts=counts, symmetries=symmetries)


def _integers(numbers: np.ndarray, what: str) -> Int64[np.ndarray, "..."]:
    numbers = np.asarray(numbers)
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, got {numbers.dtype} {list(numbers.shape)}.")
    return numbers.astype(np.int64, copy=False)


def _in_a_row(images: Shaped[np.ndarray, "N H W *channels"]) -> Shaped[np.ndarray, "H width *channels"]:
    """Return one image of several, side by side, a grey line between them."""
    line = np.full_like(images[0, :, :1], 128 if images.dtype == np.uint8 else 0.5)
    return np.concatenate([part for image in images for part in (line, image)][1:], axis=1)


def _transform(images: UInt8[np.ndarray, "N H H"], symmetry: int) -> UInt8[np.ndarray, "N H H"]:
    """Return a view of the images with this symmetry applied."""
    flipped, quarter_turns = divmod(symmetry, SYMMETRIES // 2)
    if flipped:
        images = images[:, :, ::-1]
    if quarter_turns % 2:
        images = images.swapaxes(1, 2)[:, ::-1]
    return images[:, ::-1, ::-1] if quarter_turns >= 2 else images
