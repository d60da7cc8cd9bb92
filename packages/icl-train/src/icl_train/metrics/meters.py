"""From the scalars of every step to the lines of metrics.jsonl: window means, rates and training time."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from icl_train.checkpoints.progress import Progress, Window
from icl_train.log import logger
from icl_train.metrics.metrics_file import METRICS_FILE, MetricsFile
from icl_train.metrics.tensorboard import TensorBoardFile

_SHORTEST = 1e-9  # seconds; two readings of a coarse clock can be equal


class Stopwatch:
    """Counts seconds from its creation on, except while it is paused.

    Args:
        clock: Returns the time in seconds; only differences are used.
        elapsed: Seconds that were already counted, in an earlier session of the run.

    >>> watch = Stopwatch(iter([0.0, 5.0, 7.0, 8.0]).__next__)
    >>> with watch.paused():  # from 5 to 7
    ...     pass
    >>> watch.seconds()
    6.0
    """

    def __init__(self, clock: Callable[[], float], *, elapsed: float = 0.0) -> None:
        self._clock = clock
        self._origin = clock() - elapsed

    def seconds(self) -> float:
        """Return the seconds counted so far. Not to be asked while paused."""
        return self._clock() - self._origin

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop counting for the length of a ``with`` block."""
        begin = self._clock()
        try:
            yield
        finally:
            self._origin += self._clock() - begin


class Meter:
    """Accumulates the scalars of steps, on the host and in double precision, and measures time.

    A window begins after each multiple of ``log_every``. What the meter has accumulated is part of a
    checkpoint (`window`), so a line whose window was interrupted is the same as without the interruption.

    Args:
        log_every: Steps per window, at least 1.
        watch: Counts the seconds of training.
        window: What an earlier session of the run has accumulated, if any.
    """

    def __init__(self, *, log_every: int, watch: Stopwatch, window: Window | None = None) -> None:
        self._log_every, self._watch = log_every, watch
        before = window or Window()
        self._count, self._sums = before.count, dict(before.sums)
        self._learning_rate: float | None = None
        self._steps, self._items, self._since = 0, 0, watch.seconds()

    def add(self, step: int, scalars: Mapping[str, float], *, items: int) -> None:
        """Add the scalars of step number ``step``, which was made on ``items`` examples."""
        if (step - 1) % self._log_every == 0:
            self._count, self._sums = 0, {}
        values = dict(scalars)
        self._learning_rate = values.pop("learning_rate", None)
        self._count += 1
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in values.items()}
        self._steps += 1
        self._items += items

    def mean(self, name: str) -> float:
        """Return the mean of a scalar over the steps of the window."""
        return self._sums[name] / self._count

    def line(self, step: int, *, now: float) -> dict[str, Any]:
        """Return the line to log after a step, which was done ``now``: window means, rates since the last line."""
        elapsed = max(now - self._since, _SHORTEST)
        known = {
            "step": step,
            "time": now,
            "steps_per_second": self._steps / elapsed,
            "items_per_second": self._items / elapsed,
            "learning_rate": self._learning_rate,
            "gradient_norm": self.mean("gradient_norm"),
            "loss": self.mean("loss"),
        }
        self._steps, self._items, self._since = 0, 0, now
        line = known | {name: self.mean(name) for name in self._sums}
        return {name: value for name, value in line.items() if value is not None}

    def has(self, name: str) -> bool:
        """Return whether there is a scalar of this name, and a step to take its mean over."""
        return name in self._sums

    def window(self) -> Window:
        """Return what a later session needs."""
        return Window(self._count, self._sums)


