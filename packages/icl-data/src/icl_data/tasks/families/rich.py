"""Families of rich functions: Gaussian processes, two-layer networks, decision trees."""

import dataclasses

import numpy as np

from icl_data.arrays import array_module
from icl_data.draws import scale_to
from icl_data.tasks.families.family import Points, Scalar, Specs, Values, dot
from icl_data.tasks.pool import TaskRandomness


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianProcessDraw(Scalar):
    """A draw from a Gaussian process of zero mean and RBF kernel `exp(-|x - x'|^2 / (2 length_scale^2))`.

    It is a sum of random cosines (Rahimi and Recht 2007), whose covariance is the kernel; with many it is as good as
    normal. So a draw is a function, which can be asked at other points again.

    Attributes:
      num_inputs: X, at least 1.
      length_scale: of the kernel, in units of x, above 0.
      features: how many cosines, at least 1.
    """

    length_scale: float = 0.3
    features: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.length_scale < np.inf:
            raise ValueError(f"length_scale must be above 0 and finite, got {self.length_scale}.")

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return ``frequencies`` [B, X, features], and ``heights`` [B, 2 features] of cosines and sines."""
        frequencies = draws.normals("frequencies", self.num_inputs * self.features) / np.float32(self.length_scale)
        return {
            "frequencies": frequencies.reshape(-1, self.num_inputs, self.features),
            "heights": draws.normals("heights", 2 * self.features) / np.float32(np.sqrt(self.features)),
        }

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Values:
        """Return the sums of cosines and sines."""
        xp, angles = array_module(inputs), inputs @ specs["frequencies"]
        return dot(xp.concatenate([xp.cos(angles), xp.sin(angles)], axis=2), specs["heights"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReluNetwork(Scalar):
    """y = sum_i a_i relu(w_i x), w_i standard normal and a_i of variance 2 / hidden (Garg et al. 2022, section 4).

    Attributes:
      num_inputs: X, at least 1.
      hidden: units of the layer, at least 1.
      bias_scale: standard deviation of a bias within each relu; Garg et al. have none, but with one input all kinks
        would be at 0 then.
    """

    hidden: int = 100
    bias_scale: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.bias_scale < np.inf:
            raise ValueError(f"bias_scale must be at least 0 and finite, got {self.bias_scale}.")

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return ``weights`` [B, X, hidden], ``biases`` [B, hidden] and ``heights`` [B, hidden]."""
        weights = draws.normals("weights", self.num_inputs * self.hidden)
        return {
            "weights": weights.reshape(-1, self.num_inputs, self.hidden),
            "biases": draws.normals("biases", self.hidden) * np.float32(self.bias_scale),
            "heights": draws.normals("heights", self.hidden) * np.float32(np.sqrt(2 / self.hidden)),
        }

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Values:
        """Return the networks' outputs."""
        xp, hidden = array_module(inputs), inputs @ specs["weights"]
        if self.bias_scale:
            hidden += specs["biases"][:, None]
        # In place for NumPy: new memory for so much takes twice as long as all else.
        kept = np.maximum(hidden, 0, out=hidden) if xp is np else xp.maximum(hidden, 0)
        return dot(kept, specs["heights"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecisionTree(Scalar):
    """A full binary tree: each node asks whether one input is above a threshold; leaves are standard normal.

    Garg et al. (2022, section 4) have depth 4, 20 inputs and thresholds of 0.

    Attributes:
      num_inputs: X, at least 1.
      depth: questions on the way to a leaf, at least 1.
      thresholds: their range.
    """

    depth: int = 3
    thresholds: tuple[float, float] = (-1.0, 1.0)

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return ``inputs`` and ``thresholds`` [B, nodes], level by level, and ``leaves`` [B, nodes + 1]."""
        nodes = 2**self.depth - 1
        uniforms = draws.uniforms("nodes", 2 * nodes)
        return {
            "inputs": (uniforms[:, :nodes] * self.num_inputs).astype(np.int32),
            "thresholds": scale_to(uniforms[:, nodes:], self.thresholds),
            "leaves": draws.normals("leaves", nodes + 1),
        }

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Values:
        """Return the leaves at the end of the ways down the trees."""
        xp = array_module(inputs)
        node = xp.zeros(inputs.shape[:2], np.int32)
        for _ in range(self.depth):
            which = xp.take_along_axis(specs["inputs"], node, axis=1)[:, :, None]
            asked = xp.take_along_axis(inputs, which, axis=2)[:, :, 0]
            node = 2 * node + 1 + (asked > xp.take_along_axis(specs["thresholds"], node, axis=1))
        leaf = node - (2**self.depth - 1)
        return xp.take_along_axis(specs["leaves"], leaf, axis=1)[:, :, None]
