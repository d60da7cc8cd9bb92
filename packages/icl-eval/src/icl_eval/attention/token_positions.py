"""Token places: which tokens of a sequence model hold the items, and which show their labels."""

import dataclasses
import itertools
import operator
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class TokenPlaces:
    """Where the items and labels of a sequence stand among its tokens. The query's token is the last.

    Attributes:
      items: which token holds item j, in rising order; the last is the query's.
      labels: which token shows the label of context item j, in rising order; one fewer than items, as nothing shows
        the query's. A token may hold an item and show a label, its own or that of the item before.

    Raises:
      ValueError: if there are not two items or more with a label for each but the last, or if the tokens are not
        whole numbers of 0 or more in rising order, none of them after the query's.

    >>> TokenPlaces(items=(1, 3), labels=(2,)).length  # token 0 marks the beginning
    4
    """

    items: tuple[int, ...]
    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        items, labels = _whole("items", self.items), _whole("labels", self.labels)
        if len(items) < 2 or len(labels) != len(items) - 1:
            raise ValueError(
                "Wanted tokens of 2 or more items, the query last, and of the label of each but the query, "
                f"got {len(items)} items and {len(labels)} labels."
            )
        if labels[-1] > items[-1]:
            raise ValueError(f"The query's token must be the last, got label token {labels[-1]} after {items[-1]}.")
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "labels", labels)

    @property
    def length(self) -> int:
        """T, the number of tokens."""
        return self.items[-1] + 1

    @classmethod
    def interleaved(cls, items: int) -> "TokenPlaces":
        """Return the places of item, label, item, label, ..., query: 2 S - 1 tokens (Chan et al. 2022, figure 1).

        >>> TokenPlaces.interleaved(3)
        TokenPlaces(items=(0, 2, 4), labels=(1, 3))
        """
        return cls(tuple(range(0, 2 * items, 2)), tuple(range(1, 2 * items - 1, 2)))

    @classmethod
    def concatenated(cls, items: int) -> "TokenPlaces":
        """Return the places of items side by side with their labels: S tokens (Chan et al. 2022, appendix).

        >>> TokenPlaces.concatenated(3)
        TokenPlaces(items=(0, 1, 2), labels=(0, 1))
        """
        return cls(tuple(range(items)), tuple(range(items - 1)))

    @classmethod
    def previous_label(cls, items: int) -> "TokenPlaces":
        """Return the places of items that come with the label of the item before: S tokens (Kirsch et al. 2022).

        >>> TokenPlaces.previous_label(3)
        TokenPlaces(items=(0, 1, 2), labels=(1, 2))
        """
        return cls(tuple(range(items)), tuple(range(1, items)))


def _whole(name: str, tokens: Sequence[Any]) -> tuple[int, ...]:
    """Return the tokens as Python integers."""
    try:
        whole = tuple(operator.index(token) for token in tokens)
    except TypeError:
        whole = (-1,)
    if any(token < 0 for token in whole) or any(one >= two for one, two in itertools.pairwise(whole)):
        raise ValueError(f"{name} must be whole numbers of 0 or more in rising order, got {list(tokens)}.")
    return whole
