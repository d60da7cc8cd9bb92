"""The two toys of Singh et al., trained by the loop: plain descent on tensor products, beside numbers from elsewhere.

Induction heads: Singh et al. 2024 (arXiv 2404.07129), section 5; coopetition: Singh et al. 2025 (arXiv 2503.05631),
section 6. Start and truth are N(0, 1). The numbers of steps and of seeds were found in another implementation.
"""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_train import EnsembleConfig, Member, OptimizerConfig, TrainConfig, train_ensemble

DESCENT = OptimizerConfig(method="sgd", learning_rate=1.0, warmup_steps=0, clip_norm=None)
SIZES = {"a": 20, "b": 20, "c": 20, "d": 160}


class Nothing:
    """Batches of a problem that has no data."""

    def __init__(self):
        self.position = 0

    def __next__(self):
        self.position += 1
        return {"nothing": np.zeros(1, np.float32)}

    def __iter__(self):
        return self

    def get_state(self):
        return {"position": self.position}

    def set_state(self, state):
        self.position = state["position"]


def drawn(rng, names):
    """Return a vector for each name, N(0, 1), from a key."""
    return {
        name: jax.random.normal(key, (SIZES[name],))
        for name, key in zip(names, jax.random.split(rng, len(names)), strict=True)
    }


def half_error(factors, truth):
    """Return half the mean squared error of the outer product of three vectors."""
    return jnp.mean((jnp.einsum("i,j,k->ijk", *factors) - jnp.einsum("i,j,k->ijk", *truth)) ** 2) / 2


def losses(folder, *, names, clamped, loss_fn, steps, seeds, log_every):
    """Return the loss of each seed at the logged steps [seeds, logged]; what is clamped is given the truth."""

    def init(rng):
        start, truth = (drawn(key, names) for key in jax.random.split(rng))
        return start | {name: truth[name] for name in clamped}, {"truth": truth}

    train_ensemble(
        TrainConfig(
            steps=steps,
            log_every=log_every,
            checkpoint_every=steps,
            freeze=tuple(f"^{name}$" for name in clamped),
            ensemble=EnsembleConfig(members=seeds),
        ),
        init=init,
        loss_fn=lambda params, state, rng, batch: (loss_fn(params, state["truth"]), ({}, state)),
        optimizer=lambda _: DESCENT.build(steps),
        members=[Member(seed, Nothing(), {}) for seed in range(seeds)],
        workdir=folder,
    )
    lines = (folder / f"member-{number:03}" / "metrics.jsonl" for number in range(seeds))
    return np.array([[json.loads(line)["loss"] for line in path.read_text().splitlines()] for path in lines])


@pytest.mark.lengthy
def test_clamping_a_part_of_the_circuit_shortens_the_plateau(tmp_path):
    medians = []
    for clamped in ((), ("c",), ("b", "c")):
        found = losses(
            tmp_path / "".join(("toy", *clamped)),
            names="abc",
            clamped=clamped,
            loss_fn=lambda params, truth: half_error(*([each[name] for name in "abc"] for each in (params, truth))),
            steps=1_000,
            seeds=24,
            log_every=1,
        )
        came = found < 0.05
        medians.append(np.median(np.where(came.any(axis=1), came.argmax(axis=1), np.inf)))
    np.testing.assert_allclose(medians, [431, 90, 31], rtol=0.3)
    assert all(slower > 2 * faster for slower, faster in itertools.pairwise(medians))


@pytest.mark.slow
def test_two_circuits_that_share_parts_and_compete_are_learnt_one_after_the_other(tmp_path):
    def loss_fn(params, truth):
        first, second = (
            half_error(*([each[name] for name in names] for each in (params, truth))) for names in ("abc", "dbc")
        )
        competition = jnp.mean(jnp.outer(params["a"], params["d"]) ** 2) / 2
        return (first + 0.1) * second + 0.1 * competition

    found = losses(tmp_path / "toy", names="abcd", clamped=(), loss_fn=loss_fn, steps=16_000, seeds=20, log_every=100)
    assert 12 <= (found[:, -1] < 1e-6).sum() <= 20  # 16 of 20 elsewhere
