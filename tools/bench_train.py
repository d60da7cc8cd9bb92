"""What the loop costs over a bare ``for`` around the same compiled step, with logging and checkpoints on.

Run by ``nox -s bench``.
"""

import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from icl_train import (
    Moment,
    TrainConfig,
    TrainState,
    compile_initial_state,
    compile_train_step,
    data_mesh,
    shard_batch,
    train,
)

WIDTH, STEPS = 512, 600
OPTIMIZER = optax.adam(1e-3)


class Batches:
    """One batch for ever."""

    def __init__(self) -> None:
        """Make the batch."""
        self.batch = {"inputs": np.random.default_rng(0).normal(size=(256, WIDTH)).astype(np.float32)}

    def __next__(self) -> dict[str, np.ndarray]:
        """Give the batch."""
        return self.batch

    def get_state(self) -> dict:
        """Give no position: all are alike."""
        return {}

    def set_state(self, state: dict) -> None:
        """Go nowhere."""


class Marks:
    """An action that is never due, but notes when each step is dispatched: the first, which compiles, is left out."""

    def __init__(self) -> None:
        """Begin without a mark."""
        self.times: list[float] = []

    def is_due(self, moment: Moment) -> bool:
        """Note the time."""
        self.times.append(time.perf_counter())
        return False

    def __call__(self, step: int, state: TrainState) -> None:
        """Do nothing."""


def init(rng: Array) -> tuple[PyTree, PyTree]:
    """Make a small autoencoder, so that a step takes about 10 ms."""
    return {"layers": 0.05 * jax.random.normal(rng, (4, WIDTH, WIDTH))}, {}


def loss_fn(params: PyTree, model_state: PyTree, rng: Array, batch: PyTree) -> tuple[Array, tuple[dict, PyTree]]:
    """Squared error of the reconstruction."""
    hidden = batch["inputs"]
    for layer in range(4):
        hidden = jnp.tanh(hidden @ params["layers"][layer])
    return jnp.mean((hidden - batch["inputs"]) ** 2), ({}, model_state)


def main() -> None:
    """Print both rates and the overhead."""
    mesh, key, batches = data_mesh(), jax.random.key(0), Batches()
    state = compile_initial_state(init=init, optimizer=OPTIMIZER, mesh=mesh)(key)
    step = compile_train_step(state=state, loss_fn=loss_fn, optimizer=OPTIMIZER, mesh=mesh)
    state, _ = step(state, shard_batch(next(batches), mesh), key)
    bare, looped = [], []
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(STEPS):
            state, scalars = step(state, shard_batch(next(batches), mesh), key)
        jax.block_until_ready((state, scalars))
        bare.append((time.perf_counter() - start) / STEPS)
        with tempfile.TemporaryDirectory() as folder:
            config = TrainConfig(steps=STEPS, log_every=50, checkpoint_every=300)
            marks = Marks()
            train(
                config, init=init, loss_fn=loss_fn, optimizer=OPTIMIZER, batches=batches, workdir=f"{folder}/run",
                actions=[marks], mesh=mesh,
            )  # fmt: skip
        looped.append((marks.times[-1] - marks.times[0]) / (STEPS - 1))
    print(f"bare for: {1 / min(bare):.0f} steps/s; train(): {1 / min(looped):.0f} steps/s")
    print(f"overhead of the loop: {100 * (min(looped) / min(bare) - 1):.1f} %")


if __name__ == "__main__":
    main()
