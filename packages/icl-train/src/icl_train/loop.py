"""The training loop: what happens between the steps, in order."""

import dataclasses
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import PyTree

from icl_train.actions import Action, ActionFunction, as_actions
from icl_train.checkpoints.restoring import Saved, warm_start
from icl_train.checkpoints.saving import Checkpoints
from icl_train.config import TrainConfig
from icl_train.contract import check_batches, check_expand, check_functions, check_members, check_optimizer
from icl_train.devices.hosts import max_over_hosts
from icl_train.devices.profiling import PROFILE_FOLDER, ProfiledSteps
from icl_train.devices.sharding_rules import REPLICATED, Rules
from icl_train.dispatch.forgetting import Forget
from icl_train.dispatch.pace import Pace
from icl_train.dispatch.program import StepSpec, compile_single
from icl_train.dispatch.put_back import PutBack
from icl_train.ensemble import EnsembleBatches, Member, OptimizerOf, compile_ensemble, described
from icl_train.metrics.meters import Meters
from icl_train.metrics.step_log import Dispatched, StepLog
from icl_train.paths import Rows
from icl_train.resuming import find_saved
from icl_train.run_folder import describe_members, expanded, member_folder
from icl_train.signals import Flag, flag_signals
from icl_train.state import TrainState
from icl_train.trainer_lock import Hold, hold_for_training
from icl_train.training_run import Run
from icl_train.types import Batches, Expand, Init, LossFunction


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
    actions: Sequence[Action | ActionFunction] = (),
    resume: bool = False,
    resume_hint: str = "call train again with resume=True",
    init_from: str | Path | None = None,
    mesh: Mesh | None = None,
    rules: Rules = REPLICATED,
    resident: PyTree = None,
    expand: Expand | None = None,
    freeze_rows: Sequence[Rows] = (),
    forget: Sequence[Forget] = (),
    clock: Callable[[], float] = time.monotonic,
) -> TrainResult:
    """Train any pytree of parameters, logging and saving on the way.

    Writes ``workdir/metrics.jsonl``, a line per ``log_every`` steps and one at the end, and
    ``workdir/checkpoints/``. A run that was stopped, in whatever way, and resumed has exactly the losses of
    one that was not. A signal (Ctrl+C, SIGTERM, SIGHUP, SIGUSR1) lets the step finish and be saved before it
    ends the run, and so does an error in the data or in an action. One process trains in a folder at a time
    (`hold_for_training`), and what is said on stderr never ends a run.

    Args:
        config: Length, seed and intervals.
        init: ``init(rng) -> (params, model_state)``.
        loss_fn: ``loss_fn(params, model_state, rng, batch) -> (loss, (metrics, model_state))``.
        optimizer: Any optax transformation; `OptimizerConfig.build` makes one.
        batches: Batches of arrays [B, ...] whose position can be saved; at its beginning, also when resuming.
            With several hosts, each gives its own part of the rows (`data_shard`).
        workdir: Folder of the run; made if it is missing. With several hosts, all must see the same.
        actions: What to do between steps, in this order when several are due; a plain function is called after
            every step.
        resume: Whether to go on from the latest whole checkpoint. Without one, training begins at step 0.
        resume_hint: How the user resumes, for the sentence that a signal ends with.
        init_from: Folder of another run, whose parameters this one begins with where they fit (`warm_start`).
        mesh: Devices to train on; ``config.mesh`` over all of them if None.
        rules: Which device has which part of the parameters; by default each has all.
        resident: Arrays that ``expand`` reads, such as a data set: every device gets them once, and no checkpoint has
            them.
        expand: ``expand(resident, numbers) -> batch``, on the devices, where ``batches`` give numbers and ``loss_fn``
            reads what they mean; see `Expand`.
        freeze_rows: Rows of parameters that are not trained, beside the whole arrays of ``config.freeze``.
        forget: Parameters that are drawn anew on the way, see `Forget`.
        clock: Returns the time in seconds.

    Returns:
        The final state and the run's figures. A run that already had its steps is returned as it is.

    Raises:
        Interrupted: After a signal or ``config.stop_after_minutes``, once the state is saved. A `SystemExit` with code
            128 + the signal's number, or 0.
        NotFiniteError: If the loss or gradient of a step was not finite, once the state before it is saved.
        CheckpointError: If the last checkpoint could not be written.
        OSError: If the folder cannot be written to.
        ValueError: If the folder has a run and ``resume`` is False, or has one that does not fit (another
            seed, other shapes, more steps than wanted) or has damaged checkpoints only; or if the batches end
            early, or B does not divide by the number of devices.
    """
    if config.ensemble.members > 1:
        raise ValueError(f"wanted one model, got config.ensemble.members={config.ensemble.members}; use train_ensemble")
    check_functions(init=init, loss_fn=loss_fn)
    check_optimizer(optimizer)
    check_batches(batches)
    check_expand(expand, resident)
    program = compile_single(
        StepSpec(init, loss_fn, optimizer, config, expand, freeze_rows, forget),
        seed=config.seed,
        mesh=config.mesh.build() if mesh is None else mesh,
        rules=rules,
        resident=resident,
    )
    run = Run(config, program, PutBack(batches), expanded(workdir), as_actions(actions), resume_hint, clock)
    return _train(run, resume=resume, init_from=init_from)


