"""What the caller supplies: how a model begins, what it is trained on, and where its batches come from."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Array, PyTree

Batch: TypeAlias = Mapping[str, np.ndarray]
"""Named NumPy arrays that share a leading dimension B: {'inputs': [B, ...], 'targets': [B, ...]}."""

Init: TypeAlias = Callable[[Array], tuple[PyTree, PyTree]]
"""``init(rng) -> (params, model_state)``; pure. A model without state (no batch statistics) gives ``{}``."""

LossFunction: TypeAlias = Callable[[PyTree, PyTree, Array, Any], tuple[Array, tuple[Mapping[str, Array], PyTree]]]
"""``loss_fn(params, model_state, rng, batch) -> (loss, (metrics, model_state))``; pure.

The loss is a float scalar, the mean over the batch. Metrics are scalars by name; they are logged as they are.
"""

Expand: TypeAlias = Callable[[PyTree, Any], Mapping[str, Array]]
"""``expand(resident, numbers) -> batch``; pure, and run on the devices.

``numbers`` is what the iterator of batches gave, and the batch what ``loss_fn`` reads; ``resident`` are arrays that
stay on the devices for the whole run, such as a data set. So only numbers travel there, and not what they mean.
"""


@runtime_checkable
class Batches(Protocol):
    """An endless iterator of batches that can say where it is and go back there.

    A Grain ``DatasetIterator`` is one, and so is ``iter(grain.DataLoader(...))``. Equal states must be followed by
    equal batches: exact resuming rests on it.
    """

    def __next__(self) -> Batch:
        """Return the next batch."""

    def get_state(self) -> Any:
        """Return the position, after the last batch that was returned.

        Any JSON value, as Grain's data sets give; bytes, as the iterator of a ``grain.DataLoader`` gives; numbers,
        arrays of NumPy, and tuples. `set_state` is given an equal one of the same type.
        """

    def set_state(self, state: Any) -> None:
        """Go to a position that `get_state` gave, perhaps in another process."""
