"""``nox -s chaos`` in small: killed runs lose nothing, and the comparison that says so can say no."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = ("--steps=60", "--seed=3", "--damage=1", "--devices=0", "--", "--pause=0.02")


def chaos(*words):
    command = [sys.executable, "-m", "tools.chaos", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT)


@pytest.mark.slow
def test_runs_that_are_killed_and_terminated_end_as_those_that_are_not():
    result = chaos("--times=2", "--terminate=2", "--hush=3", "--second=2", *SMALL)
    assert result.returncode == 0, result.stdout + result.stderr
    table = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.endswith(" 0")}
    damaged = {key: ["1", "0"] for key in ("prepare", "truncate", "delete", "flip", "empty", "refuse")}
    stopped = {"terminate": ["2", "0"], "hush": ["3", "0"], "second": ["2", "0"]}
    assert table == {"kill": ["2", "0"], **stopped, **damaged}
    assert re.search(r"^[1-9]\d* kills hit: ", result.stdout, re.MULTILINE)


@pytest.mark.slow
def test_it_goes_red_and_keeps_the_folder_when_the_reference_is_another_run(tmp_path):
    other, kept = tmp_path / "other", tmp_path / "kept"
    child = [sys.executable, "-m", "tools.chaos_child", str(other), "--steps=60", "--seed=1", "--keep=100"]
    subprocess.run([*child, "--pause=0"], check=True, timeout=120, cwd=ROOT)
    result = chaos(
        "--times=0",
        "--terminate=1",
        f"--reference={other}",
        f"--keep={kept}",
        "--damage=0",
        "--hush=0",
        "--second=0",
        *(word for word in SMALL if "damage" not in word),
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"FAILED {kept / 'terminate-0'}: " in result.stdout
    assert "arrays differ from the reference's" in result.stdout
    assert (kept / "terminate-0" / "run" / "checkpoints" / "60").is_dir()
