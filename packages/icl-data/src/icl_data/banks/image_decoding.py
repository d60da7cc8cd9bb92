"""Decoding of image files that come from outside."""

import io
import struct
import warnings
import zlib
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

# What Pillow raises for damaged or hostile files.
_UNSOUND = (
    *(OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError),
    *(EOFError, struct.error, zlib.error, Image.DecompressionBombError, Warning),
)


def decode_image(
    encoded: bytes, source: str, *, formats: list[str], mode: Literal["L", "RGB"], size: tuple[int, int] | None
) -> UInt8[np.ndarray, "height width *channels"]:
    """Return one image file as Pillow decodes it, to the last byte and checksum.

    Args:
      encoded: the whole file.
      source: where it came from, for errors.
      formats: what it may be, in Pillow's words: ``["PNG"]``, for example.
      mode: ``"L"`` is grey [height, width], ``"RGB"`` colour [height, width, 3].
      size: (width, height) in pixels that it must have, checked before any pixel is decoded; None is any.

    Returns:
      A new uint8 array.

    Raises:
      ValueError: a damaged file, one of another format or size, one with transparent pixels or more than 8 bits, or one
        too large to be an image.

    >>> file = io.BytesIO()
    >>> Image.new("1", (3, 2), color=1).save(file, "PNG")
    >>> decode_image(file.getvalue(), "a white image", formats=["PNG"], mode="L", size=(3, 2))
    array([[255, 255, 255],
           [255, 255, 255]], dtype=uint8)
    """
    kind = " or ".join(formats)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded), formats=formats) as image:
                found = image.size
                wanted = size or found
                if found == wanted:
                    image.verify()  # every checksum, to the end: decoding alone overlooks a missing tail
            if found == wanted:
                with Image.open(io.BytesIO(encoded), formats=formats) as image:
                    lost = _lost(image)
                    if lost is None:
                        return np.array(image.convert(mode))
    except _UNSOUND as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"{source} is not a sound {kind} ({reason}); download or make the file again.") from error
    if found == wanted:
        raise ValueError(
            f"{source} has {lost}, which would be lost; use the original file, or save it as {mode} of 8 bits."
        )
    raise ValueError(
        f"{source} has {found[0]} x {found[1]} pixels; expected {wanted[0]} x {wanted[1]}. Use the original file."
    )


def _lost(image: Image.Image) -> str | None:
    """Return what an image has that eight bits of grey or colour do not hold, if anything."""
    if image.mode.startswith(("I", "F")):
        return "more than 8 bits"
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        return "transparent pixels"
    return None
