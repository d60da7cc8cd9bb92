"""Sweeps: a list of settings x seeds of any experiment, in groups that one program trains, each run made once.

The runs of a sweep lie in ``groups/`` of its folder. Which runs there are is read from their own config.json files, so
a later command with more settings or seeds adds to them, and one that was stopped goes on.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from icl_lab.config import MUTABLE, ExperimentConfig
from icl_lab.config_file import to_json
from icl_lab.data_paths import data_paths
from icl_lab.options import Setting, flat, option_of, with_options
from icl_lab.session import SessionConfig
from icl_lab.sweeps.folder import GROUPS, groups_there
from icl_train import EnsembleConfig, member_folder

Config = TypeVar("Config", bound=ExperimentConfig)

_LONGEST_NAME = 120  # characters of a folder's name

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
      members: most runs of a group, or a function from the configuration of one of them to that number; by default as
        many as there are.
      devices: that the members of a group are shared out to. New groups divide by it, but for what is left over.
    """

    base: Config
    settings: tuple[Setting, ...]
    seeds: int = 1
    same_program: frozenset[str] | None = None
    members: int | Callable[[Config], int] | None = None
    devices: int = 1

    def __post_init__(self) -> None:
        """Check that there is something to run."""
        if not self.settings or self.seeds < 1:
            raise ValueError(
                f"A sweep wants settings and at least one seed, got {len(self.settings)} and {self.seeds}."
            )
        if isinstance(self.members, int) and self.members < 1:
            raise ValueError(f"A group of a sweep wants at least one member, got {self.members}.")

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
        for folder, members in groups_there(self.base).items():
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
        together = [runs for each in alike.values() for runs in self._parts(each)]
        return groups + [self._group(runs, self.base.workdir / GROUPS / self._name(runs)) for runs in together]

    def _parts(self, runs: Sequence[Config]) -> Iterator[Sequence[Config]]:
        """Yield runs that one program can train in as many parts as needed, which leave no device idle."""
        most = self.members(runs[0]) if callable(self.members) else self.members or len(runs)
        most -= most % self.devices if most > self.devices else 0
        while runs:
            count = min(most, len(runs))
            count -= count % self.devices if count > self.devices else 0
            yield runs[:count]
            runs = runs[count:]

    def check_folder(self, *, vary: Iterable[str]) -> None:
        """Refuse a folder that has runs of other settings than those that a sweep varies.

        Args:
          vary: dotted names of options that runs in one folder may differ in.

        Raises:
          ValueError: names what differs.
        """
        free = (*vary, "train.seed", *self._free)
        wanted = _options_but(self.base, free)
        for run in (run for members in groups_there(self.base).values() for run in members):
            found = _options_but(run, free)
            differing = [name for name, value in found.items() if value != wanted.get(name)]
            if differing:
                said = ", ".join(f"{name} {found[name]} and not {wanted.get(name)}" for name in differing)
                raise ValueError(
                    f"{self.base.workdir} has runs with {said}; ask for the same, or give another workdir."
                )

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
        digest = hashlib.sha256("\n".join(map(self._text, runs)).encode()).hexdigest()[:10]
        # Values may hold what no file system likes, and names be longer than it allows.
        readable = re.sub(r"[^\w.,=()+-]", "_", "-".join(said or ["base"]).replace(" ", ""), flags=re.ASCII)
        return f"{readable[:_LONGEST_NAME]}-{digest}"


def differ_in_seed_alone(one: ExperimentConfig, other: ExperimentConfig) -> bool:
    """Return whether two runs are of one setting, which may be logged, saved and evaluated otherwise."""
    free = ("train.seed", *_FREE, *data_paths(one))
    return _options_but(one, free) == _options_but(other, free)


def varied_among(runs: Sequence[ExperimentConfig]) -> list[str]:
    """Return the options in which runs differ besides the seed and what makes no other run."""
    each = [_options_but(run, ("train.seed", *_FREE, *data_paths(run))) for run in runs]
    names = dict.fromkeys(name for options in each for name in options)
    return [name for name in names if len({str(options.get(name)) for options in each}) > 1]


def check_varied(option: str) -> None:
    """Refuse to vary what makes no other run, or what a sweep decides itself.

    Raises:
      ValueError: names the option.
    """
    whole = option.partition(".")[0]
    of_session = {field.name for field in dataclasses.fields(SessionConfig)}
    if whole in (of_session | {"vary", "init_from"}) or option.startswith(("train.mesh", "train.ensemble", *_FREE)):
        raise ValueError(
            f"{option} cannot be varied: it makes no other run, or is the sweep's own to decide; give it one value."
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


def _lone(config: ExperimentConfig) -> Any:
    return dataclasses.replace(config.train, ensemble=EnsembleConfig())


def _options_but(config: ExperimentConfig, free: Sequence[str]) -> dict[str, Any]:
    """Return the options of a run by their dotted names, but for some, and parts, of it."""
    return {
        name: value
        for name, value in flat(to_json(config)).items()
        if not any(name == each or name.startswith(f"{each}.") for each in free)
    }
