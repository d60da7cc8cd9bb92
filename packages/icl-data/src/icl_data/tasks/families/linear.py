"""Linear families (Garg et al. 2022, arXiv 2208.01066, section 2 and 4), and a line with an offset."""

import dataclasses

import numpy as np

from icl_data.arrays import array_module, order
from icl_data.draws import check_bounds, scale_to
from icl_data.tasks.families.family import Points, Scalar, Specs, Values, column, dot
from icl_data.tasks.pool import TaskRandomness


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear(Scalar):
    """y = w x, with standard normal weights.

    Attributes:
      num_inputs: X, at least 1.
      slopes: draw the weights uniformly between these two instead.

    >>> import numpy as np
    >>> from icl_data import draw_functions
    >>> draw_functions(Linear(slopes=(0.1, 0.5)), seed=0, numbers=np.array([3])).specs["weights"].shape
    (1, 1)
    """

    slopes: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slopes is not None:
            check_bounds("slopes", self.slopes)

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return ``weights`` [B, X]."""
        if self.slopes is not None:
            return {"weights": scale_to(draws.uniforms("slopes", self.num_inputs), self.slopes)}
        return {"weights": draws.normals("weights", self.num_inputs)}

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Values:
        """Return w x."""
        return dot(inputs, specs["weights"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearOnSphere(Scalar):
    """y = w x, with weights in a uniform direction and of length sqrt(X), as most standard normal ones almost have.

    Lu et al. (2024, arXiv 2405.11751) have them, with ``NormalInputs(scale=X**-0.5)``.

    Attributes:
      num_inputs: X, at least 1.
    """

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return ``weights`` [B, X]."""
        weights = draws.normals("weights", self.num_inputs)
        length = array_module(weights).sqrt((weights**2).sum(axis=1, keepdims=True))
        return {"weights": weights * (np.float32(self.num_inputs**0.5) / length)}

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Values:
        """Return w x."""
        return dot(inputs, specs["weights"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Affine(Linear):
    """y = w x + b, with standard normal weights and offset.

    Attributes:
      num_inputs: X, at least 1.
      slopes: draw the weights uniformly between these two instead.
    """

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return ``weights`` [B, X] and ``offset`` [B]."""
        return super().draw(draws) | {"offset": draws.normals("offset", 1)[:, 0]}

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Values:
        """Return w x + b."""
        return dot(inputs, specs["weights"]) + column(specs["offset"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class SparseLinear(Scalar):
    """y = w x, where all but a few weights are 0 (Garg et al. 2022, with 3 of 20).

    Attributes:
      num_inputs: X, at least 1.
      nonzero: how many weights are not 0, in 1..num_inputs; which ones is drawn for each task.

    Raises:
      ValueError: more than there are inputs.
    """

    num_inputs: int = 20
    nonzero: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nonzero > self.num_inputs:
            raise ValueError(f"nonzero must be at most num_inputs={self.num_inputs}, got {self.nonzero}.")

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return ``weights`` [B, X]."""
        ranks = order(order(draws.uniforms("which", self.num_inputs)))
        return {"weights": draws.normals("weights", self.num_inputs) * (ranks < self.nonzero)}

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Values:
        """Return w x."""
        return dot(inputs, specs["weights"])
