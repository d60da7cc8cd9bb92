"""All sequences there are, so that what is measured over them is exact."""

import dataclasses
import functools
import itertools
import math

import numpy as np
from jaxtyping import Bool, Int, Integer

from icl_data.batch import Batch
from icl_data.checks import check_whole
from icl_data.draws import checked_indices, uniform_rows
from icl_data.random_keys import random_keys
from icl_data.sequences.kinds.with_distractor import WithDistractor
from icl_data.sequences.labels import Draws, labels_of
from icl_data.sequences.pattern import Pattern
from icl_data.sequences.relabelling import PairLabels
from icl_data.sequences.split import ClassSplit

_MOST = 2**24


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class EverySequence:
    """A sampler that lists the sequences of a kind, each exactly once, and then begins again.

    Of classes with one exemplar each, all drawn alike, there are C (C - 1) pairs of the query's class and a distractor;
    ``shots`` items of each stand in (2 shots)! / shots!**2 orders; and with ``PairLabels`` each of these has every
    pair of labels. All are equally likely, so a mean over all of them is the mean over the kind itself. The first n of
    the list are n different ones at random.

    Attributes:
      kind: what sequences to list, without fillers and label noise.
      split: the classes to make them of; their frequencies must be equal.
      exemplar_counts: int64 [C], as of ``SequenceSampler``; 1 for all classes that can come.
      seed: of the order in the list.
      stream: name of a series, which orders the list otherwise.

    Raises:
      ValueError: sequences that are not equally likely, or not listed by this; more than 2**24 of them.

    Source: the training sequences of Singh et al. (2024), arXiv 2404.07129: 50 classes of one exemplar, a context of
    two, and 8 unordered pairs of labels, so 50 * 49 class pairs * 2 orders * 16 ordered pairs.

    >>> from icl_data import label_pairs
    >>> pairs, unseen = label_pairs(5, held_out=2)
    >>> kind = WithDistractor(labels=PairLabels(pairs=pairs, others=None))
    >>> split = ClassSplit(num_classes=50, rare=50)
    >>> len(EverySequence(kind=kind, split=split, exemplar_counts=np.ones(50, np.int64)))
    78400
    """

    kind: WithDistractor
    split: ClassSplit
    exemplar_counts: Int[np.ndarray, " C"]
    seed: int = 0
    stream: str = "every sequence"

    def __post_init__(self) -> None:
        check_whole("seed", self.seed)
        if not isinstance(self.kind, WithDistractor) or self.kind.label_noise:
            raise ValueError(f"Sequences are listed of WithDistractor without label_noise, got {self.kind}.")
        drawn = self._pattern.classes
        if not drawn.uniform:
            raise ValueError(
                f"Sequences that are listed must be equally likely, but the {self.kind.classes} classes are drawn by "
                f"Zipf's law with exponent {self.split.zipf_exponent}; make the split with zipf_exponent=0."
            )
        used = np.asarray(self.exemplar_counts)[self.split.classes[drawn.first : drawn.first + drawn.size]]
        if (used != 1).any():
            raise ValueError(
                f"Sequences are listed of classes with one exemplar each, got up to {used.max()}; "
                "make them of bank.first_exemplars(1)."
            )
        if len(self) > _MOST:
            raise ValueError(f"At most {_MOST:,} sequences can be listed, got {len(self):,}; ask for fewer classes.")
        classes, labels = self._draws.positions, self.kind.labels
        one, other = (labels_of(labels, self._draws, np.full(classes.shape, u)) for u in ([0.0, 0.9], [0.9, 0.0]))
        if not isinstance(labels, PairLabels) and not np.array_equal(one, other):
            raise ValueError(f"Each class must have one label in a list, but {labels} draws them at random.")

    @functools.cached_property
    def _pattern(self) -> Pattern:
        return self.kind.mixture(self.split, 2 * self.kind.shots + 1)[0][1]

    @functools.cached_property
    def _draws(self) -> Draws:
        """Every pair of classes, the query's first."""
        drawn = self._pattern.classes
        pairs = np.array([*itertools.permutations(range(drawn.size), 2)], np.int64).reshape(-1, 2)
        return Draws(
            split=self.split,
            positions=pairs + drawn.first,
            set_starts=np.full(2, drawn.first),
            ways=2,
            from_holdout=drawn.first + drawn.size > self.split.rare + self.split.common,
        )

    @functools.cached_property
    def _orders(self) -> Bool[np.ndarray, "orders context"]:
        """Where in the context the distractors stand."""
        context = 2 * self.kind.shots
        chosen = list(itertools.combinations(range(context), self.kind.shots))
        return np.array([[place not in of_query for place in range(context)] for of_query in chosen])

    @functools.cached_property
    def _list(self) -> Int[np.ndarray, " all"]:
        return np.argsort(uniform_rows(self.seed, self.stream, np.arange(len(self)), width=1)[:, 0], kind="stable")

    @property
    def _label_choices(self) -> int:
        return len(self.kind.labels.pairs) if isinstance(self.kind.labels, PairLabels) else 1

    def __len__(self) -> int:
        size, shots = self._pattern.classes.size, self.kind.shots
        return size * (size - 1) * math.comb(2 * shots, shots) * self._label_choices

    @property
    def num_labels(self) -> int:
        """V, the number of outputs that a model of these labels needs."""
        return self.kind.labels.num_labels(self.split)

    @property
    def block_size(self) -> int:
        """How many sequences are best made in one call."""
        return 512

    def sample(self, indices: Integer[np.ndarray, " B"]) -> Batch:
        """Return the sequences with these indices, as ``SequenceSampler.sample`` does; after the last comes the first.

        Args:
          indices: at least 0; len(self) of them in a row have every sequence once.
        """
        indices = checked_indices(indices)
        rest, pair = np.divmod(self._list[indices % len(self)], self._label_choices)
        of_classes, order = np.divmod(rest, len(self._orders))
        draws = dataclasses.replace(self._draws, positions=self._draws.positions[of_classes])
        # PairLabels takes the pair whose part of the unit interval a number lies in: here, the middle of each.
        chosen = np.repeat((pair[:, None] + 0.5) / self._label_choices, 2, axis=1)
        labels = labels_of(self.kind.labels, draws, chosen)
        slots = np.concatenate([self._orders[order], np.zeros((len(indices), 1), bool)], axis=1).astype(np.int64)
        positions = np.take_along_axis(draws.positions, slots, axis=1)
        return {
            "classes": self.split.classes[positions].astype(np.int32),
            "exemplars": np.zeros(slots.shape, np.int32),
            "labels": np.take_along_axis(labels, slots, axis=1).astype(np.int32),
            "is_rare": positions < self.split.rare,
            "index": indices,
            "random_key": random_keys(self.seed, f"{self.stream} items", indices),
        }
