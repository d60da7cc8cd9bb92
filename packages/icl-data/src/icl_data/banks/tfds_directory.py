"""Directories that TFDS (TensorFlow Datasets) prepared, read without TensorFlow."""

import json
import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TFDS = Any  # tensorflow_datasets and its objects come without type hints

_INFO = "dataset_info.json"
_SHARD = re.compile(r"-of-\d+\Z")  # ends the names of the files with records; all others describe them
_MAX_DESCRIPTION_BYTES = 1 << 20  # ImageNet's 21,000 labels take 200,000
_MAX_RECORD_BYTES = 1 << 28
_TFDS_FEATURES = "tensorflow_datasets.core.features."


def import_tfds() -> TFDS:
    """Return tensorflow_datasets, whose import takes seconds, only where it is needed."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            f'TFDS directories need tensorflow-datasets ({error}); run: pip install "icl-data[tfds]". '
            "It needs no TensorFlow."
        ) from error
    return tensorflow_datasets


def is_prepared(directory: Path) -> bool:
    """Return whether this is a version directory, the one with ``dataset_info.json`` in it."""
    return (directory / _INFO).is_file()


def open_prepared(directory: Path) -> TFDS:
    """Return a TFDS builder of a version directory, without the code that made it; refuse what is unsound."""
    tfds = import_tfds()
    try:
        _check_description(directory)
        _check_features(directory / "features.json")
        return tfds.builder_from_directory(directory)
    # Whatever TFDS raises for files it did not write itself: mostly KeyError, ParseError and its own kinds.
    except Exception as error:
        raise ValueError(
            f"{directory} is not a sound TFDS directory ({_one_line(error)}); prepare it again, with TFDS 4 or later."
        ) from error


def read_split(builder: TFDS, split: str) -> Iterator[dict[str, Any]]:
    """Yield the examples of a split, in the order they are stored; ``image`` is left as the encoded bytes.

    Args:
      builder: from ``open_prepared``; ArrayRecord or TFRecord files.
      split: in TFDS's words: ``"train"``, ``"train[:10%]"``, ``"train+test"``.

    Raises:
      ValueError: no such split, one that is empty, another file format, or files that are damaged or lie elsewhere.
    """
    tfds = import_tfds()
    directory = Path(builder.data_dir)
    decoders = {"image": tfds.decode.SkipDecoding()}
    instructions = _find_files(builder, split, directory)
    try:
        _check_files(instructions, directory)
        if builder.info.file_format == tfds.core.FileFormat.TFRECORD:
            for instruction in instructions:
                for record in _read_tfrecord(instruction):
                    yield builder.info.features.deserialize_example_np(record, decoders=decoders)
        else:
            yield from builder.as_data_source(split, decoders=decoders)
    # As above; array_record's own for damaged files are RuntimeError, IndexError and ValueError.
    except Exception as error:
        raise ValueError(f"{directory}, split {split!r}: {_one_line(error)}; prepare it again.") from error


def _check_description(directory: Path) -> None:
    """Refuse a description that leads elsewhere, never ends, or takes TFDS minutes to read."""
    for path in sorted(directory.iterdir()):
        status = path.lstat()
        if _SHARD.search(path.name) or stat.S_ISDIR(status.st_mode):
            continue
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path.name} is a symbolic link or no ordinary file; put the file itself there")
        if status.st_size > _MAX_DESCRIPTION_BYTES:
            raise ValueError(f"{path.name} has {status.st_size} bytes, expected at most {_MAX_DESCRIPTION_BYTES}")


def _check_features(path: Path) -> None:
    """Refuse a description that would make TFDS import something else, or read from another directory."""
    names: list[Any] = []

    def note(node: dict[str, Any]) -> None:
        # A feature's name is a part of the names of its files.
        if elsewhere := [key for key in node if "/" in key or "\\" in key]:
            raise ValueError(f"{path.name} has a feature {elsewhere[0]!r}, whose name leads to another directory")
        names.extend(node.get(key) for key in ("pythonClassName", "python_class_name", "type"))

    json.loads(path.read_text(), object_hook=note)
    foreign = [name for name in names if isinstance(name, str) and "." in name and not name.startswith(_TFDS_FEATURES)]
    if foreign:
        raise ValueError(f"{path.name} asks for {foreign[0]}, which is not TFDS's own and is not imported")


def _find_files(builder: TFDS, split: str, directory: Path) -> list[Any]:
    """Return the files of a split, or raise what is wrong with the split that was asked for."""
    splits = builder.info.splits
    unknown = {part.strip().partition("[")[0] for part in split.split("+")} - {*splits, "all"}
    if unknown and split not in splits:
        raise ValueError(f"{directory} has no split {min(unknown)!r}; name one of {', '.join(map(repr, splits))}.")
    try:
        instructions = splits[split].file_instructions
    except Exception as error:  # TFDS's words for how a split is written, and for a slice beyond its end
        action = "prepare it again" if split in splits else "write, say, 'train', 'train[:10%]' or 'train+test'"
        raise ValueError(f"{directory}, split {split!r}: {_one_line(error)}; {action}.") from error
    if not instructions:
        raise ValueError(f"{directory}, split {split!r} is empty; name another split or a larger part of it.")
    return instructions


def _check_files(instructions: list[Any], directory: Path) -> None:
    """Refuse files outside the directory, be it by name or by a symbolic link."""
    for path in (Path(instruction.filename) for instruction in instructions):
        if not path.resolve().is_relative_to(directory.resolve()):
            raise ValueError(f"{path} leads out of the directory")
        if not path.is_file():
            raise ValueError(f"{path} is missing")


def _read_tfrecord(instruction: Any) -> Iterator[bytes]:
    """Yield the records of one TFRecord file: length (8 bytes), checksum (4), data, checksum (4), and so on.

    The checksums, CRC-32C, are not looked at: Python has none, and the images have their own.
    """
    with Path(instruction.filename).open("rb") as file:
        for number in range(instruction.skip + instruction.take):
            header = file.read(12)
            length = struct.unpack("<Q4x", header)[0] if len(header) == 12 else 0
            if len(header) < 12 or length > _MAX_RECORD_BYTES:
                raise ValueError(f"{instruction.filename} is damaged or cut short at record {number}")
            record = file.read(length + 4)
            if len(record) < length + 4:
                raise ValueError(f"{instruction.filename} is cut short within record {number}")
            if number >= instruction.skip:
                yield record[:length]


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
