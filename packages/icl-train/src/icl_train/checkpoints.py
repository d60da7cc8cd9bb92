"""Checkpoints of everything, by Orbax: the training state, the position in the data, the metrics so far.

A checkpoint is a folder ``checkpoints/<step>`` with four items: ``model`` (arrays: params, model state and, if
there is one, the average of the params), ``optimizer`` (arrays: its state and the step), ``data`` (JSON: the
position of the batch iterator) and ``progress`` (JSON: seed, metrics, whether it is the last), and a
``digest.json`` of all files. Nothing in it is code, so reading one runs none.
"""

import itertools
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.options import AsyncOptions

from icl_train.digest import write_digest
from icl_train.hosts import wait_for_all
from icl_train.restoring import CHECKPOINTS_FOLDER, items, saved_steps
from icl_train.say import say
from icl_train.state import TrainState

_DAMAGED = ".damaged"
_DELETED = ".deleted"


class CheckpointError(OSError):
    """A checkpoint that the end of a run rests on could not be written."""


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
        restored: Step of the checkpoint that the run goes on from, or 0.
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
        restored: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = workdir.absolute() / CHECKPOINTS_FOLDER
        self._every, self._minutes, self._keep, self._keep_every = every, minutes, keep, keep_every
        self._clock, self._latest = clock, clock()
        self._writing: int | None = None
        self._error: Exception | None = None
        self._written = {restored} if restored else set()
        self._folder.mkdir(parents=True, exist_ok=True)
        if jax.process_index() == 0:
            for leftover in self._folder.glob(f"*{_DELETED}"):
                shutil.rmtree(leftover, ignore_errors=True)
        self._checkpointer = ocp.AsyncCheckpointer(
            ocp.CompositeCheckpointHandler(), async_options=AsyncOptions(post_finalization_callback=self._sign)
        )

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint is to be saved after a step, for its number."""
        return step % self._every == 0

    def is_overdue(self) -> bool:
        """Return whether the latest one was saved too many minutes ago."""
        return self._minutes is not None and self._clock() - self._latest >= 60 * self._minutes

    def save(self, state: TrainState, *, step: int, data: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
        """Begin to save a checkpoint, waiting for the one before it if that is still being written.

        The state may be donated to the next step as soon as this returns.

        Args:
            state: The training state after ``step`` steps.
            step: Steps made.
            data: The position of the batch iterator, as JSON values.
            progress: Anything else, as JSON values.
        """
        self._finish()
        if step in self._written:
            return
        self._latest, self._writing = self._clock(), step
        model, optimizer = items(state)
        arguments = ocp.args.Composite(
            model=ocp.args.StandardSave(model),
            optimizer=ocp.args.StandardSave(optimizer),
            data=ocp.args.JsonSave(dict(data)),
            progress=ocp.args.JsonSave(dict(progress)),
        )
        try:
            self._make_way(step)
            self._checkpointer.save(self._folder / str(step), args=arguments)
        except Exception as error:  # of a full disk, Orbax and TensorStore make a ValueError, among others
            self._failed(error)

    def finish(self) -> None:
        """Wait for the checkpoint that is being written.

        Raises:
            CheckpointError: If it, which is the latest, could not be written.
        """
        self._finish()
        if self._error is not None:
            raise CheckpointError(
                f"the last checkpoint could not be written to {self._folder}: {_first_line(self._error)}; "
                "make room there and resume: the ones before it are whole"
            ) from self._error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()
        self._checkpointer.close()

    def _finish(self) -> None:
        """Wait for what is being written, then let go of what need not be kept."""
        if self._writing is None:
            return
        try:
            self._checkpointer.wait_until_finished()
        except Exception as error:
            self._failed(error)
            return
        self._written.add(self._writing)
        self._error = None
        self._prune(self._writing)
        self._writing = None

    def _failed(self, error: Exception) -> None:
        say(
            f"CHECKPOINT FAILED: the one of step {self._writing} could not be written to {self._folder}: "
            f"{_first_line(error)}. The checkpoints before it are whole."
        )
        self._error, self._writing = error, None

    def _sign(self) -> None:
        """Write the digest, called by Orbax when all files are written, just before the folder gets its name."""
        if jax.process_index() == 0:
            half, whole = self._folder / f"{self._writing}.orbax-checkpoint-tmp", self._folder / str(self._writing)
            write_digest(half if half.exists() else whole)

    def _make_way(self, step: int) -> None:
        """Set aside a folder of this step, which can only be a damaged one that was skipped on resuming."""
        if jax.process_index() == 0 and (self._folder / str(step)).exists():
            free = (self._folder / f"{step}{_DAMAGED}{number or ''}" for number in itertools.count())
            (self._folder / str(step)).rename(next(path for path in free if not path.exists()))
        wait_for_all(f"make way for checkpoint {step}")

    def _prune(self, step: int) -> None:
        if jax.process_index() != 0:
            return
        # Later ones are damaged, and were skipped on resuming: they are left alone.
        mine = [each for each in saved_steps(self._folder) if each <= step]
        for old in mine[: -self._keep]:
            if not (self._keep_every and old % self._keep_every == 0):
                # Renamed first: a folder half deleted would look like a damaged checkpoint.
                gone = (self._folder / str(old)).rename(self._folder / f"{old}{_DELETED}")
                shutil.rmtree(gone, ignore_errors=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
