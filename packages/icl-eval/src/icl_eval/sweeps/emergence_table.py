"""The table of emergence: when the seeds of each setting of a sweep came to a threshold."""

import dataclasses
from collections.abc import Sequence

from icl_eval.paths import AnyPath
from icl_eval.sweeps.bimodality import STRONG, bimodality
from icl_eval.sweeps.emergence import Emergence, Threshold, time_of_emergence
from icl_eval.sweeps.power_law import PowerLaw, fit_power_law
from icl_eval.sweeps.progress import sequences_per_step
from icl_eval.sweeps.run_table import RunTable
from icl_eval.sweeps.survival import Quartiles, quartiles
from icl_eval.sweeps.sweep_runs import Cell, SweepRuns, read_sweep
from icl_eval.sweeps.target import Target, find_target

_COLUMNS = ("evaluation", "metric", "threshold", "seeds", "censored")
_QUARTILES = ("lower", "median", "upper")
_TIMES = tuple(f"{unit}.{end}" for unit in ("step", "sequences") for end in _QUARTILES)
_LAW = ("scale", "exponent", "exponent.low", "exponent.high")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SettingEmergence:
    """When the seeds of a setting came to a threshold.

    Attributes:
      setting: the values of the varied options.
      threshold: as it was asked for.
      times: of each run by its path; those that were never evaluated are left out.
      steps: the quartiles in steps; None without a time.
      sequences: the same in sequences; None also where a run does not say how many a step has.
      unknown: how many runs were never evaluated.
    """

    setting: tuple[Cell, ...]
    threshold: Threshold
    times: dict[str, Emergence]
    steps: Quartiles | None
    sequences: Quartiles | None
    unknown: int

    @property
    def bimodality(self) -> float | None:
        """By how much two kinds of seeds explain the times better than one, of those that came there."""
        return bimodality([each.step for each in self.times.values() if each.happened and not each.at_first])

    def notes(self) -> list[str]:
        """Return what is to be known of the numbers besides."""
        found = []
        if early := sum(each.at_first for each in self.times.values() if each.happened):
            found.append(f"{early} at or before the first evaluation")
        if self.unknown:
            found.append(f"{self.unknown} never evaluated")
        if (difference := self.bimodality) is not None and difference > STRONG:
            found.append(f"two kinds of seeds, early and late (BIC lower by {difference:.1f})")
        return found


def setting_emergences(
    sweep: SweepRuns, target: Target, thresholds: Sequence[Threshold], *, held: int = 1
) -> list[SettingEmergence]:
    """Return when the seeds of each setting came to each threshold, in the order of the settings."""
    found = []
    for setting, runs in sweep.settings.items():
        curves = {path: target.curve(run) for path, run in runs.items()}
        sizes = {path: sequences_per_step(run) for path, run in runs.items()}
        for threshold in thresholds:
            times = {
                path: time
                for path, curve in curves.items()
                if curve is not None
                and (time := time_of_emergence(curve, threshold=threshold, held=held, falling=target.falling))
                is not None
            }
            happened = [each.happened for each in times.values()]
            known = [size for path in times if (size := sizes[path]) is not None]
            in_sequences = [each.step * size for each, size in zip(times.values(), known, strict=False)]
            found.append(
                SettingEmergence(
                    setting=setting,
                    threshold=threshold,
                    times=times,
                    steps=quartiles([each.step for each in times.values()], happened) if times else None,
                    sequences=quartiles(in_sequences, happened) if times and len(known) == len(times) else None,
                    unknown=len(runs) - len(times),
                )
            )
    return found


