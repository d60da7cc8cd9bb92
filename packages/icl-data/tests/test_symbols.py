"""Sequences of symbols: pure in (seed, index), of the urn or the chain that they say, and alike in NumPy and jax."""

import dataclasses

import jax
import numpy as np
import pytest

from icl_data import UNSEEN, BatchSource, Expandable, MarkovChains, NumbersOf, Process, SymbolSampler, Tasks, Urns

PROCESSES = [Urns(num_symbols=5), MarkovChains(num_symbols=5)]
both = pytest.mark.parametrize("process", PROCESSES, ids=["urns", "chains"])


@both
def test_a_sequence_depends_on_its_index_alone(process):
    sampler = SymbolSampler(process=process, tasks=Tasks(count=3), length=20, seed=4)
    assert isinstance(process, Process) and isinstance(sampler, Expandable)
    block = sampler.sample(np.array([7, 0, 2**40]))
    for place, index in enumerate((7, 0, 2**40)):
        for name, values in sampler.sample(np.array([index])).items():
            assert np.array_equal(values[0], block[name][place])
    assert block["tokens"].shape == (3, 21) and block["tokens"].dtype == np.int32
    assert (block["tokens"][:, 0] == 5).all() and sampler.num_tokens == 6
    assert block["tokens"][:, 1:].min() >= 0 and block["tokens"][:, 1:].max() <= 4
    other = dataclasses.replace(sampler, stream="other")
    assert not np.array_equal(other.sample(np.arange(9))["tokens"], sampler.sample(np.arange(9))["tokens"])
    assert np.array_equal(other.probabilities(np.arange(3)), sampler.probabilities(np.arange(3)))
    assert not np.array_equal(sampler.probabilities(np.array([0])), sampler.probabilities(np.array([UNSEEN])))


@both
@pytest.mark.parametrize("count", [None, 3])
def test_jax_makes_the_same_symbols_to_the_bit(process, count):
    sampler = SymbolSampler(process=process, tasks=Tasks(count=count), length=33)
    numbers = BatchSource(sampler=NumbersOf(sampler), bank=None, batch_size=300)[2]
    made = jax.jit(sampler.expand)(sampler.resident, numbers)
    assert np.array_equal(made["tokens"], sampler.sample(np.arange(600, 900))["tokens"])
    assert made["tokens"].dtype == np.int32


def test_urns_are_uniform_over_all_urns_and_their_symbols_come_as_often_as_they_say():
    sampler = SymbolSampler(process=PROCESSES[0], tasks=Tasks(count=2), length=2_000)
    urns = sampler.probabilities(np.arange(20_000)).astype(np.float64)
    assert (urns.sum(axis=1) == 1).all()
    # Of the Dirichlet distribution of all 1, K 5: means 1/5, variances 4/150, covariances -1/150.
    assert np.allclose(urns.mean(axis=0), 1 / 5, atol=0.005)
    assert np.allclose(np.cov(urns.T), np.where(np.eye(5) > 0, 4 / 150, -1 / 150), atol=1e-3)
    batch = sampler.sample(np.arange(40))
    for task in range(2):
        symbols = batch["tokens"][batch["task"] == task, 1:]
        assert np.allclose(np.bincount(symbols.ravel(), minlength=5) / symbols.size, urns[task], atol=0.01)
        followers = symbols[:, 1:][symbols[:, :-1] == 0]  # which what came before says nothing of
        assert np.allclose(np.bincount(followers, minlength=5) / followers.size, urns[task], atol=0.03)


def test_chains_go_on_as_their_rows_say_and_start_anywhere():
    sampler = SymbolSampler(process=PROCESSES[1], tasks=Tasks(count=2), length=1_000)
    chains = sampler.probabilities(np.arange(2))
    assert chains.shape == (2, 5, 5) and (chains.sum(axis=2) == 1).all()
    batch = sampler.sample(np.arange(80))
    for task in range(2):
        symbols = batch["tokens"][batch["task"] == task, 1:]
        for symbol in range(5):
            followers = symbols[:, 1:][symbols[:, :-1] == symbol]
            assert np.allclose(np.bincount(followers, minlength=5) / followers.size, chains[task, symbol], atol=0.04)
    first = SymbolSampler(process=PROCESSES[1], length=1).sample(np.arange(5_000))["tokens"][:, 1]
    assert np.allclose(np.bincount(first) / 5_000, 1 / 5, atol=0.03)


def test_golden_values():
    urns = SymbolSampler(process=Urns(num_symbols=8), tasks=Tasks(count=4), length=12, seed=1).sample(np.arange(2))
    chains = SymbolSampler(process=MarkovChains(num_symbols=4), length=12, seed=1).sample(np.arange(2))
    assert urns["tokens"].tolist() == [[8, 3, 3, 2, 0, 2, 0, 3, 5, 5, 2, 3, 3], [8, 6, 3, 6, 0, 0, 3, 0, 7, 1, 6, 0, 6]]
    assert chains["tokens"].tolist() == [
        [4, 3, 1, 1, 1, 1, 0, 2, 2, 2, 1, 3, 2],
        [4, 3, 2, 1, 2, 1, 2, 0, 3, 1, 2, 1, 2],
    ]


def test_mistakes():
    with pytest.raises(ValueError, match="num_symbols must be a whole number of at least 2, got 1"):
        Urns(num_symbols=1)
    with pytest.raises(ValueError, match="num_symbols must be a whole number of at least 2, got 1"):
        MarkovChains(num_symbols=1)
    with pytest.raises(ValueError, match="length must be a whole number of at least 1, got 0"):
        SymbolSampler(length=0)
