"""A stricter JAX than users have (eight host devices, rank promotion raises), and a problem to train on."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import dataclasses
import json
import pwd
import tempfile
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icl_train import MeshConfig, TrainConfig, train

jax.config.update("jax_numpy_rank_promotion", "raise")
# Most runs here are the same program; compiling it once halves the time of the suite.
_CACHE = tempfile.TemporaryDirectory(prefix="icl-train-tests-")
if not jax.config.jax_compilation_cache_dir:
    jax.config.update("jax_compilation_cache_dir", _CACHE.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class Rows:
    """Batches that are a function of (seed, position), as Grain's are; endless unless ``end`` is given."""

    def __init__(self, *, seed=0, size=8, width=3, end=None):
        self.seed, self.size, self.width, self.end, self.position = seed, size, width, end, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.position == self.end:
            raise StopIteration
        generator = np.random.default_rng((self.seed, self.position))
        self.position += 1
        inputs = generator.normal(size=(self.size, self.width)).astype(np.float32)
        return {"inputs": inputs, "targets": inputs @ np.arange(1, self.width + 1, dtype=np.float32)}

    def get_state(self):
        return {"position": self.position}

    def set_state(self, state):
        self.position = state["position"]


def init(rng):
    params = {"linear/~/w": jax.random.normal(rng, (3,)), "nested": (jnp.zeros(()), [jnp.ones((2, 2))])}
    return params, {"mean": jnp.zeros(3)}


def loss_fn(params, model_state, rng, batch):
    """Linear regression on noisy inputs, so that a wrong key shows, with a running mean as model state."""
    noise = 0.1 * jax.random.normal(rng, batch["inputs"].shape)
    prediction = (batch["inputs"] + noise) @ params["linear/~/w"] + params["nested"][0]
    errors = prediction - batch["targets"]
    loss = jnp.mean(errors**2) + 1e-3 * jnp.sum(params["nested"][1][0] ** 2)
    model_state = {"mean": 0.9 * model_state["mean"] + 0.1 * batch["inputs"].mean(0)}
    return loss, ({"absolute_error": jnp.abs(errors).mean()}, model_state)


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def untimed(workdir):
    """Return metrics.jsonl without what depends on the clock."""
    timed = {"time", "steps_per_second", "items_per_second"}
    return [{name: value for name, value in line.items() if name not in timed} for line in lines(workdir)]


def same(one, other):
    """Return whether two pytrees are equal to the last bit."""
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        np.asarray(a).dtype == np.asarray(b).dtype and np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


FIELDS = {field.name for field in dataclasses.fields(TrainConfig)} - {"mesh"}


def pieces(folder):
    """The pieces of a training run, and ``run(name, **changes)``, which trains in a folder of that name."""

    def run(name, **changes):
        settings = {"steps": 10, "log_every": 3, "checkpoint_every": 4}
        settings |= {field: changes.pop(field) for field in set(changes) & FIELDS}
        config = TrainConfig(**settings)
        arguments = {
            "init": init,
            "loss_fn": loss_fn,
            "optimizer": optax.adam(0.05),
            "batches": Rows(),
            "workdir": folder / name,
            "mesh": MeshConfig().build(jax.devices()[:1]),
        }
        return train(config, **(arguments | changes))

    return SimpleNamespace(
        init=init,
        loss_fn=loss_fn,
        Rows=Rows,
        run=run,
        lines=lines,
        untimed=untimed,
        same=same,
        folder=folder,
    )


@pytest.fixture
def problem(tmp_path):
    return pieces(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The same for all tests of a file: for runs that are made once, and only looked at."""
    return pieces(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def no_home(monkeypatch):
    """A user who has no HOME and is in no passwd file, as in a container that is started with a number."""

    def nobody(number):
        raise KeyError(number)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 10 steps that nothing disturbed: its folder, state, final loss and metrics. Copy it to change it.

    Of each file its own: one process compiles what another loads, and the last bit need not be the same.
    """
    folder = tmp_path_factory.mktemp("never-stopped")
    result = pieces(folder).run("run")
    return SimpleNamespace(
        folder=folder / "run", state=result.state, final_loss=result.final_loss, untimed=untimed(folder / "run")
    )
