"""The command line of an experiment: presets and run folders, every option typed, absl's debugging flags.

``python experiments/omniglot.py laptop --train.steps 500`` starts from a preset;
``python experiments/omniglot.py runs/a --resume`` from the configuration of a run.
"""

import contextlib
import dataclasses
import inspect
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import cattrs
import tyro
from absl import app, flags

import icl_train as training

NEW_WORKDIR = Path("runs/<experiment>-<preset>-<time>")  # is filled in when the run begins
Step = Literal["latest"] | int
_HELP = ("-h", "--help")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FollowConfig:
    """How a run is followed."""

    poll_seconds: float = 5.0
    """Time between two looks for a new checkpoint."""

    timeout_minutes: float | None = None
    """How long to wait for one: a run that was stopped may be resumed; None is for ever."""

    def __post_init__(self) -> None:
        """Check the times."""
        if self.poll_seconds <= 0 or (self.timeout_minutes is not None and self.timeout_minutes <= 0):
            raise ValueError(
                "follow.poll_seconds and follow.timeout_minutes must be above 0, "
                f"got {self.poll_seconds} and {self.timeout_minutes}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """The preset that a command line started from.

    Attributes:
      name: of the preset.
      config: its settings, as JSON values.
    """

    name: str
    config: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """What an experiment is asked to do this time; its configuration adds what makes the run."""

    mode: Literal["train", "eval", "both", "follow"] = "both"
    """Train; evaluate a checkpoint of a run; train and evaluate on the way; or follow a run that another process
    trains, and evaluate each new checkpoint."""

    step: Step = "latest"
    """For --mode eval: which checkpoint."""

    follow: FollowConfig = FollowConfig()
    """For --mode follow."""

    preset: tyro.conf.Suppress[Preset | None] = None
    """What the command line started from."""

    workdir: Path = NEW_WORKDIR
    """Folder of the run."""

    resume: bool = False
    """Go on with the run in this workdir from its latest whole checkpoint."""

    hosts: training.HostsConfig = training.HostsConfig()
    """Other processes that train with this one."""

    compile_cache: Path | None = dataclasses.field(default_factory=training.default_compile_cache)
    """Folder where compiled programs are kept for the next run, or None."""

    disable_jit: bool = False
    """For debugging: run as plain Python, many times slower, in which prints and breakpoints work."""

    stop_at_nan: bool = False
    """For debugging: stop at the first operation that makes a NaN, and name it."""


Config = TypeVar("Config", bound=Session)


def run(main: Callable[[Config], None], presets: Mapping[str, Config], *, default: str) -> None:
    """Run ``main`` with the configuration that the command line asks for.

    Args:
      main: the experiment.
      presets: configurations by name.
      default: the preset when the command line begins with an option.
    """
    description = inspect.getmodule(main).__doc__
    app.run(main, flags_parser=lambda argv: parse(argv, presets, default=default, description=description))


def parse(
    argv: Sequence[str], presets: Mapping[str, Config], *, default: str, description: str | None = None
) -> Config:
    """Turn a command line into a configuration.

    Args:
      argv: the script, then a preset's name or a run folder, then options. Absl's flags may stand among them.
      presets: configurations by name.
      default: the preset if no first word is given.
      description: heads the help.

    Returns:
      The configuration; a run that is new and has no workdir is given one under ``runs/``.
    """
    # Absl would answer --help itself, knows nothing of our options, and shows all that libraries have to say.
    wants_help = [word for word in argv if word in _HELP]
    quiet = [argv[0], "--verbosity=-1", *(word for word in argv[1:] if word not in _HELP)]
    script, *words = flags.FLAGS(quiet, known_only=True)
    if not wants_help and (not words or words[0].startswith("-")):
        words.insert(0, default)
    words += wants_help
    with one_line_errors():
        if words and (Path(words[0]) / "config.json").is_file():
            folder, *words = words
            config = dataclasses.replace(read_config(Path(folder), type(presets[default])), workdir=Path(folder))
            return tyro.cli(type(config), default=config, args=words, prog=f"{script} {folder}")
        chosen = tyro.extras.subcommand_type_from_defaults(presets)
        config = tyro.cli(
            chosen, args=words, prog=script, description=description, config=(tyro.conf.CascadeSubcommandArgs,)
        )
        if config.workdir == NEW_WORKDIR:
            if config.resume:
                raise ValueError(f"--resume wants the folder of a run: {script} runs/x --resume.")
            if config.hosts != training.HostsConfig():
                raise ValueError("several hosts want one folder, which all see: name it with --workdir.")
            name = f"{Path(script).stem}-{words[0]}-{time.strftime('%Y%m%d-%H%M%S')}"
            config = dataclasses.replace(config, workdir=Path("runs") / name)
        settings = to_json(presets[words[0]])
        return dataclasses.replace(config, preset=Preset(name=words[0], config=settings))


@contextlib.contextmanager
def session(config: Session) -> Iterator[None]:
    """Do for the length of a ``with`` block what a session asks for: other hosts, compilation cache, debugging."""
    with training.ends_with_the_job():
        with one_line_errors():
            try:
                training.start_hosts(config.hosts)
            except RuntimeError as error:
                raise ValueError(str(error)) from error
        training.use_compile_cache(config.compile_cache)
        with training.debugging(disable_jit=config.disable_jit, stop_at_nan=config.stop_at_nan):
            yield


def resume_command(config: Session) -> str:
    """Give the command that goes on with a run, as this one was started: by nox, or by this very interpreter."""
    script = Path(sys.argv[0])
    by_nox = os.environ.get("NOX_CURRENT_SESSION") == "train"
    command = ["nox", "-s", "train", "--", script.stem] if by_nox else [sys.executable, str(script)]
    mode = [] if config.mode == "both" else ["--mode", config.mode]
    hosts = ["--hosts.detect"] if config.hosts.detect else []
    if config.hosts.count:
        hosts = ["--hosts.coordinator", str(config.hosts.coordinator), "--hosts.count", str(config.hosts.count)]
        hosts += ["--hosts.index", str(config.hosts.index)]
    return shlex.join([*command, str(config.workdir), "--resume", *mode, *hosts])


def check_progress(config: Session, *, steps: int, saved: int | None) -> None:
    """Check that what is asked for is still ahead, or already there, before anything is touched.

    Args:
      config: what is asked for.
      steps: how many steps the run is to have.
      saved: the step of its latest checkpoint, if there is one.

    Raises:
      ValueError: an evaluation of nothing, or fewer steps than were made.
    """
    if config.step != "latest" and config.mode != "eval":
        raise ValueError(f"--step {config.step} is for --mode eval, but the mode is {config.mode}.")
    if config.mode == "follow" and not (config.workdir / "config.json").is_file():
        raise ValueError(f"--mode follow wants the folder of a run that has begun, got {config.workdir}.")
    if config.mode == "eval" and saved is None:
        raise ValueError(f"--mode eval wants the folder of a run with a checkpoint, got {config.workdir}; train first.")
    if config.step != "latest" and not (config.workdir / "checkpoints" / str(config.step)).is_dir():
        there = sorted(path.name for path in (config.workdir / "checkpoints").iterdir() if path.name.isdecimal())
        raise ValueError(
            f"--step {config.step} wants a checkpoint of that step in {config.workdir}, which has those of steps "
            f"{', '.join(sorted(there, key=int))}."
        )
    if config.resume and saved is not None and saved > steps:
        raise ValueError(f"{config.workdir} has {saved} steps, but {steps} were asked for; ask for {saved} or more.")


def to_json(config: Session) -> dict[str, Any]:
    """Give the configuration of the run as JSON values, without what concerns only this session."""
    session = {field.name for field in dataclasses.fields(Session)}
    return {name: value for name, value in cattrs.unstructure(config).items() if name not in session}


def read_config(folder: Path, config_type: type[Config]) -> Config:
    """Read back the configuration of a run folder.

    Raises:
      ValueError: a config.json that is damaged, or of another experiment or version.
    """
    path = folder / "config.json"
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(Step, lambda value, _: value)  # never in a file, but cattrs wants to know it
    try:
        return converter.structure(json.loads(path.read_text(encoding="utf-8"))["config"], config_type)
    except (OSError, ValueError, KeyError, TypeError, cattrs.BaseValidationError) as error:
        reasons = cattrs.transform_error(error) if isinstance(error, cattrs.BaseValidationError) else [repr(error)]
        raise ValueError(
            f"{path} is not a configuration of this experiment ({'; '.join(reasons)}); "
            "use the script and version that made the run."
        ) from error


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with one line, not a traceback, when the user asked for what cannot be."""
    try:
        yield
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


@contextlib.contextmanager
def one_line_endings() -> Iterator[None]:
    """End the program with one line when a run cannot go on and its user can mend that; bugs keep their traceback."""
    try:
        yield
    except (training.RunError, training.CheckpointError, training.NotFiniteError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, training.RunError) else 1)
