"""What learners that are no networks make of the same context: closed forms, for all tasks of a batch at once."""

import dataclasses
import numbers
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from icl_eval.baselines.context import Inputs, Points, Queries, Targets, points
from icl_eval.checks import check_positive, check_whole

# Directions in which the inputs vary less than this, relative to the one in which they vary most, are taken for
# rounding. Inputs are float32, good to 1e-7; what is smaller than 1e-10 does not come from them.
_NEGLIGIBLE = 1e-10

_LEAST_NOISE = 1e-10  # keeps the equations of a Gaussian process solvable where points lie close together or coincide


@runtime_checkable
class Regressor(Protocol):
    """Learns a function from the context of a task, anew for each task.

    Predictions are for all points, from the context points alone: the targets of queries are not read and may be NaN.
    Tasks in a batch may have different numbers of context points; one without any gets the prediction 0. The order of
    the points does not matter, but for ties.
    """

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries, /) -> Targets:
        """Return predictions for all points.

        Args:
          inputs: floats [B, N, X].
          targets: floats [B, N, Y].
          is_query: bool [B, N]: which targets may not be read.

        Returns:
          float64 [B, N, Y].

        Raises:
          ValueError: if the arrays are empty or do not fit together, or if an input or a context target is not finite.
        """
        ...


@dataclasses.dataclass(frozen=True)
class NearestNeighbours:
    """The mean of the k nearest context points, or of all where there are fewer.

    Nearest by Euclidean distance, of equals those with the lowest numbers. A context point is a neighbour of itself.

    Attributes:
      k: at least 1; 3 in the source.

    Source: Garg et al. (2022), arXiv 2208.01066, section 3.

    >>> inputs, targets = np.array([[[0.0], [1.0], [9.0], [0.4]]]), np.array([[[1.0], [3.0], [7.0], [np.nan]]])
    >>> NearestNeighbours(k=2).predict(inputs, targets, np.isnan(targets[:, :, 0]))[0, 3]
    array([2.])
    """

    k: int = 3

    def __post_init__(self) -> None:
        check_whole("k", self.k, least=1)

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        tasks = points(inputs, targets, is_query)
        neighbours = nearest(tasks.inputs, tasks.shown, self.k)
        total = (neighbours.of(tasks.targets) * neighbours.exist[..., None]).sum(axis=2)
        return total / np.maximum(neighbours.exist.sum(axis=2), 1)[..., None]


@dataclasses.dataclass(frozen=True)
class Constant:
    """The mean of the context targets, everywhere: what ignores the inputs can do no better.

    >>> targets = np.array([[[1.0], [3.0], [np.nan]]])
    >>> Constant().predict(np.zeros((1, 3, 1)), targets, np.isnan(targets[:, :, 0])).tolist()
    [[[2.0], [2.0], [2.0]]]
    """

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        tasks = points(inputs, targets, is_query)
        return np.broadcast_to(context_mean(tasks, tasks.targets), tasks.targets.shape).copy()


@dataclasses.dataclass(frozen=True)
class Averaging:
    """A linear map whose slopes are the mean of y x over the context, divided by the variance of inputs.

    Right on average for a linear function of independent inputs of that variance, and cheaper than solving equations.

    Attributes:
      variance: of each input, above 0; inputs uniform in -1..1 have 1/3.

    Source: Garg et al. (2022), arXiv 2208.01066, section 3.

    >>> targets = np.array([[[2.0], [4.0], [np.nan]]])
    >>> Averaging().predict(np.array([[[1.0], [2.0], [3.0]]]), targets, np.isnan(targets[:, :, 0]))[0, 2]
    array([15.])
    """

    variance: float = 1.0

    def __post_init__(self) -> None:
        check_positive("variance", self.variance)

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        tasks = points(inputs, targets, is_query)
        seen = np.maximum(tasks.shown.sum(axis=1), 1)[:, None, None]
        return tasks.inputs @ (tasks.inputs.mT @ tasks.targets / (seen * self.variance))


@dataclasses.dataclass(frozen=True)
class LeastSquares:
    """Linear least squares, with the smallest slopes where the context leaves a choice.

    Attributes:
      intercept: whether to fit one.

    Source: Garg et al. (2022), arXiv 2208.01066, section 3 (without intercept).

    >>> targets = np.array([[[1.0], [3.0], [np.nan]]])
    >>> LeastSquares().predict(np.array([[[0.0], [1.0], [5.0]]]), targets, np.isnan(targets[:, :, 0]))[0, 2].round(6)
    array([11.])
    """

    intercept: bool = True

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        return linear_prediction(points(inputs, targets, is_query), penalty=0.0, intercept=self.intercept)


@dataclasses.dataclass(frozen=True)
class Ridge:
    """Linear least squares with a penalty on the slopes.

    With the variance of the noise as penalty and without intercept it is the best there is for linear functions whose
    slopes were drawn from N(0, 1).

    Attributes:
      penalty: times the sum of squared slopes, beside the sum (not the mean) of squared errors; above 0.
      intercept: whether to fit one; it is not penalised.

    Source: Raventos et al. (2023), arXiv 2306.15063, section 2.

    >>> targets = np.array([[[1.0], [np.nan]]])
    >>> Ridge(1.0, intercept=False).predict(np.array([[[1.0], [2.0]]]), targets, np.array([[False, True]]))[0, 1]
    array([1.])
    """

    penalty: float
    intercept: bool = True

    def __post_init__(self) -> None:
        check_positive("penalty", self.penalty)

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        return linear_prediction(points(inputs, targets, is_query), penalty=self.penalty, intercept=self.intercept)


