"""Random multilayer perceptrons: the functions that a general-purpose learner is trained on."""

import dataclasses
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from jaxtyping import Float32, Int

from icl_data.arrays import array_module
from icl_data.checks import check_whole
from icl_data.draws import check_bounds
from icl_data.tasks.families.family import Points, Specs, column
from icl_data.tasks.pool import TaskRandomness

Activation = Literal["tanh", "relu", "swish", "sigmoid", "linear", "mixed"]
_MIXED: tuple[Activation, ...] = ("tanh", "relu", "swish", "sigmoid")
_CHOICES: tuple[Activation, ...] = (*_MIXED, "linear")
_IN_CACHE = 2**17  # numbers of one layer that are worked on at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomMLP:
    """A multilayer perceptron with normal weights and biases of its own for each task.

    The function-fitting form of general-purpose in-context learning (Kirsch et al. 2022, arXiv 2212.04458).

    Attributes:
      num_inputs: X.
      num_outputs: Y.
      hidden: units of each hidden layer; none at all makes one layer from inputs to outputs.
      activations: one for all hidden layers, or one for each. "mixed" draws one of tanh, relu, swish and sigmoid for
        each layer of each task.
      output_activation: of the last layer.
      weight_scale: standard deviation of weights, times the square root of the units that a weight's layer reads unless
        ``divide_by_fan_in`` is off; a pair of numbers draws it for each task, uniformly in its logarithm.
      bias_scale: standard deviation of biases; or a pair, likewise.
      divide_by_fan_in: whether weights get smaller with the units that their layer reads.

    Raises:
      ValueError: sizes below 1, activations that do not fit the layers, or scales below 0.

    >>> family = RandomMLP(num_inputs=15, hidden=(5, 10, 4), activations="relu")
    >>> family.num_parameters
    189
    """

    on_device: ClassVar[bool] = True

    num_inputs: int = 1
    num_outputs: int = 1
    hidden: tuple[int, ...] = (32, 32)
    activations: Activation | tuple[Activation, ...] = "tanh"
    output_activation: Activation = "linear"
    weight_scale: float | tuple[float, float] = 1.0
    bias_scale: float | tuple[float, float] = 1.0
    divide_by_fan_in: bool = True

    def __post_init__(self) -> None:
        for size in self._sizes:
            check_whole("num_inputs, num_outputs and each of hidden", size, least=1)
        activations = self._activations
        if len(activations) != len(self.hidden) + 1 or any(name not in get_args(Activation) for name in activations):
            raise ValueError(
                f"activations must be one of {get_args(Activation)}, or one for each of the {len(self.hidden)} hidden "
                f"layers, got {self.activations!r} and output_activation={self.output_activation!r}."
            )
        for name in ("weight_scale", "bias_scale"):
            bounds = _pair(getattr(self, name))
            check_bounds(name, bounds)
            if bounds[0] < 0 or (bounds[0] == 0 < bounds[1]):
                raise ValueError(f"{name} must be at least 0, and a pair above 0, got {getattr(self, name)}.")

    @property
    def _sizes(self) -> tuple[int, ...]:
        return (self.num_inputs, *self.hidden, self.num_outputs)

    @property
    def _activations(self) -> tuple[Activation, ...]:
        given = self.activations
        hidden = (given,) * len(self.hidden) if isinstance(given, str) else tuple(given)
        return (*hidden, self.output_activation)

    @property
    def num_parameters(self) -> int:
        """Weights and biases of one function."""
        return sum((read + 1) * made for read, made in zip(self._sizes, self._sizes[1:], strict=False))

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return ``weight_scale`` and ``bias_scale``, float32 [B], and ``activation``, int32 [B, layers]."""
        uniforms = draws.uniforms("mlp", 2 + len(self._activations))
        specs: Specs = {
            name: _log_between(uniforms[:, place], _pair(getattr(self, name)))
            for place, name in enumerate(("weight_scale", "bias_scale"))
        }
        drawn = (uniforms[:, 2:] * len(_MIXED)).astype(np.int32)
        fixed = np.array([[-1 if name == "mixed" else _CHOICES.index(name) for name in self._activations]], np.int32)
        return specs | {"activation": array_module(uniforms).where(fixed < 0, drawn, fixed)}

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Float32[Any, "B N Y"]:
        """Return the networks, each with the weights of its task, at N points."""
        parameters = draws.normals("mlp weights", self.num_parameters)
        if array_module(inputs) is not np:
            return self._run(specs, parameters, inputs)
        outputs = np.empty((*inputs.shape[:2], self.num_outputs), np.float32)
        at_once = max(1, _IN_CACHE // (inputs.shape[1] * max(self._sizes)))
        for start in range(0, len(inputs), at_once):
            part = slice(start, start + at_once)
            specs_of_part = {name: values[part] for name, values in specs.items()}
            outputs[part] = self._run(specs_of_part, parameters[part], inputs[part])
        return outputs

    def _run(self, specs: Specs, parameters: Float32[Any, "B P"], inputs: Points) -> Any:
        outputs, used = inputs, 0
        for layer, (read, made) in enumerate(zip(self._sizes, self._sizes[1:], strict=False)):
            weights = parameters[:, used : used + read * made].reshape(-1, read, made)
            biases = parameters[:, None, used + read * made : used + (read + 1) * made]
            used += (read + 1) * made
            scale = specs["weight_scale"] / np.float32(math.sqrt(read) if self.divide_by_fan_in else 1)
            weights = weights * column(scale)
            outputs = outputs * weights if read == 1 else outputs @ weights
            outputs = outputs + biases * column(specs["bias_scale"])
            outputs = _activate(outputs, self._activations[layer], specs["activation"][:, layer])
        return outputs


def _activate(values: Float32[Any, "B N U"], name: Activation, choices: Int[Any, " B"]) -> Float32[Any, "B N U"]:
    """Return values under an activation: the one of this name, or of mixed ones that of each task."""
    xp = array_module(values)
    if name != "mixed":
        return _FUNCTIONS[name](xp, values)
    if xp is not np:
        chosen = [column(choices) == choice for choice in range(len(_MIXED))]
        return xp.select(chosen, [_FUNCTIONS[each](xp, values) for each in _MIXED])
    activated = np.empty_like(values)  # each task under its own alone, which an accelerator has no way to
    for choice, each in enumerate(_MIXED):
        activated[choices == choice] = _FUNCTIONS[each](np, values[choices == choice])
    return activated


def _sigmoid(xp: ModuleType, values: Float32[Any, "B N U"]) -> Float32[Any, "B N U"]:
    return np.float32(0.5) * (1 + xp.tanh(np.float32(0.5) * values))  # never overflows, as exp would


_FUNCTIONS: dict[Activation, Callable[[ModuleType, Any], Any]] = {
    "tanh": lambda xp, values: xp.tanh(values),
    "relu": lambda xp, values: xp.maximum(values, 0),
    "swish": lambda xp, values: values * _sigmoid(xp, values),
    "sigmoid": _sigmoid,
    "linear": lambda xp, values: values,
}


def _pair(scale: float | tuple[float, float]) -> tuple[float, float]:
    return scale if isinstance(scale, tuple) else (scale, scale)


def _log_between(uniforms: Float32[Any, " B"], bounds: tuple[float, float]) -> Float32[Any, " B"]:
    low, high = bounds
    xp = array_module(uniforms)
    if low == high:
        return xp.full(uniforms.shape, low, np.float32)
    return xp.exp(math.log(low) + (math.log(high) - math.log(low)) * uniforms).astype(np.float32)
