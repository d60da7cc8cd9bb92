"""One trainer in a folder: who trains there says so in it, for as long as its process lives."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import jax

from icl_train.devices.hosts import max_over_hosts
from icl_train.errors import RunError
from icl_train.log import logger
from icl_train.run_folder import LOCK_FILE, check_writable, expanded

_LEASE_SECONDS = 30.0
"""A trainer on another machine is taken to be dead when it has not touched its file for so long."""


class Hold:
    """The right to train in a folder."""

    def __init__(self, workdir: Path, lease: filelock.SoftFileLease) -> None:
        self._workdir, self._lease = workdir, lease

    def check(self) -> None:
        """Check that it was not lost: a process that was stopped for long counts as dead elsewhere.

        Asked before anything is written that another trainer may have written meanwhile.

        Raises:
            RunError: If another trainer has taken the folder over.
        """
        owner = self._lease.owner
        if self._lease.is_locked and (owner is None or owner.token != self._lease.token):
            raise RunError(
                f"{self._workdir} was taken over {_by(self._lease)} while this process did not run, and nothing more "
                "is written there; follow that run, or resume it when it has ended"
            )


@contextmanager
def hold_for_training(workdir: str | Path) -> Iterator[Hold]:
    """Be the only one that trains in a folder, for the length of a ``with`` block.

    ``workdir/trainer.lock`` names host and process. It is let go at the end of the block or, on the same machine, by
    the death of the process; a trainer on another machine counts as dead after half a minute without a sign of life,
    for which is waited. Nothing is asked of the file system but to make and rename files. Whoever only reads (who
    follows, evaluates, reports) need not ask. A block within a block of the same thread changes nothing. With several
    hosts, all come here together, and the first holds the folder for all.

    Args:
        workdir: The run's folder; made if it is missing.

    Raises:
        OSError: If the folder cannot be written to.
        RunError: If another process trains there, or another thread; says which. Or if it is the folder of a member,
            which its ensemble trains.

    >>> import tempfile
    >>> with hold_for_training(tempfile.mkdtemp()) as hold:
    ...     hold.check()
    """
    workdir = expanded(workdir)
    ensemble = workdir.resolve().parent
    if workdir.name.startswith("member-") and any((ensemble / name).exists() for name in ("checkpoints", LOCK_FILE)):
        raise RunError(
            f"wanted a folder to train in, got {workdir}, a member of the ensemble in {ensemble}; resume that, or give "
            "another workdir"
        )
    check_writable(workdir)
    # One for a folder and thread, which counts how often it is held.
    lease = filelock.SoftFileLease(workdir.resolve() / LOCK_FILE, lease_duration=_LEASE_SECONDS, is_singleton=True)
    is_refused = False
    if jax.process_index() == 0:
        try:
            _acquire(lease, workdir)
        except filelock.Timeout:
            is_refused = True
    if max_over_hosts(int(is_refused)):
        raise RunError(
            f"wanted {workdir} to train in, but it is held {_by(lease)}, which trains there; wait for its end or stop "
            "it, or give another workdir (to follow or evaluate it is possible meanwhile)"
        )
    try:
        yield Hold(workdir, lease)
    finally:
        if jax.process_index() == 0:
            lease.release()


def is_held(workdir: str | Path) -> bool:
    """Return whether another process trains in a folder, without waiting for anything.

    One on another machine counts as alive for half a minute after its last sign of life, by the clock of this one.

    >>> import tempfile
    >>> is_held(tempfile.mkdtemp())
    False
    """
    lock = expanded(workdir).resolve() / LOCK_FILE
    lease = filelock.SoftFileLease(lock, lease_duration=_LEASE_SECONDS, is_singleton=True)
    owner, touched = lease.owner, _touched(lock)
    if owner is None or touched is None or lease.is_locked:  # by this very thread
        return False
    if owner.hostname != _host_name():
        return time.time() - touched / 1e9 < _LEASE_SECONDS
    try:  # which tells the dead of this machine, whose numbers others may have by now
        lease.acquire(timeout=0)
    except filelock.Timeout:
        return True
    lease.release()
    return False


def _acquire(lease: filelock.SoftFileLease, workdir: Path) -> None:
    try:
        lease.acquire(timeout=0)
    except filelock.Timeout:
        owner = lease.owner
        if owner is None or owner.hostname == _host_name():  # the dead of this machine hold nothing any longer
            raise
        logger.info(f"{workdir} was last held {_by(lease)}; waiting for a sign that this is alive.")
        lock = Path(lease.lock_file)
        seen = _touched(lock)
        lease.acquire(timeout=2 * _LEASE_SECONDS, cancel_check=lambda: _touched(lock) != seen)


def _touched(lock: Path) -> int | None:
    """Return when a lock was last touched, by its file system's clock, or None if it was let go."""
    try:
        return lock.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _host_name() -> str | None:
    """Return the name of this machine, or of this container on it, as locks have it."""
    with tempfile.TemporaryDirectory() as folder, filelock.SoftFileLease(Path(folder) / LOCK_FILE) as lease:
        return None if lease.owner is None else lease.owner.hostname


def _by(lease: filelock.SoftFileLease) -> str:
    owner = lease.owner
    return "by another process" if owner is None else f"by process {owner.pid} on {owner.hostname}"
