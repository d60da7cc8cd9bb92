"""Two processes find one another, agree, compute together, and end together, whatever happens to one of them."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from icl_train.devices.hosts import (
    HostsConfig,
    abort_job_on_error,
    is_primary_host,
    max_over_hosts,
    start_hosts,
    sync_hosts,
)

SCRIPT = Path(__file__).with_name("two_processes.py")
CLUSTERS = ("SLURM", "OMPI", "KUBERNETES", "JOB_COMPLETION", "TPU", "JAX_", "XLA_FLAGS")
# Far above what is needed, about 25 s on two free cores: a job that hangs fails here.
LIMIT = 240


def start(*arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(CLUSTERS)}
    environment |= {"JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    )


def finish(process, *, until):
    try:
        out, err = process.communicate(timeout=max(until - time.monotonic(), 1))
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"{process.args} was still running after {LIMIT} s:\n{out}\n{err}")
    # Gloo writes to stdout, too.
    facts = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return SimpleNamespace(code=process.returncode, facts=facts, err=err)


@pytest.fixture(scope="module")
def ports():
    """Ports that are free, and one that is not."""
    held = [socket.create_server(("", 0)) for _ in range(4)]
    numbers = [each.getsockname()[1] for each in held]
    for each in held[:-1]:
        each.close()
    yield numbers
    held[-1].close()


@pytest.fixture(scope="module")
def processes(ports):
    """All jobs of this file, started at once: most of their time is the import of JAX, and waiting."""
    fates = ("signal", "kill")
    jobs = {fate: [start(fate, port, index) for index in (0, 1)] for fate, port in zip(fates, ports, strict=False)}
    jobs["alone"] = [start("alone", ports[2], ports[3])]
    yield jobs
    for process in (each for job in jobs.values() for each in job):
        if process.poll() is None:
            process.kill()
        process.communicate()  # closes the pipes of those that no test has asked


@pytest.fixture(scope="module")
def job(processes):
    """``job(fate)``: the two processes of the job whose process 0 or 1 had that fate, after their end."""
    ended, until = {}, time.monotonic() + LIMIT

    def end_of(fate):
        if fate not in ended:
            ended[fate] = [finish(process, until=until) for process in processes[fate]]
        return ended[fate]

    return end_of


def test_two_processes_compute_together_and_one_of_them_is_first(job):
    first, second = job("signal")
    common = {
        "count": 2,
        "agreed": 5,
        "rows": {"shape": [2, 3], "total": [11.0] * 3},
        "sigterm_is_default": True,
    }
    assert first.facts[0] == {"index": 0, "is_primary_host": True} | common
    assert second.facts[0] == {"index": 1, "is_primary_host": False} | common


def test_processes_of_a_cluster_are_found_without_being_named(job):
    assert [process.facts[0]["index"] for process in job("kill")] == [0, 1]
    assert [process.facts[0]["agreed"] for process in job("kill")] == [5, 5]


def test_a_signal_to_one_process_stops_all_after_the_same_step(job):
    first, second = job("signal")
    assert [first.code, second.code] == [143, 143], first.err + second.err
    assert first.facts[1:] == second.facts[1:] == [{"stopped_after": 3}]


def test_a_killed_process_ends_the_others_even_outside_a_collective(job):
    survivor, killed = job("kill")
    assert killed.code == -9
    assert survivor.facts[-1] == {"waits": True}
    assert survivor.code == -6, survivor.err
    assert "unhealthy (stopped sending heartbeats)" in survivor.err


def test_a_coordinator_that_does_not_answer_is_named(job):
    (alone,) = job("alone")
    error = alone.facts[1]["no_answer"]
    assert "wanted all 2 processes within hosts.timeout_seconds = 2, got no answer from the coordinator" in error
    assert "start the process with hosts.index 0 on that host" in error


def test_an_exit_with_an_error_code_waits_for_nobody_and_keeps_the_code(job):
    (alone,) = job("alone")
    assert alone.code == 2
    assert alone.err.endswith("process 1 of 2 exits with code 2, and the job ends.\n")


def test_detection_outside_a_cluster_and_a_taken_port_are_refused(job, ports):
    (alone,) = job("alone")
    errors = alone.facts[0]
    assert errors["no_cluster"].startswith("wanted a cluster (SLURM, Open MPI, Kubernetes, TPU) in the environment")
    assert errors["taken"].startswith(f"wanted port {ports[3]} of hosts.coordinator to be free on this host, got: ")


def test_processes_cannot_join_after_jax_was_used(ports):
    jax.devices()
    with pytest.raises(RuntimeError, match=r"(?s)wanted to join.*Call start_hosts before anything else that uses JAX"):
        start_hosts(HostsConfig(coordinator=f"127.0.0.1:{ports[2]}", count=2, index=1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"coordinator": "h:1"}, r"together, got no hosts\.count and hosts\.index"),
        ({"count": 2, "index": 0}, r"together, got no hosts\.coordinator;"),
        ({"detect": True, "count": 2}, r"hosts\.detect or hosts\.count, got both"),
        ({"coordinator": "h:1", "count": 2, "index": 2}, r"index to be 0 to 1, as hosts\.count is 2, got 2"),
        ({"coordinator": "h:1", "count": 2, "index": -1}, r"index to be a whole number of at least 0, got -1"),
        ({"coordinator": "h:1", "count": 0, "index": 0}, r"count to be a whole number of at least 1, got 0"),
        ({"coordinator": "h", "count": 2, "index": 0}, r"address:port .*, got 'h'"),
        ({"coordinator": "h:70000", "count": 2, "index": 0}, r"address:port .*, got 'h:70000'"),
        ({"timeout_seconds": 0}, r"timeout_seconds to be a whole number of at least 1, got 0"),
        ({"heartbeat_seconds": 0}, r"heartbeat_seconds to be a whole number of at least 1, got 0"),
    ],
)
def test_values_that_do_not_go_together_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        HostsConfig(**values)


@pytest.mark.parametrize("config", [HostsConfig(), HostsConfig(coordinator="h:1", count=1, index=0)])
def test_one_process_asks_jax_for_nothing(config, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("JAX was asked")

    for name in ("devices", "process_index", "process_count", "jit", "device_put"):
        monkeypatch.setattr(jax, name, refuse)
    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    start_hosts(config)
    assert is_primary_host()
    assert max_over_hosts(15) == 15
    sync_hosts("a point")


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(2), KeyboardInterrupt()])
def test_with_one_process_errors_leave_as_they_came(error, capfd):
    with pytest.raises(type(error)) as caught, abort_job_on_error():
        raise error
    assert caught.value is error
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("flag", [-1, 2**31])
def test_a_flag_out_of_range_is_refused(flag):
    with pytest.raises(ValueError, match="wanted a flag"):
        max_over_hosts(flag)
