"""Measures by the number of examples: pure functions from one row per task and one column per position."""

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, mean, proportion


def accuracy_by_shots(
    correct: Bool[np.ndarray, "B P"], *, examples: Int[np.ndarray, " P"], chance: float | None
) -> ScalarCurve:
    """Return the accuracy at each position, with its Wilson interval.

    Args:
      correct: whether each prediction is right.
      examples: how many examples came before each position, increasing.
      chance: what guessing gives.

    Raises:
      ValueError: if there are no tasks or positions, or the positions are not one for each number of examples.

    >>> curve = accuracy_by_shots(np.array([[False, True], [True, True]]), examples=np.arange(2), chance=0.5)
    >>> curve.values
    array([0.5, 1. ])
    """
    _check(correct, examples)
    estimates = [proportion(int(column.sum()), len(column)) for column in correct.T]
    return ScalarCurve.of(examples, estimates, chance=chance)


def mean_by_shots(values: Num[np.ndarray, "B P"], *, examples: Num[np.ndarray, " P"]) -> ScalarCurve:
    """Return the mean over tasks of a number, such as a squared error, at each position, with the interval of `mean`.

    `examples` is how many came before each position, increasing.

    >>> mean_by_shots(np.array([[4.0, 1.0], [2.0, 0.0]]), examples=np.array([0, 8])).values
    array([3. , 0.5])
    """
    _check(values, examples)
    return ScalarCurve.of(examples, [mean(column) for column in values.T])


def improvement(correct: Bool[np.ndarray, "B P"], *, window: int | None = None) -> Estimate:
    """Return how much better the last positions are than the first, over tasks.

    It is the mean over tasks of the mean of the last `window` positions (see `last_window`) minus the first, in -1..1.
    Each task's own difference is taken, so what makes a whole task hard or easy cancels (a paired comparison). There
    are at least 2 positions, the first without examples.

    Source: Kirsch et al. (2022), arXiv 2212.04458: the accuracy at the last position minus that at the first tells
    learning within the context from what was known before it.

    >>> print(improvement(np.array([[False, True], [True, True], [False, True], [False, True]]), window=1))
    0.750 (0.260-1.000, n=4)
    """
    if correct.ndim != 2 or correct.shape[0] < 1 or correct.shape[1] < 2:
        raise ValueError(f"Wanted tasks of 2 or more positions, [B, P], got the shape {list(correct.shape)}.")
    window = last_window(correct.shape[1], window)
    gain: Float[np.ndarray, " B"] = correct[:, -window:].mean(axis=1) - correct[:, 0]
    return mean(gain)


def last_window(positions: int, window: int | None = None) -> int:
    """Return how many positions count as the last: `window`, or an eighth of them and at least 1.

    >>> last_window(100), last_window(5), last_window(100, 3)
    (12, 1, 3)
    """
    window = max(1, positions // 8) if window is None else window
    if not 1 <= window <= positions:
        raise ValueError(f"Wanted a window of 1 to {positions} last positions, got {window}.")
    return window


def _check(rows: Num[np.ndarray, "B P"] | Bool[np.ndarray, "B P"], examples: Num[np.ndarray, " P"]) -> None:
    if rows.ndim != 2 or 0 in rows.shape or examples.shape != rows.shape[1:] or (np.diff(examples) <= 0).any():
        raise ValueError(
            "Wanted rows [B, P], neither 0, and P increasing numbers of examples, got the shape "
            f"{list(rows.shape)} and {examples.tolist()}."
        )
