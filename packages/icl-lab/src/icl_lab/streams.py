"""Streams: the batches of an experiment by name, those of training shared out among hosts."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import grain
import jax
from jax.sharding import Mesh
from jaxtyping import PyTree

import icl_train as training
from icl_data import BatchSource, ExemplarBank, Expandable, NumbersOf, Sampler, batches
from icl_data.device_bank import bank_arrays
from icl_lab.config import ExperimentConfig

TRAIN = "train"
"""The stream that is trained on; all others are evaluated on, whole on every host."""


def make_streams(
    samplers: Mapping[str, Sampler], config: ExperimentConfig, *, shard: tuple[int, int] = (0, 1)
) -> dict[str, grain.IterDataset[Any]]:
    """Return the batches of a configuration, by the name of their stream: as numbers, where those can be expanded.

    Args:
      samplers: what makes them, by the same names.
      config: of the run, or of a member of an ensemble.
      shard: which part of the rows of a training batch this host has, of how many.
    """
    return {
        name: batches(
            BatchSource(
                sampler=NumbersOf(sampler) if isinstance(sampler, Expandable) else sampler,
                bank=None,
                batch_size=config.data.batch_size if name == TRAIN else config.eval.batch_size,
                shard=shard[0] if name == TRAIN else 0,
                shard_count=shard[1] if name == TRAIN else 1,
            ),
        )
        for name, sampler in samplers.items()
    }


@dataclasses.dataclass(frozen=True)
class Expanded:
    """Batches with the arrays that their numbers mean, which are made on the devices; anew each time it is iterated.

    Attributes:
      numbers: a stream.
      expand: from a batch of it to the arrays that are new or changed.
    """

    numbers: Iterable[Mapping[str, Any]]
    expand: Callable[[Mapping[str, Any]], Mapping[str, Any]]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the batches. Their numbers stay on the host, where measures read them without a wait."""
        for numbers in self.numbers:
            yield {**numbers, **self.expand(numbers)}


class Kept:
    """Batches that are made when they are first asked for, and kept for whoever iterates next.

    Args:
      batches: any iterable; it is iterated once.

    >>> kept = Kept(map(print, "ab"))
    >>> next(iter(kept)), next(iter(kept))
    a
    (None, None)
    """

    def __init__(self, batches: Iterable[Mapping[str, Any]]) -> None:
        """Make nothing yet."""
        self._made: list[Mapping[str, Any]] = []
        self._rest = iter(batches)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Yield those that were made, then others."""
        for place in itertools.count():
            if place == len(self._made):
                try:
                    self._made.append(next(self._rest))
                except StopIteration:
                    return
            yield self._made[place]


def arrays_of(resident: Any) -> PyTree:
    """Return the arrays of what numbers are expanded with: of a bank those of an `icl_data.device_bank.DeviceBank`."""
    return bank_arrays(resident) if isinstance(resident, ExemplarBank) else resident


class OnDevices:
    """What numbers are expanded with, put on the devices once for all samplers that have the same `resident`.

    Args:
      mesh: whose devices each have all of it; None for where JAX puts things.
    """

    def __init__(self, mesh: Mesh | None) -> None:
        """Put nothing there yet."""
        self._mesh = mesh
        self._there: dict[int, tuple[Any, Any]] = {}  # by the identity of what must live as long, and is kept beside it

    def __call__(self, resident: Any) -> PyTree:
        """Return the arrays of a resident on the devices; those of a bank as an `icl_data.device_bank.DeviceBank`."""

        def put() -> PyTree:
            return jax.tree.map(self._array, arrays_of(resident))

        return self._once(resident, put)

    def _array(self, array: Any) -> Any:
        """Return an array there: views of one bank share their items."""

        def put() -> Any:
            return jax.device_put(array) if self._mesh is None else training.put_whole(array, self._mesh)

        return self._once(array, put)

    def _once(self, kept: Any, make: Callable[[], Any]) -> Any:
        if id(kept) not in self._there:
            self._there[id(kept)] = kept, make()
        return self._there[id(kept)][1]


@functools.lru_cache
def compiled_expand(expand: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]) -> Callable[..., Mapping[str, Any]]:
    """Return a compiled function (resident, numbers) to the arrays that are new or changed; equal ones share it."""

    def changed(resident: Any, numbers: Mapping[str, Any]) -> dict[str, Any]:
        batch = expand(resident, numbers)
        return {name: values for name, values in batch.items() if values is not numbers.get(name)}

    return jax.jit(changed)
