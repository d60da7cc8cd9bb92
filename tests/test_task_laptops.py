"""The laptop presets of functions, gpicl and linear come to what docs/experiments.md says; minutes each."""

import pytest

from icl_eval import read_run
from tests.tiny import FUNC, GPIC, LINE, summary_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gpicl_leaves_the_plateau_and_learns_to_learn(tmp_path, seed):
    GPIC.run("laptop", "--train.seed", seed, "--workdir", tmp_path / "run")
    summary = summary_of(tmp_path / "run")
    assert summary["evaluations"]["unseen_tasks"]["accuracy_last"]["value"] >= 0.65
    assert summary["learner"]["kind"] == "general learning to learn"
    curve = read_run(tmp_path / "run").evaluation_curve("unseen_tasks", "accuracy_last")
    assert curve is not None and curve.values[curve.steps <= 200].max() < 0.35  # the plateau


@pytest.mark.parametrize(("num_tasks", "kind"), [(2**4, "task memorization"), (2**6, "task identification")])
def test_gpicl_with_few_tasks_memorises_and_with_more_identifies_them(tmp_path, num_tasks, kind):
    GPIC.run("laptop", "--data.num-tasks", num_tasks, "--workdir", tmp_path / "run")
    summary = summary_of(tmp_path / "run")
    assert summary["learner"]["kind"] == kind
    unseen = summary["evaluations"]["unseen_tasks"]["accuracy_last"]["value"]
    assert unseen < 0.35
    if kind == "task memorization":
        assert summary["evaluations"]["seen_tasks"]["accuracy_first"]["value"] > 0.7


def test_functions_beats_3_nn_and_averaging_on_families_never_trained_on(tmp_path):
    FUNC.run("laptop", "--workdir", tmp_path / "run")
    evaluations = summary_of(tmp_path / "run")["evaluations"]
    better = [
        name
        for name, metrics in evaluations.items()
        if name.startswith("transfer_")
        and metrics["squared_error"]["value"]
        < min(metrics[f"squared_error_{baseline}"]["value"] for baseline in ("3-NN", "averaging", "constant"))
    ]
    assert len(better) >= 8, better


def test_linear_regression_is_learnt_in_context(tmp_path):
    LINE.run("laptop", "--workdir", tmp_path / "run")
    summary = summary_of(tmp_path / "run")
    metrics = summary["evaluations"]["unseen_tasks"]
    assert metrics["normalised_error"]["value"] < 0.5 < metrics["normalised_error_first"]["value"]
    assert summary["learner"]["kind"] == "general learning to learn"
