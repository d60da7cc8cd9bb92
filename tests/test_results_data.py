"""The numbers behind docs/results: the runs that are kept there give the tables that stand there."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import icl_eval

pytestmark = pytest.mark.lengthy

RESULTS = Path(__file__).parents[1] / "docs" / "results"


@pytest.fixture
def runs(tmp_path):
    with tarfile.open(RESULTS / "data" / "properties.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_every_run_that_is_kept_is_finished_and_of_16000_steps(runs):
    table = icl_eval.table(runs, last=True)
    assert set(table.column("status")) == {"finished"} and set(table.column("step")) == {16_000}
    assert sorted(set(table.column("seed"))) == [0, 1] and len(table.rows) == 30


@pytest.mark.slow
def test_the_tables_are_made_of_them_by_the_command_beside_them(runs):
    text = (RESULTS / "properties.md").read_text()
    command = ["--seeds", "2", "--eval.count", "500"]
    assert " ".join(command) in text
    words = [sys.executable, "-m", "experiments.omniglot", "sweep", "properties", *command, "--workdir", str(runs)]
    subprocess.run(words, check=True, cwd=RESULTS.parents[1])
    made = [line for line in (runs / "trends.md").read_text().splitlines() if line.startswith("| ")]
    assert len(made) > 30 and not [line for line in made if line not in text]
