"""A measure by the number of examples seen: of a model, and of baselines on the same tasks."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from icl_eval.curve import Curve

Measure = Literal["accuracy", "squared_error"]
MODEL = "model"

_ROWS = ("steps", "values", "low", "high")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByExamples:
    """Curves over the number of labelled examples that came before the item that is predicted.

    Attributes:
      measure: what the curves are of: accuracies in 0..1, or squared errors.
      curves: by name, the model's under "model" first, then those of baselines; the ``steps`` of a curve are numbers of
        examples, 0 or more.
      count: how many tasks each point of the model was measured on; baselines may have been asked about fewer.

    Raises:
      ValueError: no curves, an unknown measure, or a count below 1.
    """

    measure: Measure
    curves: Mapping[str, Curve]
    count: int

    def __post_init__(self) -> None:
        if self.measure not in get_args(Measure) or not self.curves or self.count < 1:
            raise ValueError(
                f"Wanted a measure of {get_args(Measure)}, at least one curve and a count of at least 1, got "
                f"{self.measure!r}, {len(self.curves)} curves and {self.count}."
            )

    def save(self, path: Path) -> None:
        """Write to `path`, an .npz file."""
        arrays = {
            f"{number}_{row}": getattr(curve, row) for number, curve in enumerate(self.curves.values()) for row in _ROWS
        }
        chances = [np.nan if curve.chance is None else curve.chance for curve in self.curves.values()]
        np.savez_compressed(
            path,
            measure=np.array(self.measure),
            names=np.array(list(self.curves)),
            chances=np.array(chances),
            count=np.array(self.count),
            **arrays,
        )

    @classmethod
    def load(cls, path: Path) -> "ByExamples":
        """Read what `save` wrote, without unpickling anything.

        Raises:
          KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile or zlib.error: if the file is damaged.
        """
        # Opened here: numpy leaves open what it fails to read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            curves = {}
            for number, (name, chance) in enumerate(zip(arrays["names"], arrays["chances"], strict=True)):
                rows = {row: np.asarray(arrays[f"{number}_{row}"], np.float64) for row in _ROWS}
                curves[str(name)] = Curve(**rows, chance=None if np.isnan(chance) else float(chance))
            return cls(measure=str(arrays["measure"]), curves=curves, count=int(arrays["count"]))  # type: ignore[arg-type]
