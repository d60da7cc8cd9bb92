"""The laptop presets of functions.py, gpicl.py and phases.py come to what the README promises; minutes each."""

import json

import pytest
import test_functions_experiment as functions_experiment
import test_gpicl_experiment as gpicl_experiment

from icl_eval import read_run

pytestmark = pytest.mark.slow


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gpicl_leaves_the_plateau_and_learns_to_learn(tmp_path, seed):
    gpicl_experiment.run("laptop", "--train.seed", seed, "--workdir", tmp_path / "run")
    summary = summary_of(tmp_path / "run")
    assert summary["evaluations"]["unseen_tasks"]["accuracy_last"]["value"] >= 0.65
    assert summary["verdict"]["verdict"] == "learns to learn"
    curve = read_run(tmp_path / "run").evaluation_curve("unseen_tasks", "accuracy_last")
    assert curve is not None and curve.values[curve.steps <= 200].max() < 0.35  # the plateau


@pytest.mark.parametrize(("num_tasks", "verdict"), [(2**4, "memorises"), (2**6, "identifies the task")])
def test_gpicl_with_few_tasks_memorises_and_with_more_identifies_them(tmp_path, num_tasks, verdict):
    gpicl_experiment.run("laptop", "--data.num-tasks", num_tasks, "--workdir", tmp_path / "run")
    summary = summary_of(tmp_path / "run")
    assert summary["verdict"]["verdict"] == verdict
    unseen = summary["evaluations"]["unseen_tasks"]["accuracy_last"]["value"]
    assert unseen < 0.35
    if verdict == "memorises":
        assert summary["evaluations"]["seen_tasks"]["accuracy_first"]["value"] > 0.7


def test_functions_beats_3_nn_and_averaging_on_families_never_trained_on(tmp_path):
    functions_experiment.run("laptop", "--workdir", tmp_path / "run")
    evaluations = summary_of(tmp_path / "run")["evaluations"]
    better = [
        name
        for name, metrics in evaluations.items()
        if name.startswith("transfer_")
        and metrics["squared_error"]["value"]
        < min(metrics[f"squared_error_{baseline}"]["value"] for baseline in ("3-NN", "averaging", "constant"))
    ]
    assert len(better) >= 8, better
