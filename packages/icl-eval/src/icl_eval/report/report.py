"""A report: one self-contained HTML page, made from a run folder alone."""

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from icl_eval.paths import AnyPath, as_path
from icl_eval.report.comparison import write_comparison_page
from icl_eval.report.configuration import configuration, downloads
from icl_eval.report.example_strips import example_strips
from icl_eval.report.families import against_baselines, families, family_tables
from icl_eval.report.headlines import cards, later_in_training, over_training
from icl_eval.report.html import NOTHING, ODD, Figures, Markup, Part, part, write_page
from icl_eval.report.mechanisms import attention, confusions, frequencies, heads
from icl_eval.report.numbers import all_numbers
from icl_eval.report.sweep import write_sweep_page
from icl_eval.report.tasks import by_examples, fitted
from icl_eval.results.estimate import readable
from icl_eval.runs.members import member_folders
from icl_eval.runs.reading import Run, read_run
from icl_eval.sweeps.folders import run_folders


class Section(NamedTuple):
    """A `Part` of the page to be, and what makes its content; nothing if the run has none of it."""

    title: str
    anchor: str
    make: Callable[[Run, Figures], Markup]


def write_report(folder: AnyPath, *, to: AnyPath | None = None, png: bool = False, reports: bool = False) -> Path:
    """Write report.html into a run folder, or another.

    The page embeds all it shows and loads nothing. The same folder always gives the same bytes. What is
    missing or damaged in the folder is named on the page. That of an ensemble compares its members, member-000 and so
    on (see `write_comparison`). That of a folder that is no run, and has runs below it, is the page of a sweep.

    Args:
      folder: of the run, of the ensemble, or of the sweep.
      to: the folder to write into, made if it is missing: of a run on a medium that is read-only, say, in which nothing
        is written then; `folder` if not given.
      png: whether to write each figure as figures/<name>.png too.
      reports: whether to write those of the runs below the folder, too: into theirs, or the same places below `to`.

    Returns:
      The path of the page.

    Raises:
      FileNotFoundError: if there is no such folder.
      OSError: if the page cannot be written.
      ValueError: if it is not the folder of a run.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "config.json").write_text('{"config": {"seed": 0}}')
    >>> write_report(folder).name
    'report.html'
    """
    folder = as_path(folder)
    to = folder if to is None else as_path(to)
    page, pictures = to / "report.html", to / "figures" if png else None
    if to.exists() and not os.access(to, os.W_OK):
        raise PermissionError(f"{to} cannot be written to; name another folder to write the report into (--to FOLDER).")
    runs_below = [path for path in run_folders(folder) if path != folder]
    for path in runs_below if reports else ():
        write_report(path, to=None if to == folder else to / path.relative_to(folder), png=png)
    if members := member_folders(folder):
        name = folder.resolve().name
        runs, again = [read_run(member) for member in members], f"python -m icl_eval report runs/{name}"
        write_comparison_page(page, runs, command=again, heading=name, png=pictures)
    elif runs_below:
        write_sweep_page(page, folder, png=pictures)
    else:
        _write_page(page, read_run(folder), pictures)
    return page


def _write_page(page: Path, run: Run, pictures: Path | None) -> None:
    """Write the page of a run, and its figures into the folder `pictures`, if there is one."""
    figures = Figures(pictures)
    parts: list[Part] = []
    missing = list(run.missing)
    lead = NOTHING
    for section in (Section("Headlines", "headlines", cards), *_sections(run)):
        try:
            content = section.make(run, figures)
        except ODD as error:  # numbers that no run writes, in a file that was damaged or made by hand
            missing.append(f"{section.title}: could not be drawn ({type(error).__name__}: {str(error)[:200]}).")
            continue
        if section.anchor == "headlines":
            lead = content
        elif content:
            parts.append(Part(section.title, section.anchor, content))
    if missing:
        parts.append(Part("Missing", "missing", part("listed", sentences=missing)))
    write_page(
        page,
        title=f"{run.name}: in-context learning report",
        heading=run.name,
        above="In-context learning report",
        below=_facts(run),
        lead=lead,
        parts=parts,
        source="the run folder",
        command=f"python -m icl_eval report runs/{run.name}",
    )


def _facts(run: Run) -> str:
    """Return how long and how fast the run trained, as far as its folder says."""
    train = run.summary.get("train")
    known = train.items() if isinstance(train, dict) else ()
    numbers = {name: n for name, n in known if isinstance(n, int | float) and not isinstance(n, bool)}
    steps = numbers.get("steps", max(run.metrics, default=None))
    facts = [f"{steps:,} training steps" if isinstance(steps, int) else "no training logged"]
    if (seconds := numbers.get("seconds")) is not None:
        facts.append(f"{seconds:,.0f} seconds")
    if (rate := numbers.get("steps_per_second")) is not None:
        facts.append(f"{rate:,.1f} steps/s")
    if (loss := numbers.get("final_loss")) is not None:
        facts.append(f"final loss {readable(float(loss))}")
    if (failed := numbers.get("failed_at")) is not None:
        facts.append(f"stopped at step {failed:,}, where the loss was not finite")
    if "seed" in run.summary:
        facts.append(f"seed {run.summary['seed']}")
    return " · ".join(facts)


def _sections(run: Run) -> Iterator[Section]:
    """Yield the parts of the page, from top to bottom."""
    yield Section("Over training", "training", over_training)
    yield Section("Later in training", "later", later_in_training)
    yield Section("Against baselines", "baselines", against_baselines)
    yield Section("By class frequency", "frequency", frequencies)
    yield Section("Confusion of context labels", "confusion", confusions)
    yield Section("Attention heads", "heads", heads)
    yield Section("Where the model looks", "attention", attention)
    yield Section("By number of examples", "by-examples", by_examples)
    yield Section("Fitted functions", "fits", fitted)
    for number, (family, names) in enumerate(families(run).items(), start=1):
        yield Section(family.title, f"family-{number}", functools.partial(family_tables, family=family, names=names))
    yield Section("Example sequences", "examples", example_strips)
    yield Section("All numbers", "numbers", all_numbers)
    yield Section("How it was made", "setting", configuration)
    yield Section("Downloads", "downloads", downloads)
