"""The backend that the environment names: a notebook's kernel exports its own to what it starts."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

import icl_eval.figures

# What ipykernel exports to `!python ...`, of which the environment need not be the kernel's.
NOTEBOOK = "module://matplotlib_inline.backend_inline"
# matplotlib finds it by its entry point: so it is as if matplotlib-inline were not installed.
NOT_INSTALLED = "import importlib.metadata\nimportlib.metadata.entry_points = lambda **_: ()\n"


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


@pytest.mark.lengthy
@pytest.mark.parametrize(
    ("before", "named", "used"),
    [(NOT_INSTALLED, NOTEBOOK, "agg"), ("", "nonsense", "agg"), ("", NOTEBOOK, NOTEBOOK), ("", "svg", "svg")],
)
def test_a_backend_that_is_not_here_is_set_aside_and_one_that_is_stays(before, named, used):
    """Without a display matplotlib chooses agg by itself."""
    assert python("-c", before + LATER, backend=named).split() == [named, used]


@pytest.mark.parametrize("before", ["", NOT_INSTALLED], ids=["installed", "not installed"])
def test_the_command_line_runs_below_a_notebook(run: Path, before: str):
    command = f"{before}import runpy, sys\nrunpy.run_module('icl_eval', run_name='__main__')"
    written = python("-c", command, "report", str(run), "--png", backend=NOTEBOOK)
    assert Path(written.strip()).is_file() and len(list((run / "figures").glob("*.png")))


def test_a_backend_that_was_chosen_before_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MPLBACKEND", "svg")
    chosen = matplotlib.get_backend(auto_select=False)
    importlib.reload(icl_eval.figures)
    assert matplotlib.get_backend(auto_select=False) == chosen != "svg"
