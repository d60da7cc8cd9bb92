"""Sequences about two classes, the query's and another, as work on when in-context learning comes and goes has them."""

import dataclasses

from icl_data.checks import check_whole
from icl_data.sequences.exemplars import Exemplars
from icl_data.sequences.labels import Labelling, Ordered
from icl_data.sequences.pattern import Mixture, Pattern, distribution_of
from icl_data.sequences.split import ClassSet, ClassSplit


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithDistractor:
    """``shots`` items of the query's class, as many of a *distractor*, and fillers: ``d a c d f a (a)``.

    The query's class is drawn first, by the weights of its set, and the distractor is any other class by the same
    weights. The labels make of it training or an evaluation:

    - ``Ordered()``: training (*train*);
    - ``PairLabels(pairs=((0, 1), (1, 0)))``: only the context tells the label (*ICL*); with the pairs of
      ``label_pairs`` this is *ICL-only* training;
    - ``Exchanged()``: context and weights say different things (*flip*).

    Beside them stand ``LabelElsewhere(distinct_fillers=True)`` (*CIWL*: the label can be copied, but no class says from
    where) and ``NoSupport(distinct_fillers=True)`` (*pure IWL*).

    Attributes:
      classes: the set that all items are drawn from.
      shots: items of either class in the context, the burstiness B.
      exemplars: as in ``Pattern``; in the papers ``"with_replacement"`` or ``"matched"``.
      distinct_fillers: whether fillers are all of different classes, and of neither of the two; otherwise any.
      label_noise: probability, for each context item, that it is labelled as another class is.
      labels: how the items are labelled.

    Source: Singh et al. (2023, 2024, 2025), arXiv 2311.08360, 2404.07129 and 2503.05631.

    >>> ((_, pattern),) = WithDistractor(shots=3).mixture(ClassSplit(num_classes=20, rare=20), 9)
    >>> pattern.ways, pattern.shots, pattern.fillers, pattern.exemplars
    (2, 3, 2, 'with_replacement')
    """

    classes: ClassSet = "zipfian"
    shots: int = 1
    exemplars: Exemplars = "with_replacement"
    distinct_fillers: bool = False
    label_noise: float = 0.0
    labels: Labelling = Ordered()

    def __post_init__(self) -> None:
        check_whole("shots", self.shots, least=1)

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the one pattern of sequences of at least 2 * shots + 1 items over the classes of ``split``."""
        fillers = length - 2 * self.shots - 1
        if fillers < 0:
            raise ValueError(
                f"A sequence with {self.shots} shots of two classes and a query needs at least {2 * self.shots + 1} "
                f"items, got length={length}; raise it or lower shots."
            )
        classes = distribution_of(split, self.classes, different=2 + fillers * self.distinct_fillers)
        pattern = Pattern(
            classes=classes,
            others=classes,
            query="first_burst",
            labels=self.labels,
            ways=2,
            shots=self.shots,
            fillers=fillers,
            distinct_fillers=self.distinct_fillers,
            avoid="bursts" if self.distinct_fillers else "nothing",
            exemplars=self.exemplars,
            label_noise=self.label_noise,
        )
        return ((1.0, pattern),)
