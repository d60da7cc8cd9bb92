"""The best predictors of symbols: from urns, and from Markov chains; of a known pool, or of any, by counts.

Each gives the probabilities of the symbol at every position from the symbols before it, float [B, T, K] of K symbols:
float64 where the symbols are NumPy's, else as jax's floats are, also under `jax.jit`.

Of Markov chains there are four (Park et al. 2024, arXiv 2412.01003). *Unigram* ones know how often symbols come, and
are those of urns: `urn_posterior(symbols, stationary(chains))` and `symbol_counts`. *Bigram* ones know what follows
what: `chain_posterior` and `transition_counts`. The first of each pair has memorised the pool, the second has not.
"""

from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int

from icl_eval.checks import check_positive, check_whole
from icl_eval.optimal.positions import as_floats, before, module_of
from icl_eval.optimal.posterior import CHUNK, posterior_mean

Symbols = Int[Array | np.ndarray, "B T"]


def urn_posterior(
    symbols: Symbols, urns: Float[Array | np.ndarray, "M K"], *, chunk: int = CHUNK
) -> Float[Any, "B T K"]:
    """Return the probabilities of each symbol from those before it, where all are from one urn of a known pool.

    That is the mean of the urns under their posterior: the predictor that has memorised the pool.

    Args:
      symbols: in 0..K-1; of others NumPy's are refused, and jax's count as none.
      urns: probabilities of the symbols in each, which sum to 1. Below the smallest normal number they count as that.
      chunk: how many urns are looked at together, see `posterior_mean`.

    Raises:
      ValueError: symbols that are none of the urns', or arrays of other shapes.

    Source: Wurgaft et al. (2025), arXiv 2506.17859, section 2: the memorising predictor.

    >>> urn_posterior(np.array([[0, 0, 0]]), np.array([[0.9, 0.1], [0.1, 0.9]]))[0, :, 0].round(3)
    array([0.5 , 0.82, 0.89])
    """
    if urns.ndim != 2:
        raise ValueError(f"Wanted urns [M, K], got the shape {list(urns.shape)}.")
    seen, urns = before(_one_hot(symbols, urns.shape[1])), as_floats(urns, like=symbols)
    return posterior_mean(urns, lambda part: seen @ _log(part).T, chunk=chunk)


def symbol_counts(symbols: Symbols, num_symbols: int, *, prior: float = 1.0) -> Float[Any, "B T K"]:
    """Return the probabilities of each symbol by how often each came before it: (count + 1) / (n + K).

    Under urns drawn from the Dirichlet distribution of all `prior` it is the best there is: the predictor that
    generalises.

    Args:
      symbols: in 0..K-1.
      num_symbols: K, at least 1.
      prior: what is added to each count, above 0.

    Raises:
      ValueError: symbols or options that are out of range.

    Source: Laplace's rule; Wurgaft et al. (2025), arXiv 2506.17859, section 2: the generalising predictor.

    >>> symbol_counts(np.array([[0, 0, 1]]), 2)[0, :, 0].round(3)
    array([0.5  , 0.667, 0.75 ])
    """
    check_whole("num_symbols", num_symbols, least=1)
    check_positive("prior", prior)
    return _shares(before(_one_hot(symbols, num_symbols)) + prior)


def chain_posterior(
    symbols: Symbols, chains: Float[Array | np.ndarray, "M K K"], *, chunk: int = CHUNK
) -> Float[Any, "B T K"]:
    """Return the probabilities of each symbol from those before it, where all are from one Markov chain of a pool.

    The first symbol says nothing of the chain: it is uniform. So is its prediction.

    Args:
      symbols: in 0..K-1.
      chains: the probability of symbol l after symbol k is `chains[:, k, l]`, and those of all l sum to 1.
      chunk: how many chains are looked at together, see `posterior_mean`.

    Raises:
      ValueError: symbols that are none of the chains', or arrays of other shapes.

    Source: Park et al. (2024), arXiv 2412.01003: bigrams, from the posterior over the pool.

    >>> chains = np.array([[[0.9, 0.1], [0.1, 0.9]], [[0.1, 0.9], [0.9, 0.1]]])
    >>> chain_posterior(np.array([[0, 0, 0]]), chains)[0, :, 0].round(3)
    array([0.5 , 0.5 , 0.82])
    """
    if chains.ndim != 3 or chains.shape[1] != chains.shape[2]:
        raise ValueError(f"Wanted chains [M, K, K], got the shape {list(chains.shape)}.")
    M, K, _ = chains.shape
    one_hot, chains = _one_hot(symbols, K), as_floats(chains, like=symbols)
    seen = before(_transitions(one_hot))
    mean = posterior_mean(chains.reshape(M, K * K), lambda part: seen @ _log(part).T, chunk=chunk)
    return _after_last(one_hot, mean)


