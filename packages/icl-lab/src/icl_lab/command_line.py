"""The command line of an experiment: presets and run folders, every option typed, absl's debugging flags.

``python -m experiments.omniglot laptop --train.steps 500`` starts from a preset;
``python -m experiments.omniglot runs/a --resume`` from the configuration of a run.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cattrs
import tyro
from absl import app, flags

from icl_lab.session import NEW_WORKDIR, CheckpointStep, Preset, SessionConfig, command, one_line_errors
from icl_train import HostsConfig

Config = TypeVar("Config", bound=SessionConfig)

_HELP = ("-h", "--help")


def run(
    main: Callable[[Config], None],
    presets: Mapping[str, Config],
    *,
    name: str,
    default: str,
    description: str | None = None,
) -> None:
    """Run ``main`` with the configuration that the command line asks for.

    Args:
      main: the experiment.
      presets: configurations by name.
      name: heads the names of run folders.
      default: the preset when the command line begins with an option.
      description: heads the help.
    """

    def flags_parser(argv: Sequence[str]) -> Config:
        return parse(argv[1:], presets, name=name, default=default, description=description)

    app.run(main, flags_parser=flags_parser)


def parse(
    words: Sequence[str],
    presets: Mapping[str, Config],
    *,
    name: str,
    default: str,
    description: str | None = None,
) -> Config:
    """Return the configuration that a command line asks for.

    Args:
      words: a preset's name or a run folder, then options. Absl's flags may stand among them.
      presets: configurations by name.
      name: heads the name of a new run folder.
      default: the preset if no first word is given.
      description: heads the help.

    Returns:
      The configuration; a run that is new and has no workdir is given one under ``runs/``.

    Raises:
      SystemExit: with code 2, once what is wrong with the words has been printed; with 0 after the help.
    """
    # Absl would answer --help itself, knows nothing of our options, and shows all that libraries have to say.
    wants_help = [word for word in words if word in _HELP]
    quiet = [name, "--verbosity=-1", *(word for word in words if word not in _HELP)]
    _, *words = flags.FLAGS(quiet, known_only=True)
    if not wants_help and (not words or words[0].startswith("-")):
        words = [default, *words]
    words = [*words, *wants_help]
    started = " ".join(["python", *command()[1:]] if command()[0] != "nox" else command())
    with one_line_errors():
        if words and (Path(words[0]) / "config.json").is_file():
            folder, *words = words
            config = read_config(Path(folder), type(presets[default]), name=name)
            config = dataclasses.replace(config, workdir=Path(folder))
            return tyro.cli(type(config), default=config, args=words, prog=f"{started} {folder}")
        chosen = tyro.extras.subcommand_type_from_defaults(presets)
        config = tyro.cli(
            chosen, args=words, prog=started, description=description, config=(tyro.conf.CascadeSubcommandArgs,)
        )
        if config.workdir == NEW_WORKDIR:
            if config.resume:
                raise ValueError(f"--resume wants the folder of a run: {started} runs/x --resume.")
            if config.hosts != HostsConfig():
                raise ValueError("several hosts want one folder, which all see: name it with --workdir.")
            folder = f"{name}-{words[0]}-{time.strftime('%Y%m%d-%H%M%S')}"
            config = dataclasses.replace(config, workdir=Path("runs") / folder)
        settings = to_json(presets[words[0]])
        return dataclasses.replace(config, preset=Preset(name=words[0], config=settings))


def to_json(config: SessionConfig) -> dict[str, Any]:
    """Return the configuration of the run as JSON values, without what concerns only this session."""
    session = {field.name for field in dataclasses.fields(SessionConfig)}
    return {name: value for name, value in cattrs.unstructure(config).items() if name not in session}


def read_config(folder: Path, config_type: type[Config], *, name: str | None = None) -> Config:
    """Return the configuration of a run folder.

    Args:
      folder: of the run.
      config_type: of its configuration.
      name: of the experiment, if it is to be that of the folder.

    Raises:
      ValueError: a config.json that is damaged, or of another experiment or version.
    """
    path = folder / "config.json"
    converter = cattrs.Converter(forbid_extra_keys=True)
    # Never in a file, but cattrs wants to know it.
    converter.register_structure_hook(CheckpointStep, lambda value, _: value)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if name and record.get("experiment", name) != name:
            raise ValueError(f"it is of {record['experiment']}")
        return converter.structure(record["config"], config_type)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
        is_list = isinstance(error, cattrs.BaseValidationError)
        reasons = cattrs.transform_error(error) if is_list else [str(error) or repr(error)]
        raise ValueError(
            f"{path} is not a configuration of this experiment ({'; '.join(reasons)}); "
            "use the experiment and version that made the run."
        ) from error
