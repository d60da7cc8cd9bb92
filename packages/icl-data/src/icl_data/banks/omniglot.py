"""Omniglot (Lake et al. 2015) as a bank: from its zip files, folders unpacked from them, or a TFDS directory."""

import itertools
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from icl_data.bank import ExemplarBank, bank_from_runs
from icl_data.banks.image_decoding import decode_image
from icl_data.banks.omniglot_files import Drawing, as_paths, read_folder, read_zip
from icl_data.banks.omniglot_tfds import find_prepared, place_in_tfds, read_prepared
from icl_data.checks import check_choice

Polarity = Literal["ink_is_one", "paper_is_one"]

SIDE = 105  # pixels, both ways, of every original image
_HALF_GREY = 128  # the originals are black and white
_MOST_INK = 0.5  # of an image; images_background_small1 has 2 % to 19 %


def omniglot(
    sources: str | PathLike[str] | Iterable[str | PathLike[str]],
    *,
    size: int = SIDE,
    polarity: Polarity = "ink_is_one",
    alphabet: str | None = None,
) -> ExemplarBank:
    """Return Omniglot's characters, read from the original files in any of the forms they come in.

    The classes are ordered by Omniglot's own number (the file name's first part, 1..1623), the exemplars by
    drawer (1..20), whatever the form. Sources may overlap, as ``images_background`` and
    ``images_background_small1`` do: a character that several of them hold is one class. Nothing is unpacked to disk.

    Args:
      sources: one path or several, each of them
        a zip file: ``images_background.zip``, ``images_evaluation.zip``, or one of the two ``small`` ones;
        a folder with such zip files (``images_*.zip``);
        a folder with what they unpack to, ``<set>/<alphabet>/characterNN/LLLL_DD.png``, or ``<set>`` itself;
        a TFDS directory: the ``data_dir`` with ``omniglot/3.0.0`` in it, or that folder itself, all of its splits
        (needs ``pip install "icl-data[tfds]"``, but no TensorFlow).
      size: side of the images in pixels, 1..105; below 105 they are shrunk by a box filter.
      polarity: ``"ink_is_one"``: strokes are 255 on 0; ``"paper_is_one"``: strokes are 0 on 255, as in
        the files and in Chan et al. (2022).
      alphabet: which alphabet's characters alone, by the name of its folder: ``"Greek"``; None for all.

    What systems and tools leave in folders and zips (``.DS_Store``, ``Thumbs.db``, ``@eaDir/``, ...) is passed over; a
    zip may have one folder around all of its own.

    Returns:
      A bank of uint8 images [rows, size, size].

    Raises:
      FileNotFoundError: a path that does not exist.
      ValueError: another size or polarity, an alphabet that no source holds, a source that holds no Omniglot, a file
        that Omniglot does not have, a symbolic link inside a folder, an image that is damaged, not 105 x 105,
        transparent or not of dark strokes on light paper, or two different images for one (character, drawer).
      ImportError: a TFDS directory without tensorflow-datasets installed.

    >>> omniglot("nowhere/images_background.zip")
    Traceback (most recent call last):
    ...
    FileNotFoundError: No Omniglot zip at nowhere/images_background.zip; give the path of images_background.zip ...
    """
    if not 1 <= size <= SIDE:
        raise ValueError(f"size must be in 1..{SIDE} pixels, got {size}.")
    check_choice("polarity", polarity, Polarity)
    drawings: dict[tuple[int, int], Drawing] = {}
    found = set()
    for drawing in itertools.chain.from_iterable(map(_read, as_paths(sources))):
        found.add(drawing.alphabet)
        if alphabet not in (None, drawing.alphabet):
            continue
        before = drawings.setdefault((drawing.label, drawing.drawer), drawing)
        if drawing.png != before.png and not np.array_equal(_decode(drawing), _decode(before)):
            raise ValueError(
                f"{drawing.source} differs from the image of character {drawing.label}, drawer {drawing.drawer} read "
                "before; give sources of one Omniglot release only."
            )
    if not drawings:
        raise ValueError(f"There is no alphabet {alphabet!r} here; there are {', '.join(sorted(found))}.")
    # Kept encoded until here and decoded into place, so that there is never more than one copy of the pixels.
    items = np.empty((len(drawings), size, size), np.uint8)
    for row, key in enumerate(sorted(drawings)):
        pixels = _decode(drawings[key])
        if size != SIDE:
            pixels = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX))
        items[row] = 255 - pixels if polarity == "ink_is_one" else pixels
    return bank_from_runs(items, np.unique([label for label, _ in drawings], return_counts=True)[1])


def tfds_order(sources: str | PathLike[str] | Iterable[str | PathLike[str]]) -> Int[np.ndarray, " C"]:
    """Return Omniglot's classes in the order in which TFDS's records first show them, by split.

    Chan et al.'s code numbers augmented characters so: ``omniglot(sources).subset(tfds_order(sources)).augmented()``.

    Args:
      sources: as ``omniglot`` takes them, complete sets; no image is decoded.

    Returns:
      Numbers of the classes of ``omniglot(sources)``, int64 [C], each once.

    Raises:
      FileNotFoundError: a path that does not exist, as for ``omniglot``, and so are the others.

    >>> tfds_order("nowhere/images_background.zip")
    Traceback (most recent call last):
    ...
    FileNotFoundError: No Omniglot zip at nowhere/images_background.zip; give the path of images_background.zip ...
    """
    drawings = sorted(itertools.chain.from_iterable(map(_read, as_paths(sources))), key=place_in_tfds)
    labels = list(dict.fromkeys(drawing.label for drawing in drawings))
    return np.searchsorted(np.sort(labels), labels)


def _read(path: Path) -> Iterator[Drawing]:
    if not path.is_dir():
        return read_zip(path)
    prepared = find_prepared(path)
    return read_folder(path) if prepared is None else read_prepared(prepared)


def _decode(drawing: Drawing) -> UInt8[np.ndarray, "side side"]:
    pixels = decode_image(drawing.png, drawing.source, formats=["PNG"], mode="L", size=(SIDE, SIDE))
    ink = (pixels < _HALF_GREY).mean()
    if not 0 < ink < _MOST_INK:
        raise ValueError(
            f"{drawing.source} has {ink:.0%} dark pixels; Omniglot's drawings are dark strokes on light paper, at "
            f"most {_MOST_INK:.0%} of an image. It was saved again, perhaps as white on black; use the original file."
        )
    return pixels
