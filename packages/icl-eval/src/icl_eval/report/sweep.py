"""The page of a sweep: what its runs come to by their options, when they come there, and which of them are odd."""

import os
import shlex
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from icl_eval.figures.palette import COLOURS
from icl_eval.paths import AnyPath, as_path
from icl_eval.report.gallery import Picture, Table
from icl_eval.report.html import ODD, Figures, Markup, Part, data_uri, part, write_page
from icl_eval.report.sweep_emergence import emergence_map_pictures, emergence_pictures, emergence_rows
from icl_eval.report.sweep_outcomes import RULE as OUTCOME_RULE
from icl_eval.report.sweep_outcomes import outcome_pictures, outcome_rows
from icl_eval.report.sweep_pictures import final_pictures, grid_pictures, training_pictures
from icl_eval.results.estimate import readable
from icl_eval.sweeps.arrangement import said, setting_said, short_names
from icl_eval.sweeps.emergence_table import SettingEmergence, emergence_table_of, setting_emergences
from icl_eval.sweeps.odd_runs import RULE, OddRun, odd_runs
from icl_eval.sweeps.outcomes import SettingOutcomes, outcome_target, setting_outcomes
from icl_eval.sweeps.progress import FINISHED, status
from icl_eval.sweeps.sweep_runs import SweepRuns, read_sweep
from icl_eval.sweeps.table import seed, table_of
from icl_eval.sweeps.target import Target, find_target, headline_targets

_LINK = Markup('<a href="{}">{}</a>')
_CODE = Markup("<code>{}</code>")
_SORTED = Markup('<div class="all-numbers">{}</div>')


def write_sweep(
    folder: AnyPath,
    *,
    pictures: Sequence[Picture] = (),
    tables: Sequence[Table] = (),
    note: str = "",
    png: bool = False,
) -> Path:
    """Write report.html of a sweep into its folder, with pictures and tables of its own before what every sweep has.

    Args:
      folder: with the folders of the runs below it.
      pictures: with names of their own.
      tables: before them.
      note: what stands beneath the title, after what every page says there.
      png: whether to write each picture as figures/<name>.png too.

    Returns:
      The path of the page.

    Raises:
      OSError: if the page cannot be written.
      ValueError: two pictures of one name.
    """
    folder = as_path(folder)
    names = [picture.name for picture in pictures]
    if len(set(names)) < len(names):
        raise ValueError(f"Wanted pictures with names of their own, got {names}.")
    page, to = folder / "report.html", folder / "figures" if png else None
    write_sweep_page(page, folder, png=to, pictures=pictures, tables=tables, note=note)
    return page


def write_sweep_page(
    page: Path,
    folder: Path,
    *,
    png: Path | None = None,
    pictures: Sequence[Picture] = (),
    tables: Sequence[Table] = (),
    note: str = "",
) -> None:
    """Write the page of the runs below a folder, and its figures into the folder `png`, if there is one.

    A run is linked to its report.html, beside the page or in its own folder, where that exists; of others it says the
    command that makes it. What cannot be drawn is named.
    """
    sweep = read_sweep(folder)
    targets = headline_targets(sweep)[: len(COLOURS)]
    missing = [] if targets else ["The runs measured no headline, so nothing is drawn of them."]
    rows: list[SettingEmergence] = []
    emergence: list[Part] = []
    if targets:
        target = find_target(sweep)
        rows = setting_emergences(sweep, target, target.thresholds(None, sweep))
        listed = emergence_rows(sweep, target, rows)
        emergence = [Part(listed.title, "emergence", _sorted(listed))]
    named = outcome_target(sweep)
    outcomes = [] if named is None else setting_outcomes(sweep, named, folder=folder)
    figures = Figures(png)
    own = [Part(each.title, f"own-table-{number}", each.content()) for number, each in enumerate(tables, start=1)]
    own += [
        Part(each.title, f"own-picture-{number}", each.content(figures))
        for number, each in enumerate(pictures, start=1)
    ]
    parts = [
        *own,
        *_drawn(sweep, targets, rows, outcomes, figures=figures, missing=missing),
        *_outcome_parts(sweep, outcomes),
        *emergence,
        _odd_part(sweep, targets, rows),
        Part("Runs", "runs", _sorted(_runs(sweep, targets, rows, page=page, folder=folder))),
        Part("Downloads", "downloads", _downloads(sweep, rows)),
    ]
    missing += [f"{path}: {sentence}" for path, run in sweep.runs.items() for sentence in run.missing]
    if missing:
        parts.append(Part("Missing", "missing", part("listed", sentences=missing)))
    name = folder.resolve().name
    write_page(
        page, title=f"{name}: sweep of {len(sweep.runs)} runs", heading=name, above="In-context learning sweep",
        below=" · ".join(filter(None, [_facts(sweep), note])), parts=parts, source="the run folders",
        command=f"python -m icl_eval report {shlex.quote(str(folder))}",
    )  # fmt: skip


