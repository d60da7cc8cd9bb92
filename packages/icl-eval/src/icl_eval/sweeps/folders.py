"""The run folders below a folder, which are the runs of a sweep."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from icl_eval.paths import AnyPath, as_path
from icl_eval.runs.reading import EVALUATIONS, METRICS, is_run

_OF_A_RUN = frozenset({"checkpoints", "arrays", "figures"})  # folders in which no run is looked for


def run_folders(folder: AnyPath) -> list[Path]:
    """Return the folders of the runs at or below a folder, `member-2` before `member-10`.

    A folder with metrics or evaluations is a run, whatever lies below it. One that has only a config.json or a summary
    is a run if there is none below it: that of an ensemble, or of a sweep, has its runs there.

    Raises:
      FileNotFoundError: if there is no such folder.

    >>> import tempfile
    >>> sweep = Path(tempfile.mkdtemp())
    >>> for name in ("groups/a/member-10", "groups/a/member-2", "groups/b", "groups/c/checkpoints"):
    ...     (sweep / name).mkdir(parents=True)
    >>> for name in ("config.json", "groups/a/config.json", "groups/a/member-2/metrics.jsonl", "groups/b/config.json",
    ...              "groups/a/member-10/eval.jsonl"):
    ...     _ = (sweep / name).write_text("{}")
    >>> [found.relative_to(sweep).as_posix() for found in run_folders(sweep)]
    ['groups/a/member-2', 'groups/a/member-10', 'groups/b']
    """
    folder = as_path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}; pass one that has run folders in it, such as runs/<sweep>."
        )
    return list(_runs(folder, above=frozenset()))


def _runs(folder: Path, *, above: frozenset[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:  # a link to a folder that it lies in
        return
    if any((folder / name).is_file() for name in (METRICS, EVALUATIONS)):
        yield folder
        return
    found = [each for inner in _folders(folder) for each in _runs(inner, above=above | {real})]
    if found or not is_run(folder):
        yield from found
    else:
        yield folder


def _folders(folder: Path) -> list[Path]:
    try:
        inner = [path for path in folder.iterdir() if path.name not in _OF_A_RUN and path.name[0] != "."]
        return sorted((path for path in inner if path.is_dir()), key=_natural)
    except OSError:  # a folder that may not be read, or went while we looked
        return []


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return what sorts names with their numbers as numbers.

    >>> _natural(Path("member-10")) > _natural(Path("member-2"))
    True
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
