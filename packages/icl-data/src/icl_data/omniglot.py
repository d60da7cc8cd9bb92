"""Omniglot (Lake et al. 2015) read straight from its original zip files."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from icl_data.bank import ExemplarBank, bank_from_arrays

Polarity = Literal["ink_is_one", "paper_is_one"]

SIDE = 105  # pixels, both ways, of every original image
_ENTRY = re.compile(r"[^/\\]+/(?P<alphabet>[^/\\]+)/character\d\d/(?P<label>\d{4})_(?P<drawer>\d\d)\.png")
_FOLDER = re.compile(r"(?!\.\.?/)[^/\\]+/((?!\.\.?/)[^/\\]+/(character\d\d/)?)?")
_FROM_MAC = re.compile(r"__MACOSX/.*|(.*/)?\.DS_Store")  # what macOS adds when it zips a folder again
# What zipfile raises for damaged, cut, encrypted or oddly compressed files.
_UNSOUND = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, UnicodeDecodeError)
_MAX_BYTES = 1 << 16  # an original image has about 300 bytes; anything huge is not one


def omniglot(
    zips: Iterable[str | PathLike[str]], *, size: int = SIDE, polarity: Polarity = "ink_is_one"
) -> ExemplarBank:
    """Read Omniglot's characters from the original zip files.

    The classes are ordered by Omniglot's own number (the file name's first part, 1..1623), the exemplars by
    drawer (1..20). Files may overlap, as ``images_background`` and ``images_background_small1`` do: a character
    that several of them hold is one class. Nothing is unpacked to disk.

    Args:
      zips: paths of ``images_background.zip``, ``images_evaluation.zip``, or the two ``small`` ones.
      size: side of the images in pixels, 1..105; below 105 they are shrunk by a box filter.
      polarity: ``"ink_is_one"``: strokes are 255 on 0; ``"paper_is_one"``: strokes are 0 on 255, as in
        the files and in Chan et al. (2022).

    Returns:
      A bank of uint8 images [rows, size, size].

    Raises:
      FileNotFoundError: a zip that does not exist.
      ValueError: not a zip, an entry outside ``<set>/<alphabet>/characterNN/LLLL_DD.png``, an image that is
        damaged or not 105 x 105, or two different images for one (character, drawer).
    """
    if not 1 <= size <= SIDE:
        raise ValueError(f"size must be in 1..{SIDE} pixels, got {size}.")
    paths = [Path(path) for path in zips]
    if not paths:
        raise ValueError("omniglot needs at least one zip file, got none; name images_background.zip, for example.")
    pixels: dict[tuple[int, int], UInt8[np.ndarray, "side side"]] = {}
    for path in paths:
        for entry, label, drawer, png in _read_entries(path):
            image = _decode(png, f"{path}: {entry}")
            if not np.array_equal(pixels.setdefault((label, drawer), image), image):
                raise ValueError(
                    f"{path}: {entry} differs from the image of character {label}, drawer {drawer} read before; "
                    "give zips of one Omniglot release only."
                )
    classes: dict[int, list[np.ndarray]] = {}
    for label, drawer in sorted(pixels):
        classes.setdefault(label, []).append(_prepare(pixels[label, drawer], size, polarity))
    return bank_from_arrays([np.stack(images) for images in classes.values()])


def _read_entries(path: Path) -> Iterator[tuple[str, int, int, bytes]]:
    """Yield (entry name, character number, drawer number, PNG bytes) of one zip."""
    if not path.is_file():
        raise FileNotFoundError(
            f"No Omniglot zip at {path}; give the path of images_background.zip or a like file, "
            "from github.com/brendenlake/omniglot (python/)."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            found = 0
            for info in archive.infolist():
                if _FROM_MAC.fullmatch(info.filename) or (info.is_dir() and _FOLDER.fullmatch(info.filename)):
                    continue
                match = _ENTRY.fullmatch(info.filename)
                if match is None or ".." in info.filename.split("/"):
                    raise ValueError(
                        f"{path}: unexpected entry {info.filename!r}; an Omniglot zip holds only "
                        "<set>/<alphabet>/characterNN/LLLL_DD.png. Use the original file."
                    )
                if info.file_size > _MAX_BYTES:
                    raise ValueError(f"{path}: {info.filename} has {info.file_size} bytes; expected about 300.")
                found += 1
                yield info.filename, int(match["label"]), int(match["drawer"]), archive.read(info)
    except _UNSOUND as error:
        raise ValueError(f"{path} is not a sound zip file ({error}); download it again.") from error
    if not found:
        raise ValueError(f"{path} holds no Omniglot image; expected <set>/<alphabet>/characterNN/LLLL_DD.png.")


def _decode(png: bytes, source: str) -> UInt8[np.ndarray, "side side"]:
    """Decode one PNG to 0 (ink) and 255 (paper)."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.verify()  # every checksum, to the end: decoding alone overlooks a missing tail
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.size != (SIDE, SIDE):
                width, height = image.size
                raise ValueError(f"{source} has {width} x {height} pixels; expected {SIDE} x {SIDE}.")
            return np.asarray(image.convert("L"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises for a bad PNG
        raise ValueError(f"{source} is not a sound PNG ({error}); download the zip again.") from error


def _prepare(pixels: UInt8[np.ndarray, "side side"], size: int, polarity: Polarity) -> UInt8[np.ndarray, "size size"]:
    if size != SIDE:
        pixels = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX))
    return 255 - pixels if polarity == "ink_is_one" else pixels
