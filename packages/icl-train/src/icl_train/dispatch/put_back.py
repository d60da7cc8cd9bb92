"""An iterator of batches into which what was taken too soon can be put back."""

import copy
from typing import Any

from icl_train.types import Batch, Batches


class PutBack:
    """Batches that are taken ahead of the steps that they are for: the last one, or its error, can wait.

    Args:
        batches: Where they come from.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._held: tuple[Any, Batch | Exception] | None = None  # where the iterator was before it, and it

    def __next__(self) -> Batch:
        """Return the batch that was put back, or the next one; raise the error that was put back."""
        if self._held is None:
            return next(self._batches)
        (_, held), self._held = self._held, None
        if isinstance(held, Exception):
            raise held
        return held

    def put_back(self, position: Any, held: Batch | Exception) -> None:
        """Take back a batch, or the error that came in its place, and where the iterator was before it."""
        self._held = position, held

    def get_state(self) -> Any:
        """Return a copy of the position, before what was put back."""
        return copy.deepcopy(self._batches.get_state() if self._held is None else self._held[0])

    def set_state(self, state: Any) -> None:
        """Go to a position; what was put back is forgotten."""
        self._held = None
        self._batches.set_state(state)
