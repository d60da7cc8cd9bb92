"""Seeds: runs that differ in nothing but their seed are one group, and its mean stands for them."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np

from icl_eval.results.curve import ScalarCurve
from icl_eval.runs.options import flatten
from icl_eval.runs.reading import Run

SEEDS = ("train.seed", "seed")  # the second of an ensemble that was trained without the rest


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs whose configurations agree in all but the seed, one per seed, by a name for figures and tables."""

    name: str
    runs: tuple[Run, ...]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"Group {self.name!r} wants one or more runs, got none.")


def over_seeds(curves: Sequence[ScalarCurve]) -> ScalarCurve | None:
    """Return the mean over seeds at the steps that all have, with a band from the lowest to the highest seed.

    That band is not a 95 % interval: it says how far seeds differ. A single curve stays as it is, with its interval.
    None if there are no curves, or no step that all have.

    >>> one, other = (ScalarCurve(*[np.array([0.0, end])] * 4) for end in (1.0, 1.0))
    >>> over_seeds([one, other]).values
    array([0., 1.])
    """
    if len(curves) < 2:
        return curves[0] if curves else None
    steps = curves[0].steps
    for curve in curves[1:]:
        steps = np.intersect1d(steps, curve.steps)
    if not len(steps):
        return None
    values = np.stack([curve.values[np.isin(curve.steps, steps)] for curve in curves])
    chances = {curve.chance for curve in curves}
    low, high = values.min(axis=0), values.max(axis=0)
    return ScalarCurve(
        steps=steps,
        values=np.clip(values.mean(axis=0), low, high),  # rounding must not push it past equal seeds
        low=low,
        high=high,
        chance=chances.pop() if len(chances) == 1 else None,
    )


def options(run: Run) -> dict[str, str]:
    """Return the options of a run by dotted name; none if its config.json is missing.

    >>> options(Run("a", config={"config": {"train": {"seed": 1}}}))
    {'train.seed': '1'}
    """
    config = run.config.get("config")
    return dict(flatten(config)) if isinstance(config, dict) and config else {}


def _seed(given: Mapping[str, str]) -> str | None:
    return next((given[name] for name in SEEDS if name in given), None)


def differing(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """Return the options in which runs differ, with the value of each run; "" where it has none."""
    given = [options(run) for run in runs]
    names = dict.fromkeys(name for one in given for name in one)
    rows = {name: tuple(one.get(name, "") for one in given) for name in names}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}


def group_runs(runs: Sequence[Run]) -> tuple[Group, ...]:
    """Return the runs whose configurations agree in all but `train.seed`, or `seed`, together, in the order given.

    A run alone keeps its own name. A group is called by what its folders' names begin with, without a trailing "seed";
    where that says nothing, or says the same of two groups, by the options in which it differs from the others. A run
    without config.json is alone, and so are two runs with one seed.

    >>> group_runs([])
    ()
    """
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"Wanted run folders of different names; got two folders called {twice}.")
    alike: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in runs:
        given = options(run)
        key = tuple(sorted((name, value) for name, value in given.items() if name not in SEEDS))
        seeds = [_seed(options(other)) for other in alike.get(key, [])]
        alone = not given or _seed(given) in seeds
        alike.setdefault((("", run.name),) if alone else key, []).append(run)
    members = [tuple(group) for group in alike.values()]
    return tuple(Group(name, group) for name, group in zip(_names(members), members, strict=True))


def _names(members: Sequence[tuple[Run, ...]]) -> list[str]:
    first = [group[0].name if len(group) == 1 else _common_name([run.name for run in group]) for group in members]
    distinct = differing([group[0] for group in members])
    distinct = {name: values for name, values in distinct.items() if name not in SEEDS}
    names = []
    for place, name in enumerate(first):
        if not name or first.count(name) > 1:
            # Two options are what a label holds; where those do not tell groups apart, below, a folder's name does.
            said = ", ".join(f"{option} {values[place]}" for option, values in list(distinct.items())[:2])
            name = said or " and ".join(run.name for run in members[place][:2])
        names.append(name)
    return [name if names.count(name) == 1 else group[0].name for name, group in zip(names, members, strict=True)]


def _common_name(names: Sequence[str]) -> str:
    """Return what names begin with, without what leads up to the number of a seed.

    >>> _common_name(["bursty-seed1", "bursty-seed2"]), _common_name(["p0.5_1", "p0.5_12"]), _common_name(["a", "b"])
    ('bursty', 'p0.5', '')
    """
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    prefix = "".join(letters[0] for letters in alike)
    if any(name[len(prefix) :][:1].isdigit() for name in names):  # seed 1 is how seed 12 begins
        prefix = prefix.rstrip("0123456789")
    stem = re.sub(r"[-_. ]*((^|(?<=[-_. ]))(seed|s))?[-_. =]*$", "", prefix)
    return stem if len(stem) > 1 else ""  # a letter that names share by accident says nothing


def numeric_difference(groups: Sequence[Group]) -> tuple[str, Mapping[str, float]] | None:
    """Return the one option in which groups differ and its number in each group; None if they differ otherwise."""
    found = differing([group.runs[0] for group in groups])
    rows = {name: values for name, values in found.items() if name not in SEEDS}
    if len(rows) != 1:
        return None
    ((name, values),) = rows.items()
    try:
        return name, {group.name: float(value) for group, value in zip(groups, values, strict=True)}
    except ValueError:
        return None
