"""A run on two hosts when one is told to stop, then one when one fails: neither waits for the other in vain."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

CHILD = """
import signal, sys, time
import jax.numpy as jnp, numpy as np, optax
from icl_train import EverySteps, HostsConfig, Interrupted, TrainConfig, abort_job_on_error, start_hosts, train

workdir, port, index = sys.argv[1], sys.argv[2], int(sys.argv[3])

class Rows:
    position = 0
    def __init__(self, fails): self.fails = fails
    def __next__(self):
        if (self.fails, index, self.position) == (True, 1, 7):
            raise RuntimeError("the data of one host ends")
        time.sleep(0.05)
        inputs = np.random.default_rng((self.position, index)).normal(size=(4, 3)).astype(np.float32)
        self.position += 1
        return {"inputs": inputs, "targets": inputs.sum(1)}
    def get_state(self): return {"position": self.position}
    def set_state(self, state): self.position = state["position"]

def loss_fn(params, model_state, rng, batch):
    return jnp.mean((batch["inputs"] @ params - batch["targets"]) ** 2), ({}, model_state)

def tell(step, state):
    if (index, step) == (1, 5):
        signal.raise_signal(signal.SIGTERM)

def run(name, fails, actions):
    train(
        TrainConfig(steps=60, log_every=1, checkpoint_every=3), init=lambda rng: (jnp.zeros(3), {}), loss_fn=loss_fn,
        optimizer=optax.sgd(0.1), batches=Rows(fails), workdir=f"{workdir}/{name}", actions=actions,
    )

with abort_job_on_error():
    start_hosts(HostsConfig(coordinator=f"127.0.0.1:{port}", count=2, index=index, heartbeat_seconds=10))
    try:
        run("stops", False, [EverySteps(5, tell)])
    except Interrupted as stopped:
        print("stopped with code", stopped.code, flush=True)
    run("fails", True, [])
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The codes and words of two processes, after their end, and the folder of their runs."""
    folder = tmp_path_factory.mktemp("pair")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    ignored = {"XLA_FLAGS", "PYTHONWARNINGS", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"}
    environment = {name: value for name, value in os.environ.items() if name not in ignored}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), port, str(index)],
            env=environment | {"JAX_PLATFORMS": "cpu"},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in (0, 1)
    ]
    try:
        words = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    said, errors = zip(*words, strict=True)
    return SimpleNamespace(codes=[each.returncode for each in processes], said=said, errors=errors, folder=folder)


def test_a_signal_to_one_stops_both_after_the_same_step_with_all_saved(pair):
    assert all(f"stopped with code {128 + signal.SIGTERM}\n" in each for each in pair.said), pair.errors
    (step,) = map(int, re.findall(r"Stopped by SIGTERM after step (\d+) of 60, saved", pair.errors[0]))
    assert 5 <= step <= 30, "half a second after step 5, or a little more"
    assert "Stopped by SIGTERM" not in pair.errors[1], "the first host speaks for both"
    assert str(step) in {path.name for path in (pair.folder / "stops" / "checkpoints").iterdir()}
    lines = (pair.folder / "stops" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, step + 1))


def test_one_that_fails_while_a_checkpoint_is_written_ends_the_job_with_its_error(pair):
    assert pair.codes[1] == 1
    assert "process 1 of 2 failed, and the job ends.\nTraceback" in pair.errors[1]
    assert "\nRuntimeError: the data of one host ends\n" in pair.errors[1]
    # Its collective and the coordination service notice, whichever is first; the second aborts.
    assert pair.codes[0] in (1, -6), pair.errors[0]
    assert "process 0 of 2 failed" in pair.errors[0] or "Terminating process" in pair.errors[0]
