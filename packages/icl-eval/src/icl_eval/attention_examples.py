"""Attention on a few evaluated sequences, for the maps that a report shows."""

import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionExamples:
    """K sequences of S items, the query last, and where L layers of H heads look among T tokens.

    Attributes:
      images: the items.
      labels: the label of each item; that of the query is the right answer.
      predicted: the best of the possible labels, -1 for none.
      attention: probabilities, queries by keys; each row sums to 1.
      item_tokens: which token holds item j; the last is the query's.
      label_tokens: which token shows the label of context item j.

    Raises:
      ValueError: if there are no sequences, or the arrays do not fit together.
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

    def save(self, path: Path) -> None:
        """Write the arrays to `path`, an .npz file."""
        np.savez_compressed(path, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @classmethod
    def load(cls, path: Path) -> "AttentionExamples":
        """Read what `save` wrote, without unpickling anything.

        Raises:
          KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile or zlib.error: if the file is damaged.
        """
        # Opened here: numpy leaves open what it fails to read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in dataclasses.fields(cls)})