def train_ensemble(
    config: TrainConfig,
    *,
    init: Init,
    loss_fn: LossFunction,
    optimizer: OptimizerOf,
    members: Sequence[Member],
    workdir: str | Path,
    actions: Sequence[Action | ActionFunction] = (),
    resume: bool = False,
    resume_hint: str = "call train_ensemble again with resume=True",
    mesh: Mesh | None = None,
    resident: PyTree = None,
    expand: Expand | None = None,
    freeze_rows: Sequence[Rows] = (),
    forget: Sequence[Forget] = (),
    clock: Callable[[], float] = time.monotonic,
) -> TrainResult:
    """Train many models in one program, each as if it were alone: for sweeps and phase diagrams.

    Every member has a seed, batches and hyper-parameters of its own, and metrics in
    ``workdir/member-<number>/metrics.jsonl``, beside a ``config.json`` that says its seed and hyper-parameters, unless
    `open_run` has written one that says more. Checkpoints are of all members together, in
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
        resident: See `train`; the members share it.
        expand: See `train`; it is given the numbers of one member.
        freeze_rows: See `train`.
        forget: See `train`; each member draws by its own seed.
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
    check_functions(init=init, loss_fn=loss_fn, optimizer=optimizer)
    check_members(members)
    for number, member in enumerate(members):
        check_batches(member.batches, of=f" of member {number}")
    check_expand(expand, resident)
    program = compile_ensemble(
        StepSpec(init, loss_fn, optax.identity(), config, expand, freeze_rows, forget),
        members=members,
        optimizer=optimizer,
        config=config.ensemble,
        mesh=config.ensemble.build() if mesh is None else mesh,
        resident=resident,
    )
    batches = PutBack(EnsembleBatches([member.batches for member in members]))
    run = Run(
        config,
        program,
        PutBack(batches),
        expanded(workdir),
        as_actions(actions),
        resume_hint,
        clock,
        described(members),
    )
    return _train(run, resume=resume)


def _train(run: Run, *, resume: bool, init_from: str | Path | None = None) -> TrainResult:
    """Return what a run comes to that goes on from what is saved, or begins."""
    with hold_for_training(run.workdir) as hold:
        return _train_held(run, hold, resume=resume, init_from=init_from)


def _train_held(run: Run, hold: Hold, *, resume: bool, init_from: str | Path | None) -> TrainResult:
    """Return the same, in a folder that this process alone trains in."""
    config, count = run.config, run.program.members
    folders = [run.workdir] if count is None else [member_folder(run.workdir, each) for each in range(count)]
    saved = find_saved(
        run.workdir, config, wanted=run.program.state, members=run.members, folders=folders, resume=resume
    )
    if run.members is not None:
        describe_members(folders, run.members)
    state = run.program.init_state() if saved is None else saved.state
    if saved is None and init_from is not None:
        state = warm_start(state, init_from)
    meters = Meters(
        folders,
        log_every=config.log_every,
        last=config.steps,
        clock=run.clock,
        tensorboard=config.tensorboard,
        progress=None if saved is None else saved.progress,
    )
    if saved is not None:
        run.batches.set_state(saved.data)
    if saved is None or saved.progress.step < config.steps:
        state = _make_steps(run, hold, state, meters=meters, saved=saved)
    seconds = meters.watch.seconds()
    return TrainResult(
        state=state,
        steps=config.steps,
        seconds=seconds,
        steps_per_second=config.steps / max(seconds, 1e-9),
        final_losses=meters.final_losses(),
        failed=meters.failed,
    )


def _make_steps(run: Run, hold: Hold, state: TrainState, *, meters: Meters, saved: Saved | None) -> TrainState:
    """Return the state after the last step: make the steps that are missing, log and save them.

    If a signal comes, its time is over or a step, the data or an action fails, it is raised, once the state before that
    is saved.
    """
    config, program = run.config, run.program
    first = step = 0 if saved is None else saved.progress.step
    profile = ProfiledSteps(run.workdir / PROFILE_FOLDER, steps=config.profile)
    with flag_signals() as flag, run.checkpoints(saved) as checkpoints, meters, run.bar(first) as bar, profile:
        log = StepLog(meters, bar, stop_when_not_finite=config.stop_when_not_finite)
        pace, begun, asked = Pace(config.steps_per_dispatch, run.clock), run.clock(), _Asked(0, False, False)

        def save(step: int, position: Any, *, is_last: bool = False) -> None:
            """Save the state after a step, or the one before the first step that failed."""
            hold.check()
            log.settle()  # first: a line that belongs to this checkpoint must be on disk before it
            pace.settled()
            if log.failure is not None:
                step, position, is_last = log.failure.step - 1, log.failure.position, False
            progress = meters.progress(step, is_last=is_last, seed=config.seed, members=run.members)
            checkpoints.save(state, data=position, progress=progress)

        if saved is None:
            checkpoints.rehearse(
                state,
                data=run.batches.get_state(),
                progress=meters.progress(0, is_last=False, seed=config.seed, members=run.members),
            )
        positions: list[Any] = []  # of the batches that were taken, and not yet trained on

        def rescue() -> None:
            """Save what this session has made, if it has."""
            if step > first:
                save(step, positions[0] if positions else run.batches.get_state())

        with _kept(rescue):
            while True:
                count = run.until_due(step, most=pace.count(), checkpoints=checkpoints, meters=meters)
                begins = run.clock()
                taken = run.take(step, count=count, positions=positions)
                count = len(taken)
                pace.took(run.clock() - begins, steps=count)
                profile.before(step + 1)
                batches = program.to_devices(taken, pace.most(taken[0]))
                state, scalars = program.step(state, batches, np.int32(step + 1), np.int32(count))
                log.add(Dispatched(step + 1, scalars, taken, positions, run.items(taken[0])))
                pace.dispatched(count)
                step, positions = step + count, []
                profile.after(step, scalars)

                is_last, due = step == config.steps, run.due(step, run.seconds(meters))
                if due or is_last:
                    hold.check()
                    log.settle()
                    pace.settled()
                if due and log.failure is None:
                    with meters.watch.paused():
                        for action in due:
                            action(step, state)

                if is_last or pace.asks():
                    asked = _ask(flag, checkpoints, is_over=run.is_over(begun))
                ends = is_last or asked.received or asked.is_over or log.failure is not None
                if ends or asked.overdue or checkpoints.is_due(step):
                    save(step, run.batches.get_state(), is_last=is_last)
                    asked = asked._replace(overdue=False)
                if ends:
                    break

        with meters.watch.paused():  # the time that was saved is the time of the run
            checkpoints.finish()
        # Once more: a signal may have come while it was being saved.
        asked = _ask(flag, checkpoints, is_over=asked.is_over and step < config.steps)
    if log.failure is not None:
        raise run.not_finite(log.failure, state)
    if asked.received or asked.is_over:
        raise run.interrupted(signal.Signals(asked.received) if asked.received else None, step)
    return state


@contextmanager
def _kept(save: Callable[[], object]) -> Iterator[None]:
    """Save before an error in a ``with`` block goes on: a fault of the data or of an action loses no step."""
    try:
        yield
    except Exception:
        if jax.process_count() == 1:  # the other hosts, which have not failed, would not save with this one
            save()
        raise


class _Asked(NamedTuple):
    """What has come to one of the hosts: a signal, or 0; whether its time is over, and whether a checkpoint is due."""

    received: int
    is_over: bool
    overdue: bool


def _ask(flag: Flag, checkpoints: Checkpoints, *, is_over: bool) -> _Asked:
    """Return, the same on all hosts, what has come to one; of several, what ends the run."""
    found = max_over_hosts(4 * (flag.signal or 0) + 2 * is_over + checkpoints.is_overdue())
    return _Asked(found // 4, bool(found & 2), bool(found & 1))
