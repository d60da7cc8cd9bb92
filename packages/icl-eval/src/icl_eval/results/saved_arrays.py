"""Arrays that are saved beside numbers, for a report to draw: sequences, attention, curves by shots, fits."""

import dataclasses
import io
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Float, Int, UInt8

from icl_eval.paths import AnyPath, as_path
from icl_eval.results.curve import ScalarCurve

ShotMeasure = Literal["accuracy", "squared_error", "cross_entropy"]
MODEL = "model"  # the name of the model's curve among those of baselines
NO_LABEL = -1  # predicted where nothing is
_ROWS = ("steps", "values", "low", "high")
_Saved = TypeVar("_Saved", bound="SavedArrays")


def check_axes(arrays: Mapping[str, Any], axes: Mapping[str, str], *, name: str) -> None:
    """Refuse arrays that are not there, are empty, lack their axes, or differ in the length of one that they share.

    Axes are given as words, such as "B S" for `labels`. Not left to jaxtyping: arrays come back from files, and from
    callers without it.

    >>> check_axes({"labels": np.zeros((1, 0))}, {"labels": "B S"}, name="seen_tasks")
    Traceback (most recent call last):
    ValueError: seen_tasks: wanted 'labels' [B, S], none empty, got the shapes {'labels': [1, 0]}.
    """
    form = ", ".join(f"'{key}' [{words.replace(' ', ', ')}]" for key, words in axes.items())
    if not set(axes) <= set(arrays):
        raise ValueError(f"{name}: wanted {form}, got the keys {sorted(arrays)}.")
    shapes = {key: list(np.shape(arrays[key])) for key in axes}
    lengths: dict[str, int] = {}
    for key, shape in shapes.items():
        words = axes[key].split()
        fits = len(shape) == len(words) and 0 not in shape
        if not fits or any(lengths.setdefault(word, n) != n for word, n in zip(words, shape, strict=True)):
            raise ValueError(f"{name}: wanted {form}, none empty, got the shapes {shapes}.")


@dataclasses.dataclass(frozen=True)
class SavedArrays:
    """What is written as one .npz file, without pickling anything; its subclasses are dataclasses of arrays."""

    def save(self, path: AnyPath | io.BytesIO) -> None:
        """Write the arrays to `path`, an .npz file."""
        np.savez_compressed(path if isinstance(path, io.BytesIO) else as_path(path), **self._to_arrays())

    @classmethod
    def load(cls: type[_Saved], path: AnyPath) -> _Saved:
        """Return what `save` wrote.

        Raises:
          KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile or zlib.error: if the file is damaged.
        """
        # Opened here: numpy leaves open what it fails to read.
        with as_path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
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
        axes = {"images": "K S H W", "labels": "K S", "predicted_closed": "K", "predicted_open": "K"}
        check_axes(vars(self), axes, name="Examples")
        if self.images.dtype != np.uint8 or any(values.dtype.kind not in "iu" for values in vars(self).values()):
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
        of_items = {"images": "K S P Q", "labels": "K S", "predicted": "K", "item_tokens": "S"}
        check_axes(vars(self), {**of_items, "attention": "K L H T T", "label_tokens": "C"}, name="Attention")
        if len(self.label_tokens) != len(self.item_tokens) - 1:
            raise ValueError(f"Wanted a label token for each of the {len(self.item_tokens)} items but the query.")
        whole = [self.labels, self.predicted, self.item_tokens, self.label_tokens]
        if self.images.dtype != np.uint8 or any(values.dtype.kind not in "iu" for values in whole):
            raise ValueError("Wanted uint8 images, and integer labels, predictions and tokens.")
        if self.attention.dtype.kind != "f" or not np.isfinite(self.attention).all():
            raise ValueError("Wanted attention as finite floats.")
        tokens, T = np.concatenate([self.item_tokens, self.label_tokens]), self.attention.shape[-1]
        if tokens.min() < 0 or tokens.max() >= T:
            raise ValueError(f"Wanted tokens in 0..{T - 1}, got some in {tokens.min()}..{tokens.max()}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShotCurves(SavedArrays):
    """Curves over the number of shots: of labelled examples that came before the item that is predicted.

    Attributes:
      measure: what the curves are of: accuracies in 0..1, squared errors, or cross-entropies in nats.
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
        if not self.predictions:
            raise ValueError("Wanted predictions of one or more learners, got none.")
        predictions = {f"predictions of {name}": values for name, values in self.predictions.items()}
        context = {"context_inputs": "K C", "context_targets": "K C"}
        drawn = dict.fromkeys(("inputs", "truth", *predictions), "K G")
        check_axes({**vars(self), **predictions}, {**context, **drawn}, name="Fits")

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
