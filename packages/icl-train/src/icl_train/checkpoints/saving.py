"""Checkpoints of everything, by Orbax: the training state, the position in the data, the metrics so far.

A checkpoint is a folder ``checkpoints/<step>`` with four items: ``model`` (arrays: params, model state and, if
there is one, the average of the params), ``optimizer`` (arrays: its state and the step), ``data`` (JSON: the
position of the batch iterator) and ``progress`` (JSON: seed, metrics, whether it is the last), and a
``digest.json`` of all files. Nothing in it is code, so reading one runs none.
"""

import errno
import itertools
import json
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.options import AsyncOptions

from icl_train.checkpoints.digest import write_digest
from icl_train.checkpoints.progress import Progress
from icl_train.checkpoints.restoring import CHECKPOINTS_FOLDER, items, saved_steps
from icl_train.devices.hosts import max_over_hosts
from icl_train.errors import CheckpointError, RunError
from icl_train.log import logger
from icl_train.positions import encode
from icl_train.run_folder import REHEARSAL, UNFINISHED
from icl_train.state import TrainState

_DAMAGED = ".damaged"
_DELETED = ".deleted"
_KEPT = "kept.json"  # the steps that are kept for ever
_TIMEOUT = 300  # seconds after which a host that waits for the others to write their part of a checkpoint gives up


