"""One tidy table of all runs of a sweep: a row for each run and evaluated step."""

from icl_eval.paths import AnyPath
from icl_eval.results.estimate import Estimate
from icl_eval.runs.options import leaves
from icl_eval.runs.reading import Run
from icl_eval.runs.seeds import SEEDS
from icl_eval.sweeps.progress import sequences_per_step, status
from icl_eval.sweeps.run_table import RunTable
from icl_eval.sweeps.sweep_runs import Cell, SweepRuns, read_sweep

_FIRST, _THEN = ("run",), ("seed", "step", "sequences", "status")


def table(folder: AnyPath, *, last: bool = False) -> RunTable:
    """Return a table of the runs below a folder, with a row for each run and evaluated step.

    A run that was never evaluated has one row, without a step, so that none is lost. What a damaged folder lacks is an
    empty cell, and so is a metric that another run has.

    Args:
      folder: of a sweep, or any that has run folders in it; of one run, too.
      last: whether to give only the last evaluated step of each run.

    Returns:
      The columns `run` (the path from the folder), one for each option in which the runs differ, by dotted name (see
      `varied_options`; `config.` stands before a name that another column has), `seed`, `step`, `sequences` (steps
      times the sequences of one, where that is known), `status` (`finished`, `failed at step N` or `unfinished`), and
      for each metric `<evaluation>.<metric>` with `.low`, `.high` and `.count`: its 95 % interval, and how many
      sequences or tasks it is of.

    Raises:
      FileNotFoundError: if there is no such folder.
      ValueError: if no run is there.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from icl_eval import Result, append_evaluations, proportion
    >>> sweep = Path(tempfile.mkdtemp())
    >>> results = [Result("holdout", {"accuracy": proportion(9, 10)}, {})]
    >>> append_evaluations(sweep / "groups" / "a", step=50, results=results)
    >>> dict(zip(table(sweep).columns[:6], table(sweep).rows[0]))
    {'run': 'groups/a', 'seed': None, 'step': 50, 'sequences': None, 'status': 'unfinished', 'holdout.accuracy': 0.9}
    """
    return table_of(read_sweep(folder), last=last)


def table_of(sweep: SweepRuns, *, last: bool = False) -> RunTable:
    """Return the table of runs that were read; see `table`."""
    taken = {*_FIRST, *_THEN, *(name for run in sweep.runs.values() for name in _metric_names(run))}
    options = {f"config.{name}" if name in taken else name: cells for name, cells in sweep.varied.items()}
    rows: list[dict[str, Cell]] = []
    for place, (path, run) in enumerate(sweep.runs.items()):
        same = {"run": path} | {name: cells[place] for name, cells in options.items()}
        same |= {"seed": seed(run), "status": status(run)}
        steps = sorted({step for results in run.evaluations.values() for step in results})
        size = sequences_per_step(run)
        rows += [
            same | {"step": step, "sequences": size and step * size} | _metrics(run, step)
            for step in (steps[-1:] if last else steps)
        ] or [same]
    columns = tuple(dict.fromkeys([*_FIRST, *options, *_THEN, *(name for row in rows for name in row)]))
    return RunTable(columns, tuple(tuple(row.get(name) for name in columns) for row in rows))


def seed(run: Run) -> int | None:
    """Return the seed of a run: that of its config.json, or of its options; None if neither has one.

    >>> seed(Run("a", config={"config": {"train": {"seed": 3}}}))
    3
    """
    known = dict(leaves(run.config.get("config")))
    found = next((known[name] for name in SEEDS if name in known), None) if run.seed is None else run.seed
    return found if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 2**63 else None


def _metric_names(run: Run) -> set[str]:
    return {
        name
        for evaluation, results in run.evaluations.items()
        for result in results.values()
        for metric, estimate in result.metrics.items()
        for name in _cells(f"{evaluation}.{metric}", estimate)
    }


def _metrics(run: Run, step: int) -> dict[str, Cell]:
    """Return all that was measured at a step."""
    found: dict[str, Cell] = {}
    for evaluation, results in run.evaluations.items():
        if step in results:
            for metric, estimate in results[step].metrics.items():
                found |= _cells(f"{evaluation}.{metric}", estimate)
    return found


def _cells(name: str, estimate: Estimate) -> dict[str, Cell]:
    return {
        name: estimate.value,
        f"{name}.low": estimate.low,
        f"{name}.high": estimate.high,
        f"{name}.count": estimate.count,
    }
