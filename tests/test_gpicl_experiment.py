"""experiments/gpicl.py and phases.py from end to end, at toy size, and what a user can get wrong."""

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import command_line
import experiment
import gpicl
import gpicl_run
import jax
import numpy as np
import phases
import phases_pictures
import phases_presets
import pytest
from gpicl_presets import PRESETS, DataConfig
from tiny_omniglot import read_lines, untimed

import icl_data as data

SCRIPT = Path(gpicl.__file__)
TINY = shlex.split(
    "--data.length 6 --data.batch-size 8 --model.width 16 --model.layers 1 --model.heads 2 --optimizer.warmup-steps 2 "
    "--train.steps 6 --train.log-every 2 --train.checkpoint-every 3 "
    "--eval.every 3 --eval.count 60 --eval.final-count 90 --eval.batch-size 30 --eval.baseline-count 10"
)


def parse(*words, presets=PRESETS):
    return command_line.parse([str(SCRIPT), *map(str, words)], presets, default="laptop")


def run(*words):
    gpicl.main(parse(*words))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("gpicl") / "finished"
    run("laptop", *TINY, "--workdir", folder)
    return folder


def test_a_run_leaves_its_evaluations_curves_verdict_and_report(finished):
    summary = json.loads((finished / "summary.json").read_text())
    evaluations = {
        "seen_tasks",
        "unseen_tasks",
        "seen_tasks_seen_images",
        "unseen_tasks_seen_images",
        "unseen_data_random",
    }
    assert summary["evaluations"].keys() == evaluations
    assert summary["verdict"]["verdict"] in ("memorises", "identifies the task", "learns to learn", "undecided")
    metrics = summary["evaluations"]["unseen_tasks"]
    assert {"accuracy_first", "accuracy_last", "improvement", "loss", "accuracy_last_1-NN"} <= metrics.keys()
    assert metrics["accuracy_last"]["count"] == 90 and metrics["accuracy_last_1-NN"]["count"] == 10
    assert {path.stem for path in (finished / "arrays").iterdir()} == {f"by_examples_{name}" for name in evaluations}
    steps = [(line["step"], line["evaluation"]) for line in read_lines(finished / "eval.jsonl")]
    assert steps.count((3, "unseen_tasks")) == 1 and (3, "unseen_data_random") not in steps
    page = (finished / "report.html").read_text()
    assert "By number of examples" in page and "What it has learnt" in page


def test_a_run_that_was_stopped_and_goes_on_is_the_run_that_was_not(tmp_path, finished):
    common = [*TINY, "--optimizer.schedule", "constant", "--mode", "train"]
    run("laptop", *common, "--train.steps", 4, "--workdir", tmp_path / "a")
    run(tmp_path / "a", "--resume", "--train.steps", 6, "--mode", "train")
    run("laptop", *common, "--workdir", tmp_path / "b")
    assert untimed(tmp_path / "a" / "metrics.jsonl") == untimed(tmp_path / "b" / "metrics.jsonl")
    assert untimed(tmp_path / "a" / "metrics.jsonl") != untimed(finished / "metrics.jsonl")


def test_an_evaluation_again_gives_the_same_numbers(finished):
    before = json.loads((finished / "summary.json").read_text())
    run(finished, "--mode", "eval")
    assert json.loads((finished / "summary.json").read_text()) == before


@pytest.mark.parametrize("trunk", ["mlp", "lstm"])
def test_other_trunks_train_and_are_judged(tmp_path, trunk):
    options = ["--model.trunk", trunk, "--train.steps", 3, "--eval.no-elsewhere"]
    run("laptop", *TINY, *options, "--workdir", tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "summary.json").read_text())["evaluations"]["unseen_tasks"]
    assert ("improvement" in metrics) == (trunk != "mlp")  # an MLP predicts the query alone


def test_seen_and_unseen_tasks_and_images_are_what_their_names_say():
    config = parse("laptop", "--data.num-tasks", 5)
    sets = gpicl_run.make_sets(config.data)
    samplers = gpicl_run.GpiclRun(config, sets, None).samplers(config)
    batches = {name: sampler.sample(np.arange(40)) for name, sampler in samplers.items()}
    for name, batch in batches.items():
        seen = set(batch["task"]) <= set(range(5))
        assert seen == (name == "train" or name.startswith("seen_tasks")), name
        assert seen or batch["task"].min() >= data.UNSEEN
    first, second = sets["digits"]
    for name, sampler in samplers.items():
        if "random" not in name:
            assert sampler.bank is (first if name == "train" or name.endswith("seen_images") else second), name
    assert set(map(tuple, first.every_item())).isdisjoint(map(tuple, second.every_item()))
    fresh = gpicl_run.GpiclRun(parse("laptop"), sets, None).samplers(parse("laptop"))
    assert np.array_equal(fresh["train"].sample(np.arange(9))["task"], np.arange(9))
    assert fresh["seen_tasks"].sample(np.arange(500))["task"].max() < 100 * 64  # before the first evaluation


