"""The published runs: their weights give the numbers that were written down, and they are estimators."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jaxtyping
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import check_estimator

import icl_lab as lab
from experiments.functions.run import FUNCTIONS
from experiments.gpicl.run import GPICL
from experiments.linear.run import LINEAR
from experiments.omniglot.run import OMNIGLOT
from tools import make_zoo
from tools.snippets import script

pytestmark = pytest.mark.lengthy

ZOO = Path(__file__).parents[1] / "zoo"
EXPERIMENTS = {"gpicl": GPICL, "functions": FUNCTIONS, "linear": LINEAR}

# Both ask for predictions that are equal to 1e-7 when other rows stand beside a row; float32 of another batch is not.
ROUNDING = dict.fromkeys(
    ("check_methods_sample_order_invariance", "check_methods_subset_invariance"), "float32 rounds by the batch"
)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_published_run_gives_the_numbers_that_were_written_down_when_it_was_trained(name):
    run = lab.load_run(ZOO / name, experiment=EXPERIMENTS[name])
    lines = map(json.loads, (ZOO / name / "eval.jsonl").read_text().splitlines())
    *_, line = (each for each in lines if (each["evaluation"], each["step"]) == ("unseen_tasks", run.step))
    (found,) = run.evaluate("unseen_tasks", count=line["count"])
    for metric, estimate in found.metrics.items():
        written = line["metrics"][metric]["value"]
        assert estimate.value == pytest.approx(written, rel=0.02, abs=0.003), metric


def test_the_published_induction_circuit_finds_labels_that_it_never_saw_together():
    run = lab.load_run(ZOO / "induction", experiment=OMNIGLOT)
    for name in ("distractor_pairs", "distractor_held_out_pairs"):
        (found,) = run.evaluate(name, count=500)
        assert found.metrics["accuracy_in_context"].value > 0.95, name


def test_the_zoo_is_what_its_tool_publishes_and_small():
    published = {name for name, flagship in make_zoo.ZOO.items() if flagship.in_repository}
    assert {path.name for path in ZOO.iterdir()} == published == {*EXPERIMENTS, "induction"}
    assert sum(path.stat().st_size for path in ZOO.rglob("*")) < 2.5e6
    for name in published:
        texts = "".join(path.read_text() for path in (ZOO / name).glob("*.json*"))
        assert not re.search(r"(?<![\w<])/(root|home|Users|tmp|work)\b", texts), name  # of the machine that trained it


def test_a_classifier_of_the_zoo_learns_from_flowers_about_as_well_as_neighbours_do():
    X, y = load_iris(return_X_y=True)
    ours, theirs = (
        cross_val_score(each, X, y, cv=5).mean()
        for each in (lab.Learner.load(ZOO / "gpicl", votes=8), KNeighborsClassifier(3).fit(X, y))
    )
    assert ours > theirs - 0.12 and ours > 0.85  # of 15 examples at a time


def test_a_regressor_of_the_zoo_fits_a_line_about_as_well_as_least_squares_does():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 5)) * [1, 10, 0.1, 3, 1] + [0, 5, 1, 0, -2]
    slopes = np.array([3, 0.2, -10, 0.5, 1])
    y, asked = X @ slopes + 40, rng.normal(size=(50, 5)) * [1, 10, 0.1, 3, 1] + [0, 5, 1, 0, -2]
    truth = asked @ slopes + 40
    assert LinearRegression().fit(X, y).score(asked, truth) > 0.999
    assert lab.Learner.load(ZOO / "linear").fit(X, y).score(asked, truth) > 0.9


def test_a_table_is_predicted_from_the_command_line(tmp_path):
    flowers = load_iris()
    order = np.random.default_rng(0).permutation(150)
    for name, rows in (("train", order[:60]), ("new", order[60:])):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            cells = ([*flowers.data[row], flowers.target_names[flowers.target[row]]] for row in rows)
            csv.writer(file).writerows([[*flowers.feature_names, "species"], *cells])

    def predict(*words):
        command = [sys.executable, "-m", "icl_lab", "predict", str(ZOO / "gpicl"), "--train", "train.csv", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    done = predict("--ask", "new.csv", "--target", "species", "--to", "found.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "found.csv").open() as file:
        found = list(csv.DictReader(file))
    truth = [flowers.target_names[flowers.target[row]] for row in order[60:]]
    accuracy = np.mean([row["species"] == each for row, each in zip(found, truth, strict=True)])
    assert (
        accuracy > 0.75 and f"accuracy on the 90 rows of new.csv whose species is known: {accuracy:.3f}" in done.stderr
    )
    assert sum(float(found[0][f"p({name})"]) for name in flowers.target_names) == pytest.approx(1, abs=1e-3)
    refused = predict("--ask", "new.csv", "--target", "colour")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1) and "no column 'colour'" in refused.stderr


def test_the_guide_on_learners_prints_what_it_says(tmp_path):
    (tmp_path / "zoo").symlink_to(ZOO)
    snippets = script(ZOO.parent / "docs" / "learners.md")
    (tmp_path / "snippets.py").write_text(snippets)
    here = os.environ | {"PYTHONPATH": os.pathsep.join([str(ZOO.parent), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "snippets.py"], cwd=tmp_path, capture_output=True, text=True, env=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", snippets, re.M)


def test_what_is_published_is_the_run_without_what_is_of_one_machine(tmp_path):
    tiny = {"train.steps": 2, "optimizer.warmup_steps": 0, "eval.count": 8, "eval.final_count": 8, "report": False}
    config = lab.with_options(LINEAR.presets["laptop"], tiny | {"workdir": tmp_path / "run"})
    lab.execute(LINEAR, config, [config])
    make_zoo.publish(config.workdir, tmp_path / "zoo", steps=[2])
    kept, published = lab.load_run(config.workdir), lab.load_run(tmp_path / "zoo", experiment=LINEAR)
    assert jax.tree.all(jax.tree.map(np.array_equal, kept.params, published.params))
    assert published.record.keys() == kept.record.keys() - {"folder", "platform"}
    assert published.results.summary == kept.results.summary
    assert published.evaluate("seen_tasks", count=8)[0].metrics["squared_error"].value > 0
    for to, steps, said in ((config.workdir, [2], "apart from the run's"), (tmp_path / "zoo", [], "found none")):
        with pytest.raises(ValueError, match=said):
            make_zoo.publish(config.workdir, to, steps=steps)
    assert lab.load_run(config.workdir).step == lab.load_run(tmp_path / "zoo").step == 2


def test_the_zoo_is_made_by_one_command_which_trains_no_run_twice(tmp_path, monkeypatch, capsys):
    tiny = ("--train.steps", "4", "--optimizer.warmup-steps", "0", "--eval.count", "8", "--eval.final-count", "8")
    words = ("linear", "laptop", *tiny, "--eval.baseline-count", "0", "--no-report", "--train.checkpoint-every", "2")
    monkeypatch.setattr(make_zoo, "ZOO", {"all": make_zoo.Flagship(words, all_steps=True), "big": None})
    make_zoo.main(["all", "--runs", str(tmp_path / "runs"), "--to", str(tmp_path / "zoo")])
    assert lab.load_run(tmp_path / "zoo" / "all").checkpoints == (2, 4)
    monkeypatch.setattr(subprocess, "run", None)
    make_zoo.main(["all", "--runs", str(tmp_path / "runs"), "--to", str(tmp_path / "zoo")])
    assert "2 checkpoints" in capsys.readouterr().out


@pytest.fixture
def unchecked():
    """Switch jaxtyping's checks off: scikit-learn gives parameters of other types, and looks what becomes of them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_scikit_learns_own_checks_pass(name, unchecked):
    learner = lab.Learner.load(ZOO / name, votes=4)
    results = check_estimator(learner, expected_failed_checks={} if name == "gpicl" else ROUNDING, on_skip=None)
    assert len(results) > 45 and {each["status"] for each in results} <= {"passed", "xfail", "skipped"}
    assert sum(each["status"] == "passed" for each in results) >= len(results) - 3
