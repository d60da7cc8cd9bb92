"""metrics.jsonl and its like: files of one JSON object per line, each with a ``step``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icl_train.errors import RunError
from icl_train.log import logger
from icl_train.run_folder import expanded

METRICS_FILE = "metrics.jsonl"


class MetricsFile:
    """Appends lines to a JSONL file, each written out at once. A context manager.

    Args:
        path: The file; made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line. A NaN is written as ``NaN``, which Python's json reads back.

        A line that cannot be written (a full disk) is reported on stderr, and leaves no trace in the file.
        """
        size, text = self._file.tell(), (json.dumps(line) + "\n").encode()
        try:
            if self._file.write(text) != len(text):
                raise OSError("the disk is full")
        except OSError as error:
            logger.warning(f"METRICS LOST: step {line['step']} could not be written to {self._path}: {error}")
            self._file.truncate(size)

    def __enter__(self) -> "MetricsFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def drop_lines_after(path: Path, step: int) -> None:
    r"""Drop the lines of a JSONL file that are later than a step, and a last line that was cut off.

    `train` does this to metrics.jsonl when it resumes. A script that writes such a file of its own
    (evaluations) calls it with `latest_step` before it resumes. The file is replaced in one go.

    Args:
        path: The file; nothing happens if it is missing.
        step: The last step to keep; 0 empties the file.

    Raises:
        RunError: If a line other than the last is not a JSON object with a whole number as ``step``.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / 'metrics.jsonl'
    >>> _ = path.write_text('{"step": 10}\n{"step": 20}\n{"ste')
    >>> drop_lines_after(path, 10)
    >>> path.read_text()
    '{"step": 10}\n'
    """
    path = expanded(path)
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    kept = [line for number, line in enumerate(lines, start=1) if _step_of(line, path=path, number=number) <= step]
    partial = path.with_name(path.name + ".partial")
    partial.write_text("".join(kept), encoding="utf-8")
    partial.replace(path)


def _step_of(line: str, *, path: Path, number: int) -> int:
    try:
        step = json.loads(line)["step"]
    except (json.JSONDecodeError, TypeError, KeyError):
        step = None
    if not isinstance(step, int):
        raise RunError(
            f"wanted a JSON object with a 'step' in line {number} of {path}, got {line.strip()!r:.60}; "
            "mend or remove that line, then resume"
        )
    return step