def transition_counts(symbols: Symbols, num_symbols: int, *, prior: float = 1.0) -> Float[Any, "B T K"]:
    """Return the probabilities of each symbol by how often each followed the one before it: (count + 1) / (n + K).

    Under chains whose rows are drawn from the Dirichlet distribution of all `prior` it is the best there is.

    Args:
      symbols: in 0..K-1.
      num_symbols: K, at least 1.
      prior: what is added to each count, above 0.

    Raises:
      ValueError: symbols or options that are out of range.

    Source: Park et al. (2024), arXiv 2412.01003: bigrams, from the counts of the context.

    >>> transition_counts(np.array([[0, 1, 0, 1]]), 2)[0, :, 1].round(3)
    array([0.5  , 0.5  , 0.5  , 0.667])
    """
    check_whole("num_symbols", num_symbols, least=1)
    check_positive("prior", prior)
    one_hot = _one_hot(symbols, num_symbols)
    return _shares(_after_last(one_hot, before(_transitions(one_hot))) + prior)


def stationary(chains: Float[Array | np.ndarray, "M K K"]) -> Float[Any, "M K"]:
    """Return how often each symbol comes in the long run.

    `chains` are as in `chain_posterior`; each must be able to come to one symbol from all others.

    >>> stationary(np.array([[[0.5, 0.5], [1.0, 0.0]]])).round(3)
    array([[0.667, 0.333]])
    """
    xp, chains = module_of(chains), as_floats(chains, like=chains)
    K = chains.shape[1]
    # p P = p and sum p = 1: of the first K equations one follows from the others, so adding the last to all loses none.
    ones = xp.ones((1, K, K), chains.dtype)
    equations = chains.mT - xp.eye(K, dtype=chains.dtype)[None] + ones
    return xp.linalg.solve(equations, xp.ones((len(chains), K, 1), chains.dtype))[:, :, 0]


def _one_hot(symbols: Any, num_symbols: int) -> Any:
    """Return [B, T, K]: 1 for the symbol at each place, after a check of what can be looked at."""
    if symbols.ndim != 2:
        raise ValueError(f"Wanted symbols [B, T], got the shape {list(symbols.shape)}; one sequence wants [None].")
    if isinstance(symbols, np.ndarray) and symbols.size and not 0 <= symbols.min() <= symbols.max() < num_symbols:
        raise ValueError(
            f"Wanted symbols in 0..{num_symbols - 1}, got some in {symbols.min()}..{symbols.max()}; a start token is "
            "none of them: tokens[:, 1:] leaves it out."
        )
    xp = module_of(symbols)
    return (symbols[:, :, None] == xp.arange(num_symbols)[None, None]).astype(float)


def _transitions(one_hot: Any) -> Any:
    """Return [B, T, K * K]: 1 for the symbol at each place after the one before it; 0 at the first place."""
    xp, (B, T, K) = module_of(one_hot), one_hot.shape
    earlier = xp.concatenate([xp.zeros_like(one_hot[:, :1]), one_hot[:, :-1]], axis=1)
    return (earlier[:, :, :, None] * one_hot[:, :, None, :]).reshape(B, T, K * K)


def _after_last(one_hot: Any, tables: Any) -> Any:
    """Return the row of each table [B, T, K * K] for the symbol before; uniform rows where there is none."""
    xp, (B, T, K) = module_of(one_hot), one_hot.shape
    rows = (tables.reshape(B, T, K, K)[:, 1:] * one_hot[:, :-1, :, None]).sum(axis=2)
    return xp.concatenate([xp.full_like(one_hot[:, :1], 1 / K), rows], axis=1)


def _shares(counts: Any) -> Any:
    return counts / counts.sum(axis=2, keepdims=True)


def _log(probabilities: Any) -> Any:
    """Return logarithms, none of them infinite: an infinite one times a count of 0 were no number."""
    xp = module_of(probabilities)
    return xp.log(xp.maximum(probabilities, np.finfo(probabilities.dtype).tiny))
