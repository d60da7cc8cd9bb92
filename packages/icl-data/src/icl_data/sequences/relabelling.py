"""Labels that burst classes have for one sequence in place of their own: other classes' labels, or pairs of a set."""

import dataclasses
import itertools

import numpy as np
from jaxtyping import Float, Int

from icl_data.checks import check_whole
from icl_data.draws import uniform_rows
from icl_data.sequences.labels import Draws, Labelling, Ordered
from icl_data.sequences.split import ClassSplit

Pairs = tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Exchanged:
    """Each burst class has the label of the next one's: with two ways, the two are exchanged.

    A filler that is of a burst class by chance is labelled as its burst is; other items keep their labels.

    Attributes:
      labels: the labels in training, before they are exchanged.

    Source: the *flip* evaluator of Singh et al. (2023), arXiv 2311.08360.

    >>> Exchanged().num_labels(ClassSplit(num_classes=100, rare=80))
    80
    """

    labels: Labelling = Ordered()

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return the labels after the exchange."""
        labels = self.labels.label(draws, uniforms)
        return _of_bursts(draws, labels, np.roll(labels[:, : draws.ways], -1, axis=1))

    def num_labels(self, split: ClassSplit) -> int:
        """Return as many as without the exchange."""
        return self.labels.num_labels(split)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairLabels:
    """The burst classes get a pair out of a set, anew in each sequence, so that only the context tells them.

    A filler that is of a burst class by chance is labelled as its burst is.

    Attributes:
      pairs: labels for the burst classes, a row for each way to label them, of which every sequence has one at
        random. With two ways these are ordered pairs, such as those of ``label_pairs``.
      others: how all other items are labelled; None for sequences that have no others.

    Raises:
      ValueError: no pairs, or pairs that are not of as many different labels each.

    Source: *ICL-only* training data and, with the pairs (0, 1) and (1, 0), the *ICL* evaluator of Singh et al. (2023,
    2024, 2025), arXiv 2311.08360, 2404.07129 and 2503.05631.

    >>> PairLabels(pairs=((0, 1), (1, 0)), others=None).num_labels(ClassSplit(num_classes=100, rare=80))
    2
    """

    pairs: Pairs
    others: Labelling | None = Ordered()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", tuple(map(tuple, self.pairs)))
        for label in itertools.chain(*self.pairs):
            check_whole("A label of a pair", label)
        if not self.pairs or any(not pair or len({*pair}) != len(self.pairs[0]) for pair in self.pairs):
            raise ValueError(f"pairs must be at least one, of equally many different labels each, got {self.pairs}.")

    def label(self, draws: Draws, uniforms: Float[np.ndarray, "B D"]) -> Int[np.ndarray, "B D"]:
        """Return a pair on the burst classes, and the others' labels.

        Raises:
          ValueError: other than as many burst classes as a pair has labels, or other items that nothing labels.
        """
        D = draws.positions.shape[1]
        if draws.ways not in (0, len(self.pairs[0])) or (self.others is None and draws.ways < D):
            raise ValueError(
                f"PairLabels of {len(self.pairs[0])} labels are for as many burst classes"
                f"{'' if self.others else ' and no other items'}, but these sequences have {draws.ways} and "
                f"{D - draws.ways} other items; change ways or pairs, or say how others are labelled."
            )
        labels = np.zeros_like(draws.positions) if self.others is None else self.others.label(draws, uniforms)
        chosen = (uniforms[:, 0] * len(self.pairs)).astype(np.int64)
        return _of_bursts(draws, labels, np.array(self.pairs)[chosen][:, : draws.ways])

    def num_labels(self, split: ClassSplit) -> int:
        """Return enough for the pairs and for the others."""
        most = max(map(max, self.pairs)) + 1
        return most if self.others is None else max(most, self.others.num_labels(split))


def label_pairs(num_labels: int, *, held_out: int = 0, seed: int = 0) -> tuple[Pairs, Pairs]:
    """Return the ordered pairs of 0..L-1 to train on, and those that are held out, for ``PairLabels``.

    Unordered pairs are held out at random, so both orders of a pair are on the same side.

    Args:
      num_labels: L, at least 2.
      held_out: how many of the L (L - 1) / 2 unordered pairs are held out; less than all.
      seed: another seed holds out others.

    Raises:
      ValueError: numbers out of their ranges.

    Source: Singh et al. (2024), arXiv 2404.07129: of 5 labels, 8 unordered pairs are trained on and 2 held out.

    >>> training, unseen = label_pairs(5, held_out=2)
    >>> len(training), len(unseen)
    (16, 4)
    """
    check_whole("num_labels", num_labels, least=2)
    check_whole("held_out", held_out)
    unordered = list(itertools.combinations(range(num_labels), 2))
    if held_out >= len(unordered):
        raise ValueError(
            f"held_out must be below {len(unordered)}, the number of pairs of {num_labels} labels, got {held_out}."
        )
    order = np.argsort(uniform_rows(seed, "label pairs", np.arange(len(unordered)), width=1)[:, 0], kind="stable")
    unseen = {unordered[place] for place in order[:held_out]}
    both = [[pair for pair in unordered if (pair in unseen) == is_held_out] for is_held_out in (False, True)]
    training, others = (tuple(sorted([*side, *(pair[::-1] for pair in side)])) for side in both)
    return training, others


def _of_bursts(
    draws: Draws, labels: Int[np.ndarray, "B D"], of_bursts: Int[np.ndarray, "B ways"]
) -> Int[np.ndarray, "B D"]:
    """Return labels with others on the bursts, and on whatever else is of a burst class."""
    labels = labels.copy()
    for way in range(draws.ways):
        is_of_class = draws.positions == draws.positions[:, way : way + 1]
        labels = np.where(is_of_class, of_bursts[:, way : way + 1], labels)
    labels[:, : draws.ways] = of_bursts  # a class that is drawn for two bursts has two labels
    return labels
