"""Labelled arrays from NumPy's files, such as the features of a frozen network."""

import zipfile
import zlib
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from icl_data.bank import ExemplarBank, bank_from_labels
from icl_data.paths import user_path


def bank_from_numpy(items: str | PathLike[str], labels: str | PathLike[str] | None = None) -> ExemplarBank:
    """Return the labelled items of NumPy's files: vectors, or images.

    Items of a ``.npy`` file stay in the file, which is mapped into memory, if their labels are in ascending order;
    else they are read. Nothing in the files is run.

    Args:
      items: a ``.npy`` file of items [rows, ...], or a ``.npz`` file with arrays ``items`` and ``labels``.
      labels: a ``.npy`` file of integers [rows], beside one of items.

    Returns:
      A bank with a class for each label that occurs, in ascending order.

    Raises:
      FileNotFoundError: no such file.
      ValueError: files that are no such arrays, or do not belong together.

    >>> bank_from_numpy("nowhere.npz")
    Traceback (most recent call last):
    ...
    FileNotFoundError: No NumPy file at nowhere.npz; give a .npy of items and one of labels, or a .npz of both.
    """
    path = user_path(items)
    is_archive = path.suffix == ".npz"
    if is_archive == (labels is not None):
        raise ValueError(f"Wanted a .npz file alone, or a .npy of items and one of labels, got {items} and {labels}.")
    if labels is not None:
        return _bank(_read(path, mapped=True), _read(user_path(labels), mapped=False), path)
    arrays = _read(path, mapped=False)
    if missing := [name for name in ("items", "labels") if name not in arrays]:
        raise ValueError(f"{path} has no array {missing[0]!r}, but {', '.join(arrays) or 'none'}; save both in it.")
    return _bank(arrays["items"], arrays["labels"], path)


def _bank(items: Any, labels: Any, path: Path) -> ExemplarBank:
    if not isinstance(items, np.ndarray) or not isinstance(labels, np.ndarray):
        raise ValueError(f"{path} wants arrays of items and of labels, a .npy file each or both in one .npz.")
    try:
        return bank_from_labels(items, labels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path, *, mapped: bool) -> Any:
    """Return the array of a file, or all arrays of an archive by name."""
    if not path.is_file():
        raise FileNotFoundError(f"No NumPy file at {path}; give a .npy of items and one of labels, or a .npz of both.")
    try:
        if mapped:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as arrays: {error}") from error
