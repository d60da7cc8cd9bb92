"""Where a run's data lie, which may change at any time, and what they are, which may not."""

import contextlib
import dataclasses
import json
import os
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from icl_train import expanded

Config = TypeVar("Config")


def data_paths(config: Any) -> tuple[str, ...]:
    """Return the dotted names of the options of an experiment's data that are paths."""
    return tuple(f"data.{name}" for name in _path_fields(config.data))


def found_again(config: Config, *, folder: Path, was: str | None) -> Config:
    """Return the configuration of a run with the paths of its data as they are to be taken now.

    Args:
      config: with the paths that it was begun with.
      folder: of the run.
      was: the absolute path that the folder had then, or None if that is not known. Data that are no longer where they
        were are looked for where they would be if they had been moved with the folder.
    """

    def find(path: Path) -> Path:
        if was is None or not path.is_absolute() or path.exists():
            return path
        moved = folder.absolute() / os.path.relpath(path, was)
        return Path(os.path.normpath(moved)) if moved.exists() else path

    return _with_data_paths(config, find)


def with_homes(config: Config) -> Config:
    """Return a configuration of a session in which ``~`` is the home folder in every path.

    Raises:
      ValueError: there is no home folder to make something in.
    """
    changes: dict[str, Any] = {}
    for name in _path_fields(config):
        changes[name] = _changed(getattr(config, name), expanded)
    # Those of data are for their reader to refuse: not all are read.
    return _with_data_paths(dataclasses.replace(config, **changes), _in_home_if_known)  # type: ignore[type-var]


def check_data(folder: Path, fingerprints: Mapping[str, str]) -> bool:
    """Refuse other data than a run was begun with.

    Args:
      folder: of the run, or of one that is yet to be.
      fingerprints: of the data as they are now, by name.

    Returns:
      Whether they are known to be the same; not so for those that a run of an older version has read.

    Raises:
      ValueError: names both.
    """
    record = _record(folder)
    if record is None:
        return True
    was = record.get("data", {})
    if not was:
        return not fingerprints
    if list(was.values()) != list(fingerprints.values()):
        raise ValueError(
            f"{folder} was begun with data of the fingerprint {_said(was)}, but these have {_said(fingerprints)}; "
            "give the paths of the same items and classes, or make a new run of these."
        )
    return True


def check_generation(folder: Path, generation: int) -> None:
    """Refuse to go on with a run that was trained on other tasks than the same seed gives now.

    Args:
      folder: of the run.
      generation: of the training stream's sampler as it is now.

    Raises:
      ValueError: names both.
    """
    was = (_record(folder) or {"generation": generation}).get("generation", 1)
    if was != generation:
        raise ValueError(
            f"{folder} was trained on tasks of generation {was}, and the same seed gives others, of generation "
            f"{generation}, now (see Stability in icl-data's README); use the version that made the run, or train anew."
        )


def _record(folder: Path) -> Mapping[str, Any] | None:
    """Return what a run's folder says of it; None of one that is new, or damaged, which others tell."""
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _said(fingerprints: Mapping[str, str]) -> str:
    return ", ".join(f"{digits} ({name})" for name, digits in fingerprints.items()) or "none"


def _path_fields(options: Any) -> list[str]:
    hints = typing.get_type_hints(type(options))
    names = (field.name for field in dataclasses.fields(options))
    return [name for name in names if hints[name] is Path or Path in typing.get_args(hints[name])]


def _with_data_paths(config: Config, change: Callable[[Path], Path]) -> Config:
    data = getattr(config, "data", None)
    if data is None:
        return config
    changes = {name: _changed(getattr(data, name), change) for name in _path_fields(data)}
    return dataclasses.replace(config, data=dataclasses.replace(data, **changes)) if changes else config  # type: ignore[type-var]


def _changed(value: Any, change: Callable[[Path], Path]) -> Any:
    if isinstance(value, tuple):
        return tuple(map(change, value))
    return value if value is None else change(value)


def _in_home_if_known(path: Path) -> Path:
    with contextlib.suppress(ValueError):
        return expanded(path)
    return path
