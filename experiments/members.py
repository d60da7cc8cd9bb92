"""What experiments on tasks share: the members of an ensemble, which differ in their seeds, and when to evaluate."""

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar

from icl_train import EnsembleConfig, HostsConfig, MeshConfig, member_folder

Config = TypeVar("Config", bound=Any)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """When and on how many tasks to evaluate."""

    every: int
    """Steps between evaluations during training."""

    count: int
    """Tasks of each evaluation during training."""

    final_count: int
    """Tasks of each evaluation of the trained model."""

    baseline_count: int
    """Tasks, of those, that baselines are asked about at the end; 0 for no baselines. With baselines, known families of
    functions are evaluated on as many, so that model and baselines are compared on the same."""

    batch_size: int = 256
    """Tasks that are evaluated at once."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        numbers = self.every, self.count, self.final_count, self.batch_size
        if min(numbers) < 1 or self.baseline_count < 0:
            raise ValueError(
                "eval.every, eval.count, eval.final_count and eval.batch_size must be at least 1, and "
                f"eval.baseline_count at least 0, got {', '.join(map(str, numbers))} and {self.baseline_count}."
            )


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
