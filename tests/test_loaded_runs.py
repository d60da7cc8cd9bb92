"""Runs from their folders: what was saved is what is asked, and data and evaluations are those of the experiment."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

import icl_data
import icl_lab as lab
import icl_models as models
from icl_train import ModelCheckpoint, RunError, restore_model
from tools.outside_experiment import SINES

pytestmark = pytest.mark.lengthy

TINY = lab.with_options(SINES.presets["tiny"], {"train.checkpoint_every": 20, "report": False})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    to = tmp_path_factory.mktemp("runs") / "sines"
    config = dataclasses.replace(TINY, workdir=to)
    lab.execute(SINES, config, [config])
    return to


@pytest.fixture(scope="module")
def run(folder):
    return lab.load_run(folder, experiment=SINES)


def test_a_run_predicts_what_haiku_makes_of_the_restored_parameters(folder, run):
    batch = run.sampler("unseen_tasks").sample(np.arange(3))
    model = models.PointRegressor(num_outputs=1, trunk=models.Transformer(mask="prefix", layers=1, heads=2), width=16)
    arguments = [batch[name] for name in ("inputs", "targets", "is_query")]
    _, params_of = model.build().init, restore_model(folder, init=lambda rng: model.build().init(rng, *arguments))
    expected, _ = model.build().apply(params_of.params, params_of.model_state, None, *arguments)
    np.testing.assert_allclose(run.predict(batch), expected, atol=1e-6)
    assert run.model == model and run.step == 40 and run.checkpoints == (20, 40)
    assert run.config["width"] == 16 and run.results.name == "sines"


def test_another_checkpoint_has_other_parameters_and_an_unknown_one_is_refused(folder, run):
    earlier = run.at(20)
    differ = jax.tree.map(lambda one, other: bool((one != other).any()), earlier.params, run.params)
    assert earlier.step == 20 and any(jax.tree.leaves(differ))
    with pytest.raises(FileNotFoundError, match=r"the checkpoint of step 30 in .*, found those of steps \[20, 40\]"):
        lab.load_run(folder, step=30)


def test_an_evaluation_anew_gives_what_the_run_wrote_down(folder, run):
    (result,) = run.evaluate("unseen_tasks", count=64)
    written = json.loads((folder / "summary.json").read_text())["evaluations"]["unseen_tasks"]
    assert result.metrics["squared_error"].value == pytest.approx(written["squared_error"]["value"], rel=1e-4)
    assert [each.evaluation for each in run.evaluate(count=8)] == ["seen_tasks", "unseen_tasks"]
    before = (folder / "eval.jsonl").read_bytes()
    run.evaluate("seen_tasks", count=8)
    assert (folder / "eval.jsonl").read_bytes() == before


def test_a_run_and_its_batches_are_shown_in_a_notebook(run):
    assert "Unseen sines" in run._repr_html_()
    batch = run.sampler().sample(np.arange(3))
    assert run.show(batch, count=2)._repr_html_() == icl_data.show(batch, count=2)._repr_html_()


def test_inner_values_can_be_captured_and_replaced(run):
    batch = run.sampler().sample(np.arange(2))
    predictions, values = run.instrument(batch, capture=["block_0/attention"])
    assert values["block_0/attention"].shape == (2, 2, 12, 12)
    np.testing.assert_allclose(predictions, run.predict(batch), atol=1e-6)
    ablated, _ = run.instrument(batch, replace={"block_0/heads": lambda heads: heads * 0})
    assert not np.allclose(ablated, predictions)


def test_what_needs_the_experiment_says_so_in_one_line(folder):
    alone = lab.load_run(folder)
    with pytest.raises(
        ValueError, match=r"The experiment sines is not installed.*load_run\(folder, experiment="
    ) as found:
        alone.sampler()
    assert "\n" not in str(found.value)
    with pytest.raises(ValueError, match="no stream 'nowhere'; there are train, seen_tasks, unseen_tasks"):
        lab.load_run(folder, experiment=SINES).sampler("nowhere")
    with pytest.raises(ValueError, match="no evaluation 'nothing'"):
        lab.load_run(folder, experiment=SINES).evaluate("nothing")


def test_an_installed_experiment_is_found_by_its_name(folder, monkeypatch):
    class Found:
        name = "sines"

        def load(self):
            return SINES

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Found()] * (group == "icl_lab.experiments"))
    assert lab.load_run(folder).sampler().sample(np.arange(1))["inputs"].shape == (1, 12, 1)


def test_published_weights_stand_in_for_checkpoints(folder, run, tmp_path):
    copy = tmp_path / "sines"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("checkpoints"))
    path = lab.write_weights(copy, run.checkpoint)
    published = lab.load_run(copy)
    batch = run.sampler().sample(np.arange(2))
    np.testing.assert_array_equal(published.predict(batch), run.predict(batch))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="is not what was published: its hash is"):
        lab.load_run(copy)


def test_weights_are_written_as_they_are_and_nothing_else_is(tmp_path):
    state = {"norm": {"mean": np.arange(3.0)}}
    checkpoint = ModelCheckpoint(
        7, {"a/b": {"w": np.ones((2, 2), np.float32)}}, state, {"a/b": {"w": np.zeros((2, 2))}}
    )
    lab.write_weights(tmp_path, checkpoint)
    read = lab.read_weights(tmp_path, 7)
    np.testing.assert_array_equal(read.params["a/b"]["w"], np.zeros((2, 2)))  # the average, which is what is asked
    np.testing.assert_array_equal(read.model_state["norm"]["mean"], state["norm"]["mean"])
    assert lab.weight_steps(tmp_path) == [7]
    with pytest.raises(ValueError, match="modules of arrays, as Haiku has them, got ndarray at 'w'"):
        lab.write_weights(tmp_path, ModelCheckpoint(8, {"w": np.ones(2)}, {}))
    with pytest.raises(FileNotFoundError, match=r"weights of step 8 in .*, found steps \[7\]"):
        lab.read_weights(tmp_path, 8)


def test_a_member_of_an_ensemble_is_a_run_of_its_own(tmp_path):
    config = lab.with_options(TINY, {"train.ensemble.members": 2, "workdir": tmp_path / "two", "train.steps": 20})
    lab.execute(SINES, config, lab.ensemble_members(config))
    one, other = (lab.load_run(tmp_path / "two" / f"member-{number:03}", experiment=SINES) for number in range(2))
    batch = one.sampler().sample(np.arange(2))
    assert not np.allclose(one.predict(batch), other.predict(batch))
    assert one.evaluate("unseen_tasks", count=8)[0].metrics["squared_error"].value > 0
    with pytest.raises(ValueError, match="is an ensemble; give the folder of a member"):
        lab.load_run(tmp_path / "two")


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"generation": 1}, "trained on tasks of generation 1"), ({"data": {"items": "0123"}}, "0123")],
)
def test_a_run_on_other_data_is_not_evaluated(folder, tmp_path, changes, message):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    record = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(record | changes))
    with pytest.raises(ValueError, match=message):
        lab.load_run(copy, experiment=SINES).evaluate(count=8)


def test_options_of_data_can_be_others_than_the_runs(folder):
    noisy = lab.load_run(folder, experiment=SINES, options={"data.noise": 3.0})
    (clean,), (found,) = (each.evaluate("unseen_tasks", count=64) for each in (noisy.at(40), noisy))
    assert clean.metrics["squared_error"].value == found.metrics["squared_error"].value
    (without,) = lab.load_run(folder, experiment=SINES).evaluate("unseen_tasks", count=64)
    assert found.metrics["squared_error"].value > without.metrics["squared_error"].value + 4


def test_a_damaged_latest_checkpoint_is_passed_over_by_both_doors(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for file in (copy / "checkpoints" / "40").rglob("*"):
        if file.is_file() and file.stat().st_size > 100:
            file.write_bytes(b"x")
    assert lab.load_run(copy).step == 20
    with pytest.raises(RunError, match="damaged"):
        lab.load_run(copy, step=40)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, FileNotFoundError, "has no config.json"),
        ("{", ValueError, "cannot be read"),
        ("[]", ValueError, "does not describe a run"),
        ('{"config": {}}', ValueError, "no record of a model"),
        ('{"config": {}, "model": {"type": "os.system"}}', ValueError, '"type" must be one of'),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path, content, error, message):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(error, match=message):
        lab.load_run(tmp_path)
