"""Decoding of image files that come from outside."""

import io
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def decode_image(
    encoded: bytes, source: str, *, formats: list[str], mode: Literal["L", "RGB"], size: tuple[int, int] | None
) -> UInt8[np.ndarray, "height width *channels"]:
    """Decode one image file with Pillow, to the last byte and checksum.

    Args:
      encoded: the whole file.
      source: where it came from, for errors.
      formats: what it may be, in Pillow's words: ``["PNG"]``, for example.
      mode: ``"L"`` is grey [height, width], ``"RGB"`` colour [height, width, 3].
      size: (width, height) in pixels that it must have, checked before any pixel is decoded; None is any.

    Returns:
      A new uint8 array.

    Raises:
      ValueError: a damaged file, or one of another format or size.

    >>> file = io.BytesIO()
    >>> Image.new("1", (3, 2), color=1).save(file, "PNG")
    >>> decode_image(file.getvalue(), "a white image", formats=["PNG"], mode="L", size=(3, 2))
    array([[255, 255, 255],
           [255, 255, 255]], dtype=uint8)
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=formats) as image:
            if size is not None and image.size != size:
                (width, height), (wanted_width, wanted_height) = image.size, size
                raise ValueError(
                    f"{source} has {width} x {height} pixels; expected {wanted_width} x {wanted_height}. "
                    "Use the original file."
                )
            image.verify()  # every checksum, to the end: decoding alone overlooks a missing tail
        with Image.open(io.BytesIO(encoded), formats=formats) as image:
            return np.array(image.convert(mode))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises for a bad file
        kind = " or ".join(formats)
        raise ValueError(f"{source} is not a sound {kind} ({error}); download or make the file again.") from error
