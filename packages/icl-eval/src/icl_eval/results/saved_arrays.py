"""Arrays that are saved beside numbers, for a report to draw: sequences, attention, curves by shots, fits."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Float, Int, UInt8

from icl_eval.results.curve import ScalarCurve

ShotMeasure = Literal["accuracy", "squared_error"]
MODEL = "model"  # the name of the model's curve among those of baselines
NO_LABEL = -1  # predicted where nothing is
_ROWS = ("steps", "values", "low", "high")
_Saved = TypeVar("_Saved", bound="SavedArrays")


@dataclasses.dataclass(frozen=True)
class SavedArrays:
    """What is written as one .npz file, without pickling anything; its subclasses are dataclasses of arrays."""

    def save(self, path: Path) -> None:
        """Write the arrays to `path`, an .npz file."""
        np.savez_compressed(path, **self._to_arrays())

    @classmethod
    def load(cls: type[_Saved], path: Path) -> _Saved:
        """Return what `save` wrote.

        Raises:
          KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile or zlib.error: if the file is damaged.
        """
        # Opened here: numpy leaves open what it fails to read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return cls(**cls._from_arrays(arrays))

    def _to_arrays(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {field.name: arrays[field.name] for field in dataclasses.fields(cls)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examples(SavedArrays):
    """K sequences of S items, the query last, with what was predicted for it.

    Attributes:
      images: the items.
      labels: the label of each item; that of the query is the right answer.
      predicted_closed: the best of the possible labels, -1 for none.
      predicted_open: the best of all labels, -1 for none.
    """

    images: UInt8[np.ndarray, "K S H W"]
    labels: Int[np.ndarray, "K S"]
    predicted_closed: Int[np.ndarray, " K"]
    predicted_open: Int[np.ndarray, " K"]

    def __post_init__(self) -> None:
        # Checked here and not by jaxtyping alone: these arrays come back from files.
        shapes = {field.name: getattr(self, field.name).shape for field in dataclasses.fields(self)}
        K, S = (*shapes["images"][:2], 0, 0)[:2]
        wanted = {"labels": (K, S), "predicted_closed": (K,), "predicted_open": (K,)}
        if len(shapes["images"]) != 4 or 0 in shapes["images"] or any(shapes[k] != v for k, v in wanted.items()):
            raise ValueError(
                f"Wanted images [K, S, H, W], labels [K, S] and predictions [K], none empty; got {shapes}."
            )
        if self.images.dtype != np.uint8 or any(getattr(self, name).dtype.kind not in "iu" for name in wanted):
            raise ValueError("Wanted uint8 images and integer labels and predictions.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionMaps(SavedArrays):
    """K sequences of S items, the query last, and where L layers of H heads look among T tokens.

    Attributes:
      images: the items.
      labels: the label of each item; that of the query is the right answer.
      predicted: the best of the possible labels, -1 for none.
      attention: probabilities, queries by keys; each row sums to 1.
      item_tokens: which token holds item j; the last is the query's.
      label_tokens: which token shows the label of context item j.
    """

    images: UInt8[np.ndarray, "K S P Q"]
    labels: Int[np.ndarray, "K S"]
    predicted: Int[np.ndarray, " K"]
    attention: Float[np.ndarray, "K L H T T"]
    item_tokens: Int[np.ndarray, " S"]
    label_tokens: Int[np.ndarray, " C"]

    def __post_init__(self) -> None:
        # Checked here and not by jaxtyping alone: these arrays come back from files.
        shapes = {field.name: getattr(self, field.name).shape for field in dataclasses.fields(self)}
        K, S = (*shapes["images"][:2], 0, 0)[:2]
        T = (*shapes["attention"], 0)[-2] if len(shapes["attention"]) == 5 else 0
        wanted = {"labels": (K, S), "predicted": (K,), "item_tokens": (S,), "label_tokens": (S - 1,)}
        fits = (
            len(shapes["images"]) == 4
            and len(shapes["attention"]) == 5
            and shapes["attention"][0] == K
            and shapes["attention"][3:] == (T, T)
            and 0 not in shapes["images"] + shapes["attention"]
            and all(shapes[name] == shape for name, shape in wanted.items())
        )
        if not fits:
            raise ValueError(
                "Wanted images [K, S, H, W], labels [K, S], predicted [K], attention [K, L, H, T, T], item_tokens [S] "
                f"and label_tokens [S - 1], none empty; got {shapes}."
            )
        if self.images.dtype != np.uint8 or any(getattr(self, name).dtype.kind not in "iu" for name in wanted):
            raise ValueError("Wanted uint8 images, and integer labels, predictions and tokens.")
        if self.attention.dtype.kind != "f" or not np.isfinite(self.attention).all():
            raise ValueError("Wanted attention as finite floats.")
        tokens = np.concatenate([self.item_tokens, self.label_tokens])
        if tokens.min() < 0 or tokens.max() >= T:
            raise ValueError(f"Wanted tokens in 0..{T - 1}, got some in {tokens.min()}..{tokens.max()}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShotCurves(SavedArrays):
    """Curves over the number of shots: of labelled examples that came before the item that is predicted.

    Attributes:
      measure: what the curves are of: accuracies in 0..1, or squared errors.
      curves: by name, the model's under "model" first, then those of baselines; the ``steps`` of a curve are numbers of
        examples, 0 or more.
      count: how many tasks each point of the model was measured on; baselines may have been asked about fewer.
    """

    measure: ShotMeasure
    curves: Mapping[str, ScalarCurve]
    count: int

    def __post_init__(self) -> None:
        if self.measure not in get_args(ShotMeasure) or not self.curves or self.count < 1:
            raise ValueError(
                f"Wanted a measure of {get_args(ShotMeasure)}, at least one curve and a count of at least 1, got "
                f"{self.measure!r}, {len(self.curves)} curves and {self.count}."
            )

    def _to_arrays(self) -> dict[str, Any]:
        rows = {f"{number}_{row}": getattr(c, row) for number, c in enumerate(self.curves.values()) for row in _ROWS}
        chances = [np.nan if curve.chance is None else curve.chance for curve in self.curves.values()]
        return rows | {
            "measure": np.array(self.measure),
            "names": np.array(list(self.curves)),
            "chances": np.array(chances),
            "count": np.array(self.count),
        }

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        curves = {}
        for number, (name, chance) in enumerate(zip(arrays["names"], arrays["chances"], strict=True)):
            rows = {row: np.asarray(arrays[f"{number}_{row}"], np.float64) for row in _ROWS}
            curves[str(name)] = ScalarCurve(**rows, chance=None if np.isnan(chance) else float(chance))
        return {"measure": str(arrays["measure"]), "curves": curves, "count": int(arrays["count"])}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fits(SavedArrays):
    """K functions of one input, each with its own C context points.

    Attributes:
      context_inputs: float [K, C], where the function was shown.
      context_targets: float [K, C], what it was there.
      inputs: float [K, G], ascending: where it is drawn.
      truth: float [K, G], the function itself.
      predictions: float [K, G] by name, the model's under "model" first, then those of baselines.
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

    def _to_arrays(self) -> dict[str, Any]:
        arrays = {name: value for name, value in vars(self).items() if name != "predictions"}
        numbered = {f"prediction_{number}": values for number, values in enumerate(self.predictions.values())}
        return arrays | numbered | {"names": np.array(list(self.predictions))}

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        plain = {field.name: arrays[field.name] for field in dataclasses.fields(cls) if field.name != "predictions"}
        names = [str(name) for name in arrays["names"]]
        return plain | {"predictions": {name: arrays[f"prediction_{at}"] for at, name in enumerate(names)}}


KINDS: Mapping[str, type[SavedArrays]] = {
    "examples": Examples,
    "attention": AttentionMaps,
    "shots": ShotCurves,
    "fits": Fits,
}
"""What `Result.arrays` holds, by kind; a run folder has them as arrays/<kind>_<evaluation>.npz."""
