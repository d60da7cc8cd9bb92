"""What a command line of an experiment runs: a single run, an ensemble, or a sweep."""

import dataclasses
import functools
import math
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import jax
from absl import app

import icl_eval as evaluation
import icl_train as training
from icl_lab.command_line import run
from icl_lab.data_paths import check_data
from icl_lab.driver import execute, prepare
from icl_lab.experiment import Config, Definition
from icl_lab.finished import failed_at
from icl_lab.session import command, one_line_errors, say, settle_streams
from icl_lab.sweep_preset import Drawn
from icl_lab.sweeps.command import SweepCommand, parse_sweep
from icl_lab.sweeps.fitting import most_members
from icl_lab.sweeps.folder import finished_runs
from icl_lab.sweeps.plan import Sweep, ensemble_members
from icl_lab.sweeps.probe import plan_text
from icl_lab.sweeps.running import SOME_FAILED, run_sweep

SWEEP = "sweep"
"""The first word of a command line that asks for a sweep."""


def main(definition: Definition[Config], *, description: str | None = None) -> None:
    """Run an experiment as the command line asks; the description heads its help.

    Args:
      definition: the experiment.
      description: of it, with its commands.
    """
    if sys.argv[1:2] == [SWEEP]:
        sweep(definition, description=description)
        return
    run(
        lambda config: execute(definition, config, ensemble_members(config)),
        definition.presets,
        name=definition.name,
        default=definition.default,
        description=description,
    )


def sweep(definition: Definition[Config], *, description: str | None = None) -> None:
    """Run a sweep of an experiment as the command line asks, ``sweep`` being its first word."""

    def flags_parser(argv: Sequence[str]) -> SweepCommand[Config]:
        return parse_sweep(
            argv[2:],
            definition.presets,
            definition.sweeps,
            name=definition.name,
            default=definition.default,
            description=description,
        )

    try:
        app.run(functools.partial(run_command, definition), flags_parser=flags_parser)
    finally:
        settle_streams()


def run_command(definition: Definition[Config], asked: SweepCommand[Config]) -> None:
    """Run what is not finished of a sweep, and draw all that is; or print the plan alone."""
    sweep = asked.sweep
    if sweep.members is None:
        sweep = dataclasses.replace(sweep, members=_remembered(functools.partial(most_members, definition)))
    if asked.dry_run:
        with one_line_errors():
            say(plan_text(definition, sweep, vary=asked.varied))
        return
    failed: SystemExit | None = None  # is told once all that is finished is drawn
    try:
        execute_sweep(definition, sweep, vary=asked.varied)
    except SystemExit as ended:
        if ended.code != SOME_FAILED:
            raise
        failed = ended
    with one_line_errors():
        runs = [run for run in finished_runs(sweep.base) if failed_at(run) is None]
        if asked.page and runs:
            draw(asked, runs)
    if failed is not None:
        raise failed


def _remembered(fits: Callable[[Config], int]) -> Callable[[Config], int]:
    """Return a function that asks another once for runs which differ in seed and folder alone."""
    cached = functools.cache(fits)

    def ask(run: Config) -> int:
        return cached(dataclasses.replace(run, workdir=Path("any"), train=dataclasses.replace(run.train, seed=0)))

    return ask


def draw(asked: SweepCommand[Config], runs: Sequence[Config]) -> None:
    """Draw the page of a sweep from its finished runs, and say where it is."""
    folder, preset = asked.sweep.base.workdir, asked.preset
    drawn = Drawn()
    if preset and preset.draw:
        try:
            drawn = preset.draw(folder, asked.sweep.base, runs)
        except Exception as error:  # what every sweep has is drawn all the same
            say(f"what this sweep has of its own could not be drawn: {type(error).__name__}: {error}", to="stderr")
    for line in drawn.said:
        say(line)
    page = evaluation.write_sweep(
        folder, pictures=drawn.pictures, tables=drawn.tables, note=drawn.note, png=bool(drawn.pictures)
    )
    say(f"report: {page}")


def execute_sweep(definition: Definition[Config], sweep: Sweep[Config], *, vary: Iterable[str]) -> None:
    """Run what is not finished of a sweep of an experiment.

    Args:
      definition: the experiment.
      sweep: its settings and seeds.
      vary: beginnings of the dotted names of options that runs in its folder may differ in.
    """
    training.use_cpu_cores()  # before anything else makes JAX look for devices
    run_sweep(
        sweep,
        vary=vary,
        check=functools.partial(check_group, definition),
        execute=functools.partial(execute, definition, resume_hint=again()),
        experiment=definition.name,
    )


def again() -> str:
    """Return the command that goes on with a sweep: the same one."""
    begins = command()
    return shlex.join([*begins, *sys.argv[2 if begins[:3] == ["nox", "-s", SWEEP] else 1 :]])


def check_group(definition: Definition[Config], config: Config, members: Sequence[Config]) -> float:
    """Refuse runs of a sweep that cannot be, or that were begun with other data; return how long they take, roughly.

    The unit is parameters times steps.
    """
    runs = prepare(definition, config, members)
    for member in members:
        check_data(member.workdir, runs.experiment.fingerprints)
    params, _ = jax.eval_shape(runs.init, jax.random.key(0))
    return float(len(members) * config.train.steps * sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)))
