"""Linear attention in its reduced form, solved by ridge regression instead of by gradient descent (Lu et al. 2024)."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float

from icl_eval.baselines.context import Inputs, Points, Queries, Targets, points

_AT_ONCE = 2**24  # numbers of features that are worked on together


@dataclasses.dataclass(frozen=True, eq=False)
class LinearAttention:
    """Predicts x Gamma v, where v = [(d / l) sum y x, (1 / l) sum y^2] is what it reads off l context points.

    It is a `Regressor` of one output, which has learnt on tasks: `fit_linear_attention` makes it.

    Attributes:
      gamma: float64 [X, Z], with Z = X + 1.

    Source: Lu et al. (2024), arXiv 2405.11751, section 2.
    """

    gamma: Float[np.ndarray, "X Z"]

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        return inputs @ self.slopes(inputs, targets, is_query)[:, :, None]

    def slopes(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Float[np.ndarray, "B X"]:
        """Return the weights that each task is taken for, by its context points.

        For a query with x ~ N(0, I / d) the squared error is |w - slopes|^2 / d on average, plus the noise.
        """
        return context_features(points(inputs, targets, is_query)) @ self.gamma.T


def fit_linear_attention(inputs: Inputs, targets: Targets, *, penalty: float | None = None) -> LinearAttention:
    """Return the linear attention that predicts the last point of each task best from the others.

    Gamma minimises the sum of squared errors plus `penalty` |Gamma|^2. Of B tasks there are B equations for X (X + 1)
    numbers: it is solved by as many as are fewer.

    Args:
      inputs: [B, N, X].
      targets: [B, N, 1].
      penalty: above 0; by default so small that it keeps the equations solvable and does no more ("ridgeless"):
        1e-10 of the mean of their diagonal.

    Raises:
      ValueError: arrays that do not fit together, a single point in each task, or a penalty of 0 or less.

    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(500, 9, 2)) / 2**0.5
    >>> weights = rng.normal(size=(500, 2, 1))
    >>> fitted = fit_linear_attention(inputs[:400], (inputs @ weights)[:400])
    >>> found = fitted.slopes(inputs[400:], (inputs @ weights)[400:], np.arange(9)[None].repeat(100, 0) == 8)
    >>> bool(np.square(found - weights[400:, :, 0]).mean() < 0.5)
    True
    """
    B, N, X = inputs.shape
    if targets.shape != (B, N, 1) or N < 2:
        raise ValueError(
            f"Wanted inputs [B, N, X] and targets [B, N, 1] of 2 points or more, got the shapes {list(inputs.shape)} "
            f"and {list(targets.shape)}."
        )
    if penalty is not None and not 0 < penalty < math.inf:
        raise ValueError(f"penalty must be a finite number above 0, or None for the limit of none, got {penalty!r}.")
    read, at_once = np.empty((B, X + 1)), max(1, _AT_ONCE // (N * X))
    for start in range(0, B, at_once):
        part = slice(start, start + at_once)
        is_query = np.broadcast_to(np.arange(N) == N - 1, (len(inputs[part]), N))
        read[part] = context_features(points(inputs[part], targets[part], is_query))
    asked, answers = inputs[:, -1].astype(np.float64), targets[:, -1, 0].astype(np.float64)
    if B < X * (X + 1):
        # The features are products of x and v, and so are their products.
        equations = (asked @ asked.T) * (read @ read.T)
        return LinearAttention((asked * _solved(equations, answers, penalty)[:, None]).T @ read)
    equations, wanted = np.zeros((X * (X + 1),) * 2), np.zeros(X * (X + 1))
    at_once = max(1, _AT_ONCE // len(wanted))
    for start in range(0, B, at_once):
        part = slice(start, start + at_once)
        features = (asked[part, :, None] * read[part, None, :]).reshape(-1, len(wanted))
        equations += features.T @ features
        wanted += features.T @ answers[part]
    return LinearAttention(_solved(equations, wanted, penalty).reshape(X, X + 1))


def context_features(tasks: Points) -> Float[np.ndarray, "B Z"]:
    """Return what linear attention reads off the context: (X / l) sum y x and (1 / l) sum y^2; 0 of no points."""
    count = np.maximum(tasks.shown.sum(axis=1), 1)[:, None]
    products = (tasks.inputs * tasks.targets).sum(axis=1) * tasks.inputs.shape[2] / count
    return np.concatenate([products, np.square(tasks.targets).sum(axis=1) / count], axis=1)


def _solved(equations: np.ndarray, wanted: np.ndarray, penalty: float | None) -> np.ndarray:
    import scipy.linalg  # here since a report needs none of it

    added = 1e-10 * float(np.trace(equations)) / len(equations) if penalty is None else penalty
    equations.flat[:: len(equations) + 1] += added
    return scipy.linalg.solve(equations, wanted, assume_a="pos", overwrite_a=True)
