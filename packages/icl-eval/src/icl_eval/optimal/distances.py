"""Which algorithm: how far a model's predictions are from those of predictors, and what mixture of them it is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, ratio
from icl_eval.tasks.shots import mean_by_shots

_NEGLIGIBLE = 1e-10  # by so little, as a share of their size, predictors differ that agree but for rounding

Predictions = Float[Array | np.ndarray, "B N Y"]
Distances = Float[np.ndarray, "B N"]


def squared_distance(predictions: Predictions, others: Predictions) -> Distances:
    """Return the squared difference of two predictions, mean over outputs, of each task by position.

    With the targets in place of the others it is the squared error. `mean_by_shots` makes a curve of it.

    Raises:
      ValueError: predictions of two shapes.

    Source: Raventos et al. (2023), arXiv 2306.15063, section 3.

    >>> squared_distance(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 4.0]]]))
    array([[2.]])
    """
    first, second = _alike(predictions, others)
    return np.square(first - second).mean(axis=2)


def symmetric_divergence(predictions: Predictions, others: Predictions) -> Distances:
    """Return the mean of the two Kullback-Leibler divergences of probabilities, in nats, of each task by position.

    Probabilities below 1e-30 count as that.

    Raises:
      ValueError: predictions of two shapes, or negative ones.

    Source: Wurgaft et al. (2025), arXiv 2506.17859: for predictors of symbols.

    >>> symmetric_divergence(np.array([[[0.5, 0.5]]]), np.array([[[0.75, 0.25]]])).round(4)
    array([[0.1373]])
    """
    first, second = _alike(predictions, others)
    if min(first.min(initial=0), second.min(initial=0)) < 0:
        raise ValueError("Wanted probabilities, got negative numbers; logits want a softmax.")
    logs = np.log(np.maximum(first, 1e-30)) - np.log(np.maximum(second, 1e-30))
    return ((first - second) * logs).sum(axis=2) / 2


def relative_distance(to_memorising: Distances, to_generalising: Distances) -> Estimate:
    """Return how far a model has gone from the memorising predictor to the generalising one, with its interval.

    That is d(model, memorising) / (d(model, memorising) + d(model, generalising)), of distances that are means over
    all tasks and positions: 0 is the memorising predictor, 1 the generalising one. The interval is over the tasks, by
    the delta method. NaN where both distances are 0.

    Raises:
      ValueError: distances of two shapes.

    Source: Wurgaft et al. (2025), arXiv 2506.17859.

    >>> print(relative_distance(np.array([[1.0], [3.0]]), np.array([[1.0], [3.0]])))
    0.500 (0.500-0.500, n=2)
    """
    first, second = np.asarray(to_memorising, np.float64), np.asarray(to_generalising, np.float64)
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"Wanted distances [B, N] alike, got the shapes {list(first.shape)} and {list(second.shape)}.")
    return ratio(first.mean(axis=1), (first + second).mean(axis=1))


class Mixture(NamedTuple):
    """The mixture of K predictors that is nearest to a model, by position.

    Attributes:
      weights: [N, K], which sum to 1; below 0 or above 1 where the model lies beyond a predictor.
      residual: [N], the mean squared distance of the model from the mixture.
    """

    weights: Float[np.ndarray, "N K"]
    residual: Float[np.ndarray, " N"]


def nearest_mixture(predictions: Predictions, predictors: Float[np.ndarray, "K B N Y"]) -> Mixture:
    """Return the projection of a model onto the mixtures of predictors, at each position over all tasks.

    Weights that sum to 1 and make the mean squared distance smallest; of several such, where predictors agree, those
    nearest to equal ones.

    Args:
      predictions: the model's.
      predictors: theirs, at least one.

    Raises:
      ValueError: arrays that do not fit together.

    >>> one, other = np.array([[[0.0]], [[0.0]]]), np.array([[[1.0]], [[-1.0]]])
    >>> nearest_mixture(0.25 * other, np.stack([one, other])).weights
    array([[0.75, 0.25]])
    """
    model, known = np.asarray(predictions, np.float64), np.asarray(predictors, np.float64)
    if known.ndim != 4 or not len(known) or known.shape[1:] != model.shape or not model.size:
        raise ValueError(
            "Wanted predictions [B, N, Y] and predictors [K, B, N, Y], got the shapes "
            f"{list(model.shape)} and {list(known.shape)}."
        )
    K, _, N, _ = known.shape
    # What is added to equal weights has the sum 0, and is a combination of the other columns of an orthogonal matrix.
    free = np.linalg.svd(np.ones((1, K)))[2][1:].T
    columns = np.moveaxis(known, (2, 0), (0, 3)).reshape(N, -1, K)  # [N, B * Y, K]
    wanted = np.moveaxis(model, 1, 0).reshape(N, -1, 1)
    left, singular, right = np.linalg.svd(columns @ free, full_matrices=False)
    kept = singular > _NEGLIGIBLE * np.linalg.norm(columns, axis=(1, 2))[:, None]
    inverse = np.where(kept, 1 / np.where(kept, singular, 1), 0)
    more = right.mT @ (inverse[:, :, None] * (left.mT @ (wanted - columns.mean(axis=2, keepdims=True))))
    weights = 1 / K + (free @ more)[:, :, 0]
    residual = np.square(wanted - columns @ weights[:, :, None]).mean(axis=(1, 2))
    return Mixture(weights, residual)


def excess_by_shots(
    errors: Float[np.ndarray, "B N"], optimal: Float[np.ndarray, "B N"], *, examples: np.ndarray | None = None
) -> ScalarCurve:
    """Return by how much a model's errors exceed those of the best predictor on the same tasks, by position.

    Each task's own difference is taken, so that what makes a task hard or easy for both cancels; chance is then no
    part of it. Where the other predictor is the best there is, the squared distance to it has the same mean, and a
    narrower interval: `mean_by_shots(squared_distance(model, best), ...)`.

    Args:
      errors: the model's, of each task.
      optimal: those of the best predictor.
      examples: how many came before each position, increasing; 0..N-1 if not given.

    Raises:
      ValueError: errors that are not of the same tasks and positions.

    >>> excess_by_shots(np.array([[2.0, 1.5], [3.0, 0.5]]), np.array([[2.0, 1.0], [3.0, 0.5]])).values
    array([0.  , 0.25])
    """
    model, best = np.asarray(errors, np.float64), np.asarray(optimal, np.float64)
    if model.shape != best.shape or model.ndim != 2:
        raise ValueError(f"Wanted errors [B, N] alike, got the shapes {list(model.shape)} and {list(best.shape)}.")
    return mean_by_shots(model - best, examples=np.arange(model.shape[1]) if examples is None else examples)


def _alike(predictions: Predictions, others: Predictions) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(predictions, np.float64), np.asarray(others, np.float64)
    if first.shape != second.shape or first.ndim != 3:
        raise ValueError(
            f"Wanted predictions [B, N, Y] alike, got the shapes {list(first.shape)} and {list(second.shape)}."
        )
    return first, second
