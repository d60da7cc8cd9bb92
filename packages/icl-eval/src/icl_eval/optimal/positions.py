"""Every position: what a learner of the context predicts at each point from the points before it."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from icl_eval.baselines.closed_form import Regressor
from icl_eval.baselines.context import Inputs, Targets


def at_every_position(regressor: Regressor, inputs: Inputs, targets: Targets) -> Targets:
    """Return what a regressor predicts at each point from the points before it alone, as a causal model does.

    `Ridge(noise_variance, intercept=False)` is the posterior mean under weights from N(0, I), and so the best there is
    for them; `LeastSquares(intercept=False)` is of minimum norm; and any other of `REGRESSORS` will do, `Sklearn` ones
    among them, which are fitted once for each position of each task.

    Args:
      regressor: learns from the context.
      inputs: floats [B, N, X].
      targets: floats [B, N, Y]; the last is not read.

    Returns:
      float64 [B, N, Y]; 0 at the first point.

    Raises:
      ValueError: as the regressor.

    Source: Garg et al. (2022), arXiv 2208.01066, section 3; Raventos et al. (2023), arXiv 2306.15063, section 2.

    >>> from icl_eval import LeastSquares
    >>> inputs = np.array([[[1.0], [2.0], [5.0]]])
    >>> at_every_position(LeastSquares(intercept=False), inputs, 3 * inputs).ravel().round(6)
    array([ 0.,  6., 15.])
    """
    predictions = np.zeros(targets.shape)
    for position in range(targets.shape[1]):
        so_far = slice(position + 1)
        is_query = np.broadcast_to(np.arange(position + 1) == position, (len(predictions), position + 1))
        found = regressor.predict(inputs[:, so_far], targets[:, so_far], is_query)
        predictions[:, position] = found[:, position]
    return predictions


def before(values: Shaped[Array | np.ndarray, "B N Z"]) -> Shaped[Any, "B N Z"]:
    """Return the sum of the values at the points before each, NumPy's or jax's as they are.

    >>> before(np.array([[[1.0], [2.0], [4.0]]])).ravel()
    array([0., 1., 3.])
    """
    xp = module_of(values)
    # Not the sum less the value itself: of large and small values that would leave only rounding.
    return xp.concatenate([xp.zeros_like(values[:, :1]), xp.cumsum(values[:, :-1], axis=1)], axis=1)


def module_of(array: Any) -> Any:
    """Return NumPy for what is NumPy's, else `jax.numpy`."""
    return np if isinstance(array, np.ndarray) else jnp


def as_floats(array: Any, *, like: Any) -> Any:
    """Return numbers as NumPy's float64 if `like` is NumPy's, else as jax's: exact on the host, fast on a device."""
    return np.asarray(array, np.float64) if isinstance(like, np.ndarray) else jnp.asarray(array)