def emergence_table(
    folder: AnyPath,
    *,
    evaluation: str | None = None,
    metric: str | None = None,
    thresholds: Sequence[Threshold] | None = None,
    held: int = 1,
    against: str | None = None,
) -> RunTable:
    """Return when the seeds of each setting of a sweep came to thresholds: a row for each setting and threshold.

    Seeds that did not come there are censored at their last evaluation, and count as such (see `quartiles`).

    Args:
      folder: of the sweep.
      evaluation: whose metric it is of; without one, the first headline that is a proportion.
      metric: of that evaluation.
      thresholds: values, or "halfway" from chance to a run's last value; if not given, 0.9 and
        0.95 where a run comes to 0.9, else "halfway" and 0.9; "halfway" for a metric that is no proportion.
      held: how many evaluations in a row must be past a threshold.
      against: a varied option with numbers, by dotted name: a power law of it is fitted to the times, for each setting
        of the others (see `fit_power_law`); values and times that are not above 0 are left out of it.

    Returns:
      The columns of the varied options, `evaluation`, `metric`, `threshold`, `seeds`, `censored` (how many of these did
      not come there), `step.lower`, `.median` and `.upper` (quartiles, empty where too few seeds came there) and the
      same of `sequences`; `bimodality` (see there); with `against` the `scale` and the `exponent` of the power law with
      the `.low` and `.high` end of its 95 % interval; and a `note`.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if no run is there or has the metric, or `against` is no varied option with numbers.
    """
    sweep = read_sweep(folder)
    target = find_target(sweep, evaluation, metric)
    rows = setting_emergences(sweep, target, target.thresholds(thresholds, sweep), held=held)
    return emergence_table_of(sweep, target, rows, against=against)


def emergence_table_of(
    sweep: SweepRuns, target: Target, rows: Sequence[SettingEmergence], *, against: str | None = None
) -> RunTable:
    """Return the table of times that are known; see `emergence_table`."""
    laws = {} if against is None else power_laws(sweep, rows, against=against)
    taken = {*_COLUMNS, *_TIMES, "bimodality", *_LAW, "note"}
    columns = [f"config.{name}" if name in taken else name for name in sweep.varied]
    columns += [*_COLUMNS, *_TIMES, "bimodality", *(_LAW if against else ()), "note"]
    return RunTable(tuple(columns), tuple(_row(each, target, laws.get(number)) for number, each in enumerate(rows)))


def _row(each: SettingEmergence, target: Target, law: PowerLaw | str | None) -> tuple[Cell, ...]:
    censored = None if each.steps is None else each.steps.censored
    times = [None if of is None else getattr(of, end) for of in (each.steps, each.sequences) for end in _QUARTILES]
    fitted: tuple[Cell, ...] = ()
    if isinstance(law, PowerLaw):
        fitted = (law.scale, law.exponent, law.low, law.high)
    elif law is not None:
        fitted = (None,) * len(_LAW)
    notes = [*each.notes(), *([law] if isinstance(law, str) else [])]
    first = (*each.setting, target.evaluation, target.metric, each.threshold, len(each.times), censored)
    return (*first, *times, each.bimodality, *fitted, "; ".join(notes) or None)


def power_laws(sweep: SweepRuns, rows: Sequence[SettingEmergence], *, against: str) -> dict[int, PowerLaw | str]:
    """Return of each row, by its number, the power law of the rows that differ from it in one option alone.

    Times at step 0 and values of 0 or less have no place on logarithmic axes, and are left out. Where there is no fit,
    it is said why.

    Raises:
      ValueError: if that is no varied option with numbers.
    """
    values = sweep.varied.get(against, ())
    if not any(isinstance(value, int | float) for value in values):
        numeric = [name for name, cells in sweep.varied.items() if any(isinstance(cell, int | float) for cell in cells)]
        raise ValueError(
            f"Wanted a varied option with numbers, one of {', '.join(numeric) or 'none here'}; got {against}."
        )
    place = list(sweep.varied).index(against)
    alike: dict[tuple[object, ...], list[int]] = {}
    for number, row in enumerate(rows):
        others = (*row.setting[:place], *row.setting[place + 1 :])
        alike.setdefault((others, row.threshold), []).append(number)
    found: dict[int, PowerLaw | str] = {}
    for numbers in alike.values():
        found |= dict.fromkeys(numbers, _law([rows[number] for number in numbers], place))
    return found


def _law(rows: Sequence[SettingEmergence], place: int) -> PowerLaw | str:
    points = [
        (x, time)
        for row in rows
        for time in row.times.values()
        if isinstance(x := row.setting[place], int | float) and x > 0 and time.step > 0
    ]
    try:
        return fit_power_law(
            [x for x, _ in points],
            [time.step for _, time in points],
            [time.happened for _, time in points],
            at_first=[time.at_first for _, time in points],
        )
    except ValueError as error:
        return f"no power law: {error}"
