"""Members: the runs that an ensemble trained together, each in a folder of its own within the ensemble's."""

import re
from pathlib import Path

from icl_eval.runs.reading import EVALUATIONS, METRICS, is_run


def member_folders(folder: Path) -> list[Path]:
    """Return the folders of an ensemble's members, member-000 and so on, by number; none for a run alone.

    Those that hold nothing of a run yet are left out.
    """
    if any((folder / name).is_file() for name in (METRICS, EVALUATIONS)):
        return []
    found = [path for path in folder.glob("member-*") if re.fullmatch(r"member-\d+", path.name) and is_run(path)]
    return sorted(found, key=lambda path: (len(path.name), path.name))
