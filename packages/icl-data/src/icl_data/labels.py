"""How the items of a sequence are labelled."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from icl_data.split import ClassSplit


@dataclasses.dataclass(frozen=True)
class Ordered:
    """A class's label is its position in the split: rare 0..R-1, common R..R+K-1, then holdout."""

    def label(
        self,
        positions: Int[np.ndarray, "B S"],
        ways: Int[np.ndarray, "B S"],
        uniforms: Float[np.ndarray, "B W"],
    ) -> Int[np.ndarray, "B S"]:
        """Label each item by its position; the other arguments do not matter."""
        del ways, uniforms
        return positions


@dataclasses.dataclass(frozen=True)
class Unfixed:
    """The sequence's classes get the labels 0..ways-1 in a random order, so that only the context tells them."""

    def label(
        self,
        positions: Int[np.ndarray, "B S"],
        ways: Int[np.ndarray, "B S"],
        uniforms: Float[np.ndarray, "B W"],
    ) -> Int[np.ndarray, "B S"]:
        """Label each item by where its way comes in a random order of the ways.

        Args:
          positions: the items' classes; they do not matter.
          ways: which of the sequence's classes an item has, 0..ways-1.
          uniforms: float64 [B, W] in [0, 1), one for each of the W ways.
        """
        del positions
        order = np.argsort(uniforms, axis=1, kind="stable")
        return np.take_along_axis(order, ways, axis=1)


Labelling = Ordered | Unfixed


def num_labels(split: ClassSplit) -> int:
    """Give V, the size of a model's output for this split: rare + common + holdout."""
    return split.num_positions
