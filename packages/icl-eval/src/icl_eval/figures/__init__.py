"""Figures, each from numbers alone.

Here matplotlib is imported first, whatever backend the environment names: `!python ...` in a notebook inherits its
kernel's MPLBACKEND, which need not be installed here, and `import matplotlib` by itself would raise a ValueError.
"""

import contextlib
import os
import sys


def _import_matplotlib() -> None:
    """Import matplotlib, with the backend that the environment names if matplotlib knows it, and else without."""
    if "matplotlib" in sys.modules:  # with a backend that the user may have chosen since
        return
    named = os.environ.pop("MPLBACKEND", "")
    try:
        import matplotlib
    finally:
        if named:
            os.environ["MPLBACKEND"] = named
    if named:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = named


_import_matplotlib()
