"""The backend that the environment names: a notebook's kernel exports its own to what it starts."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

import icl_eval.figures

# What ipykernel exports to `!python ...`; matplotlib-inline is not installed here.
NOTEBOOK = "module://matplotlib_inline.backend_inline"


def python(*arguments: str, backend: str) -> str:
    environment = os.environ | {"MPLBACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LATER = """
import os
import icl_eval
import matplotlib
import matplotlib.pyplot
print(os.environ["MPLBACKEND"], matplotlib.get_backend().lower())
"""


@pytest.mark.parametrize(("named", "used"), [(NOTEBOOK, "agg"), ("svg", "svg")])
def test_a_backend_that_is_not_here_is_set_aside_and_one_that_is_stays(named, used):
    """Without a display matplotlib chooses agg by itself."""
    assert python("-c", LATER, backend=named).split() == [named, used]


def test_the_command_line_runs_below_a_notebook(run: Path):
    written = python("-m", "icl_eval", "report", str(run), "--png", backend=NOTEBOOK)
    assert Path(written.strip()).is_file() and len(list((run / "figures").glob("*.png")))


def test_a_backend_that_was_chosen_before_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MPLBACKEND", "svg")
    chosen = matplotlib.get_backend(auto_select=False)
    importlib.reload(icl_eval.figures)
    assert matplotlib.get_backend(auto_select=False) == chosen != "svg"
