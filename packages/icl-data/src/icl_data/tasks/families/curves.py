"""Families of curves: functions of one input, or of many by a random direction, of textbook shapes.

With X inputs a curve is f(u x), where u is a random direction of length 1; with one input u is 1.
"""

import abc
import dataclasses

import numpy as np

from icl_data.arrays import array_module
from icl_data.draws import scale_to
from icl_data.tasks.families.family import Points, Scalar, Specs, Values, column, dot
from icl_data.tasks.pool import TaskRandomness


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurveFamily(Scalar, abc.ABC):
    """What these families share: a direction, and a function of the way along it."""

    def draw(self, draws: TaskRandomness) -> Specs:
        """Return parameters of the curves and, with several inputs, their ``direction`` [B, X]."""
        specs = self.draw_curve(draws)
        if self.num_inputs == 1:
            return specs
        direction = draws.normals("direction", self.num_inputs)
        length = array_module(direction).sqrt((direction**2).sum(axis=1, keepdims=True))
        return specs | {"direction": direction / length}

    def values(self, specs: Specs, draws: TaskRandomness, inputs: Points) -> Values:
        """Return the curves along their directions."""
        way = inputs if self.num_inputs == 1 else dot(inputs, specs["direction"])
        return self.along({name: values for name, values in specs.items() if name != "direction"}, way)

    @abc.abstractmethod
    def draw_curve(self, draws: TaskRandomness) -> Specs:
        """Return parameters of the curves."""

    @abc.abstractmethod
    def along(self, specs: Specs, way: Values) -> Values:
        """Return the curves at these ways."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Polynomial(CurveFamily):
    """y = c_0 + c_1 t + ... + c_d t^d, with standard normal coefficients.

    Attributes:
      num_inputs: X, at least 1.
      degree: d, at least 1: 2 is a quadratic, 3 a cubic.
    """

    degree: int = 2

    def draw_curve(self, draws: TaskRandomness) -> Specs:
        """Return ``coefficients`` [B, degree + 1], that of the constant first."""
        return {"coefficients": draws.normals("coefficients", self.degree + 1)}

    def along(self, specs: Specs, way: Values) -> Values:
        """Return the polynomials, by Horner's rule."""
        values = column(specs["coefficients"][:, self.degree])
        for power in reversed(range(self.degree)):
            values = values * way + column(specs["coefficients"][:, power])
        return values


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sine(CurveFamily):
    """y = A sin(w t + p), each of the three uniform in its range.

    The ranges are those of the notebook that the function-fitting form comes from.

    Attributes:
      num_inputs: X, at least 1.
      amplitude: of A.
      frequency: of w, in radians per unit of t.
      phase: of p, in radians.
    """

    amplitude: tuple[float, float] = (0.1, 5.0)
    frequency: tuple[float, float] = (0.0, 8.0)
    phase: tuple[float, float] = (0.0, 3.0)

    def draw_curve(self, draws: TaskRandomness) -> Specs:
        """Return ``amplitude``, ``frequency`` and ``phase``, [B] each."""
        uniforms = draws.uniforms("sine", 3)
        names = ("amplitude", "frequency", "phase")
        return {name: scale_to(uniforms[:, place], getattr(self, name)) for place, name in enumerate(names)}

    def along(self, specs: Specs, way: Values) -> Values:
        """Return A sin(w t + p)."""
        angle = column(specs["frequency"]) * way + column(specs["phase"])
        return column(specs["amplitude"]) * array_module(angle).sin(angle)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placed(CurveFamily):
    """A shape at a place: y = a f(t - c) + b, with standard normal a and b.

    Attributes:
      centre: range of c.
    """

    centre: tuple[float, float] = (-0.8, 0.8)

    def draw_curve(self, draws: TaskRandomness) -> Specs:
        """Return ``centre``, ``scale`` and ``offset``, [B] each."""
        normals = draws.normals("scale and offset", 2)
        centre = scale_to(draws.uniforms("centre", 1)[:, 0], self.centre)
        return {"centre": centre, "scale": normals[:, 0], "offset": normals[:, 1]}

    def along(self, specs: Specs, way: Values) -> Values:
        """Return the shape in its place."""
        shape = self.shape(way - column(specs["centre"]))
        return column(specs["scale"]) * shape + column(specs["offset"])

    @abc.abstractmethod
    def shape(self, way: Values) -> Values:
        """Return f."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AbsoluteValue(Placed):
    """`y = a |t - c| + b`.

    Attributes:
      num_inputs: X, at least 1.
      centre: range of c.
    """

    def shape(self, way: Values) -> Values:
        """Return `|t|`."""
        return abs(way)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepFunction(Placed):
    """y = a [t >= c] + b.

    Attributes:
      num_inputs: X, at least 1.
      centre: range of c.
    """

    def shape(self, way: Values) -> Values:
        """Return 0 below 0, else 1."""
        return (way >= 0).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exponential(CurveFamily):
    """y = a exp(r t) + b, with standard normal a and b.

    Attributes:
      num_inputs: X, at least 1.
      rate: range of r.
    """

    rate: tuple[float, float] = (-3.0, 3.0)

    def draw_curve(self, draws: TaskRandomness) -> Specs:
        """Return ``rate``, ``scale`` and ``offset``, [B] each."""
        normals = draws.normals("scale and offset", 2)
        rate = scale_to(draws.uniforms("rate", 1)[:, 0], self.rate)
        return {"rate": rate, "scale": normals[:, 0], "offset": normals[:, 1]}

    def along(self, specs: Specs, way: Values) -> Values:
        """Return a exp(r t) + b."""
        growth = array_module(way).exp(column(specs["rate"]) * way)
        return column(specs["scale"]) * growth + column(specs["offset"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class PiecewiseLinear(CurveFamily):
    """Straight pieces between knots with standard normal values; level beyond the first and the last.

    Attributes:
      num_inputs: X, at least 1.
      pieces: how many, at least 1.
      bounds: where the first and the last knot are; those between are drawn uniformly for each task.
    """

    pieces: int = 4
    bounds: tuple[float, float] = (-1.0, 1.0)

    def draw_curve(self, draws: TaskRandomness) -> Specs:
        """Return ``knots``, ascending, and ``heights``, [B, pieces + 1] each."""
        uniforms = draws.uniforms("knots", self.pieces - 1)
        xp = array_module(uniforms)
        inner = xp.sort(scale_to(uniforms, self.bounds), axis=1)
        low, high = (xp.full((len(inner), 1), bound, np.float32) for bound in self.bounds)
        heights = draws.normals("heights", self.pieces + 1)
        return {"knots": xp.concatenate([low, inner, high], axis=1), "heights": heights}

    def along(self, specs: Specs, way: Values) -> Values:
        """Return the first height, and for each piece its rise times the share of it that lies behind."""
        xp, knots, heights = array_module(way), specs["knots"], specs["heights"]
        values = column(heights[:, 0])
        for piece in range(self.pieces):
            start, stop = knots[:, piece], knots[:, piece + 1]
            length = xp.maximum(stop - start, np.float32(1e-12))
            share = xp.clip((way - column(start)) / column(length), 0, 1)
            values = values + column(heights[:, piece + 1] - heights[:, piece]) * share
        return values
