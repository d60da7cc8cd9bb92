"""Training sequences in which classes come in bursts."""

import dataclasses
from typing import Literal

from icl_data.checks import check_choice, check_probability, check_whole
from icl_data.sequences.exemplars import Exemplars
from icl_data.sequences.kinds.iid import Iid
from icl_data.sequences.kinds.no_support import NoSupport
from icl_data.sequences.labels import Labelling, Ordered
from icl_data.sequences.pattern import Mixture, Pattern, SequenceKind, distribution_of
from icl_data.sequences.split import ClassSet, ClassSplit

NonBursty = Literal["zipfian", "common", "common_no_support"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bursty:
    """A few-shot problem among other items, ``a b a c b d b a (b)``, or a sequence without bursts.

    A bursty sequence has ``shots`` items of each of ``ways`` different classes, the query's among them, and fillers,
    all context shuffled together. There are three sorts, by where classes and fillers are drawn from: zipfian and
    zipfian (a filler may then be of a burst class by chance), common and rare, or rare and common.

    Attributes:
      p_bursty: probability of a bursty sequence, in [0, 1].
      shots: items of each burst class in the context.
      ways: number of burst classes.
      p_bursty_zipfian: the share of bursty sequences with zipfian classes and fillers.
      p_bursty_common: the share with common classes and rare fillers; the rest has rare classes, common fillers.
      non_bursty: what other sequences are: zipfian or common classes drawn alike, or common no-support sequences.
      distinct_ways: draw ``ways`` different burst classes; otherwise with replacement, as the original code did: under
        Zipf's law with exponent 1 the two are the same in 3 % of its sequences, with exponent 2 in 40 %.
      exemplars: as in ``Pattern``: ``"matched"`` repeats one item of each burst class, as the query (the same exemplar
        of Bratulic et al. 2025, arXiv 2501.06256).
      label_noise: probability, for each context item, that it is labelled as another class of the fillers' set is.
      labels: how the items are labelled.

    >>> mixture = Bursty(p_bursty=0.75).mixture(ClassSplit(num_classes=20, rare=20), 9)
    >>> [(share, pattern.ways, pattern.fillers) for share, pattern in mixture]
    [(0.75, 2, 2), (0.25, 0, 8)]
    """

    p_bursty: float = 0.9
    shots: int = 3
    ways: int = 2
    p_bursty_zipfian: float = 1.0
    p_bursty_common: float = 0.0
    non_bursty: NonBursty = "zipfian"
    distinct_ways: bool = True
    exemplars: Exemplars = "distinct"
    label_noise: float = 0.0
    labels: Labelling = Ordered()

    def __post_init__(self) -> None:
        check_whole("shots", self.shots, least=1)
        check_whole("ways", self.ways, least=1)
        for name in ("p_bursty", "p_bursty_zipfian", "p_bursty_common"):
            check_probability(name, getattr(self, name))
        check_choice("non_bursty", self.non_bursty, NonBursty)
        if self.p_bursty_zipfian + self.p_bursty_common > 1:
            raise ValueError(
                "p_bursty_zipfian and p_bursty_common are shares of the bursty sequences, and can add up to at most 1, "
                f"got {self.p_bursty_zipfian} and {self.p_bursty_common}."
            )

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the patterns of sequences of at least shots * ways + 1 items over the classes of ``split``."""
        rest = round(1 - self.p_bursty_zipfian - self.p_bursty_common, 12)  # 1 - 0.7 - 0.3 is not quite 0
        sorts: tuple[tuple[float, ClassSet, ClassSet], ...] = (
            (self.p_bursty_zipfian, "zipfian", "zipfian"),
            (self.p_bursty_common, "common", "rare"),
            (rest, "rare", "common"),
        )
        others: dict[NonBursty, SequenceKind] = {
            "zipfian": Iid(classes="zipfian", labels=self.labels),
            "common": Iid(classes="common", labels=self.labels),
            "common_no_support": NoSupport(classes="common", labels=self.labels),
        }
        parts = [
            (self.p_bursty * share, self._bursty(split, length, classes, fillers))
            for share, classes, fillers in sorts
            if self.p_bursty * share > 0
        ]
        if self.p_bursty < 1:
            parts.append((1 - self.p_bursty, others[self.non_bursty].mixture(split, length)[0][1]))
        return tuple(
            (share, dataclasses.replace(pattern, exemplars=self.exemplars, label_noise=self.label_noise))
            for share, pattern in parts
        )

    def _bursty(self, split: ClassSplit, length: int, classes: ClassSet, fillers: ClassSet) -> Pattern:
        """Return the pattern of bursts of one set among fillers of another."""
        needed = self.shots * self.ways + 1
        if length < needed:
            raise ValueError(
                f"A sequence with {self.shots} shots of {self.ways} ways and a query needs at least {needed} items, "
                f"got length={length}; raise it or lower shots or ways."
            )
        burst_classes = distribution_of(split, classes, different=self.ways if self.distinct_ways else 1)
        return Pattern(
            classes=burst_classes,
            others=distribution_of(split, fillers) if length > needed or self.label_noise else burst_classes,
            query="burst",
            labels=self.labels,
            ways=self.ways,
            shots=self.shots,
            fillers=length - needed,
            distinct_ways=self.distinct_ways,
        )
