"""Which classes are rare, common and held out, and how often each is drawn."""

import dataclasses
import functools
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from icl_data.checks import check_choice, check_whole
from icl_data.draws import step_over, uniform_rows

ClassSet = Literal["rare", "common", "zipfian", "holdout"]

_TOTAL_MASS = 2**52  # of quantised weights: with 53-bit uniforms every unit can still be hit


@dataclasses.dataclass(frozen=True, eq=False)
class ClassDistribution:
    """Integer weights over consecutive positions of a split.

    Integers make "draw from what is left" exact: a class that was taken cannot come back through rounding.

    Attributes:
      first: position of the first class.
      cumulative: int64 [n + 1], weights summed up, from 0.
      uniform: whether all weights are 1, so that a draw needs no search.
    """

    first: int
    cumulative: Int[np.ndarray, " bounds"]
    uniform: bool

    @property
    def size(self) -> int:
        """Number of classes n."""
        return len(self.cumulative) - 1

    def draw(self, uniforms: Float[np.ndarray, " B"], taken: Int[np.ndarray, "B K"]) -> Int[np.ndarray, " B"]:
        """Return one position for each row, drawn by the weights without those of the row's ``taken`` positions.

        Args:
          uniforms: float64 [B] in [0, 1).
          taken: int64 [B, K], different within a row; those outside this distribution do not matter.
        """
        if taken.shape[1] == 0:
            mass = (uniforms * self.cumulative[-1]).astype(np.int64)
        else:
            numbers = taken - self.first
            inside = (numbers >= 0) & (numbers < self.size)
            numbers = np.where(inside, numbers, 0)
            starts = self.cumulative[numbers]
            lengths = np.where(inside, self.cumulative[numbers + 1] - starts, 0)
            left = self.cumulative[-1] - lengths.sum(1)
            mass = step_over((uniforms * left).astype(np.int64), starts, lengths)
        drawn = mass if self.uniform else np.searchsorted(self.cumulative, mass, side="right") - 1
        return self.first + drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassSplit:
    """Rare, common and holdout classes (Chan et al. 2022).

    The bank's classes get one random order, by ``seed``, in which groups stay together. The first ``rare`` are
    rare, the next ``common`` are common; the last ``holdout`` are holdout, whatever the other two numbers are.
    *Positions* count rare, then common, then holdout classes from 0; ordered labels are positions.

    Attributes:
      num_classes: the bank's number of classes.
      rare: number of rare classes.
      common: number of common classes.
      holdout: number of classes never trained on.
      zipf_exponent: class j of the n = rare + common has weight proportional to 1 / (n - j + 1) ** exponent, so
        that the last common class is the most frequent; 0 is uniform.
      zipf_within_sets: draw from the rare and from the common classes by these same weights, renormalised over the
        set; otherwise uniformly.
      group: consecutive classes that stay together; use the bank's ``group``.
      seed: of the order.

    Raises:
      ValueError: numbers that do not fit, or a group that would have classes on both sides.

    >>> split = ClassSplit(num_classes=10, rare=6, common=2, holdout=2)
    >>> split.classes.shape, split.num_positions
    ((10,), 10)
    """

    num_classes: int
    rare: int
    common: int = 0
    holdout: int = 0
    zipf_exponent: float = 0.0
    zipf_within_sets: bool = False
    group: int = 1
    seed: int = 1337

    def __post_init__(self) -> None:
        for name in ("rare", "common", "holdout", "seed"):
            check_whole(name, getattr(self, name))
        for name in ("num_classes", "group"):
            check_whole(name, getattr(self, name), least=1)
        if self.rare + self.common < 1:
            raise ValueError(f"rare + common must be at least 1, got {self.rare} + {self.common}: nothing to train on.")
        if self.num_positions > self.num_classes:
            raise ValueError(
                f"{self.rare} rare + {self.common} common + {self.holdout} holdout = {self.num_positions} classes are "
                f"wanted, but the bank has {self.num_classes}; lower one of them or use a larger bank."
            )
        if not 0 <= self.zipf_exponent < np.inf:
            raise ValueError(f"zipf_exponent must be at least 0 and finite, got {self.zipf_exponent}.")
        if self.num_classes % self.group:
            raise ValueError(f"group must divide the {self.num_classes} classes, got {self.group}.")
        last_group_of_training = (self.rare + self.common - 1) // self.group
        if self.holdout and last_group_of_training >= (self.num_classes - self.holdout) // self.group:
            raise ValueError(
                f"A group of {self.group} classes that belong together would be split between training and holdout: "
                f"make holdout ({self.holdout}) a multiple of {self.group}, and rare + common "
                f"({self.rare + self.common}) at most num_classes - holdout rounded down to one."
            )

    @property
    def num_positions(self) -> int:
        """Number of classes in use: rare + common + holdout."""
        return self.rare + self.common + self.holdout

    @functools.cached_property
    def classes(self) -> Int[np.ndarray, " positions"]:
        """The bank's class at each position, int64 [rare + common + holdout], read-only."""
        classes = _classes_of(_group_order(self), self.group)
        used = np.concatenate([classes[: self.rare + self.common], classes[self.num_classes - self.holdout :]])
        used.flags.writeable = False  # it is kept
        return used

    def distribution(self, class_set: ClassSet) -> ClassDistribution:
        """Return the weights that a class set is drawn by.

        ``"zipfian"`` has the Zipf weights over rare and common classes; the other sets are uniform over their own,
        but for ``zipf_within_sets``.

        Raises:
          ValueError: a set without classes, or no set.
        """
        check_choice("A class set", class_set, ClassSet)
        first, size = {
            "rare": (0, self.rare),
            "common": (self.rare, self.common),
            "zipfian": (0, self.rare + self.common),
            "holdout": (self.rare + self.common, self.holdout),
        }[class_set]
        if size == 0:
            raise ValueError(f"Sequences of {class_set} classes are wanted, but the split has {class_set}=0.")
        zipfian = class_set == "zipfian" or (self.zipf_within_sets and class_set != "holdout")
        uniform = self.zipf_exponent == 0 or not zipfian
        if uniform:
            weights = np.ones(size, np.int64)
        else:
            last = self.rare + self.common - first
            weights = _quantise(np.arange(last, last - size, -1.0) ** -self.zipf_exponent)
        return ClassDistribution(first, np.concatenate([[0], np.cumsum(weights)]), uniform)


