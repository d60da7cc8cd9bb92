"""Streams: the batches of an experiment by name, those of training shared out among hosts."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import grain

from icl_data import BatchSource, batches
from icl_data.source import check_bank
from icl_lab.experiment import Config, Experiment

TRAIN = "train"
"""The stream that is trained on; all others are evaluated on, whole on every host."""


def make_streams(
    experiment: Experiment[Config], config: Config, *, shard: tuple[int, int] = (0, 1)
) -> dict[str, grain.IterDataset[Any]]:
    """Return the batches of a configuration, by the name of their stream: as numbers, where there is a bank.

    Args:
      experiment: whose samplers make them.
      config: of the run, or of a member of an ensemble.
      shard: which part of the rows of a training batch this host has, of how many.

    Raises:
      ValueError: a bank that a sampler does not draw from.
    """
    samplers = experiment.samplers(config)
    if experiment.bank is not None:
        for sampler in samplers.values():
            check_bank(experiment.bank, sampler)
    return {
        name: batches(
            BatchSource(
                sampler=sampler,
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
