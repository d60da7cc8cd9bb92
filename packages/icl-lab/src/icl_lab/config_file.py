"""Configurations as JSON: ``config.json`` of a run, and files of options that stand in place of a preset."""

import dataclasses
import json
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import cattrs
from cattrs.errors import CattrsError

from icl_lab.data_paths import found_again
from icl_lab.options import nearest, replaced
from icl_lab.session import CheckpointStep, SessionConfig
from icl_train import StepsPerDispatch

Config = TypeVar("Config", bound=SessionConfig)

_SESSION = frozenset(field.name for field in dataclasses.fields(SessionConfig))
_FROM_JSON: Mapping[type, tuple[type, ...]] = {
    int: (int,),
    float: (int, float),
    bool: (bool,),
    str: (str,),
    Path: (str,),
}


def to_json(config: SessionConfig) -> dict[str, Any]:
    """Return the configuration of the run as JSON values, without what concerns only this session.

    Paths are absolute, so that they mean the same wherever they are read, but for those from a home folder (``~``).
    """
    return {name: value for name, value in _CONVERTER.unstructure(config).items() if name not in _SESSION}


def read_config(folder: Path, config_type: type[Config], *, name: str | None = None) -> Config:
    """Return the configuration of a run folder; where it was moved together with its data, with their new paths.

    Args:
      folder: of the run.
      config_type: of its configuration.
      name: of the experiment, if it is to be that of the folder.

    Raises:
      ValueError: a config.json that is damaged, or of another experiment or version.
    """
    path = folder / "config.json"
    try:
        return config_of_run(json.loads(path.read_text(encoding="utf-8")), config_type, folder=folder, name=name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
        raise _not_of_this_experiment(path, error) from error


def read_options(path: Path, presets: Mapping[str, Config], *, name: str, default: str) -> tuple[str, Config]:
    """Return what a JSON file of options asks for: the name of the preset that it begins with, and a configuration.

    Args:
      path: of the file. Its options are nested as those of the command line are, and may be some of them; ``preset``
        names what the others are taken from. ``config.json`` of a run will do: then all are as that run had them.
      presets: configurations by name.
      name: of the experiment.
      default: the preset of a file that names none.

    Raises:
      ValueError: what there is no such option or preset of, with what is nearest; or what is of another type.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=each_once)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a JSON file of options: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{path} is not a JSON file of options: wanted an object, got {json.dumps(record):.60}.")
    if "config" in record:
        try:
            config = config_of_run(record, type(presets[default]), folder=path.parent, name=name)
        except (ValueError, KeyError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
            raise _not_of_this_experiment(path, error) from error
        named = str((record.get("preset") or {}).get("name"))
        return named if named in presets else default, config
    preset = record.pop("preset", default)
    if preset not in presets:
        raise ValueError(f"{path}: there is no preset {preset}; {nearest(str(preset), presets)}.")
    try:
        return preset, replaced(presets[preset], record, read=read_value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def options_text(preset: str, config: SessionConfig) -> str:
    """Return the text of a file that `read_options` reads as this configuration."""
    return json.dumps({"preset": preset} | to_json(config), indent=2)


def config_of_run(record: Any, config_type: type[Config], *, folder: Path, name: str | None = None) -> Config:
    """Return the configuration that a record of a run has, with its data where they are now; see `read_config`."""
    if name and record.get("experiment", name) != name:
        raise ValueError(f"it is of {record['experiment']}")
    return found_again(_CONVERTER.structure(record["config"], config_type), folder=folder, was=record.get("folder"))


def _not_of_this_experiment(path: Path, error: Exception) -> ValueError:
    is_list = isinstance(error, cattrs.BaseValidationError)
    reasons = cattrs.transform_error(error) if is_list else [str(error) or repr(error)]
    return ValueError(
        f"{path} is not a configuration of this experiment ({'; '.join(reasons)}); "
        "use the experiment and version that made the run."
    )


def read_value(option: str, value: Any, hint: Any) -> Any:
    """Return the value of an option from that of a file."""
    try:
        return _CONVERTER.structure(value, hint)
    except (ValueError, TypeError, CattrsError) as error:
        wanted = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "").replace("pathlib.", "")
        raise ValueError(f"{option} wants {wanted}, got {json.dumps(value):.60}.") from error


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object; raise ValueError for a name that is there twice."""
    names = [name for name, _ in pairs]
    if again := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"it has {again[0]} twice.")
    return dict(pairs)


def _make_converter() -> cattrs.Converter:
    """Return what turns configurations into JSON values and back, and takes no value for one of another type."""
    converter = cattrs.Converter(forbid_extra_keys=True)

    def of(kind: type) -> Callable[[Any, Any], Any]:
        def structure(value: Any, _: Any) -> Any:
            if type(value) not in _FROM_JSON[kind]:
                raise TypeError(f"wanted {kind.__name__}, got {value!r}")
            return kind(value)

        return structure

    def of_tuple(hint: Any) -> Callable[[Any, Any], Any]:
        first, *others = typing.get_args(hint)

        def structure(values: Any, _: Any) -> Any:
            hints = [first] * len(values) if others == [...] else [first, *others]
            if not isinstance(values, list) or len(values) != len(hints):
                raise TypeError(f"wanted a list, got {values!r}")
            return tuple(converter.structure(value, each) for value, each in zip(values, hints, strict=True))

        return structure

    def number_or(word: str) -> Callable[[Any, Any], Any]:
        return lambda value, _: value if value == word else of(int)(value, _)

    for kind in _FROM_JSON:
        converter.register_structure_hook(kind, of(kind))
    converter.register_structure_hook_factory(lambda hint: typing.get_origin(hint) is tuple, of_tuple)
    converter.register_structure_hook(CheckpointStep, number_or("latest"))
    converter.register_structure_hook(StepsPerDispatch, number_or("auto"))
    converter.register_unstructure_hook(Path, lambda path: str(path if str(path).startswith("~") else path.absolute()))
    return converter


_CONVERTER = _make_converter()