class Checkpoints:
    """The checkpoints of one run, written in the background. A context manager.

    A checkpoint that cannot be written (a full disk) is reported on stderr, and training goes on; the ones
    before it stay. Only the last one of a session has to succeed.

    Args:
        workdir: The run's folder; the checkpoints are in ``checkpoints/`` there, which is made if it is
            missing.
        every: Steps between checkpoints, at least 1.
        minutes: Minutes after which one is due whatever the step, or None.
        keep: Checkpoints to keep, the latest, at least 1.
        keep_every: Those whose step is a multiple are kept for ever, or None.
        at: Further steps after which one is due; these are kept for ever, too.
        restored: Step of the checkpoint that the run goes on from, or None.
        skipped: Steps of damaged checkpoints, which are left alone.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        every: int,
        keep: int,
        minutes: float | None = None,
        keep_every: int | None = None,
        at: Collection[int] = (),
        restored: int | None = None,
        skipped: Collection[int] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = workdir.absolute() / CHECKPOINTS_FOLDER
        self._every, self._minutes, self._keep, self._keep_every = every, minutes, keep, keep_every
        self._at = frozenset(at)
        self._kept = frozenset(_read_kept(self._folder))
        self._clock, self._latest = clock, clock()
        self._writing: int | str | None = None  # the name of what is being written
        self._error: Exception | None = None
        self._written = set() if restored is None else {restored}
        self._skipped = frozenset(skipped)
        self._folder.mkdir(parents=True, exist_ok=True)
        if jax.process_index() == 0:
            for leftover in (*self._folder.glob(f"*{_DELETED}"), *self._folder.glob(f"{REHEARSAL}*")):
                shutil.rmtree(leftover, ignore_errors=True)
        self._checkpointer = ocp.AsyncCheckpointer(
            ocp.CompositeCheckpointHandler(),
            async_options=AsyncOptions(timeout_secs=_TIMEOUT, post_finalization_callback=self._sign),
        )

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint is to be saved after a step, for its number."""
        return step % self._every == 0 or step in self._at

    def is_overdue(self) -> bool:
        """Return whether the latest one was saved too many minutes ago."""
        return self._minutes is not None and self._clock() - self._latest >= 60 * self._minutes

    def save(self, state: TrainState, *, data: Any, progress: Progress) -> None:
        """Begin to save a checkpoint, waiting for the one before it if that is still being written.

        The state may be donated to the next step as soon as this returns.

        Args:
            state: The training state.
            data: The position of the batch iterator, see `positions.encode`.
            progress: How far the run has come; its ``step`` names the checkpoint.
        """
        step = progress.step
        self._finish()
        if step in self._written:
            return
        self._latest, self._writing = self._clock(), step
        error = self._make_way(step)
        if error is None:
            try:
                self._checkpointer.save(self._folder / str(step), args=_arguments(state, data, progress))
            except Exception as raised:  # of a full disk, Orbax and TensorStore make a ValueError, among others
                error = raised
        self._agree_on(error)

    def rehearse(self, state: TrainState, *, data: Any, progress: Progress) -> None:
        """Save a checkpoint and delete it again, so that what cannot be saved is known before it is trained.

        Args:
            state: See `save`.
            data: See `save`.
            progress: See `save`.

        Raises:
            RunError: If it cannot be saved.
        """
        self._writing, error = REHEARSAL, None
        try:
            self._checkpointer.save(self._folder / REHEARSAL, args=_arguments(state, data, progress), force=True)
            self._checkpointer.wait_until_finished()
        except Exception as raised:
            error = raised
        self._writing, failed = None, max_over_hosts(int(error is not None))
        if jax.process_index() == 0:
            for left in self._folder.glob(f"{REHEARSAL}*"):
                shutil.rmtree(left, ignore_errors=True)
        if failed:
            raise RunError(
                f"wanted a state that a checkpoint can hold, but the first cannot be saved to {self._folder}: "
                f"{_first_line(error) if error else 'another host failed'}; {_advice(error)}"
            ) from error

    def finish(self) -> None:
        """Wait for the checkpoint that is being written.

        Raises:
            CheckpointError: If it, which is the latest, could not be written.
        """
        self._finish()
        if self._error is not None:
            raise CheckpointError(
                f"the last checkpoint could not be written to {self._folder}: {_first_line(self._error)}; "
                f"{_advice(self._error)} and resume: the ones before it are whole"
            ) from self._error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        # A host that fails alone would wait here for the others, which wait for it: it must end, and end the job.
        if kind is None or jax.process_count() == 1:
            self._finish()
            self._checkpointer.close()

    def _finish(self) -> None:
        """Wait for what is being written, then let go of what need not be kept."""
        if not isinstance(self._writing, int):
            return
        step, error = self._writing, None
        try:
            self._checkpointer.wait_until_finished()
        except Exception as raised:
            error = raised
        if self._agree_on(error):
            self._writing = None
            self._written.add(step)
            self._keep_for_ever(step)
            self._skipped -= {step}
            self._prune(step)

    def _agree_on(self, error: Exception | None) -> bool:
        """Return whether all hosts succeeded, so that all go on alike; if not, say so and clear away what is left."""
        if not max_over_hosts(int(error is not None)):
            self._error = None
            return True
        error = error or OSError("another host failed")
        logger.warning(
            f"CHECKPOINT FAILED: the one of step {self._writing} could not be written to {self._folder}: "
            f"{_first_line(error)}. The checkpoints before it are whole."
        )
        if jax.process_index() == 0:  # half a checkpoint of its own would only keep the disk full
            shutil.rmtree(self._folder / f"{self._writing}{UNFINISHED}", ignore_errors=True)
        self._error, self._writing = error, None
        return False

    def _sign(self) -> None:
        """Write the digest, called by Orbax when all files are written, just before the folder gets its name."""
        if jax.process_index() == 0:
            half, whole = self._folder / f"{self._writing}{UNFINISHED}", self._folder / str(self._writing)
            write_digest(half if half.exists() else whole)

    def _make_way(self, step: int) -> Exception | None:
        """Set aside a folder of this step, a damaged one that was skipped on resuming; return what went wrong."""
        error: Exception | None = None
        if jax.process_index() == 0 and (self._folder / str(step)).exists():
            free = (self._folder / f"{step}{_DAMAGED}{number or ''}" for number in itertools.count())
            try:
                (self._folder / str(step)).rename(next(path for path in free if not path.exists()))
            except OSError as raised:
                error = raised
        return OSError("another host failed") if max_over_hosts(int(error is not None)) and error is None else error

    def _keep_for_ever(self, step: int) -> None:
        """Write down that a checkpoint is to be kept, whatever later sessions save, if it is one of `at`."""
        if step in self._at and step not in self._kept and jax.process_index() == 0:
            self._kept |= {step}
            half = self._folder / f"{_KEPT}.new"
            try:
                half.write_text(json.dumps(sorted(self._kept)), encoding="utf-8")
                half.replace(self._folder / _KEPT)
            except OSError as error:  # it is kept by this session, at least
                logger.warning(f"{self._folder / _KEPT} could not be written: {error}")

    def _prune(self, step: int) -> None:
        if jax.process_index() != 0:
            return
        mine = [each for each in saved_steps(self._folder) if each <= step and each not in self._skipped]
        for old in mine[: -self._keep]:
            if not (old in self._kept or (self._keep_every and old % self._keep_every == 0)):
                # Renamed first: a folder half deleted would look like a damaged checkpoint.
                gone = self._folder / f"{old}{_DELETED}"
                shutil.rmtree(gone, ignore_errors=True)
                try:
                    (self._folder / str(old)).rename(gone)
                except OSError as error:  # a file that another process holds open, on some file systems
                    logger.warning(f"The old checkpoint {self._folder / str(old)} could not be deleted: {error}")
                shutil.rmtree(gone, ignore_errors=True)


def _read_kept(folder: Path) -> list[int]:
    """Return the steps that earlier sessions kept for ever."""
    try:
        steps = json.loads((folder / _KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [step for step in steps if isinstance(step, int)] if isinstance(steps, list) else []


def _arguments(state: TrainState, data: Any, progress: Progress) -> ocp.args.CheckpointArgs:
    model, optimizer = items(state)
    return ocp.args.Composite(
        model=ocp.args.StandardSave(model),
        optimizer=ocp.args.StandardSave(optimizer),
        data=ocp.args.JsonSave(encode(data)),
        progress=ocp.args.JsonSave(progress.to_json()),
    )


def _advice(error: Exception | None) -> str:
    """Return what the user can do about a checkpoint that cannot be written."""
    is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(
        words in str(error) for words in ("No space left", "Disk quota", "File too large")
    )
    return "make room there" if is_full else "mend that"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
