"""Items that are made: points around class means (Reddy 2023), unit vectors, integers."""

import numpy as np
from jaxtyping import Float

from icl_data.bank import ExemplarBank, bank_from_runs
from icl_data.draws import normals, uniform_rows


def gaussian(
    num_classes: int, *, dimensions: int = 63, within: float = 0.1, num_exemplars: int = 20, seed: int = 0
) -> ExemplarBank:
    """Return points around class means: ``(mean + within * noise) / sqrt(1 + within**2)``.

    Mean and noise have independent coordinates of variance 1 / dimensions, so that a point has about length 1,
    whatever ``within`` is. Class c is the same for any ``num_classes``, exemplar e for any ``num_exemplars``.

    Args:
      num_classes: at least 1, no upper bound.
      dimensions: of a point, D, at least 1.
      within: how much the exemplars of a class differ, the paper's epsilon, at least 0; at 0 they are all alike.
      num_exemplars: of each class, at least 1.
      seed: another seed gives other means and other noise.

    Returns:
      A bank of float32 points [num_classes * num_exemplars, D].

    Raises:
      ValueError: a number out of its range.

    Source: Reddy (2023), "The mechanistic basis of data dependence and abrupt learning in an in-context
    classification task", arXiv 2312.03002, section 2.

    >>> gaussian(3, num_exemplars=2).items.shape
    (6, 63)
    """
    if min(num_classes, dimensions, num_exemplars) < 1:
        raise ValueError(
            "gaussian wants num_classes, dimensions and num_exemplars of at least 1, "
            f"got {num_classes}, {dimensions} and {num_exemplars}."
        )
    if not 0 <= within < np.inf:
        raise ValueError(f"within must be at least 0 and finite, got {within}.")
    classes = np.arange(num_classes)
    means = _points(seed, "gaussian means", classes, dimensions)
    items = np.empty((num_classes, num_exemplars, dimensions), np.float32)
    for number in classes:
        # One stream for each class, one row for each exemplar: neither count changes what is drawn.
        noise = _points(seed, f"gaussian exemplars {number}", np.arange(num_exemplars), dimensions)
        items[number] = (means[number] + within * noise) / np.sqrt(1 + within**2)
    return bank_from_runs(items.reshape(-1, dimensions), np.full(num_classes, num_exemplars))


def _points(seed: int, stream: str, rows: np.ndarray, dimensions: int) -> Float[np.ndarray, "rows dimensions"]:
    return normals(uniform_rows(seed, stream, rows, width=2 * dimensions)) / np.sqrt(dimensions)


def symbols(num_classes: int) -> ExemplarBank:
    """Return a bank in which the one exemplar of class c is the integer c: int32 items [num_classes].

    >>> symbols(5).gather(np.array([[4, 0]]), np.array([[0, 0]]))
    array([[4, 0]], dtype=int32)
    """
    if not 1 <= num_classes < 2**31:
        raise ValueError(f"num_classes must be at least 1 and fit in an int32, got {num_classes}.")
    return bank_from_runs(np.arange(num_classes, dtype=np.int32), np.ones(num_classes, np.int64))


def one_hot(num_classes: int) -> ExemplarBank:
    """Return a bank in which the one exemplar of class c is the c-th unit vector: float32 items [C, C].

    >>> one_hot(3).gather(np.array([2]), np.array([0]))
    array([[0., 0., 1.]], dtype=float32)
    """
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
    return bank_from_runs(np.eye(num_classes, dtype=np.float32), np.ones(num_classes, np.int64))
