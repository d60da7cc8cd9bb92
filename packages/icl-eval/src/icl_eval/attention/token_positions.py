"""Token positions: which tokens of a sequence model hold the items, and which show their labels."""

import dataclasses
import itertools
import operator
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class TokenPositions:
    """Where the items and labels of a sequence stand among its tokens. The query's token is the last.

    Attributes:
      items: which token holds item j, in rising order; the last is the query's.
      labels: which token shows the label of context item j, in rising order; one fewer than items, as nothing shows
        the query's. A token may hold an item and show a label, its own or that of the item before.

    >>> TokenPositions(items=range(0, 17, 2), labels=range(1, 16, 2)).length  # item, label, item, ..., query
    17
    """

    items: Sequence[int]
    labels: Sequence[int]

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


def _whole(name: str, tokens: Sequence[Any]) -> tuple[int, ...]:
    """Return the tokens as Python integers."""
    try:
        whole = tuple(operator.index(token) for token in tokens)
    except TypeError:
        whole = (-1,)
    if any(token < 0 for token in whole) or any(one >= two for one, two in itertools.pairwise(whole)):
        raise ValueError(f"{name} must be whole numbers of 0 or more in rising order, got {list(tokens)}.")
    return whole
