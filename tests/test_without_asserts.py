"""A Python that leaves assert statements out: every experiment says in one line that it cannot run so."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.parent.name for path in (ROOT / "experiments").glob("*/__main__.py"))


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_is_refused_in_one_line(name):
    words = [sys.executable, "-O", "-m", f"experiments.{name}", "--help"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert (
        ended.stderr.startswith("error: icl_models wants a Python that runs assert") and ended.stderr.count("\n") == 1
    )
