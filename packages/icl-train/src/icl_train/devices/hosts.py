"""Several processes, usually one per host, that train one model: how they find one another and end together.

A script that may run on several hosts has this order::

    with abort_job_on_error():
        start_hosts(config.hosts)  # before anything that asks JAX for devices or makes an array
        ...

Without `start_hosts`, or with its default, there is one process, and nothing here asks JAX for anything.
"""

import dataclasses
import os
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import jax
import numpy as np
from jax.experimental import multihost_utils

from icl_train.checks import as_whole
from icl_train.errors import Interrupted

# JAX ends a process that waits in vain from C++, without an exception; it is given longer than we wait ourselves.
_MARGIN_SECONDS = 60

# Who this process is, for its last words. When those are said, asking JAX may block for ever.
_name = "a process"


@dataclasses.dataclass(frozen=True, kw_only=True)
class HostsConfig:
    """Which processes train together; one alone by default.

    Attributes:
        detect: Find coordinator, count and index in the cluster's environment: SLURM, Open MPI, Kubernetes, TPU.
        coordinator: address:port of process 0, where the others find it; given together with count and index.
        count: Processes in all, at least 1.
        index: Which of them this one is, 0 to count - 1; 0 writes the logs.
        timeout_seconds: Longest wait for the other processes, at the start and at the end, at least 1.
        heartbeat_seconds: After so long a process that does not answer counts as dead and ends the job, at least 1.

    Raises:
        TypeError: If a value is not of the type stated.
        ValueError: If a number is not whole or out of its range, or the values do not go together.

    >>> HostsConfig(coordinator='10.0.0.1:4321', count=2, index=0).timeout_seconds
    300
    """

    detect: bool = False
    coordinator: str | None = None
    count: int | None = None
    index: int | None = None
    timeout_seconds: int = 300
    heartbeat_seconds: int = 30

    def __post_init__(self) -> None:
        for name, least in (("count", 1), ("index", 0), ("timeout_seconds", 1), ("heartbeat_seconds", 1)):
            value = getattr(self, name)
            if value is None and name in ("count", "index"):
                continue
            object.__setattr__(self, name, as_whole(f"hosts.{name}", value, least=least))
        together = {name: getattr(self, name) for name in ("coordinator", "count", "index")}
        given = [name for name, value in together.items() if value is not None]
        if self.detect and given:
            raise ValueError(
                f"wanted hosts.detect or hosts.{given[0]}, got both; "
                "leave out detect to say yourself which processes there are, or leave out the others"
            )
        if given and len(given) < len(together):
            missing = " and ".join(f"hosts.{name}" for name in together if name not in given)
            raise ValueError(
                f"wanted hosts.coordinator, count and index together, got no {missing}; "
                "give all three to each process, or none to train with one"
            )
        if self.coordinator is not None:
            _split(self.coordinator)
        if self.index is not None and self.count is not None and self.index >= self.count:
            raise ValueError(
                f"wanted hosts.index to be 0 to {self.count - 1}, as hosts.count is {self.count}, got {self.index}; "
                "the first process is number 0"
            )


def start_hosts(config: HostsConfig) -> None:
    """Join the other processes and wait until all are there; with one process, do nothing.

    All processes call this once, before anything that makes JAX look for devices; flags of XLA and the platform
    are set before it. JAX's own answer to SIGTERM, which is to take note and go on, is turned off, so that the
    signal ends a process that does not handle it.

    Args:
        config: Which processes there are, and how long to wait for them.

    Raises:
        RuntimeError: If JAX has already been used, if no cluster is detected, or if not all processes come within
            ``timeout_seconds``. JAX cannot be used after that: let the process end.

    >>> start_hosts(HostsConfig())
    >>> is_primary_host()
    True
    """
    global _name
    if not config.detect and config.count in (None, 1):
        return
    if jax.distributed.is_initialized():
        raise RuntimeError("wanted to join the other processes once, got a second call; call start_hosts only once")
    if not config.detect:
        _name = f"process {config.index} of {config.count}"
    if config.index == 0 and config.coordinator is not None:
        _check_port(_split(config.coordinator)[1])
    jax.config.update("jax_enable_preemption_service", False)
    _connect(config)
    # Finds the devices of all, so that no process is left waiting for this later, when another may have died.
    _name = f"process {jax.process_index()} of {jax.process_count()}"


@contextmanager
def abort_job_on_error() -> Iterator[None]:
    """End all processes when one fails, where each alone would wait for the other; goes around a script's main.

    An error that leaves the block, Ctrl+C included, is printed with the number of the process, which then ends at
    once with code 1. So does an exit with an error code, which it keeps. JAX's own way out is to wait at a barrier
    for the others, and these wait for this one in a collective. The others notice, each by an error of its
    collective or by JAX's coordination service, which aborts the process (code -6, SIGABRT): at once, or within about
    ``heartbeat_seconds`` where nothing ran between them; so they do if a process is killed.

    An exit with code 0 and `Interrupted` pass, since all processes come to these together, and so does anything
    with one process.

    >>> with abort_job_on_error():
    ...     raise ValueError('with one process, an error is an error')
    Traceback (most recent call last):
    ValueError: with one process, an error is an error
    """
    try:
        yield
    except BaseException as error:
        together = isinstance(error, Interrupted) or (isinstance(error, SystemExit) and error.code in (None, 0))
        if together or not jax.distributed.is_initialized():
            raise
        _end(error)


