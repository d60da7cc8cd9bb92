"""The configuration of phases: a grid of gpicl runs."""

import dataclasses
import itertools
from typing import Literal, get_args

import icl_lab as lab
from experiments.gpicl.config import PRESETS as GPICL
from experiments.gpicl.config import GpiclConfig

Axis = Literal["width", "trunk", "batch_size", "eps", "p_identity"]
AXES: tuple[Axis, ...] = get_args(Axis)

OPTIONS: dict[str, str] = {
    "num_tasks": "data.num_tasks",
    "width": "model.width",
    "trunk": "model.trunk",
    "batch_size": "data.batch_size",
    "eps": "optimizer.eps",
    "p_identity": "data.p_identity",
}
"""The option that each field of a grid sets."""

VARIED = (*OPTIONS.values(), "model.key_size")
"""Options in which the runs of a folder may differ."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridConfig:
    """What the runs differ in: all combinations, each with several seeds.

    Attributes:
      num_tasks: Sizes of the pool of tasks.
      width: Widths of the model; none for model.width alone. A width is a group: its members are trained in one
        program.
      trunk: Trunks; none for model.trunk alone. Each is a group.
      batch_size: Batch sizes; none for data.batch_size alone. Each is a group.
      eps: Adam's epsilons; none for optimizer.eps alone.
      p_identity: Shares of sequences with fixed labels; none for data.p_identity alone.
      seeds: Runs of each combination, with seeds from train.seed on.
    """

    num_tasks: tuple[int, ...] = (2**2, 2**4, 2**6, 2**8, 2**10, 2**12)
    width: tuple[int, ...] = ()
    trunk: tuple[lab.TrunkName, ...] = ()
    batch_size: tuple[int, ...] = ()
    eps: tuple[float, ...] = ()
    p_identity: tuple[float, ...] = ()
    seeds: int = 2

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
    """A grid of gpicl runs; what the grid does not vary is as here, and of `GpiclConfig`.

    Attributes:
      grid: What the runs differ in: all combinations, each with several seeds.
    """

    grid: GridConfig = GridConfig()

    def __post_init__(self) -> None:
        """Refuse what the grid decides."""
        super().__post_init__()
        if self.train.ensemble.members != 1 or self.init_from is not None or self.data.num_tasks is not None:
            raise ValueError("train.ensemble.members, init_from and data.num_tasks are not for a grid; see --grid.")
        if self.mode != "both":
            raise ValueError("A grid is trained and evaluated in one go; leave --mode out.")

    def sweep(self) -> lab.Sweep[GpiclConfig]:
        """Return all combinations of the grid, with its seeds."""
        values = {field: getattr(self.grid, field) for field in OPTIONS if getattr(self.grid, field)}
        settings = []
        for combination in itertools.product(*values.values()):
            setting = {OPTIONS[field]: value for field, value in zip(values, combination, strict=True)}
            if setting.get("model.trunk", self.model.trunk) != "transformer":
                setting["model.key_size"] = None  # an option of the Transformer alone
            settings.append(setting)
        base = lab.as_type(self, GpiclConfig, report=False, preset=None)
        return lab.Sweep(base=base, settings=tuple(settings), seeds=self.grid.seeds)


_LAPTOP = lab.as_type(
    GPICL["laptop"],
    PhasesConfig,
    grid=GridConfig(width=(16, 32, 64)),
    train=dataclasses.replace(GPICL["laptop"].train, steps=1_200),
    eval=dataclasses.replace(
        GPICL["laptop"].eval, every=1_200, final_count=1_024, baseline_count=0, other_datasets=False
    ),
)

PRESETS = {
    "laptop": _LAPTOP,
    # The paper has widths of 2 to 512 and pools of 1 to 2**24 tasks.
    "paper": lab.as_type(
        dataclasses.replace(GPICL["paper"], data=dataclasses.replace(GPICL["paper"].data, num_tasks=None)),
        PhasesConfig,
        grid=GridConfig(num_tasks=tuple(2**power for power in range(0, 25, 2)), width=(4, 16, 64, 256, 512), seeds=5),
    ),
}
