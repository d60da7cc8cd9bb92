"""Labelled items as vectors of comparable size, which a projected task can be made of."""

import dataclasses

import numpy as np
from jaxtyping import Float, Shaped

from icl_data.bank import ExemplarBank, bank_from_runs
from icl_data.checks import check_whole
from icl_data.draws import normal_rows


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Vectors:
    """A way from items to vectors, fitted to some items by ``fit_vectors``; it is applied to others unchanged.

    Attributes:
      mean: float [P], of the flattened items that it was fitted to.
      matrix: float [P, X] to their principal components, or None to keep all P numbers.
      scale: what every coordinate is divided by at the end.
    """

    mean: Float[np.ndarray, " P"]
    matrix: Float[np.ndarray, "P X"] | None
    scale: float

    def transform(self, items: Shaped[np.ndarray, "rows ..."]) -> Float[np.ndarray, "rows X"]:
        """Return the vectors of items, float32 [rows, X].

        Raises:
          ValueError: items of another size, or with NaN or infinity.
        """
        centred = _flat(items, len(self.mean)) - self.mean
        projected = centred if self.matrix is None else centred @ self.matrix
        return (projected / self.scale).astype(np.float32)

    def apply(self, bank: ExemplarBank) -> ExemplarBank:
        """Return a bank of float32 vectors [rows, X] of a bank's items; classes and exemplars stay.

        Raises:
          ValueError: items of another size, with NaN or infinity, or a bank of rotated images.
        """
        if bank.symmetries.any():
            raise ValueError("Vectors are made of the items as they are stored, so not of an augmented bank.")
        return dataclasses.replace(bank, items=self.transform(bank.items))


def fit_vectors(items: Shaped[np.ndarray, "rows ..."], *, components: int | None = None) -> Vectors:
    """Return the way from items to vectors of mean 0 and, averaged over coordinates, variance 1.

    Args:
      items: numbers [rows, ...], of the training images alone; each is laid flat.
      components: X, how many principal components to keep; None keeps every number (Kirsch et al. 2022 do).

    Raises:
      ValueError: fewer than two items, all alike, NaN or infinity, or more components than an item has numbers.

    >>> items = np.random.default_rng(0).normal(size=(50, 8, 8))
    >>> bank = bank_from_runs(items, np.array([30, 20]))
    >>> fit_vectors(items, components=16).apply(bank).items.shape
    (50, 16)
    """
    if len(items) < 2:
        raise ValueError(f"fit_vectors wants at least two items, got {len(items)}.")
    flat = _flat(items, int(np.prod(items.shape[1:])))
    mean = flat.mean(axis=0)
    centred = flat - mean
    matrix = None
    if components is not None:
        check_whole("components", components, least=1)
        if components > flat.shape[1]:
            raise ValueError(f"Items of {flat.shape[1]} numbers have as many components, got components={components}.")
        matrix = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :components]
        # An eigenvector's sign is arbitrary: its largest entry is made positive, on every machine alike.
        largest = np.abs(matrix).argmax(axis=0)
        matrix = matrix * np.sign(matrix[largest, np.arange(components)])
        centred = centred @ matrix
    scale = float(np.sqrt(np.mean(np.square(centred))))
    if not scale > 0:
        raise ValueError("fit_vectors wants items that differ, got all alike.")
    return Vectors(mean=mean, matrix=matrix, scale=scale)


def random_vectors(num_classes: int, *, exemplars: int, dimensions: int, seed: int = 0) -> ExemplarBank:
    """Return the random data set: standard normal vectors, whose classes have nothing in common.

    What learns from examples how a label belongs to a vector can tell these, since the few vectors come again within a
    sequence (Kirsch et al. 2022, table 1, "Random"; they do not say how many vectors there are).

    Args:
      num_classes: C, at least 1.
      exemplars: vectors of each class, at least 1.
      dimensions: X, of a vector, at least 1.
      seed: another seed gives other vectors.

    >>> random_vectors(10, exemplars=2, dimensions=16).items.shape
    (20, 16)
    """
    for name, value in {"num_classes": num_classes, "exemplars": exemplars, "dimensions": dimensions}.items():
        check_whole(name, value, least=1)
    items = normal_rows(seed, "random vectors", np.arange(num_classes * exemplars), width=dimensions)
    return bank_from_runs(items, np.full(num_classes, exemplars))


def _flat(items: Shaped[np.ndarray, "rows ..."], size: int) -> Float[np.ndarray, "rows P"]:
    if items.dtype.kind not in "fiub" or int(np.prod(items.shape[1:])) != size:
        raise ValueError(f"Wanted items of {size} numbers, got {items.dtype} {list(items.shape[1:])}.")
    flat = items.reshape(len(items), size).astype(np.float64)
    if unsound := np.count_nonzero(~np.isfinite(flat).all(axis=1)):
        raise ValueError(f"Wanted finite items, got {unsound} of {len(items)} with NaN or infinity; leave these out.")
    return flat
