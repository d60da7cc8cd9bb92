"""What the loop costs over a bare ``for`` around the same compiled step, with logging, bar and checkpoints on.

Run by ``nox -s bench``; about two minutes.
"""

import contextlib
import io
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from icl_train import (
    CompiledTraining,
    MeshConfig,
    Moment,
    StepSpec,
    TrainConfig,
    TrainState,
    compile_single,
    train,
)

WIDTH, STEPS = 512, 4_000
OPTIMIZER = optax.adam(1e-3)


class Batches:
    """One batch for ever."""

    def __init__(self) -> None:
        """Make the batch."""
        self.batch = {"inputs": np.random.default_rng(0).normal(size=(110, WIDTH)).astype(np.float32)}

    def __next__(self) -> dict[str, np.ndarray]:
        """Return the batch."""
        return self.batch

    def get_state(self) -> dict:
        """Return no position: all are alike."""
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


class Terminal(io.StringIO):
    """Where the progress bar is drawn."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


def bare(program: CompiledTraining, steps: int) -> float:
    """Return the seconds of a step in a bare ``for``."""
    batches, state = Batches(), program.init_state()
    state, _ = program.step(state, program.to_devices([next(batches)], 1), np.int32(1), np.int32(1))
    start = time.perf_counter()
    for step in range(2, steps + 2):
        state, scalars = program.step(state, program.to_devices([next(batches)], 1), np.int32(step), np.int32(1))
    jax.block_until_ready((state, scalars))
    return (time.perf_counter() - start) / steps


def looped(steps: int) -> tuple[float, int]:
    """Return the seconds of a step in ``train``, and how many checkpoints were saved on the way."""
    marks, terminal = Marks(), Terminal()
    config = TrainConfig(steps=steps + 1, log_every=50, checkpoint_every=10**9, checkpoint_minutes=0.5)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(terminal):
        train(
            config, init=init, loss_fn=loss_fn, optimizer=OPTIMIZER, batches=Batches(), workdir=f"{folder}/run",
            actions=[marks],
        )  # fmt: skip
        saved = len(list(Path(folder, "run", "checkpoints").iterdir()))
    assert "items/s" in terminal.getvalue(), "the bar was not drawn"
    return (marks.times[-1] - marks.times[0]) / steps, saved - 1


def main() -> None:
    """Print both rates and the overhead; the bare ``for`` runs before and after, as the machine drifts."""
    program = compile_single(StepSpec(init, loss_fn, OPTIMIZER), seed=0, mesh=MeshConfig().build())
    before = bare(program, STEPS // 2)
    within, saved = looped(STEPS)
    after = bare(program, STEPS // 2)
    seconds = (before + after) / 2
    print(f"bare for: {1 / before:.1f} steps/s before, {1 / after:.1f} after; train(): {1 / within:.1f}")
    print(f"overhead with lines, bar and {saved} checkpoint(s), one each 30 s: {100 * (within / seconds - 1):.1f} %")


if __name__ == "__main__":
    main()
