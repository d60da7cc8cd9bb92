"""From indices to sequences: the sampler, a pure function of (seed, index)."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int, Integer, UInt64

from icl_data.batch import Batch
from icl_data.checks import check_whole
from icl_data.draws import checked_indices, random_words, uniform_rows, uniforms
from icl_data.random_keys import random_keys
from icl_data.sequences.label_noise import with_label_noise
from icl_data.sequences.labels import Labelling, labels_of
from icl_data.sequences.pattern import Mixture, Pattern, SequenceKind
from icl_data.sequences.split import ClassSplit

_LONGEST = 2**16  # items whose order one sort can hold
_MOST_LABELS = 2**31 - 1
_BELOW_ONE = 1 - 2.0**-53


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
    {'classes': (32, 9), 'exemplars': (32, 9), 'labels': (32, 9), 'is_rare': (32, 9), 'index': (32,), ...}
    """

    kind: SequenceKind
    split: ClassSplit
    exemplar_counts: Int[np.ndarray, " C"]
    length: int = 9
    seed: int = 0
    stream: str = "train"

    def __post_init__(self) -> None:
        check_whole("length, of a context and a query,", self.length, least=2)
        check_whole("seed", self.seed)
        if self.length > _LONGEST:
            raise ValueError(f"length must be at most {_LONGEST}, got {self.length}.")
        counts = np.asarray(self.exemplar_counts)
        if counts.shape != (self.split.num_classes,) or counts.dtype.kind not in "iu" or counts.min() < 1:
            raise ValueError(
                f"exemplar_counts must be whole numbers of at least 1, one for each of the {self.split.num_classes} "
                f"classes that the split was made for, got {counts.dtype} {list(counts.shape)}; "
                "pass bank.counts and num_classes of the same bank."
            )
        if not isinstance(self.kind, SequenceKind) or isinstance(self.kind, type):
            raise ValueError(f"kind must be a kind of sequence, such as Bursty(), got {self.kind!r}.")
        for labels in (pattern.labels for _, pattern in self._mixture):
            if not isinstance(labels, Labelling) or isinstance(labels, type):
                raise ValueError(f"labels must be a labelling, such as Ordered(), got {labels!r}.")
            if labels.num_labels(self.split) > _MOST_LABELS:
                raise ValueError(
                    f"Labels are 32-bit integers, up to {_MOST_LABELS} of them, but {labels} of this split has "
                    f"{labels.num_labels(self.split)}."
                )
        probabilities = [probability for probability, _ in self._mixture]
        if abs(sum(probabilities) - 1) > 1e-9:
            raise ValueError(f"The probabilities of a mixture must add up to 1, got {probabilities} of {self.kind}.")
        self.sample(np.empty(0, np.int64))  # so that what cannot be made is refused now, not at the first batch

    @functools.cached_property
    def _mixture(self) -> Mixture:
        return self.kind.mixture(self.split, self.length)

    @property
    def num_labels(self) -> int:
        """V, the number of outputs that a model of these labels needs: that of the largest labelling.

        >>> from icl_data import Bursty, Polysemy
        >>> split = ClassSplit(num_classes=10, rare=8)
        >>> SequenceSampler(kind=Bursty(labels=Polysemy(4)), split=split, exemplar_counts=np.ones(10, int)).num_labels
        32
        """
        return max(pattern.labels.num_labels(self.split) for _, pattern in self._mixture)

    @property
    def block_size(self) -> int:
        """How many sequences are best drawn in one call: from 512 on its own cost hardly counts."""
        return 512

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the sequences with these indices, at least 0; each is the same in whatever company it is asked for.

        Returns:
          ``classes`` (of the bank), ``exemplars`` and ``labels``, int32 [B, S]; ``is_rare`` bool [B, S];
          ``index`` int64 [B]; ``random_key`` uint32 [B, 2], from which transforms draw. Exemplars of one class are all
          different within a sequence where it has enough, unless the kind draws them otherwise.
        """
        indices = checked_indices(indices)
        # Four words for each item, whatever the kind: a change of kind never shifts another row's numbers.
        words = random_words(self.seed, self.stream, indices, width=4 * self.length)
        # The order of S - 1 context items leaves one word over, which chooses the pattern.
        choice = uniforms(words[:, 2 * self.length - 1])
        if len(self._mixture) == 1:
            batch = self._make(self._mixture[0][1], words, choice, indices)
        else:
            probabilities = np.array([probability for probability, _ in self._mixture])
            starts = np.cumsum(probabilities) - probabilities
            chosen = np.searchsorted(starts, choice, side="right") - 1
            # Where in its pattern's interval the choice lies is uniform again.
            choice = np.minimum((choice - starts[chosen]) / probabilities[chosen], _BELOW_ONE)
            parts = [np.flatnonzero(chosen == number) for number in range(len(self._mixture))]
            made = [
                self._make(pattern, words[rows], choice[rows], indices[rows])
                for (_, pattern), rows in zip(self._mixture, parts, strict=True)
            ]
            back = np.argsort(np.concatenate(parts))
            batch = {name: np.concatenate([part[name] for part in made])[back] for name in made[0]}
        return batch | {"index": indices, "random_key": random_keys(self.seed, f"{self.stream} items", indices)}

    def _make(
        self,
        pattern: Pattern,
        words: UInt64[np.ndarray, "B words"],
        choice: Float[np.ndarray, " B"],
        indices: Int[np.ndarray, " B"],
    ) -> Batch:
        S = self.length
        draws = pattern.draw(self.split, uniforms(words[:, :S]), choice)
        D = pattern.num_draws
        slots = pattern.arrange(words[:, S : 2 * S - 1], choice)
        places = slots + D * np.arange(len(words))[:, None]  # of each item's draw in an array of all draws, flat
        classes = self.split.classes[draws.positions]
        of_draws = labels_of(pattern.labels, draws, uniforms(words[:, 3 * S : 3 * S + D]))
        labels = of_draws.astype(np.int32).ravel()[places]
        positions = draws.positions.ravel()[places]
        exemplars = pattern.choose_exemplars(
            uniforms(words[:, 2 * S : 3 * S]),
            slots=slots,
            positions=positions,
            counts=self.exemplar_counts[classes].ravel()[places],
        )
        if pattern.label_noise:
            # Words of their own, so that sequences are the same with noise as without, but for it.
            noise = uniform_rows(self.seed, f"{self.stream} label noise", indices, width=3 * (S - 1))
            labels = with_label_noise(pattern, self.split, labels, positions=positions, uniforms=noise)
        return {
            "classes": classes.astype(np.int32).ravel()[places],
            "exemplars": exemplars,
            "labels": labels.astype(np.int32, copy=False),
            "is_rare": positions < self.split.rare,
        }
