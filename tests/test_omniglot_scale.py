"""The omniglot experiment on several devices and processes, and many models at once: all the same numbers."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import icl_train as training
from tests.tiny import OMNI, summary_of, untimed

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).parents[1]
run, TINY = OMNI.run, list(OMNI.options)


def agree(one, other, rel):
    for line, same in zip(untimed(one / "metrics.jsonl"), untimed(other / "metrics.jsonl"), strict=True):
        assert line == pytest.approx(same, rel=rel)
    one, other = summary_of(one), summary_of(other)
    assert one["icl"] == other["icl"] and one["iwl"] == other["iwl"]


def test_two_processes_train_what_one_does_and_one_can_go_on(finished, tmp_path):
    script = ROOT / "docs" / "launch" / "two_processes.sh"
    command = ["bash", script, "laptop", *TINY, "--workdir", tmp_path / "two"]
    environment = os.environ | {"PYTHON": sys.executable, "XLA_FLAGS": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: ") == 1, "only the first process says something"
    agree(tmp_path / "two", finished, rel=1e-5)
    shutil.copytree(finished, tmp_path / "one")
    for name in ("one", "two"):
        run(tmp_path / name, "--resume", "--train.steps", 9, "--mode", "train")
    two, one = (untimed(tmp_path / name / "metrics.jsonl")[-1] for name in ("two", "one"))
    assert two == pytest.approx(one, rel=1e-4)


@pytest.mark.slow
def test_a_mesh_of_devices_trains_what_one_does(finished, tmp_path):
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    mesh = ["--train.mesh.data", "2", "--train.mesh.fsdp", "2", "--train.mesh.model", "2"]
    command = [sys.executable, "-m", "experiments.omniglot", "laptop", *TINY, *mesh, "--workdir", tmp_path / "run"]
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=240, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    agree(tmp_path / "run", finished, rel=1e-4)


def test_a_mesh_that_the_devices_do_not_make_is_refused_in_a_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        run("laptop", *TINY, "--train.mesh.fsdp", 7, "--workdir", tmp_path / "run")
    assert caught.value.code == 2 and not (tmp_path / "run").exists()
    assert re.search(r"data x fsdp x model = \? x 7 x 1, and \d does not divide by 7", capsys.readouterr().err)


@pytest.mark.slow
def test_members_of_an_ensemble_are_the_runs_they_would_be_alone(tmp_path):
    varied = ["--vary.p-bursty", 0, 0.5, 1, "--vary.learning-rate", 1e-3, 3e-3, 2e-3]
    run("laptop", *TINY, "--train.ensemble.members", 3, *varied, "--workdir", tmp_path / "all")
    alone = ["--train.seed", 1, "--data.p-bursty", 0.5, "--optimizer.learning-rate", 3e-3]
    run("laptop", *TINY, *alone, "--workdir", tmp_path / "alone")
    member = tmp_path / "all" / "member-001"
    agree(member, tmp_path / "alone", rel=1e-4)
    assert (
        json.loads((member / "config.json").read_text())["config"]
        == (json.loads((tmp_path / "alone" / "config.json").read_text())["config"])
    )
    seeds = [summary_of(tmp_path / "all" / f"member-00{n}")["seed"] for n in range(3)]
    assert seeds == [0, 1, 2]
    run(tmp_path / "all", "--resume", "--train.steps", 8, "--mode", "train")
    assert [line["step"] for line in untimed(member / "metrics.jsonl")] == [2, 4, 6, 8]


def test_parameters_of_another_run_can_be_begun_with_and_partly_frozen(finished, tmp_path, capsys):
    options = ["--init-from", finished, "--train.freeze", "^trunk/", "--train.ema-decay", 0.9]
    wider = ["--data.characters", 14]  # another number of labels: the classifier does not fit
    run("laptop", *TINY, *wider, *options, "--workdir", tmp_path / "run")
    words = capsys.readouterr().err
    assert "params/classifier/w: float32[16, 96] in" in words and "here, stays as initialised" in words

    def trunk(folder):
        import orbax.checkpoint as ocp

        tree = ocp.StandardCheckpointHandler().restore(folder / "checkpoints" / "6" / "model")
        return {name: leaf for name, leaf in tree["params"].items() if name.startswith("trunk/")}

    begun, ended = trunk(finished), trunk(tmp_path / "run")
    assert begun.keys() == ended.keys() and len(begun) > 3
    for name, leaves in begun.items():
        for part, leaf in leaves.items():
            np.testing.assert_array_equal(leaf, ended[name][part])


def spoil_metrics(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("rubbish\n" + "".join(lines))


def spoil_checkpoints(folder):
    for path in folder.glob("checkpoints/*/model/_METADATA"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(spoil_metrics, "in line 1 of"), (spoil_checkpoints, "those of steps 3, 6 are damaged; bring one back")],
)
def test_a_run_folder_that_is_damaged_ends_in_a_line_and_stays_as_it_is(finished, tmp_path, spoil, words, capsys):
    shutil.copytree(finished, tmp_path / "run")
    spoil(tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run" / "checkpoints").rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as caught:
        run(tmp_path / "run", "--resume", "--train.steps", 9)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert words in said.splitlines()[-1] and "Traceback" not in said
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_that_diverges_ends_in_a_line_with_its_last_good_state(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        rate = ["--optimizer.learning-rate", 1e30, "--optimizer.warmup-steps", 0]
        run("laptop", *TINY, *rate, "--workdir", tmp_path / "run")
    assert caught.value.code == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: Stopped: the loss of step") and "of the data" in said
    assert training.latest_step(tmp_path / "run") is not None
