"""Families of functions: random networks to train on, and known shapes to be tested on."""

from icl_data.tasks.families.curves import (
    AbsoluteValue,
    CurveFamily,
    Exponential,
    PiecewiseLinear,
    Placed,
    Polynomial,
    Sine,
    StepFunction,
)
from icl_data.tasks.families.family import Family, Functions, Specs, draw_functions
from icl_data.tasks.families.linear import Affine, Linear, LinearOnSphere, SparseLinear
from icl_data.tasks.families.random_mlp import Activation, RandomMLP
from icl_data.tasks.families.rich import DecisionTree, GaussianProcessDraw, ReluNetwork

KNOWN_FAMILIES: dict[str, Family] = {
    "linear": Linear(),
    "affine": Affine(),
    "quadratic": Polynomial(degree=2),
    "cubic": Polynomial(degree=3),
    "sine": Sine(),
    "absolute": AbsoluteValue(),
    "step": StepFunction(),
    "piecewise_linear": PiecewiseLinear(),
    "exponential": Exponential(),
    "relu_network": ReluNetwork(bias_scale=1.0),
    "decision_tree": DecisionTree(),
    "gaussian_process": GaussianProcessDraw(),
    "sparse_linear": SparseLinear(),
}
"""Families to be tested on, by name: of one input, but for the last. ``dataclasses.replace(family, num_inputs=20)``
makes one of more inputs; ``DecisionTree(num_inputs=20, depth=4, thresholds=(0, 0))`` is that of Garg et al. (2022)."""

__all__ = [
    "KNOWN_FAMILIES",
    "AbsoluteValue",
    "Activation",
    "Affine",
    "CurveFamily",
    "DecisionTree",
    "Exponential",
    "Family",
    "Functions",
    "GaussianProcessDraw",
    "Linear",
    "LinearOnSphere",
    "PiecewiseLinear",
    "Placed",
    "Polynomial",
    "RandomMLP",
    "ReluNetwork",
    "Sine",
    "SparseLinear",
    "Specs",
    "StepFunction",
    "draw_functions",
]
