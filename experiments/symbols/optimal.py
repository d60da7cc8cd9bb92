"""Every symbol beside predictors that know how tasks are drawn: one remembers the pool, one counts."""

import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.symbols.config import SymbolsConfig

REMEMBERING, COUNTING = "remembering", "counting"
"""The predictor that has memorised the pool, and the one that generalises."""


def make_predictors(config: SymbolsConfig, pool: np.ndarray | None) -> dict[str, evaluation.SymbolPredictor]:
    """Return by name what the model is compared with.

    Args:
      config: of the run.
      pool: urns [M, K] or chains [M, K, K]; None for no pool.
    """
    is_urns, K = config.data.process == "urns", config.data.num_symbols
    counting = evaluation.symbol_counts if is_urns else evaluation.transition_counts
    predictors: dict[str, evaluation.SymbolPredictor] = {COUNTING: functools.partial(counting, num_symbols=K)}
    if not is_urns:
        predictors["counting symbols"] = functools.partial(evaluation.symbol_counts, num_symbols=K)
    if pool is not None:
        posterior = _urn_posterior if is_urns else _chain_posterior
        predictors[REMEMBERING] = functools.partial(posterior, pool=jnp.asarray(pool))
        if not is_urns:
            shares = evaluation.stationary(pool)
            predictors["remembering symbols"] = functools.partial(_urn_posterior, pool=jnp.asarray(shares))
    return predictors


def measure(
    model: lab.Model,
    batches: Iterable[Any],
    pool_batches: Iterable[Any],
    *,
    count: int,
    name: str,
    config: SymbolsConfig,
) -> evaluation.Result:
    """Return how a model predicts symbols beside predictors; see `icl_eval.evaluate_every_symbol`.

    Args:
      model: to be measured.
      batches: of the sequences to measure on.
      pool_batches: of the pool that it was trained on.
      count: sequences.
      name: of the evaluation.
      config: of the run, whose pool and seed may be another member's.
    """
    asked = min(count, config.eval.baseline_count)
    predictors = make_predictors(config, lab.read_pool(pool_batches)) if asked else {}
    return evaluation.evaluate_every_symbol(
        model,
        batches,
        name=name,
        count=count,
        predictors=predictors,
        between=(REMEMBERING, COUNTING) if REMEMBERING in predictors else None,
        predictor_count=asked or None,
    )


@jax.jit
def _urn_posterior(symbols: Any, pool: Any) -> Any:
    return evaluation.urn_posterior(jnp.asarray(symbols), pool)


@jax.jit
def _chain_posterior(symbols: Any, pool: Any) -> Any:
    return evaluation.chain_posterior(jnp.asarray(symbols), pool)
