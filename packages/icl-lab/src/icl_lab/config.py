"""What every experiment's configuration has: how it is trained and evaluated, and what its members differ in."""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from icl_lab.interventions.asked import Interventions, interventions_of
from icl_lab.interventions.words import intervention_of, words_of
from icl_lab.session import SessionConfig
from icl_train import HostsConfig, MeshConfig, OptimizerConfig, Spacing, TrainConfig

MUTABLE = (
    *(f"train.{name}" for name in ("steps", "log_every", "checkpoint_every", "checkpoint_minutes", "keep_checkpoints")),
    *(f"train.{name}" for name in ("keep_every", "mesh", "profile", "tensorboard", "steps_per_dispatch")),
    *(f"train.checkpoint_{name}" for name in ("spacing", "moments", "around")),
    "train.stop_after_minutes",
    "eval",
)
"""Options that a run may be resumed with other values of."""


def check_read(part: str, options: Any, read_by: Mapping[str, tuple[str, Collection[str]]]) -> None:
    """Refuse options that nothing would read.

    Args:
      part: what the options are of, such as "data".
      options: a dataclass.
      read_by: of an option, which other option chooses who reads it, and the choices that do.

    Raises:
      ValueError: an option that differs from its default although nothing reads it.
    """
    for field in dataclasses.fields(options):
        chooser, readers = read_by.get(field.name, ("", ()))
        if chooser and getattr(options, chooser) not in readers and getattr(options, field.name) != field.default:
            raise ValueError(
                f"{part}.{field.name} is for {part}.{chooser} {' and '.join(readers)}, but that is "
                f"{getattr(options, chooser)}; leave it out, or ask for --{part}.{chooser} {sorted(readers)[-1]}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """When and on how many sequences or tasks to evaluate.

    Attributes:
      every: Steps between evaluations during training, where they are equal.
      spacing: Whether evaluations during training are at equal distances, or at `icl_train.spaced_steps`.
      moments: For log: how many of them.
      around: For log: the step that they are densest at; by default the start of the run.
      count: Sequences or tasks of each evaluation during training.
      final_count: Sequences or tasks of each evaluation of the trained model, and with --mode eval.
      batch_size: How many are evaluated at once.
    """

    every: int = 200
    spacing: Spacing = "equal"
    moments: int = 40
    around: int | None = None
    count: int = 1_000
    final_count: int = 10_000
    batch_size: int = 50  # a CPU maps the activations of more anew for each batch, at half the speed

    def __post_init__(self) -> None:
        """Check the numbers."""
        numbers = self.every, self.count, self.final_count, self.batch_size
        if min(numbers) < 1:
            raise ValueError(
                "eval.every, eval.count, eval.final_count and eval.batch_size must be at least 1, "
                f"got {', '.join(map(str, numbers))}; --mode train leaves evaluations out."
            )
        check_read("eval", self, dict.fromkeys(("moments", "around"), ("spacing", ("log",))))
        if self.moments < 2 or (self.around is not None and self.around < 1):
            raise ValueError(
                f"eval.moments must be at least 2 and eval.around at least 1, got {self.moments} and {self.around}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskEvalConfig(EvalConfig):
    """When and on how many tasks to evaluate, and how many baselines are asked about; the rest is of `EvalConfig`.

    Attributes:
      baseline_count: Tasks, of those, that baselines are asked about at the end, and at every evaluation where an
        experiment knows the best predictors; 0 for no baselines. With baselines, known families of functions are
        evaluated on as many, so that model and baselines are compared on the same.
    """

    every: int = 500
    count: int = 256
    final_count: int = 256
    batch_size: int = 256
    baseline_count: int = 256

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        if self.baseline_count < 0:
            raise ValueError(f"eval.baseline_count must be at least 0, got {self.baseline_count}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VaryConfig:
    """What the members of an ensemble differ in besides their seeds, train.seed, train.seed + 1, ...: a value for each.

    A field stands for the option that its metadata name; experiments add theirs in a subclass.

    Attributes:
      learning_rate: A learning rate for each member, in place of optimizer.learning_rate.
      weight_decay: A weight decay for each member, in place of optimizer.weight_decay.
      eps: Adam's epsilon for each member, in place of optimizer.eps.
    """

    learning_rate: tuple[float, ...] = dataclasses.field(default=(), metadata={"option": "optimizer.learning_rate"})
    weight_decay: tuple[float, ...] = dataclasses.field(default=(), metadata={"option": "optimizer.weight_decay"})
    eps: tuple[float, ...] = dataclasses.field(default=(), metadata={"option": "optimizer.eps"})

    def given(self) -> dict[str, tuple[Any, ...]]:
        """Return the values of the options that are varied, by their dotted names."""
        values = {field.metadata["option"]: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {option: each for option, each in values.items() if each}


@runtime_checkable
class HasBatchSize(Protocol):
    """The data options of an experiment."""

    @property
    def batch_size(self) -> int:
        """Sequences or tasks in a training batch, over all devices and hosts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperimentConfig(SessionConfig):
    """What every experiment can be asked, and what concerns a session, as `SessionConfig` has it; each adds ``model``.

    Attributes:
      data: What is trained and evaluated on.
      optimizer: Adam, its learning rate over time, clipping and weight decay.
      train: How long to train, from which seed, on which devices, and how often to log and to save.
      eval: When, on how much and by what to evaluate.
      vary: What the members of an ensemble differ in besides their seeds.
      init_from: Folder of another run, whose parameters this one begins with wherever they fit.
      intervene: Interventions while training, each in a word: clamp:layer=1,heads=0,to=match (or previous_token, copy),
        ablate:layer=1,heads=1-7, preserve:layer=1,taps=attention+value,ablated_layer=0,ablated_heads=2,
        graft:run=runs/x,step=500,params=/blocks/,layers=1,frozen, forget:params=labels,every=100,until=2000. Layers and
        heads are counted from 0. Evaluations are of the model as it is, but for what is grafted or forgotten.
    """

    # Options in which runs may differ that one program trains; experiments add those of their data.
    same_program: ClassVar[frozenset[str]] = frozenset(
        {"train.seed", "optimizer.learning_rate", "optimizer.weight_decay", "optimizer.eps"}
    )

    data: HasBatchSize
    optimizer: OptimizerConfig = OptimizerConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()
    vary: VaryConfig = VaryConfig()
    init_from: Path | None = None
    intervene: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an ensemble that cannot be, or that has not a value for each member; write interventions one way."""
        object.__setattr__(self, "intervene", tuple(words_of(intervention_of(words)) for words in self.intervene))
        if self.eval.around is not None and self.eval.around > self.train.steps:
            raise ValueError(
                f"eval.around must be at most train.steps, got {self.eval.around} and {self.train.steps} steps."
            )
        if self.init_from is not None and self.interventions.grafts:
            raise ValueError(
                f"init_from would take the place of grafts; leave it out, and first graft:run={self.init_from},params=."
            )
        members = self.train.ensemble.members
        if members > 1 and (
            self.hosts != HostsConfig() or self.train.mesh != MeshConfig() or self.init_from is not None
        ):
            raise ValueError(
                "train.ensemble.members above 1 is for one host, no mesh and no init_from: devices share the members."
            )
        for option, values in self.vary.given().items():
            if len(values) != members or members == 1:
                raise ValueError(
                    f"vary.{option.rpartition('.')[2]} wants a value for each of the train.ensemble.members={members} "
                    f"members, which are at least two, got {len(values)}."
                )

    @property
    def interventions(self) -> Interventions:
        """What ``intervene`` asks for, as values."""
        return interventions_of(self.intervene)
