"""Eight small Transformers side by side in one program, against the same eight one after the other.

Run by ``nox -s bench``; about a minute. On CPUs, the members are shared out among as many host devices as cores.
"""

import os
import statistics
import time
from collections.abc import Callable, Mapping

import jax
import numpy as np
import optax
from jaxtyping import Array, PyTree

from icl_models import EmbeddingEncoder, SequenceClassifier, Transformer, query_cross_entropy
from icl_train import CompiledTraining, EnsembleConfig, Member, MeshConfig, StepSpec, compile_ensemble, compile_single

MEMBERS, BATCH, ITEMS, LABELS = 8, 64, 9, 100
STEPS, ROUNDS = 20, 3
DEVICES = min(os.cpu_count() or 1, MEMBERS)

MODEL = SequenceClassifier(
    num_labels=LABELS, encoder=EmbeddingEncoder(num_items=LABELS), trunk=Transformer(layers=3), width=64
).build()


class Batches:
    """One batch of symbols for ever."""

    def __init__(self, seed: int) -> None:
        """Draw it."""
        rng = np.random.default_rng(seed)
        self.batch = {name: rng.integers(0, LABELS, (BATCH, ITEMS)).astype(np.int32) for name in ("items", "labels")}

    def __next__(self) -> dict[str, np.ndarray]:
        """Return the batch."""
        return self.batch

    def get_state(self) -> dict:
        """Return no position: all are alike."""
        return {}

    def set_state(self, state: dict) -> None:
        """Go nowhere."""


def init(rng: Array) -> tuple[PyTree, PyTree]:
    """Make the parameters."""
    batch = Batches(0).batch
    return MODEL.init(rng, batch["items"], batch["labels"])


def loss_fn(params: PyTree, state: PyTree, rng: Array, batch: PyTree) -> tuple[Array, tuple[dict, PyTree]]:
    """Return the loss of the query."""
    logits, state = MODEL.apply(params, state, rng, batch["items"], batch["labels"], True)
    loss, metrics = query_cross_entropy(logits, batch["labels"][:, -1])
    return loss, (metrics, state)


def optimizer(hyper: Mapping[str, Array | float]) -> optax.GradientTransformation:
    """Make Adam."""
    return optax.adam(hyper["learning_rate"])


def steps_of(program: CompiledTraining, batch: dict[str, np.ndarray]) -> Callable[[], float]:
    """Compile; give a function that makes some steps and gives their rate."""
    state = [program.init_state()]
    state[0], _ = program.step(state[0], program.to_devices([batch], 1), np.int32(1), np.int32(1))

    def run() -> float:
        start = time.perf_counter()
        for step in range(STEPS):
            state[0], scalars = program.step(state[0], program.to_devices([batch], 1), np.int32(step + 2), np.int32(1))
        jax.block_until_ready((state[0], scalars))
        return STEPS / (time.perf_counter() - start)

    return run


def main() -> None:
    """Print steps per second of a member: alone, where they wait for one another, and together."""
    jax.config.update("jax_num_cpu_devices", DEVICES)
    spec = StepSpec(init, loss_fn, optax.identity())
    members = [Member(seed, Batches(seed), {"learning_rate": 1e-3}) for seed in range(MEMBERS)]
    stacked = {
        name: np.stack([member.batches.batch[name] for member in members])  # type: ignore[attr-defined]
        for name in ("items", "labels")
    }
    alone = spec._replace(optimizer=optimizer({"learning_rate": 1e-3}))
    mesh = MeshConfig().build(jax.devices()[:1])
    runs = {"alone, one after the other": (steps_of(compile_single(alone, seed=0, mesh=mesh), Batches(0).batch), 1)}
    ways: list[tuple[str, int]] = [("vmap", 1), ("map", 1), ("map", DEVICES), ("vmap", DEVICES)]
    for on_device, devices in ways:
        config = EnsembleConfig(members=MEMBERS, on_device=on_device)  # type: ignore[arg-type]
        program = compile_ensemble(
            spec, members=members, optimizer=optimizer, config=config, mesh=config.build(jax.devices()[:devices])
        )
        runs[f"together, {on_device} on {devices} device(s)"] = steps_of(program, stacked), MEMBERS
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, (run, count) in runs.items():
            rates[name].append(count * run())
    first = statistics.median(next(iter(rates.values())))
    for name, values in rates.items():
        rate = statistics.median(values)
        print(f"{name:36} {rate:7.1f} member-steps/s, {rate / first:.2f} times alone", flush=True)


if __name__ == "__main__":
    main()