def test_sets_of_other_images_are_brought_to_the_same_size(tmp_path):
    for name, values in (
        ("images", np.random.default_rng(0).integers(0, 256, (60, 28, 28))),
        ("labels", np.arange(60) % 10),
    ):
        header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
        (tmp_path / name).write_bytes(header + values.astype(np.uint8).tobytes())
    also = DataConfig(also_idx=(tmp_path / "images", tmp_path / "labels"))
    sets = gpicl_run.make_sets(also)
    assert list(sets) == ["digits", f"{tmp_path.name.replace('[', '_')}_images", "random"]
    with pytest.raises(ValueError, match="names of their own"):
        gpicl_run.make_sets(DataConfig(also_idx=also.also_idx * 2))
    assert {bank.items.shape[1] for pair in sets.values() for bank in pair} == {8}
    trained = DataConfig(source="idx", images=tmp_path / "images", labels=tmp_path / "labels", components=None)
    assert gpicl_run.make_sets(trained)["idx"][0].items.shape[1] == 28 * 28
    assert gpicl_run.make_sets(DataConfig(source="glyphs", side=14, components=20))["glyphs"][0].items.shape[1] == 20


def test_the_papers_preset_has_the_papers_numbers():
    paper = PRESETS["paper"]
    assert (paper.data.length, paper.data.batch_size, paper.data.components, paper.data.ways) == (100, 512, None, None)
    model = gpicl_run.model_config(paper.model, 10)
    assert (model.width, model.trunk.layers, model.trunk.heads, model.trunk.key_size) == (256, 4, 8, 32)
    params, _ = jax.eval_shape(
        model.build().init, jax.random.key(0), np.zeros((1, 100, 784), np.float32), np.zeros((1, 100), np.int32)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) > 3_000_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.source", "idx"], "two files"),
        (["--data.images", "x"], "data.images is for idx"),
        (["--data.glyphs", "3"], "data.glyphs is for glyphs"),
        (["--data.also-idx", "x"], "labels file"),
        (["--model.trunk", "lstm", "--model.key-size", "4"], "model.key_size is for"),
        (["--eval.count", "0"], "at least 1"),
        (["--train.ensemble.members", "2", "--start-from", "x"], "no start_from"),
        (["--data.source", "tfds", "--data.tfds-dir", "nowhere"], "No set 'mnist'"),
        (["--data.ways", "11"], "at most the bank's 10 classes"),
        (["--data.components", "65"], "64 numbers"),
        (["--data.num-tasks", "0"], "count"),
    ],
)
def test_mistakes_end_with_one_line(tmp_path, capsys, words, message):
    with pytest.raises(SystemExit):
        run("laptop", *TINY, *words, "--workdir", tmp_path / "run")
    error = capsys.readouterr().err
    assert message in " ".join(error.split()) and "Traceback" not in error
    assert not (tmp_path / "run").exists()


def fingerprint(config):
    """Give what a configuration makes: first sequences of training and of an evaluation, and the model's program."""
    run_of = gpicl_run.GpiclRun(config, gpicl_run.make_sets(config.data), None)
    samplers = run_of.samplers(config)
    batches = [next(iter(run_of.streams["train"])), samplers["seen_tasks"].sample(np.arange(4))]
    arrays = [values.tobytes() for batch in batches for values in batch.values()]
    init = jax.make_jaxpr(run_of.init)(jax.random.key(0))
    params, state = jax.eval_shape(run_of.init, jax.random.key(0))
    return arrays, str(init), str(jax.make_jaxpr(run_of.loss_fn)(params, state, jax.random.key(0), batches[0]))


CHANGES = {
    "data": {
        "source": "glyphs", "side": 4, "components": 3, "test_share": 0.5, "num_tasks": 3, "ways": 2, "length": 5,
        "identity": 1.0, "batch_size": 16,
    },
    "model": {
        "trunk": "lstm", "width": 32, "layers": 2, "heads": 4, "key_size": 5, "positions": "none",
        "compute_dtype": "bfloat16",
    },
}  # fmt: skip
ELSEWHERE = {"images", "labels", "tfds", "glyphs", "tfds_dir", "also_tfds", "also_idx"}  # in other tests, or TFDS's


@pytest.mark.parametrize(("part", "field"), [(part, field) for part, fields in CHANGES.items() for field in fields])
def test_every_option_changes_something(part, field):
    config = parse("laptop", *TINY)
    before = getattr(config, part)
    changed = dataclasses.replace(config, **{part: dataclasses.replace(before, **{field: CHANGES[part][field]})})
    assert fingerprint(changed) != fingerprint(config)
    names = {name.name for name in dataclasses.fields(before)}
    assert names == CHANGES[part].keys() | (ELSEWHERE if part == "data" else set())


GRID = ["--eval.no-elsewhere", "--grid.num-tasks", "2", "8", "--grid.seeds", "1", "--grid.width", "8"]


