"""A run on two hosts when one fails, or is told to stop: neither waits for the other in vain."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

CHILD = """
import os, signal, sys
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np, optax
from icl_train import EverySteps, HostsConfig, TrainConfig, abort_job_on_error, start_hosts, train

workdir, port, index, fate = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]

class Rows:
    position = 0
    def __next__(self):
        if (fate, index, self.position) == ("fails", 1, 7):
            raise RuntimeError("the data of one host ends")
        inputs = np.random.default_rng((self.position, index)).normal(size=(4, 3)).astype(np.float32)
        self.position += 1
        return {"inputs": inputs, "targets": inputs.sum(1)}
    def get_state(self): return {"position": self.position}
    def set_state(self, state): self.position = state["position"]

def loss_fn(params, model_state, rng, batch):
    return jnp.mean((batch["inputs"] @ params - batch["targets"]) ** 2), ({}, model_state)

def tell(step, state):
    if (fate, index, step) == ("stops", 1, 5):
        signal.raise_signal(signal.SIGTERM)

with abort_job_on_error():
    start_hosts(HostsConfig(coordinator=f"127.0.0.1:{port}", count=2, index=index, heartbeat_seconds=10))
    train(
        TrainConfig(steps=60, log_every=1, checkpoint_every=3), init=lambda rng: (jnp.zeros(3), {}), loss_fn=loss_fn,
        optimizer=optax.sgd(0.1), batches=Rows(), workdir=workdir, actions=[EverySteps(5, tell)],
    )
"""


@pytest.fixture
def pair(tmp_path):
    def run(fate):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
        ignored = {"XLA_FLAGS", "PYTHONWARNINGS", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"}
        environment = {name: value for name, value in os.environ.items() if name not in ignored}
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", CHILD, str(tmp_path / "run"), port, str(index), fate],
                env=environment | {"JAX_PLATFORMS": "cpu"},
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
            )
            for index in (0, 1)
        ]
        try:
            words = [process.communicate(timeout=120)[1] for process in processes]
        finally:
            for process in processes:
                process.kill()
        return [process.returncode for process in processes], words

    return run


def test_one_that_fails_while_a_checkpoint_is_written_ends_the_job_with_its_error(pair):
    codes, words = pair("fails")
    assert codes[1] == 1 and codes[0] != 0
    assert "RuntimeError: the data of one host ends" in words[1] and "process 1 of 2 failed" in words[1]


def test_a_signal_to_one_stops_both_after_the_same_step_with_all_saved(pair, tmp_path):
    codes, words = pair("stops")
    assert codes == [128 + signal.SIGTERM] * 2, words
    assert "Stopped by SIGTERM after step 10 of 60, saved" in words[0]
    assert "10" in {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 11))
