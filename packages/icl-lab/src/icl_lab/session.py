"""A session: what an experiment is asked to do this time, and how the program ends when it cannot."""

import contextlib
import dataclasses
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import tyro

import icl_train as training
from icl_train import say

NEW_WORKDIR = Path("runs/<experiment>-<preset>-<time>")  # is filled in when the run begins
CheckpointStep = Literal["latest"] | int


@dataclasses.dataclass(frozen=True, kw_only=True)
class FollowConfig:
    """How a run is followed.

    Attributes:
      poll_seconds: Time between two looks for a new checkpoint.
      timeout_minutes: How long to wait for one: a run that was stopped may be resumed; None is for ever.
    """

    poll_seconds: float = 5.0
    timeout_minutes: float | None = None

    def __post_init__(self) -> None:
        """Check the times."""
        if self.poll_seconds <= 0 or (self.timeout_minutes is not None and self.timeout_minutes <= 0):
            raise ValueError(
                "follow.poll_seconds and follow.timeout_minutes must be above 0, "
                f"got {self.poll_seconds} and {self.timeout_minutes}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplayConfig:
    """What is measured of all checkpoints of a run.

    Attributes:
      evaluations: Names of evaluations, of those during training or of the trained model, whose counts are eval.count
        and eval.final_count; those during training if none is named.
    """

    evaluations: tuple[str, ...] = ()


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
class SessionConfig:
    """What an experiment is asked to do this time; its configuration adds what makes the run.

    Attributes:
      mode: Train; evaluate a checkpoint of a run; train and evaluate on the way; follow a run that another process
        trains, and evaluate each new checkpoint; replay a run, and evaluate all checkpoints that it has; or show what
        is in the data, draw it into <workdir>-data, and train nothing.
      step: For --mode eval: which checkpoint.
      follow: For --mode follow.
      replay: For --mode replay.
      report: Write report.html at the end; python -m icl_eval report makes it later.
      preset: What the command line started from.
      workdir: Folder of the run.
      eval_to: For --mode eval, follow and replay: another folder for results and report, for a run that is not to be
        written to.
      print_config: Print the options as JSON, for a file that stands in place of a preset, and do nothing else.
      resume: Go on with the run in this workdir from its latest whole checkpoint.
      hosts: Other processes that train with this one.
      compile_cache: Folder where compiled programs are kept for the next run, or None.
      disable_jit: For debugging: run as plain Python, many times slower, in which prints and breakpoints work.
      stop_at_nan: For debugging: stop at the first operation that makes a NaN, and name it.
    """

    mode: Literal["train", "eval", "both", "follow", "replay", "inspect"] = "both"
    step: CheckpointStep = "latest"
    follow: FollowConfig = FollowConfig()
    replay: ReplayConfig = ReplayConfig()
    report: bool = True
    preset: tyro.conf.Suppress[Preset | None] = None
    workdir: Path = NEW_WORKDIR
    eval_to: Path | None = None
    print_config: bool = False
    resume: bool = False
    hosts: training.HostsConfig = training.HostsConfig()
    compile_cache: Path | None = dataclasses.field(default_factory=training.default_compile_cache)
    disable_jit: bool = False
    stop_at_nan: bool = False


@contextlib.contextmanager
def session_scope(config: SessionConfig) -> Iterator[None]:
    """Do for the length of a ``with`` block what a session asks for: other hosts, compilation cache, debugging."""
    with training.abort_job_on_error():
        with one_line_errors():
            try:
                training.start_hosts(config.hosts)
            except RuntimeError as error:
                raise ValueError(str(error)) from error
        training.use_compile_cache(config.compile_cache)
        with training.debugging(disable_jit=config.disable_jit, stop_at_nan=config.stop_at_nan), exit_on_run_error():
            yield


def command() -> list[str]:
    """Return the words that start this program, as it was started: by nox, or by this very interpreter."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)  # of a module that ``python -m`` runs
    module = None if spec is None else spec.name.removesuffix(".__main__")
    by_nox = os.environ.get("NOX_CURRENT_SESSION")
    if module is not None and by_nox in ("train", "sweep"):
        return ["nox", "-s", by_nox, "--", module.rpartition(".")[2]]
    return [sys.executable, *([sys.argv[0]] if module is None else ["-m", module])]


def resume_command(config: SessionConfig) -> str:
    """Return the command that goes on with a run; where Python is interactive, a notebook too, what to do there."""
    if hasattr(sys, "ps1"):
        return "execute it again with dataclasses.replace(config, resume=True)"
    mode = [] if config.mode == "both" else ["--mode", config.mode]
    hosts = ["--hosts.detect"] if config.hosts.detect else []
    if config.hosts.count:
        hosts = ["--hosts.coordinator", str(config.hosts.coordinator), "--hosts.count", str(config.hosts.count)]
        hosts += ["--hosts.index", str(config.hosts.index)]
    return shlex.join([*command(), str(config.workdir), "--resume", *mode, *hosts])


def check_progress(config: SessionConfig, *, steps: int, saved: int | None) -> None:
    """Check that what is asked for is still ahead, or already there, before anything is touched.

    Args:
      config: what is asked for.
      steps: how many steps the run is to have.
      saved: the step of its latest checkpoint, if there is one.

    Raises:
      ValueError: an evaluation of nothing, or fewer steps than were made; or a folder of results alone.
    """
    training.check_is_run(config.workdir)
    if config.step != "latest" and config.mode != "eval":
        raise ValueError(f"--step {config.step} is for --mode eval, but the mode is {config.mode}.")
    if config.eval_to is not None and config.mode not in ("eval", "follow", "replay"):
        raise ValueError(
            f"--eval-to {config.eval_to} is for --mode eval, follow and replay, but the mode is {config.mode}."
        )
    if config.mode == "follow" and not (config.workdir / "config.json").is_file():
        raise ValueError(f"--mode follow wants the folder of a run that has begun, got {config.workdir}.")
    if config.mode in ("eval", "replay") and saved is None:
        raise ValueError(
            f"--mode {config.mode} wants the folder of a run with a checkpoint, got {config.workdir}; train first."
        )
    if config.replay.evaluations and config.mode != "replay":
        raise ValueError(f"--replay.evaluations is for --mode replay, but the mode is {config.mode}.")
    there = training.checkpoint_steps(config.workdir)
    if config.step != "latest" and config.step not in there:
        raise ValueError(
            f"--step {config.step} wants a checkpoint of that step in {config.workdir}, which has those of steps "
            f"{', '.join(map(str, there))}."
        )
    if config.resume and saved is not None and saved > steps:
        raise ValueError(f"{config.workdir} has {saved} steps, but {steps} were asked for; ask for {saved} or more.")


def log_line(message: str, member: int | None = None) -> None:
    """Print a line, of a member of an ensemble with its number, on the first of several hosts."""
    if message and training.is_primary_host():
        say(message if member is None else f"member {member}: {message}")


def settle_streams() -> None:
    """Give up what stdout and stderr could not write, so that Python does not end with a code of its own for it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # there is none; it is closed
            try:
                stream.flush()
            except OSError:
                with Path(os.devnull).open("w") as nowhere:
                    os.dup2(nowhere.fileno(), stream.fileno())


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with one line, not a traceback, when the user asked for what cannot be."""
    try:
        yield
    except (OSError, ValueError) as error:
        say(f"error: {error}", to="stderr")
        sys.exit(2)


@contextlib.contextmanager
def exit_on_run_error() -> Iterator[None]:
    """End the program with one line when a run cannot go on and its user can mend that; bugs keep their traceback."""
    try:
        yield
    except (training.RunError, training.CheckpointError, training.NotFiniteError) as error:
        say(f"error: {error}", to="stderr")
        sys.exit(2 if isinstance(error, training.RunError) else 1)
