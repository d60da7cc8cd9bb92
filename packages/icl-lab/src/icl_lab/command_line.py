"""The command line of an experiment: presets, files and run folders, every option typed, absl's debugging flags.

``python -m experiments.omniglot laptop --train.steps 500`` starts from a preset, ``... mine.json`` from a file of
options, and ``... runs/a --resume`` from the configuration of a run.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro
from absl import app, flags

from icl_lab.config_file import options_text, read_options, to_json
from icl_lab.data_paths import with_homes
from icl_lab.session import NEW_WORKDIR, Preset, SessionConfig, command, one_line_errors, settle_streams
from icl_train import HostsConfig, expanded, say

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

    try:
        app.run(main, flags_parser=flags_parser)
    finally:
        settle_streams()


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
      words: a preset's name, a JSON file of options or a run folder, then options. Absl's flags may stand among them.
      presets: configurations by name.
      name: heads the name of a new run folder.
      default: the preset if no first word is given.
      description: heads the help.

    Returns:
      The configuration; a run that is new and has no workdir is given one under ``runs/``.

    Raises:
      SystemExit: with code 2, once what is wrong with the words has been printed; with 0 after the help, or after the
        options where they were asked for.
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
        first = expanded(words[0])
        if (first / "config.json").is_file():
            preset, begun = read_options(first / "config.json", presets, name=name, default=default)
            begun = dataclasses.replace(begun, workdir=first)
            return _printed(with_homes(_with_words(begun, words[1:], prog=f"{started} {words[0]}")), preset)
        if words[0] not in presets and (first.suffix == ".json" or first.is_file()):
            preset, begun = read_options(first, presets, name=name, default=default)
            config = _with_words(begun, words[1:], prog=f"{started} {words[0]}", description=description)
            called = first.stem if first.name != "config.json" else first.absolute().parent.name
        else:
            if words[0] not in presets and not words[0].startswith("-"):  # which asks for help alone
                raise ValueError(
                    f"There is no preset, run folder or JSON file {words[0]}; the presets are {', '.join(presets)}."
                )
            preset = called = words[0]
            config = _read_words(
                tyro.extras.subcommand_type_from_defaults(presets),
                args=words,
                prog=started,
                description=description,
                config=(tyro.conf.CascadeSubcommandArgs,),
            )
        config = _printed(with_homes(config), preset)
        if config.workdir == NEW_WORKDIR:
            config = dataclasses.replace(config, workdir=_new_workdir(config, f"{name}-{called}", started=started))
        return dataclasses.replace(config, preset=Preset(name=preset, config=to_json(presets[preset])))


def _with_words(config: Config, words: Sequence[str], *, prog: str, description: str | None = None) -> Config:
    return _read_words(type(config), default=config, args=words, prog=prog, description=description)


def _read_words(config_type: Any, *, args: Sequence[str], **options: Any) -> Any:
    """Return what tyro makes of the words; a reader who has seen enough of the help is no error."""
    try:
        return tyro.cli(config_type, args=args, **options)
    except BrokenPipeError:
        sys.exit(0 if set(args) & set(_HELP) else 2)


def _printed(config: Config, preset: str) -> Config:
    """Return a configuration, or print it and end the program, if that was asked for."""
    if config.print_config:
        say(options_text(preset, config))
        sys.exit(0)
    return config


def _new_workdir(config: SessionConfig, name: str, *, started: str) -> Path:
    if config.resume:
        raise ValueError(f"--resume wants the folder of a run: {started} runs/x --resume.")
    if config.hosts != HostsConfig():
        raise ValueError("several hosts want one folder, which all see: name it with --workdir.")
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