def original_order(split: ClassSplit) -> Int[np.ndarray, " C"]:
    """Return the order of a bank's classes that brings those of Chan et al.'s code to where they are there.

    The same seed gives other classes here and there. ``bank.subset(original_order(split))`` has at each position of the
    split the class that their code takes from ``bank`` by the split's sizes, group (``preserve_ordering_every_n``) and
    seed. Theirs is the order of ``numpy.random.default_rng(seed).choice(groups, size=groups, replace=False)``.

    Returns:
      Class numbers, int64 [num_classes], each once, groups together.

    >>> from icl_data import symbols
    >>> split = ClassSplit(num_classes=1623, rare=1603, common=10, holdout=10)
    >>> bank = symbols(1623).subset(original_order(split))
    >>> bank.gather(split.classes[:4], np.zeros(4, np.int64))
    array([ 318, 1589,  543,  304], dtype=int32)
    """
    groups = split.num_classes // split.group
    order = np.empty(groups, np.int64)
    order[_group_order(split)] = np.random.default_rng(split.seed).choice(groups, size=groups, replace=False)
    return _classes_of(order, split.group)


def _group_order(split: ClassSplit) -> Int[np.ndarray, " groups"]:
    """Return the bank's groups of classes in the order of a split's seed."""
    groups = np.arange(split.num_classes // split.group)
    return np.argsort(uniform_rows(split.seed, "class order", groups, width=1)[:, 0], kind="stable")


def _classes_of(groups: Int[np.ndarray, " groups"], group: int) -> Int[np.ndarray, " C"]:
    return (groups[:, None] * group + np.arange(group)).reshape(-1)


def _quantise(weights: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return weights as integers with a sum of about 2**52, and at least 1 each."""
    return np.maximum(1, np.round(weights * (_TOTAL_MASS / weights.sum()))).astype(np.int64)
