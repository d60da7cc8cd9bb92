"""The members of an ensemble that differ in their seeds."""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar

from icl_train import EnsembleConfig, HostsConfig, MeshConfig, member_folder

Config = TypeVar("Config", bound=Any)


def check_alone(config: Any) -> None:
    """Refuse an ensemble on several hosts or a mesh, or one that starts from another run."""
    if config.train.ensemble.members > 1 and (
        config.hosts != HostsConfig() or config.train.mesh != MeshConfig() or config.start_from is not None
    ):
        raise ValueError("train.ensemble.members above 1 is for one host, no mesh and no start_from.")


def by_seed(config: Config) -> list[Config]:
    """Give the configuration of each member, with seeds from ``train.seed`` on; of a lone model, itself."""
    count = config.train.ensemble.members
    if count == 1:
        return [config]
    first = config.train.seed
    alone = [
        dataclasses.replace(
            config, train=dataclasses.replace(config.train, seed=first + number, ensemble=EnsembleConfig())
        )
        for number in range(count)
    ]
    return in_folders(config, alone)


def in_folders(config: Any, members: Iterable[Config]) -> list[Config]:
    """Give each member its folder within that of the ensemble."""
    return [
        dataclasses.replace(member, workdir=member_folder(config.workdir, number))
        for number, member in enumerate(members)
    ]
