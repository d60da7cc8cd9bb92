"""The best predictor for linear regression with a pool of tasks: the posterior mean over the pool (dMMSE)."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float

from icl_eval.checks import check_positive
from icl_eval.optimal.positions import as_floats, before, module_of
from icl_eval.optimal.posterior import CHUNK, posterior_mean


def dmmse(
    inputs: Float[Array | np.ndarray, "B N X"],
    targets: Float[Array | np.ndarray, "B N 1"],
    pool: Float[Array | np.ndarray, "M X"],
    *,
    noise_variance: float,
    chunk: int = CHUNK,
) -> Float[Any, "B N 1"]:
    """Return the best predictions of y = w x + noise at each point from those before it, where w is from a known pool.

    That is w x at the posterior mean of w, in which each w of the pool counts exp(-|y - X w|^2 / (2 noise variance)):
    the *discrete minimum mean squared error* estimator, which has memorised the pool. Beside it stands the one that
    has not, `at_every_position(Ridge(noise_variance, intercept=False), inputs, targets)`.

    Args:
      inputs: [B, N, X].
      targets: [B, N, 1]; the last is not read.
      pool: the weights of each task.
      noise_variance: of the targets, above 0; 0.25 in the source.
      chunk: how many tasks are looked at together, see `posterior_mean`.

    Returns:
      [B, N, 1], float64 where the inputs are NumPy's, else as jax's are, also under `jax.jit`. The first is by the mean
      of the pool.

    Raises:
      ValueError: arrays that do not fit together, an empty pool, or a variance that is none.

    Source: Raventos et al. (2023), arXiv 2306.15063, section 2.

    >>> inputs = np.array([[[1.0], [1.0], [1.0]]])
    >>> dmmse(inputs, 2 * inputs, np.array([[-2.0], [2.0]]), noise_variance=0.25).ravel().round(4)
    array([0., 2., 2.])
    """
    check_positive("noise_variance", noise_variance)
    if (
        inputs.ndim != 3
        or targets.shape != (*inputs.shape[:2], 1)
        or pool.ndim != 2
        or pool.shape[1] != inputs.shape[2]
    ):
        raise ValueError(
            "Wanted inputs [B, N, X], targets [B, N, 1] and a pool [M, X], got the shapes "
            f"{list(inputs.shape)}, {list(targets.shape)} and {list(pool.shape)}."
        )
    xp, (inputs, targets, pool) = module_of(inputs), (as_floats(each, like=inputs) for each in (inputs, targets, pool))

    def log_likelihood(tasks: Any) -> Any:
        return before(xp.square(targets - inputs @ tasks.T)) / (-2 * noise_variance)

    weights = posterior_mean(pool, log_likelihood, chunk=chunk)
    return (inputs * weights).sum(axis=2, keepdims=True)
