"""The training loop: what happens between the steps, in order."""

import dataclasses
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import optax
from jax.sharding import Mesh

from icl_train.actions import Action
from icl_train.checkpoints import Saved, latest_step, restore
from icl_train.config import TrainConfig
from icl_train.contract import Batches, Init, LossFunction
from icl_train.mesh import batch_size, data_mesh, shard_batch
from icl_train.metrics import Meter
from icl_train.metrics_file import METRICS_FILE, drop_lines_after
from icl_train.session import Session
from icl_train.signals import Interrupted
from icl_train.state import TrainState
from icl_train.step import compile_initial_state, compile_train_step


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a finished run came to.

    Attributes:
        state: The state after the last step, on the devices.
        steps: Steps made in all.
        seconds: Time of training, over all sessions of the run; compilation and checkpoints count, actions do
            not.
        steps_per_second: ``steps / seconds``.
        final_loss: The ``loss`` in the last line of metrics.jsonl.
    """

    state: TrainState
    steps: int
    seconds: float
    steps_per_second: float
    final_loss: float


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
    mesh: Mesh | None = None,
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
        workdir: Folder of the run; made if it is missing.
        actions: What to do between steps, in this order when several are due.
        resume: Whether to go on from the latest checkpoint. Without one, training begins at step 0.
        resume_hint: How the user resumes, for the sentence that a signal ends with.
        mesh: Devices to train on; all of them if None.
        clock: Returns the time in seconds.

    Returns:
        The final state and the run's figures. A run that already had its steps is returned as it is.

    Raises:
        Interrupted: After a signal, once the state is saved. A `SystemExit` with code 128 + the signal's
            number.
        ValueError: If the folder has a run and ``resume`` is False, or has one that does not fit (another
            seed, other shapes, more steps than wanted), or if the batches end early, or B does not divide
            by the number of devices.
    """
    workdir, mesh = Path(workdir), data_mesh() if mesh is None else mesh
    key = jax.random.key(config.seed)
    begin = compile_initial_state(init=init, optimizer=optimizer, mesh=mesh)
    saved = _find_saved(workdir, config=config, resume=resume, abstract_state=jax.eval_shape(begin, key), mesh=mesh)
    state = begin(key) if saved is None else saved.state
    step = first = int(state.step)
    meter = Meter(log_every=config.log_every, clock=clock, state=saved and saved.progress["meter"])
    if saved is not None:
        batches.set_state(saved.data)
    if first < config.steps:
        step_function = compile_train_step(state=state, loss_fn=loss_fn, optimizer=optimizer, mesh=mesh)
        with Session(config, workdir=workdir, meter=meter, batches=batches, actions=actions, first=first) as session:
            for step in range(first + 1, config.steps + 1):
                batch = session.next_batch(step)
                state, scalars = step_function(state, shard_batch(batch, mesh), key)
                session.record(step, scalars, items=batch_size(batch))
                if session.between_steps(step, state):
                    break
        if session.flag.signal is not None:
            raise _interrupted(session.flag.signal, step=step, of=config.steps, workdir=workdir, hint=resume_hint)
    seconds = meter.seconds()
    return TrainResult(
        state=state,
        steps=step,
        seconds=seconds,
        steps_per_second=step / max(seconds, 1e-9),
        final_loss=meter.mean("loss"),
    )


def _find_saved(
    workdir: Path, *, config: TrainConfig, resume: bool, abstract_state: TrainState, mesh: Mesh
) -> Saved | None:
    """Return what to go on from, or None to begin; drop the metrics that are later than that."""
    step, metrics = latest_step(workdir), workdir / METRICS_FILE
    if not resume:
        if step is not None or metrics.exists():
            raise ValueError(f"wanted a new workdir, got {workdir}, which has a run; resume it or give another one")
        workdir.mkdir(parents=True, exist_ok=True)
        return None
    if step is None:
        _say(f"Nothing is saved in {workdir}: training begins at step 0.")
        workdir.mkdir(parents=True, exist_ok=True)
        drop_lines_after(metrics, 0)
        return None
    if step > config.steps:
        raise ValueError(f"wanted {config.steps} steps, but {workdir} already has {step}; ask for {step} or more")
    saved = restore(workdir, abstract_state, mesh=mesh)
    if saved.progress["seed"] != config.seed:
        raise ValueError(
            f"wanted to resume {workdir} with seed {config.seed}, but it was begun with seed "
            f"{saved.progress['seed']}; resume with that seed, or give another workdir"
        )
    drop_lines_after(metrics, step)
    done = step == config.steps
    _say(f"{workdir} already has its {step} steps." if done else f"Resuming {workdir} after step {step}.")
    return saved


def _interrupted(received: signal.Signals, *, step: int, of: int, workdir: Path, hint: str) -> Interrupted:
    message = f"Stopped by {received.name} after step {step} of {of}, saved in {workdir}. To go on: {hint}."
    _say(message)
    return Interrupted(received, message)


def _say(message: str) -> None:
    print(message, file=sys.stderr)
