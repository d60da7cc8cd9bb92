"""The emergence of a sweep on its page: when the seeds of each setting came to a threshold, drawn and as a table."""

from collections.abc import Iterable, Iterator, Sequence

from icl_eval.figures.against_option import MOST_PANELS
from icl_eval.figures.emergence_map import MapCell, emergence_map
from icl_eval.figures.emergence_times import ByThreshold, emergence_times
from icl_eval.report.gallery import Picture, Table
from icl_eval.results.estimate import readable
from icl_eval.sweeps.arrangement import NumericGrid, Stretch, is_numeric, numeric_grid, said, short_names, stretches
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


def emergence_map_pictures(sweep: SweepRuns, target: Target, rows: Sequence[SettingEmergence]) -> Iterator[Picture]:
    """Yield when each threshold is come to on the grid of two options with numbers, where just two are varied."""
    if (grid := numeric_grid(sweep)) is None:
        return
    laws = {option: power_laws(sweep, rows, against=option) for option in grid.options}
    down, across = (
        {(*rows[number].setting, rows[number].threshold): law for number, law in of.items()} for of in laws.values()
    )
    of_setting = {(*row.setting, row.threshold): row for row in rows}
    for threshold in dict.fromkeys(row.threshold for row in rows):
        if any(row.times for row in rows if row.threshold == threshold):
            places = [[(row, column, threshold) for column in grid.columns] for row in grid.rows]
            cells = [[_map_cell(of_setting.get(place)) for place in of_row] for of_row in places]
            yield _map_picture(
                target, threshold, grid, cells,
                row_laws=[_first_law(across.get(place) for place in of_row) for of_row in places],
                column_laws=[_first_law(down.get(place) for place in column) for column in zip(*places, strict=True)],
            )  # fmt: skip


def _map_cell(row: SettingEmergence | None) -> MapCell:
    if row is None or row.steps is None:
        return MapCell(None, 0.0)
    return MapCell(row.steps, min((time.step for time in row.times.values() if not time.happened), default=0.0))


def _first_law(laws: Iterable[PowerLaw | str | None]) -> PowerLaw | None:
    """Return the law of a row or column, which all its settings share."""
    return next((law for law in laws if isinstance(law, PowerLaw)), None)


def _map_picture(
    target: Target, threshold: Threshold, grid: NumericGrid, cells: Sequence[Sequence[MapCell]], *,
    row_laws: Sequence[PowerLaw | None], column_laws: Sequence[PowerLaw | None],
) -> Picture:  # fmt: skip
    (down, across), names = grid.options, short_names(grid.options)
    title = f"{target.title}: the step at which it comes to {_or([threshold])}"
    told = [
        f"{_median(cell.steps)} at {said(row)} and {said(column)}"
        for row, of_row in zip(grid.rows, cells, strict=True)
        for column, cell in zip(grid.columns, of_row, strict=True)
        if cell.steps is not None
    ]
    return Picture(
        name=f"emergence-map-{threshold}",
        title=f"When it emerges, to {threshold}: {' and '.join(names.values())}",
        draw=lambda: emergence_map(
            cells, row_names=[said(row) for row in grid.rows], column_names=[said(each) for each in grid.columns],
            row_title=down, column_title=across, title=title, row_laws=row_laws, column_laws=column_laws,
        ),
        caption=f"{title}, by {down} and {across}: the median over seeds, and beneath it the quartiles, or how many "
        "seeds came there where some did not (Kaplan-Meier); white where half or more did not. Beside a row is the "
        f"exponent of the power law of {across}, and above a column that of {down}, with 95 % intervals, from all "
        "seeds, those that did not come there by the probability that they take longer.",
        alt=f"{title}, by {down} and {across}: {'; '.join(told)}.",
    )  # fmt: skip


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
