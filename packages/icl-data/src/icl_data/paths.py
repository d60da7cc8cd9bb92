"""Paths as users write them."""

from os import PathLike
from pathlib import Path


def user_path(path: str | PathLike[str]) -> Path:
    """Return a path in which ``~`` and ``~name`` at the beginning are home folders.

    Raises:
      ValueError: the home folder of nobody, or of one who has none.

    >>> user_path("data/omniglot") == Path("data/omniglot") and user_path("~/omniglot") == Path.home() / "omniglot"
    True
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"{path} begins with a home folder that is not known ({error}); write the whole path."
        ) from error
