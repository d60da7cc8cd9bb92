"""Run what is not finished of a sweep, in one process or in several on one folder, and name what failed."""

import contextlib
import dataclasses
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import icl_train as training
from icl_lab.config import ExperimentConfig
from icl_lab.data_paths import data_paths
from icl_lab.finished import failed_at, is_finished
from icl_lab.options import option_of
from icl_lab.session import one_line_errors, say
from icl_lab.sweeps.folder import (
    CLAIMS,
    claim,
    planning,
    read_run_of,
    remember,
    varied_before,
)
from icl_lab.sweeps.plan import Sweep, SweepGroup

Config = TypeVar("Config", bound=ExperimentConfig)

ERROR = "error.txt"
"""In a group's folder: why it ended, where it was no run that failed but the program."""

SOME_FAILED = 1
"""The code that a process ends with when a group has ended in an error, and all others are run."""

_FULL = 1_000_000  # bytes: with less, no run can go on

Check = Callable[[Config, Sequence[Config]], float | None]
Execute = Callable[[Config, Sequence[Config]], None]


def run_sweep(
    sweep: Sweep[Config],
    *,
    vary: Iterable[str],
    check: Check,
    execute: Execute,
    experiment: str = "",
) -> None:
    """Run the groups of a sweep that are not finished, the longest first; a group that was stopped goes on.

    Any number of processes may do so in one folder, on one machine or on several that see it: each takes a group that
    no other has, until none is left. A group that ends in an error does not keep the others from running.

    Args:
      sweep: what to run.
      vary: dotted names of options that runs in one folder may differ in, or of parts of the configuration.
      check: raises ValueError for a group that cannot be; called for all before any is trained. May return how long a
        group takes, in any unit.
      execute: trains and evaluates a group, from its configuration and those of its members.
      experiment: whose runs they are; a folder of another's is refused.

    Raises:
      SystemExit: with code 2 for what cannot be, before anything is trained; with 1 if a group ended in an error; or
        what a signal ended a group with.
    """
    workdir = sweep.base.workdir
    with one_line_errors():
        groups, varied = checked_groups(sweep, vary=vary, experiment=experiment)
        lasting = {}
        for group in groups:  # so that none is found impossible after others were trained
            if not is_over(group) or any(map(_has_moved, group.members)):
                lasting[group.config.workdir] = check(group.config, group.members) or 0.0
        count, done = _count(groups), _count(filter(is_over, groups))
        say(f"{done} of {count} runs are finished.")
        if done == count:
            return
        with planning(workdir):
            sweep.check_folder(vary=varied)  # again: another command may have begun there meanwhile
            remember(workdir, experiment=experiment, varied=varied)
    tried: dict[Path, str | None] = {}  # why those that this process has run are not finished
    while True:
        with contextlib.ExitStack() as held:
            with one_line_errors():
                taken, groups, left = _take(sweep, held, lasting, passed_over=tried)
            if taken is None:
                break
            over = sum(map(is_over, groups))
            say(f"group {over + 1} of {len(groups)}: {len(taken.members)} runs in {taken.config.workdir}")
            tried[taken.config.workdir] = _run(taken, execute)
        if tried[taken.config.workdir] is not None and shutil.disk_usage(workdir).free < _FULL:
            say(f"error: the disk of {workdir} is full; make room there, and the same command goes on.", to="stderr")
            sys.exit(2)
    _say_end(groups, {path: why for path, why in tried.items() if why is not None}, left)


def checked_groups(
    sweep: Sweep[Config], *, vary: Iterable[str], experiment: str
) -> tuple[list[SweepGroup[Config]], set[str]]:
    """Return the groups of a sweep, and all options that runs in its folder may differ in.

    Raises:
      ValueError: a folder of another experiment's runs, or of other ones.
    """
    workdir = sweep.base.workdir
    varied = {*vary, *varied_before(workdir, experiment=experiment)}
    with planning(workdir) if (workdir / CLAIMS).is_dir() else contextlib.nullcontext():
        sweep.check_folder(vary=varied)
        return sweep.groups(), varied


def _take(
    sweep: Sweep[Config], held: contextlib.ExitStack, lasting: dict[Path, float], *, passed_over: Iterable[Path]
) -> tuple[SweepGroup[Config] | None, list[SweepGroup[Config]], int]:
    """Return the longest group that nobody has, which is then this process's, all groups, and how many others have."""
    elsewhere = 0
    with planning(sweep.base.workdir):
        groups = sweep.groups()  # anew: other processes may have begun some meanwhile
        todo = [group for group in groups if not is_over(group) and group.config.workdir not in passed_over]
        for group in sorted(todo, key=lambda group: -lasting.get(group.config.workdir, 0.0)):
            try:
                if training.is_held(group.config.workdir):  # else one on another machine would be waited for
                    raise training.RunError("another process has it")
                held.enter_context(training.hold_for_training(group.config.workdir))
            except training.RunError:
                elsewhere += 1
                continue
            claim(group.config.workdir, group.members)
            return group, groups, elsewhere
    return None, groups, elsewhere


def _run(group: SweepGroup[Config], execute: Execute) -> str | None:
    """Train and evaluate a group; return why it is not finished, or None. What was asked for ends the sweep, too."""
    resume = (group.config.workdir / "config.json").is_file()
    config, *members = (dataclasses.replace(each, resume=resume) for each in (group.config, *group.members))
    error = group.config.workdir / ERROR
    error.unlink(missing_ok=True)
    try:
        execute(config, members)
    except SystemExit as ended:
        if all(map(is_finished, members)):  # where all failed: their summaries say so
            return None
        if isinstance(ended, training.Interrupted) or ended.code not in (1, 2):
            raise
        return "see the line above"  # which says what was wrong
    except OSError as raised:  # of the disk, or of files that are no longer there
        say(f"error: {raised}", to="stderr")
        return "see the line above"
    except Exception as raised:
        say(traceback.format_exc(), to="stderr")
        with contextlib.suppress(OSError):
            error.write_text(traceback.format_exc(), encoding="utf-8")
        return f"{type(raised).__name__}: {(str(raised).splitlines() or [''])[0][:200]}; see {error}"
    return None


def _say_end(groups: Sequence[SweepGroup[Config]], failed: dict[Path, str], elsewhere: int) -> None:
    """Name what is not as it should be, and leave with code 1 if a group has ended in an error."""
    for group in groups:
        for member in group.members:
            if (step := failed_at(member)) is not None:
                say(f"not finite at step {step}, and kept as it was before: {member.workdir}")
    if elsewhere:
        say(f"{elsewhere} more are being trained by other processes; the same command again takes over what stops.")
    for folder, why in failed.items():
        say(f"not finished: {folder}: {why}. Once that is mended, the same command goes on with it.", to="stderr")
    if failed:
        sys.exit(SOME_FAILED)


def is_over(group: SweepGroup[Config]) -> bool:
    """Return whether all runs of a group have come to their end."""
    return all(map(is_finished, group.members))


def _count(groups: Iterable[SweepGroup[Config]]) -> int:
    return sum(len(group.members) for group in groups)


def _has_moved(run: ExperimentConfig) -> bool:
    """Return whether a run that is there has its data elsewhere than it had them."""
    if not (run.workdir / "config.json").is_file():
        return False
    was = read_run_of(run.workdir, run)
    return any(option_of(run, name) != option_of(was, name) for name in data_paths(run))
