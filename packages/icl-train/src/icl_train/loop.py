"""The training loop: what happens between the steps, in order."""

import dataclasses
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from icl_train.actions import Action
from icl_train.checkpoints.restoring import Saved, restore, saved_steps, warm_start
from icl_train.config import TrainConfig
from icl_train.devices.hosts import sync_hosts
from icl_train.devices.mesh import batch_size
from icl_train.devices.profiling import PROFILE_FOLDER, ProfiledSteps
from icl_train.devices.sharding_rules import REPLICATED, Rules
from icl_train.ensemble import EnsembleBatches, Member, OptimizerOf, compile_ensemble
from icl_train.errors import Interrupted, NotFiniteError, RunError
from icl_train.metrics.meters import Meters
from icl_train.metrics.metrics_file import METRICS_FILE, drop_lines_after
from icl_train.program import CompiledTraining, StepSpec, compile_single
from icl_train.run_folder import check_writable, member_folder
from icl_train.say import say
from icl_train.session import TrainingSession
from icl_train.state import TrainState
from icl_train.types import Batches, Init, LossFunction


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a finished run came to.

    Attributes:
        state: The state after the last step, on the devices; arrays of an ensemble have a leading axis M.
        steps: Steps made in all.
        seconds: Time of training, over all sessions of the run; compilation and checkpoints count, actions do
            not.
        steps_per_second: ``steps / seconds``.
        final_losses: The ``loss`` in the last line of metrics.jsonl, of each member of an ensemble.
        failed: The members of an ensemble that stopped early, and the step at which the loss or gradient of each
            was not finite; such a member is in ``state`` as it was before that step.
    """

    state: TrainState
    steps: int
    seconds: float
    steps_per_second: float
    final_losses: tuple[float, ...]
    failed: Mapping[int, int]

    @property
    def final_loss(self) -> float:
        """The last ``loss`` of a lone model, or the mean over members."""
        return sum(self.final_losses) / len(self.final_losses)


def train(
    config: TrainConfig,
    *,
    init: Init,
    loss_fn: LossFunction,
    optimizer: optax.GradientTransformation,
    batches: Batches,
    workdir: str | Path,
    actions: Sequence[Action] = (),
    resume: bool = False,
    resume_hint: str = "call train again with resume=True",
    init_from: str | Path | None = None,
    mesh: Mesh | None = None,
    rules: Rules = REPLICATED,
    clock: Callable[[], float] = time.monotonic,
) -> TrainResult:
    """Train any pytree of parameters, logging and saving on the way.

    Writes ``workdir/metrics.jsonl``, a line per ``log_every`` steps and one at the end, and
    ``workdir/checkpoints/``. A run that was stopped, in whatever way, and resumed has exactly the losses of
    one that was not. SIGINT and SIGTERM finish the step and save before they end the run.

    Args:
        config: Length, seed and intervals.
        init: ``init(rng) -> (params, model_state)``.
        loss_fn: ``loss_fn(params, model_state, rng, batch) -> (loss, (metrics, model_state))``.
        optimizer: Any optax transformation; `OptimizerConfig.build` makes one.
        batches: Batches of arrays [B, ...] whose position can be saved; at its beginning, also when resuming.
            With several hosts, each gives its own part of the rows (`data_shard`).
        workdir: Folder of the run; made if it is missing. With several hosts, all must see the same.
        actions: What to do between steps, in this order when several are due.
        resume: Whether to go on from the latest whole checkpoint. Without one, training begins at step 0.
        resume_hint: How the user resumes, for the sentence that a signal ends with.
        init_from: Folder of another run, whose parameters this one begins with where they fit (`warm_start`).
        mesh: Devices to train on; ``config.mesh`` over all of them if None.
        rules: Which device has which part of the parameters; by default each has all.
        clock: Returns the time in seconds.

    Returns:
        The final state and the run's figures. A run that already had its steps is returned as it is.

    Raises:
        Interrupted: After a signal, once the state is saved. A `SystemExit` with code 128 + the signal's
            number.
        NotFiniteError: If the loss or gradient of a step was not finite, once the state before it is saved.
        CheckpointError: If the last checkpoint could not be written.
        OSError: If the folder cannot be written to.
        ValueError: If the folder has a run and ``resume`` is False, or has one that does not fit (another
            seed, other shapes, more steps than wanted) or has damaged checkpoints only; or if the batches end
            early, or B does not divide by the number of devices.
    """
    if config.ensemble.members > 1:
        raise ValueError(f"wanted one model, got config.ensemble.members={config.ensemble.members}; use train_ensemble")
    mesh = config.mesh.build() if mesh is None else mesh
    program = compile_single(
        _step_spec(config, init, loss_fn)._replace(optimizer=optimizer),
        seed=config.seed,
        mesh=mesh,
        rules=rules,
    )
    identity = {"seed": config.seed}
    run = _Run(config, program, batches, Path(workdir), tuple(actions), resume_hint, clock, identity)
    return _train(run, resume=resume, init_from=init_from)


def train_ensemble(
    config: TrainConfig,
    *,
    init: Init,
    loss_fn: LossFunction,
    optimizer: OptimizerOf,
    members: Sequence[Member],
    workdir: str | Path,
    actions: Sequence[Action] = (),
    resume: bool = False,
    resume_hint: str = "call train_ensemble again with resume=True",
    mesh: Mesh | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainResult:
    """Train many models in one program, each as if it were alone: for sweeps and phase diagrams.

    Every member has a seed, batches and hyper-parameters of its own, and metrics in
    ``workdir/member-<number>/metrics.jsonl``. Checkpoints are of all members together, in
    ``workdir/checkpoints/``; `restore_model` reads one member. A member whose loss is no longer finite stops
    alone. Members are shared out among the devices of this host.

    Args:
        config: Length and intervals, for all. Its seed is recorded, and its mesh is not read.
        init: See `train`.
        loss_fn: See `train`.
        optimizer: Builds a member's optimiser from its hyper-parameters, which are traced arrays: float32 [].
        members: What sets each apart; their number is ``config.ensemble.members``.
        workdir: See `train`.
        actions: Called with the state of all members, whose arrays have a leading axis M.
        resume: See `train`.
        resume_hint: See `train`.
        mesh: A mesh with the axis ``member``; ``config.ensemble`` over all devices of this host if None.
        clock: See `train`.

    Returns:
        The final state of all and the run's figures.

    Raises:
        NotFiniteError: If no member is left.
        ValueError: See `train`; or if there are not as many members as ``config.ensemble.members``.
    """
    if len(members) != config.ensemble.members:
        raise ValueError(f"wanted {config.ensemble.members} members, as config.ensemble has, got {len(members)}")
    if jax.process_count() > 1:
        raise ValueError("wanted one host for an ensemble, got several; give each host an ensemble of its own")
    program = compile_ensemble(
        _step_spec(config, init, loss_fn),
        members=members,
        optimizer=optimizer,
        config=config.ensemble,
        mesh=config.ensemble.build() if mesh is None else mesh,
    )
    batches = EnsembleBatches([member.batches for member in members])
    identity = {"seed": config.seed, "members": [{"seed": each.seed, **each.hyperparameters} for each in members]}
    run = _Run(config, program, batches, Path(workdir), tuple(actions), resume_hint, clock, identity)
    return _train(run, resume=resume)


class _Run(NamedTuple):
    """What a run is made of."""

    config: TrainConfig
    program: CompiledTraining
    batches: Batches
    workdir: Path
    actions: tuple[Action, ...]
    resume_hint: str
    clock: Callable[[], float]
    identity: Mapping[str, Any]

    def folders(self) -> list[Path]:
        """Return the folders that have metrics."""
        count = self.program.members
        return [self.workdir] if count is None else [member_folder(self.workdir, each) for each in range(count)]


def _step_spec(config: TrainConfig, init: Init, loss_fn: LossFunction) -> StepSpec:
    return StepSpec(
        init=init,
        loss_fn=loss_fn,
        optimizer=optax.identity(),
        accumulate=config.accumulate,
        freeze=config.freeze,
        ema_decay=config.ema_decay,
        stop_when_not_finite=config.stop_when_not_finite,
    )


def _train(run: _Run, *, resume: bool, init_from: str | Path | None = None) -> TrainResult:
    config, program, batches = run.config, run.program, run.batches
    saved = _find_saved(run, resume=resume)
    state = program.init_state() if saved is None else saved.state
    if saved is None and init_from is not None:
        state = warm_start(state, init_from)
    step = first = 0 if saved is None else saved.progress["step"]
    meters = Meters(
        config,
        workdir=run.workdir,
        members=program.members,
        first=first,
        clock=run.clock,
        state=saved and saved.progress,
    )
    if saved is not None:
        batches.set_state(saved.data)
    if first < config.steps:
        profile = ProfiledSteps(run.workdir / PROFILE_FOLDER, steps=config.profile)
        with TrainingSession(
            config, workdir=run.workdir, meters=meters, batches=batches, actions=run.actions, first=first,
            saved=saved, identity=run.identity, clock=run.clock,
        ) as session, profile:  # fmt: skip
            stop = False
            while not stop:
                taken = session.next_batches(step)
                profile.before(step + 1)
                state, scalars = program.step(state, program.to_devices(taken), np.int32(step + 1))
                session.record(step, scalars, taken, items=_items(taken[0], program))
                step += len(taken)
                profile.after(step, scalars)
                stop = session.between_steps(step, state)
        if session.failed:
            raise _not_finite(run, *session.failed[:2])
        if session.stopping:
            raise _interrupted(run, signal.Signals(session.stopping), step)
    seconds = meters.seconds()
    return TrainResult(
        state=state,
        steps=step,
        seconds=seconds,
        steps_per_second=step / max(seconds, 1e-9),
        final_losses=meters.final_losses(),
        failed=meters.failed,
    )


def _items(batch: Mapping[str, Any], program: CompiledTraining) -> int:
    """Return B, of all hosts together."""
    return batch_size(batch) * program.shards if program.members is None else next(iter(batch.values())).shape[1]


def _find_saved(run: _Run, *, resume: bool) -> Saved | None:
    """Return what to go on from, or None to begin; drop the metrics that are later than that."""
    workdir, config = run.workdir, run.config
    check_writable(workdir)
    files = [folder / METRICS_FILE for folder in run.folders()]
    if not resume:
        if saved_steps(workdir / "checkpoints") or any(file.exists() for file in files):
            raise RunError(f"wanted a new workdir, got {workdir}, which has a run; resume it or give another one")
        sync_hosts("the workdir was examined")
        return None
    saved = restore(workdir, run.program.state)
    if saved is None:
        say(f"Nothing is saved in {workdir}: training begins at step 0.")
    else:
        step = saved.progress["step"]
        if step > config.steps:
            raise RunError(f"wanted {config.steps} steps, but {workdir} already has {step}; ask for {step} or more")
        if saved.progress["seed"] != config.seed:
            raise RunError(
                f"wanted to resume {workdir} with seed {config.seed}, but it was begun with seed "
                f"{saved.progress['seed']}; resume with that seed, or give another workdir"
            )
        if saved.progress.get("members") != run.identity.get("members"):
            raise RunError(
                f"wanted to resume {workdir} with members {run.identity.get('members')}, but it was begun with "
                f"{saved.progress.get('members')}; resume with those, or give another workdir"
            )
        done = step == config.steps
        say(f"{workdir} already has its {step} steps." if done else f"Resuming {workdir} after step {step}.")
    sync_hosts("the workdir was examined")  # before the first of several hosts changes it
    if jax.process_index() == 0:
        for file in files:
            drop_lines_after(file, 0 if saved is None else saved.progress["step"])
    return saved


def _not_finite(run: _Run, step: int, what: str) -> NotFiniteError:
    message = (
        f"Stopped: {what}. The state after step {step - 1} is saved in {run.workdir}; go on from it with a lower "
        f"learning rate or clipping, or look at that batch. {run.resume_hint} would come to the same end."
    )
    say(message)
    return NotFiniteError(step, message)


def _interrupted(run: _Run, received: signal.Signals, step: int) -> Interrupted:
    message = (
        f"Stopped by {received.name} after step {step} of {run.config.steps}, saved in {run.workdir}. "
        f"To go on: {run.resume_hint}."
    )
    say(message)
    return Interrupted(received, message)
