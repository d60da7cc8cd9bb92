"""Fits: functions of one input, what a model and baselines make of a few of their points, and the truth."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fits:
    """K functions of one input, each with its own C context points.

    Attributes:
      context_inputs: float [K, C], where the function was shown.
      context_targets: float [K, C], what it was there.
      inputs: float [K, G], ascending: where it is drawn.
      truth: float [K, G], the function itself.
      predictions: float [K, G] by name, the model's under "model" first, then those of baselines.

    Raises:
      ValueError: if there are no functions, no predictions, or the arrays do not fit together.
    """

    context_inputs: Float[np.ndarray, "K C"]
    context_targets: Float[np.ndarray, "K C"]
    inputs: Float[np.ndarray, "K G"]
    truth: Float[np.ndarray, "K G"]
    predictions: Mapping[str, Float[np.ndarray, "K G"]]

    def __post_init__(self) -> None:
        # Checked here and not by jaxtyping alone: these arrays come back from files.
        context = {self.context_inputs.shape, self.context_targets.shape}
        drawn = {self.inputs.shape, self.truth.shape, *(values.shape for values in self.predictions.values())}
        shapes = context | drawn
        if (
            len(context) > 1
            or len(drawn) > 1
            or not self.predictions
            or any(len(shape) != 2 or 0 in shape for shape in shapes)
            or len({shape[0] for shape in shapes}) > 1
        ):
            raise ValueError(
                "Wanted context [K, C], and inputs, truth and at least one prediction [K, G], none empty; got context "
                f"{sorted(context)} and the others {sorted(drawn)}."
            )

    def save(self, path: Path) -> None:
        """Write to `path`, an .npz file."""
        predictions: dict[str, Any] = {
            f"prediction_{number}": values for number, values in enumerate(self.predictions.values())
        }
        np.savez_compressed(
            path,
            context_inputs=self.context_inputs,
            context_targets=self.context_targets,
            inputs=self.inputs,
            truth=self.truth,
            names=np.array(list(self.predictions)),
            **predictions,
        )

    @classmethod
    def load(cls, path: Path) -> "Fits":
        """Read what `save` wrote, without unpickling anything.

        Raises:
          KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile or zlib.error: if the file is damaged.
        """
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = [str(name) for name in arrays["names"]]
            return cls(
                context_inputs=arrays["context_inputs"],
                context_targets=arrays["context_targets"],
                inputs=arrays["inputs"],
                truth=arrays["truth"],
                predictions={name: arrays[f"prediction_{number}"] for number, name in enumerate(names)},
            )
