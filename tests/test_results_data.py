"""The numbers behind docs/results: the runs that are kept there give the tables that stand there."""

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import icl_eval

pytestmark = pytest.mark.lengthy

RESULTS = Path(__file__).parents[1] / "docs" / "results"


def unpacked(name, folder):
    with tarfile.open(RESULTS / "data" / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def runs(tmp_path):
    return unpacked("properties", tmp_path)


def test_the_map_of_emergence_is_of_the_runs_that_are_kept(tmp_path):
    table = icl_eval.table(unpacked("emergence", tmp_path), last=True)
    assert set(table.column("status")) == {"finished"} and set(table.column("step")) == {8_000}
    rows = [
        line.split(" | ")
        for line in (RESULTS / "emergence.md").read_text().splitlines()
        if " | step" in line or " | not" in line
    ]
    columns = (
        "data.rare",
        "data.p_bursty",
        "seed",
        "fewshot_holdout.accuracy_closed",
        "no_support_zipfian.accuracy_open",
    )
    ends = {}
    for rare, bursty, _, *measured in sorted(zip(*map(table.column, columns), strict=True)):
        ends.setdefault((f"| {rare:,}", f"{bursty:g}"), []).append(measured)
    assert len(rows) == len(ends) == 12
    for classes, bursty, seeds, _, _, *told in rows:
        found = ends[classes, bursty]
        assert int(seeds) == len(found)
        for cell, values in zip(told, zip(*found, strict=True), strict=True):
            np.testing.assert_allclose([float(each) for each in cell.strip(" |").split(", ")], values, atol=0.006)


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
