"""One process of a job of two, with the fate of the job as its first argument; run by test_hosts.py.

python two_processes.py FATE PORT INDEX
"""

import importlib.util
import json
import os
import signal
import sys
import time
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

if __name__ == "__main__":  # pytest, in search of doctests, imports this file too
    # Without the package's own imports, Orbax above all: a third of the time, in each of seven processes.
    package = types.ModuleType("icl_train")
    package.__path__ = list(importlib.util.find_spec("icl_train").submodule_search_locations)
    sys.modules["icl_train"] = package

from icl_train.devices import hosts
from icl_train.errors import Interrupted
from icl_train.signals import flag_signals


def say(**facts):
    print(json.dumps(facts), flush=True)


def sum_of_rows(*, index):
    """Sum a global array [2 processes, 3] to which each process brings its own row."""
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    row = np.full((1, 3), 10.0**index, np.float32)
    rows = jax.make_array_from_process_local_data(NamedSharding(mesh, PartitionSpec("data")), row)
    total = jax.jit(lambda x: jnp.sum(x, axis=0), out_shardings=NamedSharding(mesh, PartitionSpec()))(rows)
    return {"shape": list(rows.shape), "total": np.asarray(total.addressable_data(0)).tolist()}


def befall(fate, *, index):
    if (fate, index) == ("signal", 1):
        os.kill(os.getpid(), signal.SIGTERM)
    if (fate, index) == ("kill", 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if (fate, index) == ("kill", 0):
        say(waits=True)  # for nothing that the other process has a part in
        time.sleep(600)


def train(fate, *, index):
    """Make steps that the processes take together, until something befalls one of them at step 3."""
    with flag_signals() as flag:
        for step in range(1, 1_000_000):
            if step == 3:
                befall(fate, index=index)
            number = hosts.max_over_hosts(0 if flag.signal is None else flag.signal)
            if number:
                say(stopped_after=step)
                hosts.sync_hosts("the end")
                raise Interrupted(signal.Signals(number), "stopped")


def place(fate, port, index):
    """Name the two processes, or, for one of the fates, let them be found as in a SLURM job on this host."""
    if fate != "kill":
        return {"coordinator": f"127.0.0.1:{port}", "count": 2, "index": index}
    os.environ |= {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "JAX_COORDINATOR_PORT": port}
    os.environ |= {"SLURM_NTASKS": "2", "SLURM_PROCID": str(index), "SLURM_LOCALID": str(index)}
    return {"detect": True}


def in_company(fate, port, index):
    with hosts.abort_job_on_error():
        hosts.start_hosts(hosts.HostsConfig(**place(fate, port, index), timeout_seconds=120, heartbeat_seconds=10))
        say(
            index=jax.process_index(),
            count=jax.process_count(),
            is_primary_host=hosts.is_primary_host(),
            agreed=hosts.max_over_hosts(5 * (1 - index)),
            rows=sum_of_rows(index=index),
            sigterm_is_default=sigterm_is_default(),
        )
        train(fate, index=index)


def alone(port, taken):
    """Want company and get none; the last time as an experiment does, with the error in one line."""

    def error_of(**config):
        try:
            hosts.start_hosts(hosts.HostsConfig(timeout_seconds=2, **config))
        except RuntimeError as error:
            return str(error)

    with hosts.abort_job_on_error():
        say(no_cluster=error_of(detect=True), taken=error_of(coordinator=f"127.0.0.1:{taken}", count=2, index=0))
        say(no_answer=error_of(coordinator=f"127.0.0.1:{port}", count=2, index=1))
        sys.exit(2)


def sigterm_is_default():
    """Ask the kernel: Python does not know of handlers that C++ has installed."""
    lines = Path("/proc/self/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return not caught >> (signal.SIGTERM - 1) & 1


if __name__ == "__main__":
    fate, *numbers = sys.argv[1:]
    if fate == "alone":
        alone(*numbers)
    else:
        in_company(fate, numbers[0], int(numbers[1]))
