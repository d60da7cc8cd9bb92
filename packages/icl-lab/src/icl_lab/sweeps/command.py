"""The command of a sweep.

python -m experiments.omniglot sweep laptop --grid.data.p-bursty 0 0.5 1 --seeds 4 --workdir runs/s
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import jax

import icl_train as training
from icl_lab.command_line import parse
from icl_lab.config import ExperimentConfig
from icl_lab.options import Setting
from icl_lab.session import one_line_errors, say
from icl_lab.sweep_preset import SweepPreset
from icl_lab.sweeps.plan import Sweep, check_varied
from icl_lab.sweeps.words import (
    GRID,
    USAGE,
    SweepWords,
    chosen,
    combinations,
    is_given,
    read_settings,
    split_words,
    typed,
)

Config = TypeVar("Config", bound=ExperimentConfig)


@dataclasses.dataclass(frozen=True)
class SweepCommand(Generic[Config]):
    """What a command line asks for.

    Attributes:
      sweep: its runs.
      varied: the options that it varies.
      preset: the one of sweeps that it began with, or None.
      dry_run: whether to print the plan alone.
      page: whether to draw the page.
    """

    sweep: Sweep[Config]
    varied: tuple[str, ...]
    preset: SweepPreset[Config] | None
    dry_run: bool
    page: bool


def parse_sweep(
    words: Sequence[str],
    presets: Mapping[str, Config],
    sweeps: Mapping[str, SweepPreset[Config]],
    *,
    name: str,
    default: str,
    description: str | None = None,
) -> SweepCommand[Config]:
    """Return the sweep that a command line asks for.

    Args:
      words: a preset of runs or of sweeps, a JSON file of options or a run's config.json, then options.
      presets: configurations by name.
      sweeps: sweeps by name.
      name: of the experiment.
      default: the preset if no first word is given.
      description: heads the help.

    Raises:
      SystemExit: with code 2, once what is wrong with the words has been printed; with 0 after the help.
    """
    with one_line_errors():
        asked = split_words(words)
    if {"-h", "--help"} & set(asked.rest):
        say(USAGE + (f"\npresets of sweeps: {', '.join(sweeps)}" if sweeps else "") + "\n")
    begun = {each: preset.config for each, preset in sweeps.items()}
    config = parse(asked.rest, {**presets, **begun}, name=name, default=default, description=description)
    preset = sweeps.get(config.preset.name) if config.preset else None
    with one_line_errors():
        if not any(word.partition("=")[0] == "--workdir" for word in asked.rest):
            raise ValueError("a sweep wants a folder, to which the same command comes back: --workdir runs/s.")
        _check(config)
        base = dataclasses.replace(config, report=False, preset=None)
        settings, named = _settings(asked, base, preset)
        training.use_cpu_cores()  # before anything else makes JAX look for devices
        sweep = Sweep(
            base=base,
            settings=settings,
            seeds=asked.seeds or (preset.seeds if preset else 1),
            same_program=preset.same_program if preset else None,
            members=asked.members,
            devices=jax.local_device_count(),
        )
        runs = sweep.runs()  # which refuses values that cannot be together
        if preset and preset.check and asked.page:
            for run in runs:
                preset.check(run)
    varied = {option for setting in (*named, *settings) for option in setting}
    return SweepCommand(sweep, tuple(sorted(varied)), preset, asked.dry_run, asked.page)


def _settings(
    asked: SweepWords, base: Config, preset: SweepPreset[Config] | None
) -> tuple[tuple[Setting, ...], list[Setting]]:
    """Return the settings that words ask for, and those with a name, of which they may have chosen some."""
    of_preset = preset.grid if preset else {}
    grid = {option: values for option, values in of_preset.items() if not is_given(option, asked.rest)}
    grid |= {each: tuple(typed(type(base), each, word) for word in values) for each, values in asked.grid.items()}
    for option, values in grid.items():
        check_varied(option)
        if len(set(values)) < len(values):
            raise ValueError(f"{GRID}{option} wants each value once, got {', '.join(map(str, values))}.")
    named = {**preset.settings(base)} if preset and preset.settings else {}
    named |= read_settings(asked.settings, type(base)) if asked.settings else {}
    picked = chosen(named, asked.only)
    for option in {option for setting in picked.values() for option in setting}:
        check_varied(option)
        if option in grid or is_given(option, asked.rest):
            raise ValueError(f"{option} is set by settings and by the command line; leave one of them out.")
    points = combinations(grid, zipped=asked.zipped)
    return tuple({**setting, **point} for setting in picked.values() or ({},) for point in points), [*named.values()]


def _check(config: ExperimentConfig) -> None:
    """Refuse what a sweep decides itself."""
    alone = {
        "train.ensemble.members": config.train.ensemble.members == 1,
        "vary": not config.vary.given(),
        "init_from": config.init_from is None,
        "hosts": config.hosts == training.HostsConfig(),
        "train.mesh": config.train.mesh == training.MeshConfig(),
        "resume": not config.resume,
        "step": config.step == "latest",
        "eval_to": config.eval_to is None,
    }
    if wrong := [name for name, holds in alone.items() if not holds]:
        raise ValueError(
            f"{', '.join(wrong)} is not for a sweep, which trains its runs together and goes on by itself."
        )
    if config.mode != "both":
        raise ValueError(
            f"a sweep is trained and evaluated in one go, but the mode is {config.mode}; leave --mode out."
        )
