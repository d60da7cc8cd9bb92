"""Streams: the batches of an experiment by name, those of training shared out among hosts."""

from typing import Any

import grain

from icl_data import BatchSource, batches
from icl_lab.experiment import Config, Experiment

TRAIN = "train"
"""The stream that is trained on; all others are evaluated on, whole on every host."""


def make_streams(
    experiment: Experiment[Config], config: Config, *, shard: tuple[int, int] = (0, 1)
) -> dict[str, grain.IterDataset[Any]]:
    """Return the batches of a configuration, by the name of their stream.

    Args:
      experiment: whose samplers, bank and transforms make them.
      config: of the run, or of a member of an ensemble.
      shard: which part of the rows of a training batch this host has, of how many.
    """
    return {
        name: batches(
            BatchSource(
                sampler=sampler,
                bank=experiment.bank,
                batch_size=config.data.batch_size if name == TRAIN else config.eval.batch_size,
                shard=shard[0] if name == TRAIN else 0,
                shard_count=shard[1] if name == TRAIN else 1,
            ),
            transforms=tuple(experiment.transforms(config, name)),
        )
        for name, sampler in experiment.samplers(config).items()
    }