def sweep(*words):
    phases.main(parse("laptop", *TINY, *words, presets=phases_presets.PRESETS))


@pytest.fixture(scope="module")
def swept(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("phases") / "sweep"
    sweep(*GRID, "--train.steps", 3, "--workdir", folder)
    return folder


def test_a_grid_leaves_its_pictures_and_every_run(swept):
    assert {path.stem for path in (swept / "figures").iterdir()} == {"heat_map", "phase_curve", "sizes"}
    points = json.loads((swept / "points.json").read_text())
    assert sorted((point["num_tasks"], point["seed"]) for point in points) == [(2, 0), (8, 0)]
    assert "<svg" not in (swept / "report.html").read_text()  # pictures are embedded as data
    assert (swept / "report.html").read_text().count("<figure") == 3
    for folder in swept.glob("groups/*/member-*"):
        assert {"summary.json", "report.html", "config.json", "metrics.jsonl"} <= {
            path.name for path in folder.iterdir()
        }


def test_a_finished_group_is_never_run_again_and_others_are_added(tmp_path, swept, monkeypatch, capsys):
    folder = shutil.copytree(swept, tmp_path / "sweep")  # others rely on the runs that are there
    done = []
    execute = experiment.execute

    def noted(config, members, make):
        done.append(config.model.width)
        execute(config, members, make)

    monkeypatch.setattr(experiment, "execute", noted)
    sweep(*GRID, "--train.steps", 3, "--workdir", folder)
    assert done == [] and "1 of 1 groups are finished" in capsys.readouterr().out
    sweep(*GRID, "12", "--train.steps", 3, "--workdir", folder)
    assert done == [12]
    points = phases_pictures.read_points(folder)
    assert {(point.num_tasks, point.config.model.width) for point in points} == {(2, 8), (8, 8), (2, 12), (8, 12)}
    sweep(*GRID, "--grid.num-tasks", "8", "32", "--train.steps", 3, "--workdir", folder)
    assert done == [12, 8]  # other members are another group; the two runs that are there twice count once
    assert len(phases_pictures.read_points(folder)) == 5
    with pytest.raises(SystemExit):
        sweep(*GRID, "--train.steps", 4, "--optimizer.b2", 0.9, "--workdir", folder)
    error = capsys.readouterr().err
    assert "train.steps 3 and not 4" in error and "optimizer.b2" in error and done == [12, 8]


def test_a_setting_that_all_members_share_is_that_of_their_training(tmp_path, swept):
    sweep(*GRID, "--grid.eps", 0.1, "--train.steps", 3, "--workdir", tmp_path)
    (mine,), (other,) = (
        list(folder.glob("groups/*-width-8-*/member-000/metrics.jsonl"))[:1] for folder in (tmp_path, swept)
    )
    assert untimed(mine) != untimed(other)


def test_a_group_that_cannot_be_is_found_before_any_is_trained(tmp_path, capsys):
    with pytest.raises(SystemExit):
        sweep(*GRID, "9", "--train.steps", 3, "--workdir", tmp_path)
    assert "multiple of heads" in capsys.readouterr().err and not (tmp_path / "groups").exists()
    with pytest.raises(SystemExit):
        sweep(*GRID, "--mode", "train", "--workdir", tmp_path)


def test_a_group_that_was_stopped_goes_on(tmp_path, swept):
    sweep(*GRID, "--train.steps", 3, "--workdir", tmp_path)
    (group,) = (tmp_path / "groups").iterdir()
    for member in group.glob("member-*"):
        (member / "summary.json").unlink()
    sweep(*GRID, "--train.steps", 3, "--workdir", tmp_path)
    found, wanted = (json.loads((folder / "points.json").read_text()) for folder in (tmp_path, swept))
    assert len(found) == 2 and all(point in wanted for point in found)


def test_a_grid_is_all_combinations_and_groups_share_shapes():
    words = "--grid.num-tasks 4 16 --grid.eps 1e-8 1e-5 --grid.identity 0 0.5 --grid.seeds 3 --grid.trunk lstm mlp"
    config = parse(
        "laptop", *shlex.split(words), "--grid.width", 8, "--grid.batch-size", 4, 8, presets=phases_presets.PRESETS
    )
    groups = config.groups()
    assert len(groups) == 4 and all(len(group.members) == 24 for group in groups)
    for group in groups:
        shapes = {(each.model, each.data.batch_size, each.data.length) for each in group.members}
        assert len(shapes) == 1
        assert group.config.train.ensemble.members == 24
    settings = {
        (
            each.data.num_tasks,
            each.optimizer.eps,
            each.data.identity,
            each.train.seed,
            each.model.trunk,
            each.data.batch_size,
        )
        for group in groups
        for each in group.members
    }
    assert len(settings) == 96
    for mistake in (["--grid.num-tasks", "4", "4"], ["--grid.seeds", "0"], ["--data.num-tasks", "3"]):
        with pytest.raises(SystemExit):
            parse("laptop", *mistake, presets=phases_presets.PRESETS)