class Meters:
    """The meter and the metrics files of a run, or of each member of an ensemble. A context manager.

    Args:
        folders: Where the files go: the folder of the run, or one for each member, whose scalars are arrays [M].
        log_every: Steps per line, at least 1.
        last: The last step of the run, after which there is a line, too.
        clock: Returns the time in seconds.
        tensorboard: Whether to write for TensorBoard, too.
        progress: How far earlier sessions of the run had come, or None.

    Attributes:
        watch: Counts the seconds of training, over all sessions of the run.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        log_every: int,
        last: int,
        clock: Callable[[], float],
        tensorboard: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._folders, self._log_every, self._last, self._tensorboard = folders, log_every, last, tensorboard
        self._first = progress.step if progress else 0
        self.watch = Stopwatch(clock, elapsed=progress.seconds if progress else 0.0)
        windows = progress.meters if progress else [Window()] * len(folders)
        self._meters = [Meter(log_every=log_every, watch=self.watch, window=each) for each in windows]
        self._failed = dict(progress.failed) if progress else {}
        self._files: list[list[MetricsFile | TensorBoardFile]] = [[] for _ in folders]
        self._stack = ExitStack()

    @property
    def failed(self) -> dict[int, int]:
        """The members that have stopped, and the step at which the loss or gradient of each was not finite."""
        return dict(self._failed)

    def add(self, step: int, scalars: Mapping[str, Any], *, items: int, now: float) -> None:
        """Add the scalars of a step on ``items`` examples, done after ``now`` seconds; write the lines that are due."""
        is_due = step % self._log_every == 0 or step == self._last
        for member, meter in enumerate(self._meters):
            if member not in self._failed:
                meter.add(step, {name: float(np.ravel(value)[member]) for name, value in scalars.items()}, items=items)
                if is_due:
                    self._write(member, meter.line(step, now=now))

    def have_all_failed(self, step: int, scalars: Mapping[str, Any]) -> bool:
        """Write down whose loss or gradient is not finite at a step; return whether that is nobody's any longer."""
        finite = np.ravel(np.isfinite(scalars["loss"]) & np.isfinite(scalars["gradient_norm"]))
        for member in np.flatnonzero(~finite).tolist():
            if member not in self._failed:
                self._failed[member] = step
                self._write(member, {"step": step, "failed": True})
                if len(self._meters) > 1:
                    logger.warning(
                        f"MEMBER {member} STOPS: its loss or gradient at step {step} is not finite; it stays as it was "
                        "before, and the others go on."
                    )
        return len(self._failed) == len(self._meters)

    def summary(self) -> str:
        """Return loss, accuracy and items per second in a few words, for a progress bar."""
        live = [meter for member, meter in enumerate(self._meters) if member not in self._failed]
        words = []
        for name in ("loss", "accuracy"):
            values = [meter.mean(name) for meter in live if meter.has(name)]
            words += [f"{name} {math.fsum(values) / len(values):.4g}"] if values else []
        return ", ".join(words)

    def final_losses(self) -> tuple[float, ...]:
        """Return the mean loss over the latest window of each."""
        return tuple(meter.mean("loss") if meter.has("loss") else math.nan for meter in self._meters)

    def progress(self, step: int, *, is_last: bool, seed: int, members: Sequence[Mapping[str, Any]] | None) -> Progress:
        """Return how far the run has come after ``step`` steps.

        Args:
            step: Steps made, no more than were added.
            is_last: Whether the run was not asked to go further.
            seed: Seed of the run.
            members: Seed and hyper-parameters of each member of an ensemble; None for a lone model.
        """
        return Progress(
            step=step,
            is_last=is_last,
            seed=seed,
            members=members,
            seconds=self.watch.seconds(),
            meters=[meter.window() for meter in self._meters],
            # Without a failure that is still to come: with other data, or a lower rate, it may not.
            failed={member: failed for member, failed in self._failed.items() if failed <= step},
        )

    def _write(self, member: int, line: Mapping[str, Any]) -> None:
        for file in self._files[member]:
            file.write(line)

    def __enter__(self) -> "Meters":
        if jax.process_index() == 0:
            for folder, files in zip(self._folders, self._files, strict=True):
                folder.mkdir(parents=True, exist_ok=True)
                files.append(self._stack.enter_context(MetricsFile(folder / METRICS_FILE)))
                if self._tensorboard:
                    files.append(self._stack.enter_context(TensorBoardFile(folder, first=self._first)))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
