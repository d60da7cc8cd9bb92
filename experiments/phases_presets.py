"""The configuration of experiments/phases.py: a grid of gpicl runs, its groups and their members."""

import dataclasses
import hashlib
import itertools
from typing import Literal, get_args

import members
from gpicl_presets import PRESETS as GPICL
from gpicl_presets import GpiclConfig, Trunk
from icl_train import EnsembleConfig, TrainConfig

Axis = Literal["width", "trunk", "batch_size", "eps", "identity"]
AXES: tuple[Axis, ...] = get_args(Axis)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridConfig:
    """What the runs differ in: all combinations, each with several seeds."""

    num_tasks: tuple[int, ...] = (2**2, 2**4, 2**6, 2**8, 2**10, 2**12)
    """Sizes of the pool of tasks."""

    width: tuple[int, ...] = ()
    """Widths of the model; none for model.width alone. A width is a group: its members are trained in one program."""

    trunk: tuple[Trunk, ...] = ()
    """Trunks; none for model.trunk alone. Each is a group."""

    batch_size: tuple[int, ...] = ()
    """Batch sizes; none for data.batch_size alone. Each is a group."""

    eps: tuple[float, ...] = ()
    """Adam's epsilons; none for optimizer.eps alone."""

    identity: tuple[float, ...] = ()
    """Shares of sequences with fixed labels; none for data.identity alone."""

    seeds: int = 2
    """Runs of each combination, with seeds from train.seed on."""

    def __post_init__(self) -> None:
        """Check that there is something to run, and nothing twice."""
        if self.seeds < 1 or not self.num_tasks:
            raise ValueError(f"grid wants at least one seed and one num_tasks, got {self.seeds} and {self.num_tasks}.")
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            if isinstance(values, tuple) and len(set(values)) < len(values):
                raise ValueError(f"grid.{field.name} wants each value once, got {values}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhasesConfig(GpiclConfig):
    """A grid of runs of experiments/gpicl.py; what the grid does not vary is as here."""

    grid: GridConfig = GridConfig()

    def __post_init__(self) -> None:
        """Refuse what the grid decides."""
        super().__post_init__()
        if self.train.ensemble.members != 1 or self.start_from is not None or self.data.num_tasks is not None:
            raise ValueError("train.ensemble.members, start_from and data.num_tasks are not for a grid; see --grid.")
        if self.mode != "both":
            raise ValueError("A grid is trained and evaluated in one go; leave --mode out.")

    def groups(self) -> list["Group"]:
        """List the groups, each of runs whose shapes are alike."""
        grid = self.grid
        return [
            self._group(trunk, width, batch_size)
            for trunk, width, batch_size in itertools.product(
                grid.trunk or (self.model.trunk,),
                grid.width or (self.model.width,),
                grid.batch_size or (self.data.batch_size,),
            )
        ]

    def _group(self, trunk: Trunk, width: int, batch_size: int) -> "Group":
        grid = self.grid
        combinations = list(
            itertools.product(
                grid.num_tasks,
                grid.eps or (self.optimizer.eps,),
                grid.identity or (self.data.identity,),
                range(self.train.seed, self.train.seed + grid.seeds),
            )
        )
        # Other members make another folder, so that a second command can add to the first one's runs.
        digest = hashlib.sha256(repr(combinations).encode()).hexdigest()[:6]
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(GpiclConfig)}
        # Options of the Transformer alone are passed over by other trunks.
        key_size = self.model.key_size if trunk == "transformer" else None
        base = GpiclConfig(**fields | {
            "data": dataclasses.replace(self.data, batch_size=batch_size),
            "model": dataclasses.replace(self.model, trunk=trunk, width=width, key_size=key_size),
            "workdir": self.workdir / "groups" / f"{trunk}-width-{width}-batch-{batch_size}-{digest}",
        })  # fmt: skip
        runs = [
            dataclasses.replace(
                base,
                data=dataclasses.replace(base.data, num_tasks=tasks, identity=identity),
                optimizer=dataclasses.replace(self.optimizer, eps=eps),
                train=dataclasses.replace(self.train, seed=seed),
            )
            for tasks, eps, identity, seed in combinations
        ]
        if len(runs) == 1:
            return Group(runs[0], runs)
        ensemble = EnsembleConfig(members=len(runs), on_device=self.train.ensemble.on_device)
        config = dataclasses.replace(base, train=dataclasses.replace(self.train, ensemble=ensemble))
        return Group(config, members.in_folders(config, runs))


def settings_of_all(config: GpiclConfig) -> GpiclConfig:
    """Blot out what the runs of a grid may differ in, and what makes no other model."""
    plain, train = GpiclConfig(), TrainConfig()
    names = "seed ensemble steps_per_dispatch log_every checkpoint_every checkpoint_minutes keep_checkpoints keep_every"
    free = {name: getattr(train, name) for name in [*names.split(), "profile", "tensorboard"]}
    return dataclasses.replace(
        plain,
        data=dataclasses.replace(config.data, num_tasks=None, identity=0.0, batch_size=1),
        model=dataclasses.replace(config.model, trunk="transformer", width=1, key_size=None),
        optimizer=dataclasses.replace(config.optimizer, eps=1.0),
        train=dataclasses.replace(config.train, **free),
    )


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that are trained together.

    Attributes:
      config: of their ensemble.
      members: of each run.
    """

    config: GpiclConfig
    members: list[GpiclConfig]


def _grid_of(base: GpiclConfig, **changes: object) -> PhasesConfig:
    fields = {field.name: getattr(base, field.name) for field in dataclasses.fields(GpiclConfig)}
    return PhasesConfig(**fields | changes)


_LAPTOP = _grid_of(
    GPICL["laptop"],
    grid=GridConfig(width=(16, 32, 64)),
    train=dataclasses.replace(GPICL["laptop"].train, steps=1_200),
    eval=dataclasses.replace(GPICL["laptop"].eval, every=1_200, final_count=1_024, baseline_count=0, elsewhere=False),
)

PRESETS = {
    "laptop": _LAPTOP,
    # The paper has widths of 2 to 512 and pools of 1 to 2**24 tasks.
    "paper": _grid_of(
        dataclasses.replace(GPICL["paper"], data=dataclasses.replace(GPICL["paper"].data, num_tasks=None)),
        grid=GridConfig(num_tasks=tuple(2**power for power in range(0, 25, 2)), width=(4, 16, 64, 256, 512), seeds=5),
    ),
}
