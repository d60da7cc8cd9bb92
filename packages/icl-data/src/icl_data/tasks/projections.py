"""The random matrix A of each task: normal, as in training (Kirsch et al. 2022), and others to be tested on."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from icl_data.arrays import array_module, float32_products
from icl_data.tasks.pool import TaskRandomness


@runtime_checkable
class Projection(Protocol):
    """A distribution of matrices; bring your own by writing this one function in a frozen dataclass."""

    def matrices(self, draws: TaskRandomness, dimensions: int) -> Float32[Any, "B X X"]:
        """Return the matrix A of each task, in NumPy or jax as the draws are; it depends on the task's draws alone."""


@dataclasses.dataclass(frozen=True)
class NormalProjection:
    """Independent normal entries of variance ``scale**2`` / X (not standard deviation).

    Attributes:
      scale: how many times as long a projected vector is as the vector, on average; above 0. Training has 1.

    Source: Kirsch et al. (2022), section 3.

    >>> from icl_data import task_keys
    >>> matrices = NormalProjection().matrices(TaskRandomness(task_keys(0, np.arange(9))), 50)
    >>> matrices.shape, bool(abs(matrices.var() * 50 - 1) < 0.05)
    ((9, 50, 50), True)
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf:
            raise ValueError(f"scale must be a finite number above 0, got {self.scale}.")

    def matrices(self, draws: TaskRandomness, dimensions: int) -> Float32[Any, "B X X"]:
        """See ``Projection``."""
        normals = draws.normals("projection", dimensions**2)
        normals *= np.float32(self.scale * dimensions**-0.5)  # in place for NumPy; jax makes a new array of it
        return normals.reshape(-1, dimensions, dimensions)


@dataclasses.dataclass(frozen=True)
class SparseProjection:
    """Normal entries of which each is kept with a probability, the others 0; their variance is 1 / X again.

    The entries that are kept are those of ``NormalProjection`` for the same task, times ``density**-0.5``.

    Attributes:
      density: probability that an entry is kept, above 0 and at most 1.

    >>> from icl_data import task_keys
    >>> matrices = SparseProjection(0.1).matrices(TaskRandomness(task_keys(0, np.arange(9))), 50)
    >>> bool(abs((matrices != 0).mean() - 0.1) < 0.01)
    True
    """

    density: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise ValueError(f"density must be a probability above 0, got {self.density}.")

    def matrices(self, draws: TaskRandomness, dimensions: int) -> Float32[Any, "B X X"]:
        """See ``Projection``."""
        entries = NormalProjection(self.density**-0.5).matrices(draws, dimensions)
        is_kept = draws.uniforms("sparsity", dimensions**2).reshape(entries.shape) < np.float32(self.density)
        return entries * is_kept


@dataclasses.dataclass(frozen=True)
class Rotation:
    """Orthogonal matrices, uniform over all of them (Haar), reflections included: lengths and angles stay.

    Each takes a QR decomposition: for 784 numbers in an item some tenths of a second on a CPU, and sequences of some
    hundred tasks are enough to be tested on.

    Source: Mezzadri (2007), "How to generate random matrices from the classical compact groups", arXiv
    math-ph/0609050: of a normal matrix, Q times the signs of the diagonal of R.

    >>> from icl_data import task_keys
    >>> (matrix,) = Rotation().matrices(TaskRandomness(task_keys(0, np.arange(1))), 5)
    >>> bool(np.allclose(matrix @ matrix.T, np.eye(5), atol=1e-6))
    True
    """

    def matrices(self, draws: TaskRandomness, dimensions: int) -> Float32[Any, "B X X"]:
        """See ``Projection``."""
        entries = NormalProjection().matrices(draws, dimensions)
        xp = array_module(entries)
        with float32_products(entries):
            orthogonal, triangular = xp.linalg.qr(entries)
        diagonal = xp.diagonal(triangular, axis1=1, axis2=2)
        return orthogonal * xp.where(diagonal < 0, np.float32(-1), np.float32(1))[:, None, :]
