"""Examples: the few evaluated sequences that a report shows, as images with labels and predictions."""

import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8


@dataclasses.dataclass(frozen=True)
class Examples:
    """K sequences of S items, the query last, with what was predicted for it.

    Attributes:
      images: the items.
      labels: the label of each item; that of the query is the right answer.
      predicted_closed: the best of the possible labels, -1 for none.
      predicted_open: the best of all labels, -1 for none.

    Raises:
      ValueError: if there are no sequences, or the arrays do not fit together.
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

    def save(self, path: Path) -> None:
        """Write the arrays to `path`, an .npz file."""
        np.savez_compressed(path, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Examples":
        """Read what `save` wrote, without unpickling anything.

        Raises:
          KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile or zlib.error: if the file is damaged.
        """
        # Opened here: numpy leaves open what it fails to read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in dataclasses.fields(cls)})
