"""The runs of a sweep, and the options in which they differ."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from icl_eval.paths import AnyPath, as_path
from icl_eval.runs.options import flatten, leaves
from icl_eval.runs.reading import Run, read_run
from icl_eval.runs.seeds import SEEDS
from icl_eval.sweeps.folders import run_folders

Cell = str | int | float | None

# Options that make no other run: which runs one program trained, and how they were logged, saved and evaluated.
_BOOKKEEPING = (
    *("train.ensemble", "vary", "eval"),
    *(f"train.{name}" for name in ("log_every", "checkpoint_every", "checkpoint_minutes", "keep_checkpoints")),
    *(f"train.checkpoint_{name}" for name in ("spacing", "moments", "around")),
    *(f"train.{name}" for name in ("keep_every", "profile", "tensorboard", "steps_per_dispatch", "stop_after_minutes")),
)
_MOST = 2**63  # a table holds whole numbers of 64 bits


@dataclasses.dataclass(frozen=True)
class SweepRuns:
    """Runs below a folder, by their paths from there.

    Attributes:
      runs: of each path what its folder says; `.` is the folder itself.
    """

    runs: Mapping[str, Run]

    @functools.cached_property
    def varied(self) -> dict[str, tuple[Cell, ...]]:
        """The options in which the runs differ, with the value of each run; see `varied_options`."""
        return varied_options(list(self.runs.values()))

    @functools.cached_property
    def settings(self) -> dict[tuple[Cell, ...], dict[str, Run]]:
        """The runs that agree in all varied options together, in the order of their values.

        Numbers are in order of size, before texts; runs of which nothing is known are last.
        """
        rows = zip(*self.varied.values(), strict=True) if self.varied else [()] * len(self.runs)
        found: dict[tuple[Cell, ...], dict[str, Run]] = {}
        for row, (path, run) in zip(rows, self.runs.items(), strict=True):
            found.setdefault(row, {})[path] = run
        return dict(sorted(found.items(), key=lambda item: [rank(cell) for cell in item[0]]))


def rank(cell: Cell) -> tuple[int, float, str]:
    """Return what cells are sorted by: numbers by size, then texts, then what is not known.

    >>> sorted(["b", 10, None, 2.5, "a"], key=rank)
    [2.5, 10, 'a', 'b', None]
    """
    if cell is None:
        return 2, 0.0, ""
    return (1, 0.0, cell) if isinstance(cell, str) else (0, float(cell), "")


def read_sweep(folder: AnyPath) -> SweepRuns:
    """Return the runs at or below a folder, without their arrays; damage is noted in `missing` of each.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if no run is there.
    """
    folder = as_path(folder)
    paths = run_folders(folder)
    if not paths:
        raise ValueError(f"{folder} has no run folders in it; pass the folder of a sweep, such as runs/<sweep>.")
    return SweepRuns({path.relative_to(folder).as_posix(): read_run(path, arrays=False) for path in paths})


def varied_options(runs: Sequence[Run]) -> dict[str, tuple[Cell, ...]]:
    """Return the options in which runs differ by dotted name, with the value of each run.

    The seed is none of them, nor is what makes no other run. Values of an option are numbers if all are, and otherwise
    texts, as the command line has them; None for a run without the option. An option that only runs of later revisions
    of the code have, all alike, is none of them: the earlier ones did what is now its default. Runs that say nothing of
    their options do not count.

    >>> runs = [Run(str(p), config={"config": {"seed": p, "data": {"p": p, "size": 28}}}) for p in (0, 0.5)]
    >>> varied_options([*runs, Run("lost")])
    {'data.p': (0, 0.5, None)}
    """
    configs = [config if isinstance(config := run.config.get("config"), dict) else {} for run in runs]
    given = [(dict(leaves(config)), dict(flatten(config))) if config else ({}, {}) for config in configs]
    telling = [(texts, _revision(run)) for run, (_, texts) in zip(runs, given, strict=True) if texts]
    names = dict.fromkeys(name for texts, _ in telling for name in texts if not _is_other(name))
    return {
        name: _cells([(values.get(name), texts.get(name)) for values, texts in given])
        for name in names
        if len({texts.get(name, "") for texts, _ in telling}) > 1 and not _is_later(name, telling)
    }


def _revision(run: Run) -> str | None:
    """Return the revision of the code that made a run, if its folder says so."""
    git = run.config.get("git")
    revision = git.get("revision") if isinstance(git, dict) else None
    return revision if isinstance(revision, str) else None


def _is_later(name: str, telling: Sequence[tuple[Mapping[str, str], str | None]]) -> bool:
    """Return whether runs have an option alike, and those without it are of other revisions, all of them known.

    Some may be of the same: a run that a later revision goes on with has its options, and is said to be of the first.
    """
    with_it, without = ({revision for texts, revision in telling if (name in texts) is has} for has in (True, False))
    alike = len({texts[name] for texts, _ in telling if name in texts}) == 1
    return alike and None not in with_it | without and with_it != without


def _is_other(name: str) -> bool:
    """Return whether an option is the seed, or makes no other run."""
    return name in SEEDS or any(name == each or name.startswith(f"{each}.") for each in _BOOKKEEPING)


def _cells(given: Sequence[tuple[Any, str | None]]) -> tuple[Cell, ...]:
    numeric = all(text is None or _is_number(value) for value, text in given)
    return tuple(text if text is None or not numeric else value for value, text in given)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or -_MOST <= value < _MOST