def max_over_hosts(flag: int) -> int:
    """Return the largest of the numbers that the processes give, the same for all of them.

    All processes call this at the same point, and wait there for one another; with one process it is free.

    Args:
        flag: 0 to 2**31 - 1, such as the number of the signal that has come here, 0 if none has.

    Returns:
        The largest flag of all processes.

    Raises:
        ValueError: If the flag is out of range.

    >>> max_over_hosts(15)
    15
    """
    if not 0 <= flag < 2**31:
        raise ValueError(f"wanted a flag from 0 to 2**31 - 1, got {flag}")
    if not jax.distributed.is_initialized():
        return flag
    return int(multihost_utils.process_allgather(np.int32(flag)).max())


def is_primary_host() -> bool:
    """Return whether this is process 0, the one that writes the logs; the only one is.

    >>> is_primary_host()
    True
    """
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def sync_hosts(name: str) -> None:
    """Wait until all processes have come to this point; with one process, go on.

    Args:
        name: What the point is called, the same in all processes.

    Raises:
        AssertionError: If the processes have come to points of different names.

    >>> sync_hosts('the run folder exists')
    """
    if jax.distributed.is_initialized():
        multihost_utils.sync_global_devices(name)


def _check_port(port: int) -> None:
    """Check that a port is free: JAX's coordinator would end in a segmentation fault."""
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=family == socket.AF_INET6).close()
    except OSError as error:
        raise RuntimeError(
            f"wanted port {port} of hosts.coordinator to be free on this host, got: {error}; "
            "choose another one for all processes, or end what holds it"
        ) from error


def _connect(config: HostsConfig) -> None:
    """Start JAX's distributed service, in a thread: it would answer neither Ctrl+C nor our own time limit."""
    failures: list[Exception] = []

    def initialize() -> None:
        try:
            jax.distributed.initialize(
                config.coordinator,
                config.count,
                config.index,
                # All devices of the host where the processes were named; as the cluster says where it is asked.
                cluster_detection_method=None if config.detect else "deactivate",
                initialization_timeout=config.timeout_seconds + _MARGIN_SECONDS,
                heartbeat_timeout_seconds=config.heartbeat_seconds,
                shutdown_timeout_seconds=config.timeout_seconds,
            )
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=initialize, name="start_hosts", daemon=True)
    thread.start()
    thread.join(config.timeout_seconds)
    if thread.is_alive():
        raise RuntimeError(_nobody_came(config))
    if failures:
        # JAX has no class of its own for "no cluster found": it is the ValueError of a missing address.
        if config.detect and isinstance(failures[0], ValueError):
            raise RuntimeError(
                "wanted a cluster (SLURM, Open MPI, Kubernetes, TPU) in the environment, as hosts.detect says, "
                "got none; start the script by srun, mpirun or the like, or give hosts.coordinator, count and index"
            ) from failures[0]
        raise RuntimeError(
            f"wanted to join the other processes, got {type(failures[0]).__name__}: {failures[0]} "
            "Call start_hosts before anything else that uses JAX, and let nothing else use the coordinator's port."
        ) from failures[0]


def _nobody_came(config: HostsConfig) -> str:
    """Return who was waited for in vain, in words, as far as that can be found out from here."""
    wanted = f"wanted all {config.count or ''} processes within hosts.timeout_seconds = {config.timeout_seconds}"
    advice = "or give more time if they are slow to start"
    if config.coordinator is None:
        return f"{wanted.replace('  ', ' ')}, got fewer; look whether each runs and reaches the first host, {advice}"
    if config.index == 0:
        return (
            f"{wanted}, got fewer; start one for each hosts.index from 1 to {(config.count or 0) - 1} "
            f"with hosts.coordinator {config.coordinator}, look whether they reach that address, {advice}"
        )
    try:
        with socket.create_connection(_split(config.coordinator), timeout=2):
            return f"{wanted}, got the coordinator but not every other process; look whether each runs, {advice}"
    except OSError as error:
        return (
            f"{wanted}, got no answer from the coordinator {config.coordinator} ({error}); start the process "
            f"with hosts.index 0 on that host, look whether its port is open, {advice}"
        )


def _split(coordinator: str) -> tuple[str, int]:
    """Return the host and the port of an address such as ``10.0.0.1:4321`` or ``[::1]:4321``."""
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(
            f"wanted hosts.coordinator to be address:port with a port from 1 to 65535, got {coordinator!r}; "
            "take an address of process 0 that the other hosts can reach, such as 10.0.0.1:4321"
        )
    return host.strip("[]"), int(port)


def _end(error: BaseException) -> None:
    """Print what happened, in one piece as several processes may share the terminal, and end without a barrier."""
    code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
    if isinstance(error, SystemExit):
        reason = f"exits with code {code}" if isinstance(error.code, int) else f"exits: {error.code}"
        message = f"{_name} {reason}, and the job ends.\n"
    else:
        message = f"{_name} failed, and the job ends.\n{''.join(traceback.format_exception(error))}"
    with suppress(OSError, ValueError):  # a reader that has gone away must not keep this process
        sys.stdout.flush()
        sys.stderr.write(f"\n{message}")
        sys.stderr.flush()
    os._exit(code)
