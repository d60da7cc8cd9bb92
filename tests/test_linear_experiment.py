"""Linear regression in context: a run from end to end, and least squares as the measure of it."""

import json

import numpy as np
import pytest

import icl_data as data
from experiments.linear.run import PRESETS, make_samplers
from tests.tiny import LINE, summary_of


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear") / "finished"
    LINE.tiny("--report", "--workdir", folder)
    return folder


def test_a_run_is_told_beside_least_squares_and_nowhere_called_what_it_is_not(finished):
    evaluations = summary_of(finished)["evaluations"]
    assert evaluations.keys() == {"seen_tasks", "unseen_tasks"}
    # Six points of two dimensions without noise: least squares is exact (closed form).
    assert evaluations["unseen_tasks"]["squared_error_least squares"]["value"] < 1e-8
    assert evaluations["unseen_tasks"]["squared_error"]["value"] > 0.1
    page = (finished / "report.html").read_text()
    assert "linear functions that were not trained on" in page and "families of functions" not in page
    assert json.loads((finished / "config.json").read_text())["experiment"] == "linear"


def test_the_tasks_are_the_papers():
    """Garg et al. (2022), section 3: x and w are N(0, I), y = w x; E y^2 is the number of dimensions."""
    samplers = make_samplers(PRESETS["garg"])
    batch = samplers["train"].sample(np.arange(400))
    assert batch["inputs"].shape == (400, 41, 20) and (batch["is_query"].sum(axis=1) == 1).all()
    np.testing.assert_allclose(batch["inputs"].var(), 1, rtol=0.02)
    np.testing.assert_allclose((batch["targets"] ** 2).mean(), 20, rtol=0.1)
    weights, *_ = np.linalg.lstsq(batch["inputs"][0].astype(np.float64), batch["targets"][0].astype(np.float64))
    np.testing.assert_allclose(batch["inputs"][0] @ weights, batch["targets"][0], atol=1e-3)
    assert samplers["unseen_tasks"].sample(np.arange(9))["task"].min() >= data.UNSEEN
