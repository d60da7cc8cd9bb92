"""Points around class means that are made where they are needed, so that there may be any number of classes."""

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, Integer, UInt32

from icl_data.arrays import array_module
from icl_data.batch import Arrays, Batch, Sampler
from icl_data.checks import check_whole
from icl_data.items import checked_sample
from icl_data.random_keys import random_keys, random_normals, threefry

_EXEMPLARS = np.uint32(zlib.crc32(b"keys of gaussian exemplars"))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class GaussianItems:
    """A sampler of sequences together with points of their classes, which no bank holds: an ``Expandable``.

    A point is ``(mean + within * noise) / sqrt(1 + within**2)``, where mean and noise have independent coordinates of
    variance 1 / dimensions, as of ``gaussian``. A class's mean is a pure function of (seed, class number), and an
    exemplar's noise of these and its own number, in NumPy and on an accelerator alike.

    Attributes:
      sampler: gives ``classes``, ``exemplars`` and ``index``.
      dimensions: of a point, D, at least 1.
      within: how much the exemplars of a class differ, at least 0.
      fresh: whether every sequence has classes of its own, *fresh ones for ever*: class c of sequence i, of the
        sampler's classes 0..C-1, has the class number i * C + c, and a mean that also depends on the sampler's own seed
        and the name of its stream: no evaluation has a class of training. Otherwise its number is c, in every sequence.
      seed: another seed gives other means and other noise.

    Raises:
      ValueError: a number out of its range, or a sampler whose batches have not these three.

    Source: Reddy (2023), arXiv 2312.03002, section 2; fresh ones: Nguyen & Reddy (2024), arXiv 2412.00104.

    >>> from icl_data import ClassSplit, FewShot, SequenceSampler
    >>> split = ClassSplit(num_classes=4, rare=4)
    >>> few_shot = SequenceSampler(kind=FewShot(classes="rare"), split=split, exemplar_counts=np.full(4, 1_000))
    >>> GaussianItems(sampler=few_shot, dimensions=8).sample(np.arange(5))["items"].shape
    (5, 9, 8)
    """

    sampler: Sampler
    dimensions: int = 63
    within: float = 0.1
    fresh: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("dimensions", self.dimensions, least=1)
        check_whole("seed", self.seed)
        if not 0 <= self.within < np.inf:
            raise ValueError(f"within must be at least 0 and finite, got {self.within}.")
        first = checked_sample(self.sampler, np.zeros(1, np.int64))
        if missing := [name for name in ("classes", "exemplars", "index") if name not in first]:
            raise ValueError(
                f"GaussianItems wants sequences with classes, exemplars and index, but {type(self.sampler).__name__} "
                f"gives no {missing[0]!r}; use a SequenceSampler, or add it."
            )
        if self.fresh and (
            lacking := [name for name in ("split", "seed", "stream") if not hasattr(self.sampler, name)]
        ):
            raise ValueError(
                f"Fresh classes are told by the sampler's split, seed and stream, but {type(self.sampler).__name__} "
                f"has no {lacking[0]}; use a SequenceSampler, or fresh=False."
            )

    @property
    def block_size(self) -> int:
        """How many are best made in one call."""
        return min(self.sampler.block_size, 32)

    @property
    def resident(self) -> None:
        """Nothing: every point is made of its key."""
        return

    @property
    def expand(self) -> "GaussianExpansion":
        """From keys to points."""
        return GaussianExpansion(dimensions=self.dimensions, within=self.within)

    def class_numbers(self, batch: Mapping[str, Any]) -> Int[np.ndarray, "B S"]:
        """Return the number of each item's class, int64, of a batch of the sampler's."""
        classes = batch["classes"].astype(np.int64)
        if not self.fresh:
            return classes
        return batch["index"][:, None] * self.sampler.split.num_classes + classes  # type: ignore[attr-defined]

    def numbers(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return what the sampler gives, and ``class_keys`` uint32 [B, S, 2], from which the points are drawn.

        Raises:
          ValueError: sequences whose class numbers pass 2**63 - 1.
        """
        batch = self.sampler.sample(indices)
        numbers = self.class_numbers(batch)
        name = "gaussian classes"
        if self.fresh:
            name = f"{name} of {self.sampler.seed} {self.sampler.stream}"  # type: ignore[attr-defined]
        keys = random_keys(self.seed, name, numbers.ravel())
        return {**batch, "class_keys": keys.reshape(*numbers.shape, 2)}

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the sequences with ``items``, float32 [B, S, D]."""
        return self.expand(None, self.numbers(indices))


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianExpansion:
    """``GaussianItems.expand`` with its settings; the attributes are as there."""

    dimensions: int
    within: float

    def __call__(self, resident: None, numbers: Mapping[str, Any]) -> Arrays:
        """Return the batch that numbers mean."""
        keys, exemplars = numbers["class_keys"], numbers["exemplars"]
        flat = keys.reshape(-1, 2)
        items = self._points(flat, "gaussian means")
        if self.within:
            noise = self._points(_exemplar_keys(flat, exemplars.reshape(-1)), "gaussian exemplars")
            items = (items + np.float32(self.within) * noise) * np.float32(1 / np.sqrt(1 + self.within**2))
        return {**numbers, "items": items.reshape(*exemplars.shape, self.dimensions)}

    def _points(self, keys: UInt32[Any, "N 2"], name: str) -> Float32[Any, "N D"]:
        return random_normals(keys, name, self.dimensions) * np.float32(self.dimensions**-0.5)


def _exemplar_keys(class_keys: UInt32[Any, "N 2"], exemplars: Integer[Any, " N"]) -> UInt32[Any, "N 2"]:
    """Return a key for each exemplar of a class."""
    xp = array_module(class_keys)
    numbers = exemplars.astype(np.uint32)
    return xp.stack(threefry(class_keys[:, 0], class_keys[:, 1], numbers, xp.full_like(numbers, _EXEMPLARS)), axis=1)
