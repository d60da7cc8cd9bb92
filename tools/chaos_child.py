"""A small training run that ``tools/chaos.py`` starts, kills and resumes; it uses nothing but icl_train.

Run by hand: ``python -m tools.chaos_child runs/chaos --steps 100``, and again with ``--resume``.
"""

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from icl_train import EverySteps, Moment, OptimizerConfig, TrainConfig, TrainState, train

CLASSES, INPUTS, WIDTH, ROWS = 16, 256, 512, 32  # 1.6 MB of parameters, 5 MB in a checkpoint


class Clusters:
    """Batches of noisy points around a center per class; batch number i is always the same."""

    def __init__(self, seed: int) -> None:
        """Draw the centers."""
        self.seed, self.position = seed, 0
        self.centers = np.random.default_rng(seed).normal(size=(CLASSES, INPUTS)).astype(np.float32)

    def __next__(self) -> dict[str, np.ndarray]:
        """Return inputs [B, inputs] and labels [B]."""
        generator = np.random.default_rng((self.seed, self.position))
        self.position += 1
        labels = generator.integers(CLASSES, size=ROWS)
        noise = generator.normal(size=(ROWS, INPUTS)).astype(np.float32)
        return {"inputs": self.centers[labels] + 4 * noise, "labels": labels.astype(np.int32)}

    def get_state(self) -> dict[str, Any]:
        """Return the number of batches given."""
        return {"position": self.position}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to where that many had been given."""
        self.position = state["position"]


def init(rng: Array) -> tuple[PyTree, PyTree]:
    """Make two hidden layers and an output layer, and running statistics of what the hidden layers see."""
    sizes = (INPUTS, WIDTH, WIDTH, CLASSES)
    pairs = list(itertools.pairwise(sizes))
    params = {
        f"layer_{number}": {"w": jax.random.normal(key, pair) / np.sqrt(pair[0]), "b": jnp.zeros(pair[1])}
        for number, (pair, key) in enumerate(zip(pairs, jax.random.split(rng, 3), strict=True))
    }
    statistics = {f"layer_{n}": {"mean": jnp.zeros(sizes[n]), "variance": jnp.ones(sizes[n])} for n in (0, 1)}
    return params, statistics


def loss_fn(params: PyTree, model_state: PyTree, rng: Array, batch: PyTree) -> tuple[Array, tuple[dict, PyTree]]:
    """Cross-entropy of a classifier that normalises by running statistics and drops out a tenth."""
    hidden, statistics = batch["inputs"], {}
    for number, key in enumerate(jax.random.split(rng, 2)):
        old, name = model_state[f"layer_{number}"], f"layer_{number}"
        new = {"mean": hidden.mean(0), "variance": hidden.var(0)}
        statistics[name] = jax.lax.stop_gradient(jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, old, new))
        hidden = (hidden - statistics[name]["mean"]) / jnp.sqrt(statistics[name]["variance"] + 1e-3)
        hidden = jnp.tanh(hidden @ params[name]["w"] + params[name]["b"])
        hidden = hidden * jax.random.bernoulli(key, 0.9, hidden.shape) / 0.9
    logits = hidden @ params["layer_2"]["w"] + params["layer_2"]["b"]
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), batch["labels"][:, None], axis=1)
    accuracy = jnp.mean(logits.argmax(1) == batch["labels"])
    return -jnp.mean(chosen), ({"accuracy": accuracy}, statistics)


class FirstStep:
    """Return on stdout when the first step of this session has been made, so that a kill can be placed after it."""

    said = False

    def is_due(self, moment: Moment) -> bool:
        """Return whether it has not been said."""
        return not self.said

    def __call__(self, step: int, state: TrainState) -> None:
        """Return it, once the step has been made and not only dispatched."""
        jax.block_until_ready(state.step)
        print(f"first step {step} on {len(state.step.sharding.device_set)} device(s)", flush=True)
        self.said = True


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the words of a command line."""
    parser = argparse.ArgumentParser(prog="chaos_child.py", description=__doc__)
    parser.add_argument("workdir")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--devices", type=int, default=1, help="CPU devices to pretend to have")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0, help="of the run; the data stay the same")
    parser.add_argument("--keep", type=int, default=3, help="checkpoints to keep")
    parser.add_argument("--pause", type=float, default=0.01, help="seconds to sleep every 3 steps")
    parser.add_argument(
        "--config", action="append", default=[], metavar="FIELD=JSON", help="a field of TrainConfig; may be repeated"
    )
    return parser.parse_args(words)


def main(words: Sequence[str]) -> None:
    """Train as the words of a command line say."""
    options = parse(words)
    # Read by XLA when it wakes up, which importing jax does not do.
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={options.devices}"
    config: dict[str, Any] = {
        "steps": options.steps,
        "seed": options.seed,
        "log_every": 7,
        "checkpoint_every": 10,
        "keep_checkpoints": options.keep,
    }
    config |= {field: json.loads(value) for field, value in (word.split("=", 1) for word in options.config)}
    # A schedule that does not know the length of the run: a shorter run is the beginning of a longer one.
    optimizer = OptimizerConfig(schedule="inverse_sqrt", learning_rate=1e-3, warmup_steps=30)
    train(
        TrainConfig(**config),
        init=init,
        loss_fn=loss_fn,
        optimizer=optimizer.build(options.steps),
        batches=Clusters(seed=17),
        workdir=options.workdir,
        actions=[FirstStep(), EverySteps(3, lambda step, state: time.sleep(options.pause), at_end=False)],
        resume=options.resume,
        resume_hint="run it again with --resume",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
