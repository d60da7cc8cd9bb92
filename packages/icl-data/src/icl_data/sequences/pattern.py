"""The one builder of sequences: which classes stand where. The query is the last of the S items."""

import dataclasses
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Int32, UInt64

from icl_data.checks import check_choice, check_probability
from icl_data.draws import shuffled
from icl_data.sequences.exemplars import Exemplars, choose_exemplars, nth_place
from icl_data.sequences.labels import Draws, Labelling
from icl_data.sequences.split import ClassDistribution, ClassSet, ClassSplit

Query = Literal["burst", "first_burst", "filler", "absent"]
Avoid = Literal["nothing", "query", "bursts"]

_NO_CLASS = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pattern:
    """What every kind of sequence is made of: bursts, fillers and a query.

    A sequence has D draws of a class: the burst classes, the fillers and, unless it is of a burst class, the query.

    Attributes:
      classes: what the burst classes are drawn from.
      others: what fillers, and a query that is not of a burst class, are drawn from.
      query: ``"burst"``: one of the burst classes; ``"first_burst"``: the one that is drawn first, so that the weights
        themselves say how often each class is asked for; ``"filler"``: one more filler; ``"absent"``: of a class that
        no context item has.
      labels: how the draws are labelled.
      ways: number of burst classes.
      shots: items of each burst class in the context.
      fillers: further context items.
      distinct_ways: whether the burst classes are all different; otherwise they are drawn with replacement.
      distinct_fillers: whether fillers and query are all of different classes; otherwise with replacement.
      avoid: classes that no filler has: ``"query"``, that of a query of a burst, which then has just ``shots`` items in
        the context; ``"bursts"``, those of all bursts.
      exemplars: ``"distinct"``: items of a class are all different where it has enough; ``"query_repeats_support"``:
        but for the query, which is the same item as one of its burst; ``"with_replacement"``: each is any of its
        class; ``"matched"``: all items of a burst class are one item, the query too; ``"same"``: but for the query,
        which is another where its class has one. With the last two, fillers are any of their class.
      label_noise: probability, for each context item, that it is labelled as another class of ``others`` is.
      grouped: whether each run of ``ways`` items holds every burst class once; otherwise the context is shuffled.

    Raises:
      ValueError: choices that do not go together, or that some sequences may have too few classes for.
    """

    classes: ClassDistribution
    others: ClassDistribution
    query: Query
    labels: Labelling
    ways: int = 0
    shots: int = 0
    fillers: int = 0
    distinct_ways: bool = True
    distinct_fillers: bool = False
    avoid: Avoid = "nothing"
    exemplars: Exemplars = "distinct"
    label_noise: float = 0.0
    grouped: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("query", Query), ("avoid", Avoid), ("exemplars", Exemplars)):
            check_choice(name, getattr(self, name), choices)
        check_probability("label_noise", self.label_noise)
        if self.label_noise and self.others.size < 2:
            raise ValueError(
                f"label_noise={self.label_noise} wants another class to label an item as, but there is one alone; "
                "leave label_noise out, or give the split more classes."
            )
        if self._is_of_burst and not (self.ways and self.shots):
            raise ValueError(f"A query of a burst wants one, got ways={self.ways} and shots={self.shots}.")
        if not self._is_of_burst and (self.avoid == "query" or self.exemplars == "query_repeats_support"):
            raise ValueError(
                'avoid="query" and exemplars="query_repeats_support" are for a query of a burst, got '
                f'query={self.query!r}; a query whose class no context item has is query="absent".'
            )
        first = max(self.classes.first, self.others.first)
        last = min(self.classes.first + self.classes.size, self.others.first + self.others.size)
        in_both = min(self.ways, max(0, last - first))  # burst classes that may be among the others
        fillers = self.fillers + (self.query == "filler")
        needed = {"nothing": 0, "query": min(1, in_both), "bursts": in_both}[self.avoid]
        needed += fillers if self.distinct_fillers else min(1, fillers)
        if self.query == "absent":
            needed = 1 + max(needed, in_both)
        if needed > self.others.size or (self.distinct_ways and self.ways > self.classes.size):
            raise ValueError(
                f"{self.ways} burst classes of {self.classes.size} and up to {needed} different other classes of "
                f"{self.others.size} are wanted in a sequence; lower ways or fillers, or give the split more classes."
            )

    @property
    def num_draws(self) -> int:
        """Number of draws D."""
        return self.ways + self.fillers + (not self._is_of_burst)

    @property
    def _is_of_burst(self) -> bool:
        """Whether the query is of a burst."""
        return self.query in ("burst", "first_burst")

    def draw(self, split: ClassSplit, uniforms: Float[np.ndarray, "B S"], choice: Float[np.ndarray, " B"]) -> Draws:
        """Return the classes of B sequences.

        Args:
          split: what they are classes of.
          uniforms: float64 [B, S] in [0, 1), one for each draw and perhaps more.
          choice: float64 [B] in [0, 1), which decides what the query is of; the same as for ``arrange``.
        """
        positions = np.empty((len(uniforms), self.num_draws), np.int64)
        for way in range(self.ways):
            taken = positions[:, : way if self.distinct_ways else 0]
            positions[:, way] = self.classes.draw(uniforms[:, way], taken)
        bursts, stop = self._each_once(positions[:, : self.ways]), self.num_draws
        avoided = bursts[:, : self.ways if self.avoid == "bursts" else 0]
        if self.query == "absent":
            stop -= 1
            positions[:, stop] = self.others.draw(uniforms[:, stop], bursts)
            avoided = np.concatenate([avoided, positions[:, stop:]], axis=1)
        elif self.avoid == "query":
            avoided = np.take_along_axis(positions, self._way_of_query(choice)[:, None], axis=1)
        if self.distinct_fillers:
            for column in range(self.ways, stop):
                taken = np.concatenate([avoided, positions[:, self.ways : column]], axis=1)
                positions[:, column] = self.others.draw(uniforms[:, column], taken)
        elif stop > self.ways:
            each = np.repeat(avoided, stop - self.ways, axis=0)
            of_others = uniforms[:, self.ways : stop]
            positions[:, self.ways : stop] = self.others.draw(of_others.reshape(-1), each).reshape(of_others.shape)
        used = [self.classes] * self.ways + [self.others] * (self.num_draws - self.ways)
        return Draws(
            split=split,
            positions=positions,
            set_starts=np.array([distribution.first for distribution in used]),
            ways=self.ways,
            from_holdout=any(each.first + each.size > split.rare + split.common for each in used),
        )

    def _each_once(self, bursts: Int[np.ndarray, "B ways"]) -> Int[np.ndarray, "B ways"]:
        """Return the burst classes with no class in place of one that came before."""
        if self.distinct_ways:
            return bursts
        again = np.triu(bursts[:, :, None] == bursts[:, None, :], 1).any(axis=1)
        return np.where(again, _NO_CLASS, bursts)

    def _way_of_query(self, choice: Float[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        """Return which burst the query is of."""
        return (choice * (1 if self.query == "first_burst" else self.ways)).astype(np.int64)

    def arrange(
        self, words: UInt64[np.ndarray, "B context"], choice: Float[np.ndarray, " B"]
    ) -> Int[np.ndarray, "B S"]:
        """Return which draw each item is of, 0..D-1: the context by random words, the query by ``choice``."""
        fillers = np.arange(self.ways, self.ways + self.fillers)
        if self.grouped:
            context = shuffled(words.reshape(-1, self.ways), np.arange(self.ways)).reshape(words.shape)
        else:
            context = shuffled(words, np.concatenate([np.repeat(np.arange(self.ways), self.shots), fillers]))
        last = np.full(len(words), self.num_draws - 1)
        query = self._way_of_query(choice) if self._is_of_burst else last
        slots = np.concatenate([context, query[:, None]], axis=1)
        if self.distinct_fillers and self.query == "filler":
            # Without replacement the frequent classes come first: the query, drawn last, changes places with any.
            rows, places = np.arange(len(words)), nth_place(slots >= self.ways, choice * (self.fillers + 1))
            slots[:, -1], slots[rows, places] = slots[rows, places], slots[:, -1].copy()
        return slots

    def choose_exemplars(
        self,
        uniforms: Float[np.ndarray, "B S"],
        *,
        slots: Int[np.ndarray, "B S"],
        positions: Int[np.ndarray, "B S"],
        counts: Int[np.ndarray, "B S"],
    ) -> Int32[np.ndarray, "B S"]:
        """Return which exemplar of its class each item is.

        Args:
          uniforms: float64 [B, S] in [0, 1).
          slots: which draw each item is of, 0..D-1.
          positions: each item's class.
          counts: how many exemplars that class has.
        """
        return choose_exemplars(
            self.exemplars,
            uniforms,
            slots=slots,
            positions=positions,
            counts=counts,
            ways=self.ways,
            shots=self.shots,
        )


Mixture = tuple[tuple[float, Pattern], ...]  # probabilities, which add up to 1, and what is then made


@runtime_checkable
class SequenceKind(Protocol):
    """Any kind of sequence: to make one of your own, write a class with this method."""

    def mixture(self, split: ClassSplit, length: int) -> Mixture:
        """Return the patterns of sequences of ``length`` items over the classes of ``split``, with probabilities.

        Raises:
          ValueError: the split or the length has no room for these sequences.
        """


def distribution_of(split: ClassSplit, class_set: ClassSet, *, different: int = 1) -> ClassDistribution:
    """Return a class set's distribution; refuse a set of fewer classes than a sequence needs ``different`` ones."""
    distribution = split.distribution(class_set)
    if different > distribution.size:
        raise ValueError(
            f"{different} different {class_set} classes are wanted in a sequence, but the split has "
            f"{distribution.size}; lower ways or the length, or give the split more classes."
        )
    return distribution
