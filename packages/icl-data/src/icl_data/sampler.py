"""From indices to sequences: the sampler, a pure function of (seed, index)."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Int, Integer

from icl_data.draws import distinct_in_group, uniform_rows
from icl_data.sequences import Mixture, SequenceKind
from icl_data.split import ClassSplit

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SequenceSampler:
    """Sequences of S items by index: which class, exemplar and label stands where.

    Attributes:
      kind: what sequences to make.
      split: the classes to make them of.
      exemplar_counts: int64 [C], exemplars of each of the bank's classes (``bank.counts``).
      length: S, the number of items, the query included.
      seed: another seed gives other sequences.
      stream: name of a series; sequences of another name are independent (``"train"``, ``"fewshot_holdout"``).

    Raises:
      ValueError: a kind that the split or the length has no room for.

    >>> from icl_data import FewShot
    >>> split = ClassSplit(num_classes=50, rare=40, holdout=10)
    >>> sampler = SequenceSampler(kind=FewShot(), split=split, exemplar_counts=np.full(50, 20), length=9)
    >>> {name: values.shape for name, values in sampler.sample(np.arange(32)).items()}
    {'classes': (32, 9), 'exemplars': (32, 9), 'labels': (32, 9), 'is_rare': (32, 9), 'index': (32,)}
    """

    kind: SequenceKind
    split: ClassSplit
    exemplar_counts: Int[np.ndarray, " C"]
    length: int = 9
    seed: int = 0
    stream: str = "train"

    def __post_init__(self) -> None:
        """Find out now, not at the first batch, whether these sequences can be made."""
        if self.length < 2:
            raise ValueError(f"A sequence needs a context and a query: length must be at least 2, got {self.length}.")
        if len(self.exemplar_counts) != self.split.num_classes:
            raise ValueError(
                f"exemplar_counts has {len(self.exemplar_counts)} classes, the split was made for "
                f"{self.split.num_classes}; pass bank.counts and num_classes of the same bank."
            )
        self._mixture  # noqa: B018  (built here, so that a bad combination is refused here)

    @functools.cached_property
    def _mixture(self) -> Mixture:
        return self.kind.mixture(self.split, self.length)

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Make the sequences with these indices.

        Args:
          indices: integers [B], at least 0. Sequence i is the same in whatever company it is asked for.

        Returns:
          ``classes`` (of the bank), ``exemplars`` and ``labels``, int32 [B, S]; ``is_rare`` bool [B, S];
          ``index`` int64 [B]. Exemplars of one class are all different within a sequence where it has enough.
        """
        indices = np.asarray(indices, np.int64)
        S = self.length
        # Four uniforms for each item, whatever the kind: a change of kind never shifts another row's numbers.
        uniforms = uniform_rows(self.seed, self.stream, indices, width=4 * S)
        for_classes, for_order, for_exemplars, for_labels = np.split(uniforms, 4, axis=1)
        positions, labels = np.empty((2, len(indices), S), np.int64)
        # The order of S - 1 context items leaves one number over, which chooses the pattern.
        chosen = self._choose(for_order[:, -1])
        for number, (_, pattern) in enumerate(self._mixture):
            rows = np.flatnonzero(chosen == number)
            positions[rows], ways = pattern.positions_and_ways(for_classes[rows], for_order[rows])
            labels[rows] = pattern.labels.label(positions[rows], ways, for_labels[rows, : pattern.ways])
        classes = self.split.classes[positions]
        exemplars = distinct_in_group(for_exemplars, positions, self.exemplar_counts[classes])
        return {
            "classes": classes.astype(np.int32),
            "exemplars": exemplars.astype(np.int32),
            "labels": labels.astype(np.int32),
            "is_rare": positions < self.split.rare,
            "index": indices,
        }

    def _choose(self, uniforms: np.ndarray) -> np.ndarray:
        """Choose each row's pattern by the mixture's probabilities."""
        bounds = np.cumsum([probability for probability, _ in self._mixture])[:-1]
        return np.searchsorted(bounds, uniforms, side="right")
