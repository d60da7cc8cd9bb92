"""Somebody else's project: icl-data and icl-train from their wheels, around a model of its own in plain JAX.

``nox -s alone`` runs it where neither this repository nor icl-models nor icl-eval can be imported.
"""

import tempfile

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from icl_data import BatchSource, Bursty, ClassSplit, SequenceSampler, batches, glyphs
from icl_train import TrainConfig, train

bank = glyphs(12, num_exemplars=10, cache=False)
split = ClassSplit(num_classes=bank.num_classes, rare=10, holdout=2)
sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts, seed=0)
stream = batches(BatchSource(sampler=sampler, bank=bank, batch_size=16))


def init(rng: Array) -> tuple[PyTree, PyTree]:
    """A linear classifier of the query image; it cannot learn in context, and need not."""
    return {"weights": 0.01 * jax.random.normal(rng, (28 * 28, split.num_positions))}, {}


def loss_fn(params: PyTree, model_state: PyTree, rng: Array, batch: PyTree) -> tuple[Array, tuple[dict, PyTree]]:
    """Cross-entropy of the query's label."""
    queries = batch["images"][:, -1].reshape(-1, 28 * 28) / 255
    losses = optax.softmax_cross_entropy_with_integer_labels(queries @ params["weights"], batch["labels"][:, -1])
    return jnp.mean(losses), ({}, model_state)


with tempfile.TemporaryDirectory() as folder:
    result = train(
        TrainConfig(steps=100, log_every=20),
        init=init,
        loss_fn=loss_fn,
        optimizer=optax.adam(1e-2),
        batches=iter(stream),
        workdir=f"{folder}/run",
    )
assert result.final_loss < 1.5 < jnp.log(split.num_positions), result.final_loss
print(f"loss {result.final_loss:.2f} after {result.steps} steps, chance {jnp.log(split.num_positions):.2f}")
