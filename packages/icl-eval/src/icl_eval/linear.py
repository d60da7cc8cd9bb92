"""Linear maps fitted to the context, by least squares with or without a penalty.

Axes: B tasks in a batch, N points, X inputs, Y outputs.
"""

import numpy as np
from jaxtyping import Float

from icl_eval.context import Inputs, Points, Targets

# Directions in which the inputs vary less than this, relative to the one in which they vary most, are taken for
# rounding. Inputs are float32, good to 1e-7; what is smaller than 1e-10 does not come from them.
_NEGLIGIBLE = 1e-10


def context_mean(points: Points, values: Float[np.ndarray, "B N Z"]) -> Float[np.ndarray, "B 1 Z"]:
    """Return the mean of the values at the context points; 0 without any.

    >>> two = Points(np.zeros((1, 3, 1)), np.array([[[1.0], [2.0], [0.0]]]), np.array([[True, True, False]]))
    >>> context_mean(two, two.targets).item()
    1.5
    """
    shown = points.shown[:, :, None]
    return (values * shown).sum(axis=1, keepdims=True) / np.maximum(shown.sum(axis=1, keepdims=True), 1)


def linear_prediction(points: Points, *, penalty: float, intercept: bool) -> Targets:
    """Fit a linear map to the context of each task and return its values at all points.

    The map minimises the sum of squared errors plus `penalty` times the sum of squared slopes; of several that do,
    it is the one with the smallest slopes.

    Args:
      points: the tasks.
      penalty: 0 or more.
      intercept: whether to fit one, which is not penalised; otherwise the map goes through 0.

    >>> inputs = np.array([[[0.0], [1.0], [5.0]]])
    >>> line = Points(inputs, 2 * inputs + 1, np.array([[True, True, False]]))
    >>> linear_prediction(line, penalty=0.0, intercept=True).round(6).tolist()
    [[[1.0], [3.0], [11.0]]]
    """
    shown = points.shown[:, :, None]
    centre = context_mean(points, points.inputs) if intercept else np.zeros((1, 1, 1))
    height = context_mean(points, points.targets) if intercept else np.zeros((1, 1, 1))
    inputs, targets = (points.inputs - centre) * shown, (points.targets - height) * shown
    slopes = _penalised_slopes(inputs, targets, penalty) if penalty else _smallest_slopes(inputs, targets)
    return (points.inputs - centre) @ slopes + height


def _smallest_slopes(inputs: Inputs, targets: Targets) -> Float[np.ndarray, "B X Y"]:
    left, singular, right = np.linalg.svd(inputs, full_matrices=False)
    kept = singular > _NEGLIGIBLE * singular[:, :1]
    inverse = np.where(kept, 1 / np.where(kept, singular, 1), 0)
    return right.mT @ (inverse[:, :, None] * (left.mT @ targets))


def _penalised_slopes(inputs: Inputs, targets: Targets, penalty: float) -> Float[np.ndarray, "B X Y"]:
    """Solve as many equations as there are points or inputs, whichever are fewer: both give the same slopes."""
    _, N, X = inputs.shape
    if N < X:
        return inputs.mT @ np.linalg.solve(inputs @ inputs.mT + penalty * np.eye(N), targets)
    return np.linalg.solve(inputs.mT @ inputs + penalty * np.eye(X), inputs.mT @ targets)
