"""The settings of a training run."""

import dataclasses

from icl_train.checks import LARGEST_SEED
from icl_train.devices.mesh import MeshConfig
from icl_train.devices.profiling import profiled_steps
from icl_train.dispatch.pace import StepsPerDispatch
from icl_train.dispatch.step import StepConfig
from icl_train.ensemble import EnsembleConfig
from icl_train.spacing import Spacing, spaced_steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(StepConfig):
    """How long to train, from which seed, on which devices, and how often to log and to save.

    Attributes:
        steps: Steps to make in all, at least 1. A finished run goes on when it is resumed with more.
        seed: Seed of initialisation and of the randomness inside the loss, 0 to 2**32 - 1. A run keeps it.
        steps_per_dispatch: Most steps that the devices make without the host, at least 1; auto: as many as they make in
            a third of a second, and hold 16 MB of batches for. Fewer are made where something is due. One program
            makes any number of them, so that where a run is cut changes no bit.
        mesh: How devices share batches and parameters.
        ensemble: How many models to train side by side.
        log_every: Steps per line of metrics.jsonl, at least 1; losses and accuracies in it are means over them.
        tensorboard: Also write what metrics.jsonl has for TensorBoard; wants the package tensorboardX.
        checkpoint_every: Steps between checkpoints, at least 1. One more is saved at the end and when a signal comes.
        checkpoint_minutes: Also save one when the latest is this old, above 0.
        keep_checkpoints: Checkpoints to keep, the latest ones, at least 1.
        keep_every: Also keep, for ever, the checkpoints whose step is a multiple of this; at least 1.
        checkpoint_spacing: log: besides those at equal distances, save checkpoints at `spaced_steps`, and keep these
            for ever.
        checkpoint_moments: For log: how many of them.
        checkpoint_around: For log: the step that they are densest at; None for the start of the run.
        stop_after_minutes: Minutes of training, counted from where it begins or goes on, after which it saves and
            leaves with status 0, for queues with a time limit; above 0. What comes before and after is not counted.
        profile: First and last step of which to write a profile.
        accumulate, freeze, ema_decay, stop_when_not_finite: See `StepConfig`.

    Raises:
        ValueError: If a value is out of the range stated with it.

    >>> TrainConfig(steps=500, log_every=10).seed
    0
    """

    steps: int = 2_000
    seed: int = 0
    steps_per_dispatch: StepsPerDispatch = "auto"
    mesh: MeshConfig = MeshConfig()
    ensemble: EnsembleConfig = EnsembleConfig()
    log_every: int = 50
    tensorboard: bool = False
    checkpoint_every: int = 500
    checkpoint_minutes: float | None = None
    keep_checkpoints: int = 2
    keep_every: int | None = None
    checkpoint_spacing: Spacing = "equal"
    checkpoint_moments: int = 40
    checkpoint_around: int | None = None
    stop_after_minutes: float | None = None
    profile: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("steps", "log_every", "checkpoint_every", "keep_checkpoints"):
            self._set_whole(name, 1)
        if self.steps_per_dispatch != "auto":
            self._set_whole("steps_per_dispatch", 1)
        self._set_whole("seed", 0, LARGEST_SEED)
        if self.keep_every is not None:
            self._set_whole("keep_every", 1)
        self._set_whole("checkpoint_moments", 2)
        self.spaced_checkpoints()
        for name in ("checkpoint_minutes", "stop_after_minutes"):
            minutes = getattr(self, name)
            if minutes is not None and not minutes > 0:
                raise ValueError(f"wanted {name} to be above 0, got {minutes!r}")
        if self.profile is not None:
            object.__setattr__(self, "profile", profiled_steps(self.profile))

    def spaced_checkpoints(self) -> tuple[int, ...]:
        """Return the steps of the checkpoints that lie close together where much happens; none if they are equal.

        >>> TrainConfig(steps=100, checkpoint_spacing='log', checkpoint_moments=3).spaced_checkpoints()
        (1, 10, 100)
        """
        if self.checkpoint_spacing == "log":
            return spaced_steps(self.steps, moments=self.checkpoint_moments, around=self.checkpoint_around)
        if self.checkpoint_around is not None:
            raise ValueError(
                f"wanted checkpoint_spacing log with checkpoint_around={self.checkpoint_around}, got equal; nothing "
                "else reads it"
            )
        return ()
