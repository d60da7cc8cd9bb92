"""Paths, as callers and command lines write them."""

import os
from pathlib import Path

AnyPath = str | os.PathLike[str]


def as_path(path: AnyPath) -> Path:
    """Return a path, with the home folder where it begins with ~.

    Raises:
      ValueError: if no home folder is known.

    >>> as_path("runs/x").as_posix()
    'runs/x'
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"No home folder is known here for {path}; write the path in full.") from error
