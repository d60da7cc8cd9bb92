"""A run's record elsewhere: what is measured of a run that cannot be written to is kept in a folder of its own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icl_eval.paths import AnyPath, as_path
from icl_eval.runs.options import differences
from icl_eval.runs.reading import CONFIG, EVALUATIONS, MEASURES, METRICS, read_run
from icl_eval.runs.writing import write_atomically


def copy_run(folder: AnyPath, to: AnyPath) -> Path:
    """Copy what a run folder says, but for its checkpoints, summary and pages, to a folder that can be written to.

    There it can be evaluated, summarised, reported and compared as the run itself, of which nothing is changed. If
    that was begun before, config.json and metrics.jsonl are brought up to date, and its evaluations stay. Its
    config.json says whose results these are, as ``results_of``, the absolute path of the run: nothing is to be trained
    there.

    Args:
      folder: of the run.
      to: the other folder; made if it is missing.

    Returns:
      `to`.

    Raises:
      FileNotFoundError: if there is no such run folder.
      ValueError: if it is not the folder of a run; or if the other folder is of another run, is a run itself, has
        files of something else, or lies within the run.

    >>> import tempfile
    >>> folder, to = (Path(tempfile.mkdtemp()) for _ in range(2))
    >>> _ = (folder / "config.json").write_text('{"config": {"seed": 0}}')
    >>> [path.name for path in copy_run(folder, to).iterdir()]
    ['config.json']
    """
    folder, to = as_path(folder), as_path(to)
    run = read_run(folder)
    if to.resolve() == folder.resolve():
        return to
    if to.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{to} lies within {folder}, which is not to be changed; choose a folder outside of it.")
    if to.is_dir() and any(to.iterdir()) and not (to / CONFIG).exists():
        raise ValueError(f"{to} has files, but none of a run; choose a new or empty folder.")
    if (to / CONFIG).exists():
        there = read_run(to).config
        if unlike := differences(_identity(there), _identity(run.config)):
            name, theirs, ours = unlike[0]
            raise ValueError(
                f"{to} is of another run than {folder}: its {name} is {theirs}, not {ours}; choose a new folder."
            )
        if "results_of" not in there:
            raise ValueError(f"{to} is a run itself, and not results of {folder}; choose a new folder.")
    begun = (to / EVALUATIONS).exists()
    arrays = sorted((folder / "arrays").glob("*.npz"))
    # Its evaluations last: they say that all else is there.
    measured = [] if begun else [folder / MEASURES, *arrays, folder / EVALUATIONS]
    if run.config:
        # Of a copy's copy it is the run still.
        marked = {"results_of": str(folder.resolve()), **run.config}
        write_atomically(to / CONFIG, (json.dumps(marked, indent=2) + "\n").encode())
    for path in (folder / METRICS, *measured):
        if path.exists():
            write_atomically(to / path.relative_to(folder), path.read_bytes())
    return to


def _identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a run this one and stays when it is resumed; of a record that does not say it, all."""
    if "experiment" not in record:
        return dict(record.get("config") or {})
    return {name: record.get(name) for name in ("experiment", "seed", "data", "model")}