@dataclasses.dataclass(frozen=True)
class GaussianProcess:
    """The mean of a Gaussian process around the mean of the context.

    Its kernel is exp(-distance^2 / (2 length_scale^2)), of unit variance.

    Attributes:
      length_scale: how far apart two inputs are whose targets differ, above 0; of several, each task has the one under
        which the targets of its context are most probable, the first of equals.
      noise: the variance of the noise on the targets, 0 or more. Values below 1e-10 count as 1e-10.

    Source: Rasmussen and Williams (2006), Gaussian processes for machine learning, sections 2.2 and 5.4.1.

    >>> targets = np.array([[[1.0], [3.0], [np.nan]]])
    >>> process = GaussianProcess(length_scale=1.0, noise=0.0)
    >>> process.predict(np.array([[[0.0], [1.0], [0.5]]]), targets, np.isnan(targets[:, :, 0])).round(6).tolist()
    [[[1.0], [3.0], [2.0]]]
    """

    length_scale: float | tuple[float, ...] = 1.0
    noise: float = 0.01

    def __post_init__(self) -> None:
        if self.length_scale == ():
            raise ValueError("length_scale must be a number above 0, or several, got ().")
        for each in self._length_scales:
            check_positive("length_scale", each)
        if not isinstance(self.noise, numbers.Real) or not 0 <= self.noise < np.inf:
            raise ValueError(f"noise must be a finite variance of at least 0, got {self.noise!r}.")

    @property
    def _length_scales(self) -> tuple[float, ...]:
        return self.length_scale if isinstance(self.length_scale, tuple) else (self.length_scale,)

    def predict(self, inputs: Inputs, targets: Targets, is_query: Queries) -> Targets:
        """See `Regressor`."""
        tasks = points(inputs, targets, is_query)
        mean = context_mean(tasks, tasks.targets)
        centred, distances = (tasks.targets - mean) * tasks.shown[:, :, None], squared_distances(tasks.inputs)
        found = [self._predict(tasks, distances, centred, length_scale) for length_scale in self._length_scales]
        best = np.argmax([evidence for _, evidence in found], axis=0)
        return np.stack([prediction for prediction, _ in found])[best, np.arange(len(best))] + mean

    def _predict(
        self, tasks: Points, distances: Float[np.ndarray, "B N N"], centred: Targets, length_scale: float
    ) -> tuple[Targets, Float[np.ndarray, " B"]]:
        """Return predictions, and the logarithm of how probable the context is, but for a constant."""
        kernel = np.exp(distances / (-2 * length_scale**2)) * tasks.shown[:, None, :]
        # A query's row and column are those of the identity: it takes no part, and every task has N equations.
        noise = np.where(tasks.shown, max(self.noise, _LEAST_NOISE), 1)
        equations = kernel * tasks.shown[:, :, None] + noise[:, :, None] * np.eye(noise.shape[1])
        weights = np.linalg.solve(equations, centred)
        determinant = np.linalg.slogdet(equations).logabsdet
        return kernel @ weights, -0.5 * ((centred * weights).sum(axis=(1, 2)) + centred.shape[2] * determinant)


def context_mean(points: Points, values: Float[np.ndarray, "B N Z"]) -> Float[np.ndarray, "B 1 Z"]:
    """Return the mean of the values at the context points; 0 without any."""
    shown = points.shown[:, :, None]
    return (values * shown).sum(axis=1, keepdims=True) / np.maximum(shown.sum(axis=1, keepdims=True), 1)


def linear_prediction(points: Points, *, penalty: float, intercept: bool) -> Targets:
    """Return the values at all points of a linear map that is fitted to the context of each task.

    The map minimises the sum of squared errors plus `penalty`, 0 or more, times the sum of squared slopes; of several
    that do, it is the one with the smallest slopes. An intercept is not penalised; without one the map goes through 0.
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
    """Return the slopes, from as many equations as there are points or inputs, whichever are fewer."""
    _, N, X = inputs.shape
    if N < X:
        return inputs.mT @ np.linalg.solve(inputs @ inputs.mT + penalty * np.eye(N), targets)
    return np.linalg.solve(inputs.mT @ inputs + penalty * np.eye(X), inputs.mT @ targets)


class Neighbours(NamedTuple):
    """The K nearest context points of each point, the nearest first, of equals the lowest number."""

    numbers: Int[np.ndarray, "B N K"]  # 0..N-1
    exist: Bool[np.ndarray, "B N K"]  # False where a task has fewer; `numbers` means nothing there

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return the neighbours' values [B, N, K, ...], given those of all points [B, N, ...]."""
        return values[np.arange(len(values))[:, None, None], self.numbers]


def squared_distances(inputs: Float[np.ndarray, "B N X"]) -> Float[np.ndarray, "B N N"]:
    """Return the squared Euclidean distances between the points of each task, 0 exactly between equal ones."""
    B, N, _ = inputs.shape
    total = np.zeros((B, N, N))
    for column in np.moveaxis(inputs, -1, 0):  # x.x - 2 x.y + y.y would not make ties of equals
        total += np.square(column[:, :, None] - column[:, None, :])
    return total


def nearest(inputs: Float[np.ndarray, "B N X"], shown: Bool[np.ndarray, "B N"], k: int) -> Neighbours:
    """Return the k context points, at most N, nearest to each point; a context point is a neighbour of itself."""
    distances = np.where(shown[:, None, :], squared_distances(inputs), np.inf)
    numbers = np.argsort(distances, axis=-1, kind="stable")[:, :, :k]
    return Neighbours(numbers, np.take_along_axis(distances, numbers, axis=-1) < np.inf)
