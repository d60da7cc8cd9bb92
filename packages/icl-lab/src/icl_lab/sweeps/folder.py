"""The folder of a sweep: which runs it has, what it varies, and which processes have taken which of its groups.

``groups/`` has the run folders; ``sweep.json`` says of which experiment they are and what they vary; ``claims/`` says
which groups some process has taken and not yet made the folders of.
"""

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import icl_train as training
from icl_lab.config import ExperimentConfig
from icl_lab.config_file import config_of_run, read_config, to_json
from icl_lab.finished import is_finished

Config = TypeVar("Config", bound=ExperimentConfig)

GROUPS, CLAIMS, RECORD = "groups", "claims", "sweep.json"

_PATIENCE = 600.0  # seconds that others may take to plan: each reads some files, and may wait for a dead one


def groups_there(base: Config) -> dict[Path, list[Config]]:
    """Return the runs of every group that has its folders, or that a live process has taken, as this session has them.

    Args:
      base: what the runs of the sweep have in common; its workdir is the folder.
    """
    found: dict[Path, list[Config]] = {}
    for path in sorted(base.workdir.glob(f"{GROUPS}/*/config.json")):
        folder, config = path.parent, read_run_of(path.parent, base)
        count = config.train.ensemble.members
        folders = [folder] if count == 1 else [training.member_folder(folder, number) for number in range(count)]
        if all((each / "config.json").is_file() for each in folders):
            found[folder] = [read_run_of(each, base) for each in folders]
    for path in sorted(base.workdir.glob(f"{CLAIMS}/*.json")):
        folder = base.workdir / GROUPS / path.stem
        if folder not in found and training.is_held(folder):
            members = json.loads(path.read_text(encoding="utf-8"))
            found[folder] = [
                _as_now(config_of_run({"config": each}, type(base), folder=folder), base, workdir=folder)
                for each in members
            ]
    return found


def finished_runs(base: Config) -> list[Config]:
    """Return the configurations of all finished runs below a folder, those of earlier commands too.

    Args:
      base: of the sweep; its workdir is the folder.
    """
    paths = sorted(base.workdir.glob(f"{GROUPS}/**/summary.json"))
    runs = [read_run_of(path.parent, base) for path in paths]
    return [run for run in runs if is_finished(run)]


def read_run_of(folder: Path, base: Config) -> Config:
    """Return the configuration of a run, with what concerns only this session as in ``base``."""
    return _as_now(read_config(folder, type(base)), base, workdir=folder)


def _as_now(config: Config, base: Config, *, workdir: Path) -> Config:
    return dataclasses.replace(
        base, **{name: getattr(config, name) for name in to_json(config)}, workdir=workdir, preset=None
    )


@contextlib.contextmanager
def planning(workdir: Path) -> Iterator[None]:
    """Be the only process that plans in a sweep's folder, for the length of a ``with`` block; wait for others.

    Raises:
      ValueError: another process does not come to an end with it.
    """
    begun = time.monotonic()
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(training.hold_for_training(workdir / CLAIMS))
                break
            except training.RunError:
                if time.monotonic() - begun > _PATIENCE:
                    raise
                time.sleep(0.2)
        yield


def claim(folder: Path, members: Sequence[ExperimentConfig]) -> None:
    """Write down which runs a group that this process holds is to have, before its folders say so themselves."""
    path = folder.parents[1] / CLAIMS / f"{folder.name}.json"
    path.write_text(json.dumps([to_json(member) for member in members]), encoding="utf-8")


def varied_before(workdir: Path, *, experiment: str) -> tuple[str, ...]:
    """Return the options that earlier commands varied in a sweep's folder.

    Args:
      workdir: of the sweep, or of one that is yet to be.
      experiment: its name.

    Raises:
      ValueError: the folder is of another experiment's sweep, or of a single run.
    """
    if (workdir / "config.json").is_file():
        raise ValueError(f"{workdir} is the folder of a single run; give the sweep another workdir.")
    try:
        record = json.loads((workdir / RECORD).read_text(encoding="utf-8"))
        name, varied = record["experiment"], tuple(map(str, record["varied"]))
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{workdir / RECORD} is damaged ({error}); delete it: the runs say themselves what they are, and the next "
            "command what it varies."
        ) from error
    if name != experiment:
        raise ValueError(f"{workdir} is a sweep of {name}, not of {experiment}; give another workdir.")
    return varied


def remember(workdir: Path, *, experiment: str, varied: Iterable[str]) -> None:
    """Write down of which experiment a sweep is, and what its commands have varied so far."""
    varied = sorted({*varied, *varied_before(workdir, experiment=experiment)})
    half = workdir / f"{RECORD}.new"
    half.write_text(json.dumps({"experiment": experiment, "varied": varied}, indent=2) + "\n", encoding="utf-8")
    half.replace(workdir / RECORD)
