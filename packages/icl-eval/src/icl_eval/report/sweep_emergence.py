"""The emergence of a sweep on its page: when the seeds of each setting came to a threshold, drawn and as a table."""

from collections.abc import Iterator, Sequence

from icl_eval.figures.against_option import MOST_PANELS
from icl_eval.figures.emergence_times import ByThreshold, emergence_times
from icl_eval.report.gallery import Picture, Table
from icl_eval.results.estimate import readable
from icl_eval.sweeps.arrangement import Stretch, is_numeric, said, short_names, stretches
from icl_eval.sweeps.emergence import Threshold
from icl_eval.sweeps.emergence_table import SettingEmergence, power_laws
from icl_eval.sweeps.power_law import PowerLaw
from icl_eval.sweeps.survival import Quartiles
from icl_eval.sweeps.sweep_runs import Cell, SweepRuns
from icl_eval.sweeps.target import Target

_NOT_REACHED = "not reached"
_MOST_LAWS = 6  # that a caption can hold


def emergence_pictures(sweep: SweepRuns, target: Target, rows: Sequence[SettingEmergence]) -> Iterator[Picture]:
    """Yield when seeds came to the thresholds against each varied option, a panel for each setting of the others."""
    of_setting = {(row.setting, row.threshold): row for row in rows}
    thresholds = list(dict.fromkeys(row.threshold for row in rows))
    for option, short in short_names(list(sweep.varied)).items():
        found = stretches(sweep, option)
        shown = [
            each for each in found if any(of_setting[s, t].times for s in each.settings.values() for t in thresholds)
        ]
        if shown:
            panels = {
                each.title: (list(each.settings), _cells(each, thresholds, of_setting)) for each in shown[:MOST_PANELS]
            }
            names = {value: said(value) for each in shown for value in each.settings}
            yield Picture(
                name=f"emergence-{short}",
                title=f"When it emerges, by {short}",
                draw=lambda panels=panels, names=names, option=option: emergence_times(  # type: ignore[misc]
                    panels, names=names, x_label=option
                ),
                caption=f"The step at which {target.title} first comes to {_or(thresholds)}, by {option}: a mark for "
                "each seed, lines through the medians. A hollow triangle that points up is a seed that had not come "
                "there at its last evaluation; one that points down had at its first, or before. Medians count the "
                f"former as later (Kaplan-Meier).{_laws(sweep, rows, option, shown)}",
                alt=f"When {target.title} emerges, by {option}; the table of emergence has the numbers.",
                wide=len(panels) > 1,
            )


def _cells(
    stretch: Stretch,
    thresholds: Sequence[Threshold],
    of_setting: dict[tuple[tuple[Cell, ...], Threshold], SettingEmergence],
) -> ByThreshold:
    return {
        str(threshold): [
            (list(row.times.values()), None if row.steps is None else row.steps.median)
            for setting in stretch.settings.values()
            if (row := of_setting[setting, threshold])
        ]
        for threshold in thresholds
    }


def _or(thresholds: Sequence[Threshold]) -> str:
    known = [f"{each:g}" if each != "halfway" else "halfway from chance to its last value" for each in thresholds]
    return " or ".join(known)


def _laws(sweep: SweepRuns, rows: Sequence[SettingEmergence], option: str, shown: Sequence[Stretch]) -> str:
    """Return the power laws of an option with numbers, at most six; nothing where there is none."""
    if not is_numeric([cell for cell in sweep.varied[option] if cell is not None]):
        return ""
    titles = {setting: each.title for each in shown for setting in each.settings.values()}
    laws = power_laws(sweep, rows, against=option)
    told = {
        f"{f'{title}, ' if title else ''}{rows[number].threshold}: step = {law}": None
        for number, law in laws.items()
        if isinstance(law, PowerLaw) and (title := titles.get(rows[number].setting)) is not None
    }
    return f" Power laws, x being {option}: {'; '.join(told)}." if 0 < len(told) <= _MOST_LAWS else ""


def emergence_rows(sweep: SweepRuns, target: Target, rows: Sequence[SettingEmergence]) -> Table:
    """Return the table of emergence: a row for each setting and threshold."""
    header = [*short_names(list(sweep.varied)).values(), "threshold", "seeds", "not there", "median step"]
    header += ["quartiles", "median sequences", "note"]
    return Table(
        f"When {target.title} emerges",
        header,
        [
            [
                *map(said, row.setting),
                str(row.threshold),
                str(len(row.times)),
                "" if row.steps is None else str(row.steps.censored),
                _median(row.steps),
                _quartiles(row.steps),
                _median(row.sequences),
                "; ".join(row.notes()),
            ]
            for row in rows
        ],
    )


def _median(of: Quartiles | None) -> str:
    return "" if of is None else _time(of.median)


def _quartiles(of: Quartiles | None) -> str:
    return "" if of is None else f"{_time(of.lower)} to {_time(of.upper)}"


def _time(step: float | None) -> str:
    """Return a time to read.

    >>> _time(1234.5), _time(0.25), _time(None)
    ('1,234', '0.250', 'not reached')
    """
    if step is None:
        return _NOT_REACHED
    return f"{step:,.0f}" if step >= 1 or step == 0 else readable(step)
