"""Following a run from another process: each checkpoint as it appears, until the run ends."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from icl_train.checkpoints.progress import read_progress
from icl_train.checkpoints.restoring import CHECKPOINTS_FOLDER, saved_steps
from icl_train.run_folder import expanded


def watch(
    workdir: str | Path,
    *,
    poll_seconds: float = 5.0,
    timeout_seconds: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[int]:
    """Yield the step of each checkpoint of a run, those that are there first, then each new one, as it is saved.

    Steps only ascend: what a run that was killed and resumed makes again is not yielded again. A checkpoint that
    the run deletes before its turn is left out; have the run keep as many as evaluation may fall behind. The
    one that is being evaluated may be deleted too. The iterator ends with the run's last step. A run that is
    stopped, or that died, is waited for, since it may be resumed.

    Args:
        workdir: The run's folder, which need not exist yet.
        poll_seconds: Time between two looks at the folder, above 0.
        timeout_seconds: How long to wait for a checkpoint, above 0; the time that the caller spends on one does not
            count. Forever if None.
        sleep: Waits for some seconds.
        clock: Returns the time in seconds.

    Yields:
        The number of steps made when a checkpoint was saved.

    Raises:
        ValueError: If a time is out of its range.
        TimeoutError: If nothing new comes for ``timeout_seconds`` and the run has not ended.
    """
    for name, seconds in (("poll_seconds", poll_seconds), ("timeout_seconds", timeout_seconds)):
        if seconds is not None and not seconds > 0:
            raise ValueError(f"wanted {name} above 0, got {seconds}")
    folder = expanded(workdir) / CHECKPOINTS_FOLDER
    return _watch(folder, poll_seconds=poll_seconds, timeout_seconds=timeout_seconds, sleep=sleep, clock=clock)


def is_last_checkpoint(workdir: str | Path, step: int) -> bool:
    """Return whether a checkpoint is that of the run's last step, as far as the run was asked to go.

    >>> is_last_checkpoint('/no/such/run', 100)
    False
    """
    return _is_last(expanded(workdir) / CHECKPOINTS_FOLDER / str(step))


def _watch(
    folder: Path,
    *,
    poll_seconds: float,
    timeout_seconds: float | None,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Iterator[int]:
    latest, has_ended, since = -1, False, clock()
    while True:
        # Looked at again after every yield, since the caller may have taken hours over it.
        found = _next_checkpoint(folder, after=latest)
        if found is not None:
            latest, has_ended = found
            yield latest
            since = clock()
            continue
        # The second, for the last step of a run that was stopped at it, resumed, and saved it again as the last.
        if has_ended or _is_last(folder / str(latest)):
            return
        remaining = poll_seconds if timeout_seconds is None else since + timeout_seconds - clock()
        if remaining <= 0:
            last = "there was none" if latest < 0 else f"the last was of step {latest}"
            raise TimeoutError(
                f"wanted a new checkpoint in {folder} within {timeout_seconds:g} s, but {last}; "
                "see whether the run is alive and resume it if not, or wait longer (timeout_seconds)"
            )
        sleep(min(poll_seconds, remaining))


def _next_checkpoint(folder: Path, *, after: int) -> tuple[int, bool] | None:
    """Return the step of the first checkpoint later than a step, and whether it is the run's last."""
    for step in saved_steps(folder):
        progress = read_progress(folder / str(step)) if step > after else None
        if progress is not None:
            return step, progress.is_last
    return None


def _is_last(checkpoint: Path) -> bool:
    progress = read_progress(checkpoint)
    return progress is not None and progress.is_last
