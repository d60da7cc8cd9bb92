"""Labelled images that TFDS prepared, as a bank."""

import re
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from icl_data.bank import ExemplarBank, bank_from_labels
from icl_data.banks.image_decoding import decode_image
from icl_data.banks.tfds_directory import TFDS, import_tfds, is_prepared, open_prepared, read_split
from icl_data.paths import user_path

_NAME = re.compile(r"(?P<path>\w+(/(?!\.)[\w.+-]+)?)(:(?P<version>\d+\.\d+\.\d+))?", re.ASCII)
_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)


def bank_from_tfds(name: str, *, split: str, data_dir: str | PathLike[str], transposed: bool = False) -> ExemplarBank:
    """Return a labelled set of images that TFDS has prepared on this machine; nothing is downloaded.

    Any set with the features ``image`` and ``label`` will do, whoever prepared it, as ArrayRecord or TFRecord. It is
    read without the code that made it and without TensorFlow.

    Args:
      name: ``"mnist"``, ``"emnist/letters"``, or with the version that is wanted: ``"mnist:3.0.1"``; else the newest.
      split: in TFDS's words: ``"train"``, ``"train[:1000]"``, ``"train+test"``.
      data_dir: TFDS's own, the folder with ``mnist/3.0.1`` in it.
      transposed: whether the images are stored column by column, as EMNIST's are in TFDS too, and to be turned back.

    Returns:
      A bank of uint8 images, [rows, H, W] if they are grey, else [rows, H, W, 3]. The classes are the labels that the
      split has, in ascending order; the exemplars are in the order in which they are stored.

    Raises:
      FileNotFoundError: no such set in ``data_dir``.
      ValueError: other features, images of different sizes, no labels, no such split, an empty one, or damaged files.
      ImportError: tensorflow-datasets is not installed (``pip install "icl-data[tfds]"``).

    >>> bank_from_tfds("mnist", split="train", data_dir="nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: No set 'mnist' in nowhere; expected nowhere/mnist/<version>/dataset_info.json. Prepare it ...
    """
    directory = _find(name, user_path(data_dir))
    builder = open_prepared(directory)
    mode, size = _image_kind(builder, directory)
    images: list[UInt8[np.ndarray, "height width *channels"]] = []
    labels: list[int] = []
    for number, example in enumerate(read_split(builder, split)):
        source = f"{directory}, split {split!r}, example {number}"
        image = decode_image(example["image"], source, formats=["PNG", "JPEG"], mode=mode, size=size)
        size = size or (image.shape[1], image.shape[0])
        if example["label"] < 0:
            raise ValueError(f"{source} has no label (-1); name a split with labels, such as 'train'.")
        images.append(image)
        labels.append(int(example["label"]))
    items = np.stack(images)
    return bank_from_labels(items.swapaxes(1, 2) if transposed else items, np.array(labels))


def _find(name: str, data_dir: Path) -> Path:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"name must read 'set', 'set/config' or 'set:1.2.3', got {name!r}.")
    folder = data_dir / match["path"]
    wanted = match["version"] or "<version>"
    versions = [path for path in folder.glob("*") if _VERSION.fullmatch(path.name) and is_prepared(path)]
    chosen = [path for path in versions if match["version"] in (None, path.name)]
    if not chosen:
        raise FileNotFoundError(
            f"No set {name!r} in {data_dir}; expected {folder / wanted / 'dataset_info.json'}. Prepare it with "
            "TensorFlow Datasets first, or name the folder where that was done."
        )
    return max(chosen, key=lambda path: [int(number) for number in path.name.split(".")])


def _image_kind(builder: TFDS, directory: Path) -> tuple[Literal["L", "RGB"], tuple[int, int] | None]:
    """Return the mode and, unless it varies, (width, height) of the images; refuse what is no labelled image set."""
    tfds, features = import_tfds(), builder.info.features
    named = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
    image, label = named.get("image"), named.get("label")
    if not isinstance(image, tfds.features.Image) or label is None or label.shape != ():
        found = " ".join(str(features).split())
        raise ValueError(f"{directory} needs the features 'image' and 'label' (one number), got {found}.")
    height, width, channels = image.shape
    if image.np_dtype != np.uint8 or channels not in (1, 3) or not np.issubdtype(label.np_dtype, np.integer):
        raise ValueError(
            f"{directory} needs uint8 images with 1 or 3 channels and integer labels, got images {image.shape} of "
            f"{image.np_dtype} and labels of {label.np_dtype}."
        )
    return "L" if channels == 1 else "RGB", None if None in (height, width) else (width, height)
