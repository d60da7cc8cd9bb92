"""Sweeps: a list of settings x seeds of any experiment, in groups that one program trains, each run made once.

The runs of a sweep lie in ``groups/`` of its folder. Which runs there are is read from their own config.json files, so
a later command with more settings or seeds adds to them, and one that was stopped goes on.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from icl_lab.config import MUTABLE, ExperimentConfig
from icl_lab.config_file import read_config, to_json
from icl_lab.data_paths import data_paths
from icl_lab.options import replaced
from icl_lab.session import one_line_errors, say
from icl_train import EnsembleConfig, member_folder

Config = TypeVar("Config", bound=ExperimentConfig)
Setting = Mapping[str, Any]
"""Values of options by their dotted names, such as {"data.p_bursty": 0.5}."""


# Options that make no other run: how it is evaluated, logged and saved.
_FREE = ("train.ensemble", *(name for name in MUTABLE if name not in ("train.steps", "train.mesh")))


@dataclasses.dataclass(frozen=True)
class SweepGroup(Generic[Config]):
    """Runs that one program trains together.

    Attributes:
      config: of the session that trains them, an ensemble if there are several.
      members: of each run, in its folder.
    """

    config: Config
    members: Sequence[Config]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep(Generic[Config]):
    """Runs that differ in some options, each with several seeds.

    Attributes:
      base: what all have in common; its workdir is the folder of the sweep.
      settings: what each sets besides; those that come to the same configuration are one.
      seeds: runs of each setting, with seeds from ``train.seed`` of its configuration on.
      same_program: options in which the runs of a group may differ; by default all in which they can.
    """

    base: Config
    settings: tuple[Setting, ...]
    seeds: int = 1
    same_program: frozenset[str] | None = None

    def __post_init__(self) -> None:
        """Check that there is something to run."""
        if not self.settings or self.seeds < 1:
            raise ValueError(
                f"A sweep wants settings and at least one seed, got {len(self.settings)} and {self.seeds}."
            )

    @property
    def _free(self) -> tuple[str, ...]:
        """Options that make no other run; where the same data lie is one, unless settings are about it."""
        set_here = {option for setting in self.settings for option in setting}
        return (*_FREE, *(name for name in data_paths(self.base) if name not in set_here))

    def _text(self, run: Config) -> str:
        """Return what makes a run the run that it is."""
        return json.dumps(_options_but(run, self._free), default=str)

    def runs(self) -> list[Config]:
        """Return the configuration of every run, in the folder of the sweep."""
        found: dict[str, Config] = {}
        alone = dataclasses.replace(self.base, train=_lone(self.base))
        for setting in self.settings:
            config = with_options(alone, setting)
            for seed in range(config.train.seed, config.train.seed + self.seeds):
                each = with_options(config, {"train.seed": seed})
                found.setdefault(self._text(each), each)
        return list(found.values())

    def groups(self) -> list[SweepGroup[Config]]:
        """Return what is to be run, and what was: the groups in the folder that have these runs, then new ones."""
        wanted = {self._text(run): run for run in self.runs()}
        groups = []
        for folder, members in self._there().items():
            # As this command has them, which may evaluate, log and save otherwise.
            asked = [wanted.pop(self._text(member), None) for member in members]
            if any(asked):
                both = zip(asked, members, strict=True)
                groups.append(self._group([mine or self._freed(member) for mine, member in both], folder))
        may_differ = self.base.same_program if self.same_program is None else self.same_program
        alike: dict[str, list[Config]] = {}
        for run in wanted.values():
            program = {name: value for name, value in flat(to_json(run)).items() if name not in may_differ}
            alike.setdefault(json.dumps(program, default=str), []).append(run)
        return groups + [self._group(runs, self.base.workdir / "groups" / self._name(runs)) for runs in alike.values()]

    def check_folder(self, *, vary: Iterable[str]) -> None:
        """Refuse a folder that has runs of other settings than those that a sweep varies.

        Args:
          vary: dotted names of options that runs in one folder may differ in.

        Raises:
          ValueError: names what differs.
        """
        free = (*vary, "train.seed", *self._free)
        wanted = _options_but(self.base, free)
        for run in (run for members in self._there().values() for run in members):
            found = _options_but(run, free)
            differing = [name for name, value in found.items() if value != wanted.get(name)]
            if differing:
                said = ", ".join(f"{name} {found[name]} and not {wanted.get(name)}" for name in differing)
                raise ValueError(
                    f"{self.base.workdir} has runs with {said}; ask for the same, or give another workdir."
                )

    def _there(self) -> dict[Path, list[Config]]:
        """Return the runs of every group whose folders are complete, with the options of this session."""
        found: dict[Path, list[Config]] = {}
        for path in sorted(self.base.workdir.glob("groups/*/config.json")):
            folder, config = path.parent, read_run_of(path.parent, self.base)
            count = config.train.ensemble.members
            folders = [folder] if count == 1 else [member_folder(folder, number) for number in range(count)]
            if all((each / "config.json").is_file() for each in folders):
                found[folder] = [read_run_of(each, self.base) for each in folders]
        return found

    def _freed(self, run: Config) -> Config:
        """Return a run that this command does not ask for, with the options that are free as it has them."""
        return with_options(run, {name: option_of(self.base, name) for name in self._free if name != "train.ensemble"})

    def _group(self, runs: Sequence[Config], folder: Path) -> SweepGroup[Config]:
        """Return a group in its folder: an ensemble, or a run that is alone there."""
        first = dataclasses.replace(runs[0], workdir=folder)
        if len(runs) == 1:
            return SweepGroup(first, [first])
        ensemble = dataclasses.replace(self.base.train.ensemble, members=len(runs))
        members = [dataclasses.replace(run, workdir=member_folder(folder, number)) for number, run in enumerate(runs)]
        return SweepGroup(
            dataclasses.replace(first, train=dataclasses.replace(first.train, ensemble=ensemble)), members
        )

    def _name(self, runs: Sequence[Config]) -> str:
        """Return a name for a group that says what its runs share of what settings set, and tells it from others."""
        options = sorted({option for setting in self.settings for option in setting})
        values = {option: {str(option_of(run, option)) for run in runs} for option in options}
        shared = {option: each.pop() for option, each in values.items() if len(each) == 1}
        said = [
            f"{option.rpartition('.')[2]}={value}"
            for option, value in shared.items()
            if value != str(option_of(self.base, option))
        ]
        digest = hashlib.sha256("\n".join(map(self._text, runs)).encode()).hexdigest()[:6]
        return "-".join([*(said or ["base"]), digest]).replace("/", "_").replace(" ", "")


def run_sweep(
    sweep: Sweep[Config],
    *,
    vary: Iterable[str],
    check: Callable[[Config, Sequence[Config]], object],
    execute: Callable[[Config, Sequence[Config]], None],
) -> None:
    """Run the groups of a sweep that are not finished; a group that was stopped goes on.

    Args:
      sweep: what to run.
      vary: dotted names of options that runs in one folder may differ in, or of parts of the configuration.
      check: raises ValueError for a group that cannot be; called for all before any is trained.
      execute: trains and evaluates a group, from its configuration and those of its members.
    """
    with one_line_errors():
        sweep.check_folder(vary=vary)
        groups = sweep.groups()
        todo = [group for group in groups if not all(map(is_finished, group.members))]
        for group in groups:  # so that none is found impossible after others were trained
            if group in todo or any(map(_has_moved, group.members)):
                check(group.config, group.members)
    count = sum(len(group.members) for group in groups)
    say(f"{count - sum(len(group.members) for group in todo)} of {count} runs are finished.")
    for number, group in enumerate(todo, start=1):
        say(f"group {number} of {len(todo)}: {len(group.members)} runs in {group.config.workdir}")
        resume = (group.config.workdir / "config.json").is_file()
        config, *members = (dataclasses.replace(each, resume=resume) for each in (group.config, *group.members))
        try:
            execute(config, members)
        except SystemExit:
            if not all(map(is_finished, members)):  # they are where all failed: that group is over, and others follow
                raise


def _has_moved(run: ExperimentConfig) -> bool:
    """Return whether a run that is there has its data elsewhere than it had them."""
    if not (run.workdir / "config.json").is_file():
        return False
    was = read_run_of(run.workdir, run)
    return any(option_of(run, name) != option_of(was, name) for name in data_paths(run))


def is_finished(run: ExperimentConfig) -> bool:
    """Return whether a run was trained to its end, or to the step at which it failed: its summary is written last."""
    try:
        train = json.loads((run.workdir / "summary.json").read_text(encoding="utf-8"))["train"]
        return "failed_at" in train or train["steps"] >= run.train.steps
    except (OSError, ValueError, KeyError, TypeError):
        return False


def finished_runs(base: Config) -> list[Config]:
    """Return the configurations of all finished runs below a folder, those of earlier commands too.

    Args:
      base: of the sweep; its workdir is the folder.
    """
    paths = sorted(base.workdir.glob("groups/**/summary.json"))
    runs = [read_run_of(path.parent, base) for path in paths]
    return [run for run in runs if is_finished(run)]


def read_run_of(folder: Path, base: Config) -> Config:
    """Return the configuration of a run, with what concerns only this session as in ``base``."""
    config = read_config(folder, type(base))
    return dataclasses.replace(
        base, **{name: getattr(config, name) for name in to_json(config)}, workdir=folder, preset=None
    )


def ensemble_members(config: Config) -> list[Config]:
    """Return what each member of an ensemble would be configured as if it were alone; of a lone run, itself.

    Members have the seeds from ``train.seed`` on, and the values that ``vary`` has for them.
    """
    count = config.train.ensemble.members
    if count == 1:
        return [config]
    given = config.vary.given()
    settings = [{option: values[number] for option, values in given.items()} for number in range(count)]
    alone = dataclasses.replace(config, vary=type(config.vary)(), train=_lone(config))
    seeded = [
        with_options(alone, setting | {"train.seed": config.train.seed + number})
        for number, setting in enumerate(settings)
    ]
    return [
        dataclasses.replace(each, workdir=member_folder(config.workdir, number)) for number, each in enumerate(seeded)
    ]


def with_options(config: Config, setting: Setting) -> Config:
    """Return a configuration with other values of some options.

    Args:
      config: a dataclass of dataclasses.
      setting: values by dotted names.

    Raises:
      ValueError: there is no such option, or its dataclass refuses the value.
    """
    nested: dict[str, Any] = {}
    for name, value in setting.items():
        *parts, last = name.split(".")
        inner = nested
        for part in parts:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return replaced(config, nested)


def as_type(config: ExperimentConfig, config_type: type[Config], **changes: Any) -> Config:
    """Return a configuration of another type with the options that both types have, but for some changes.

    Args:
      config: where options come from; what ``config_type`` does not have is left out.
      config_type: such as that of the runs of a sweep.
      changes: options to set.
    """
    names = {field.name for field in dataclasses.fields(config)}
    fields = {each.name: getattr(config, each.name) for each in dataclasses.fields(config_type) if each.name in names}
    return config_type(**fields | changes)


def option_of(config: ExperimentConfig, name: str) -> Any:
    """Return the value of an option by its dotted name."""
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested values by their dotted names.

    >>> flat({"data": {"size": 28}, "seed": 0})
    {'data.size': 28, 'seed': 0}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {prefix + name: value}
    return found


def _lone(config: ExperimentConfig) -> Any:
    return dataclasses.replace(config.train, ensemble=EnsembleConfig())


def _options_but(config: ExperimentConfig, free: Sequence[str]) -> dict[str, Any]:
    """Return the options of a run by their dotted names, but for some, and parts, of it."""
    return {
        name: value
        for name, value in flat(to_json(config)).items()
        if not any(name == each or name.startswith(f"{each}.") for each in free)
    }
