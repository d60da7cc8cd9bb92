"""Every point of a task beside predictors that know how tasks are drawn: ridge regression, and dMMSE of a pool."""

import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.linear.config import LinearConfig

RIDGE, LEAST_SQUARES, DMMSE = "ridge", "least squares", "dMMSE"


def optimum(config: LinearConfig) -> str:
    """Return the name of the best predictor of fresh tasks: ridge with the variance of the noise.

    Without noise that is least squares of minimum norm.
    """
    return RIDGE if config.data.noise else LEAST_SQUARES


def has_dmmse(config: LinearConfig) -> bool:
    """Return whether there is a predictor that remembers the pool: with one, and noise, of which it must know."""
    return config.data.noise > 0 and config.data.num_tasks is not None


def make_predictors(
    config: LinearConfig, pool: np.ndarray | None, *, at_end: bool
) -> dict[str, evaluation.PointPredictor]:
    """Return by name what the model is compared with at every point.

    Args:
      config: of the run.
      pool: weights of the tasks trained on [M, X]; None for no pool.
      at_end: whether it is the trained model, which is compared with more.
    """
    variance = config.data.noise**2
    regressors: dict[str, evaluation.Regressor] = {LEAST_SQUARES: evaluation.LeastSquares(intercept=False)}
    if variance:
        regressors[RIDGE] = evaluation.Ridge(variance, intercept=False)
    if at_end:
        regressors |= {"3-NN": evaluation.NearestNeighbours(k=3), "averaging": evaluation.Averaging(variance=1.0)}
    predictors: dict[str, evaluation.PointPredictor] = {
        name: functools.partial(evaluation.at_every_position, each) for name, each in regressors.items()
    }
    if variance and pool is not None:
        predictors[DMMSE] = functools.partial(_dmmse, pool=jnp.asarray(pool), noise_variance=variance)
    return predictors


def measure(
    model: lab.Model,
    batches: Iterable[Any],
    pool_batches: Iterable[Any],
    *,
    count: int,
    name: str,
    config: LinearConfig,
    at_end: bool,
) -> evaluation.Result:
    """Return the errors at every point beside those of predictors; see `icl_eval.evaluate_every_point`.

    Args:
      model: to be measured.
      batches: of the tasks to measure on.
      pool_batches: of the pool that it was trained on.
      count: tasks.
      name: of the evaluation.
      config: of the run, whose pool and seed may be another member's.
      at_end: see `make_predictors`.
    """
    asked = min(count, config.eval.baseline_count)
    predictors = make_predictors(config, lab.read_pool(pool_batches), at_end=at_end) if asked else {}
    return evaluation.evaluate_every_point(
        model,
        batches,
        name=name,
        count=count,
        predictors=predictors,
        between=(DMMSE, RIDGE) if DMMSE in predictors else None,
        predictor_count=asked or None,
    )


@functools.partial(jax.jit, static_argnames="noise_variance")
def _dmmse(inputs: Any, targets: Any, *, pool: Any, noise_variance: float) -> Any:
    """See `icl_eval.dmmse`; in jax, which takes a thirtieth of NumPy's time for it."""
    return evaluation.dmmse(inputs, targets, pool, noise_variance=noise_variance)