def _drawn(
    sweep: SweepRuns, targets: Sequence[Target], rows: Sequence[SettingEmergence], outcomes: Sequence[SettingOutcomes],
    *, figures: Figures, missing: list[str],
) -> Iterator[Part]:  # fmt: skip
    """Yield the pictures; what cannot be drawn goes to `missing`."""
    makers: list[Callable[[], Iterator[Picture]]] = [
        lambda: final_pictures(sweep, targets),
        lambda: grid_pictures(sweep, targets),
        lambda: emergence_map_pictures(sweep, find_target(sweep), rows),
        lambda: emergence_pictures(sweep, find_target(sweep), rows),
        lambda: training_pictures(sweep, targets),
    ]
    number = 0
    for make in [*(makers if targets else ()), lambda: outcome_pictures(sweep, outcomes)]:
        title = "A picture"
        try:
            for picture in make():
                number, title = number + 1, picture.title
                yield Part(title, f"picture-{number}", picture.content(figures))
        except ODD as error:  # numbers that no run writes, or more of them than can be told apart
            missing.append(f"{title}: could not be drawn ({type(error).__name__}: {str(error)[:200]}).")


def _facts(sweep: SweepRuns) -> str:
    finished = sum(status(run) == FINISHED for run in sweep.runs.values())
    varied = ", ".join(sweep.varied) or "nothing but the seed"
    return f"{len(sweep.runs)} runs, {finished} finished · {len(sweep.settings)} settings · varied: {varied}"


def _sorted(rows: Table) -> Markup:
    return _SORTED.format(rows.content())


def _outcome_parts(sweep: SweepRuns, outcomes: Sequence[SettingOutcomes]) -> Iterator[Part]:
    """Yield the table of outcomes, where a run tells of any."""
    if outcomes:
        listed = outcome_rows(sweep, outcomes)
        content = Markup('<p class="soft">{}</p>{}').format(OUTCOME_RULE, _sorted(listed))
        yield Part(listed.title, "outcomes", content)


def _odd_part(sweep: SweepRuns, targets: Sequence[Target], rows: Sequence[SettingEmergence]) -> Part:
    """Return the slowest runs, and those that are odd, each with its setting."""
    settings = {path: setting_said(sweep, setting) for setting, runs in sweep.settings.items() for path in runs}
    found = [*_slowest(sweep, rows), *odd_runs(sweep, targets)]
    listed = Table(
        "The slowest and the odd runs", ["run", "setting", "what"], [(o.path, settings[o.path], o.why) for o in found]
    )
    content = listed.content() if found else Markup("<p>No run is odd.</p>")
    return Part(listed.title, "odd", Markup('<p class="soft">{}</p>{}').format(RULE, content))


def _slowest(sweep: SweepRuns, rows: Sequence[SettingEmergence]) -> list[OddRun]:
    """Return the run that emerged last, of those that did, and the one that took longest for a step."""
    found = []
    times = {path: time for row in rows if row.threshold == rows[0].threshold for path, time in row.times.items()}
    emerged = {path: time for path, time in times.items() if time.happened}
    if len(emerged) > 1:
        path = max(emerged, key=lambda each: emerged[each].step)
        found.append(OddRun(path, f"the last to emerge, of those that did: {emerged[path]}"))
    trains = {path: run.summary.get("train") for path, run in sweep.runs.items()}
    rates = {path: train.get("steps_per_second") for path, train in trains.items() if isinstance(train, dict)}
    known = {path: float(rate) for path, rate in rates.items() if isinstance(rate, int | float)}
    if len(set(known.values())) > 1:
        path = min(known, key=lambda each: known[each])
        found.append(OddRun(path, f"the slowest to train: {readable(known[path])} steps per second"))
    return found


def _runs(
    sweep: SweepRuns, targets: Sequence[Target], rows: Sequence[SettingEmergence], *, page: Path, folder: Path
) -> Table:
    """Return all runs, each with a link to its report or the command that makes one."""
    times = {path: time for row in rows if row.threshold == rows[0].threshold for path, time in row.times.items()}
    emerged = [f"to {rows[0].threshold}"] if rows else []
    titles = [target.title for target in targets]
    header = ["run", *short_names(list(sweep.varied)).values(), "seed", "status", *titles, *emerged, "report"]
    body = []
    for setting, runs in sweep.settings.items():
        for path, run in runs.items():
            last = [target.last(run) for target in targets]
            numbers = ["" if value is None else readable(value) for value in last]
            first = [path, *map(said, setting), "" if seed(run) is None else str(seed(run)), status(run), *numbers]
            when = [str(times.get(path, ""))] * len(emerged)
            body.append([*first, *when, _report_of(path, page=page, folder=folder)])
    return Table("Runs", header, body)


def _report_of(path: str, *, page: Path, folder: Path) -> Markup:
    """Return a link to the report of a run, or the command that writes it."""
    for there in (page.parent / path / "report.html", folder / path / "report.html"):
        if there.is_file() and there.resolve() != page.resolve():
            relative = os.path.relpath(there, page.parent).replace(os.sep, "/")
            return _LINK.format(_address(relative), "report")
    return _CODE.format(f"python -m icl_eval report {shlex.quote(str(folder / path))}")


def _address(path: str) -> str:
    """Return a relative path as an address.

    >>> _address("groups/p=0.5 a#1/report.html")
    './groups/p%3D0.5%20a%231/report.html'
    """
    return f"./{urllib.parse.quote(path, errors='surrogatepass')}"


def _downloads(sweep: SweepRuns, rows: Sequence[SettingEmergence]) -> Markup:
    """Return the tables as files: the last step of each run, and the table of emergence."""
    files = {"runs.csv": table_of(sweep, last=True)}
    if rows:
        files["emergence.csv"] = emergence_table_of(sweep, find_target(sweep), rows)
    addresses = {name: data_uri(each.csv().encode(errors="replace"), "text/csv") for name, each in files.items()}
    return part("downloads", files=addresses)
