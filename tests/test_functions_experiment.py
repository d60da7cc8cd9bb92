"""experiments/functions.py from end to end, at toy size, and what a user can get wrong."""

import dataclasses
import json
import shlex
from pathlib import Path

import command_line
import functions
import functions_run
import jax
import numpy as np
import pytest
from functions_presets import NAMED_TASKS, PRESETS, TRANSFER, DataConfig
from tiny_omniglot import read_lines, untimed

import icl_data as data

SCRIPT = Path(functions.__file__)
TINY = shlex.split(
    "--data.points 10 --data.queries 4 --data.batch-size 8 --data.hidden 4 --data.transfer sine step "
    "--model.width 16 --model.layers 1 --model.heads 2 --optimizer.warmup-steps 2 "
    "--train.steps 6 --train.log-every 2 --train.checkpoint-every 3 "
    "--eval.every 3 --eval.count 20 --eval.final-count 30 --eval.batch-size 10 --eval.baseline-count 10"
)


WITHOUT_HIDDEN = shlex.split(shlex.join(TINY).replace("--data.hidden 4 ", ""))


def parse(*words):
    return command_line.parse([str(SCRIPT), *map(str, words)], PRESETS, default="laptop")


def run(*words):
    functions.main(parse(*words))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("functions") / "finished"
    run("laptop", *TINY, "--workdir", folder)
    return folder


def test_a_run_leaves_its_transfer_table_fits_and_report(finished):
    summary = json.loads((finished / "summary.json").read_text())
    names = {"seen_tasks", "unseen_tasks", "transfer_sine", "transfer_step"}
    assert summary["evaluations"].keys() == names and "verdict" in summary
    metrics = summary["evaluations"]["transfer_sine"]
    baselines = {"3-NN", "constant", "averaging", "ridge", "decision tree", "trained MLP", "Gaussian process", "Lasso"}
    assert {f"squared_error_{name}" for name in baselines} | {"squared_error", "normalised_error"} <= metrics.keys()
    wanted = {f"{kind}_{name}" for kind in ("by_examples", "fits") for name in names}
    assert {path.stem for path in (finished / "arrays").iterdir()} == wanted
    assert [line["evaluation"] for line in read_lines(finished / "eval.jsonl")].count("transfer_sine") == 1
    page = (finished / "report.html").read_text()
    assert all(heading in page for heading in ("Transfer", "Fitted functions", "By number of examples"))


def test_the_fits_that_are_drawn_are_of_the_functions_themselves(finished):
    with np.load(finished / "arrays" / "fits_transfer_sine.npz") as fits:
        # A sine through context and truth alike: they were standardised together.
        for inputs, targets, x, truth in zip(
            fits["context_inputs"], fits["context_targets"], fits["inputs"], fits["truth"], strict=True
        ):
            assert np.abs(np.interp(inputs, x, truth) - targets).max() < 0.05
            assert abs(targets.mean()) < 1e-4 and abs(targets.std() - 1) < 1e-3


def test_a_run_that_was_stopped_and_goes_on_is_the_run_that_was_not(tmp_path):
    common = [*TINY, "--optimizer.schedule", "constant", "--data.fraction", 0.2, 0.8, "--mode", "train"]
    run("laptop", *common, "--train.steps", 4, "--workdir", tmp_path / "a")
    run(tmp_path / "a", "--resume", "--train.steps", 6, "--mode", "train")
    run("laptop", *common, "--workdir", tmp_path / "b")
    assert untimed(tmp_path / "a" / "metrics.jsonl") == untimed(tmp_path / "b" / "metrics.jsonl")


def test_several_inputs_and_no_baselines_train_from_end_to_end(tmp_path):
    run(
        "laptop", *WITHOUT_HIDDEN, "--data.tasks", "sigmoid_15", "--data.inputs", "normal", "--data.noise", 0.1,
        "--eval.baseline-count", 0, "--train.steps", 3, "--workdir", tmp_path / "run",
    )  # fmt: skip
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert not any("3-NN" in name for name in summary["evaluations"]["transfer_sine"])
    assert not list((tmp_path / "run" / "arrays").glob("fits_*"))


def test_known_families_are_not_among_those_trained_on():
    samplers = functions_run.make_samplers(PRESETS["laptop"])
    assert isinstance(samplers["train"].family, data.RandomMLP)
    known = [sampler.family for name, sampler in samplers.items() if name.startswith("transfer_")]
    assert len(known) == 12 and not any(isinstance(family, data.RandomMLP) for family in known)
    assert samplers["unseen_tasks"].sample(np.arange(9))["task"].min() >= data.UNSEEN


def test_the_notebook_has_its_own_setting():
    config = PRESETS["notebook"]
    samplers = functions_run.make_samplers(config)
    family = samplers["train"].family
    assert (family.hidden, family.activations) == ((16, 16, 16), ("tanh", "swish", "relu"))
    specs = data.draw_functions(family, seed=0, numbers=np.arange(3)).specs
    assert (specs["weight_scale"] == 1).all() and (specs["bias_scale"] == 1).all() and not family.divide_by_fan_in
    batch = samplers["train"].sample(np.arange(2_000))
    assert batch["inputs"].shape == (2_000, 500, 1) and (batch["is_query"].sum(axis=1) == 16).all()
    assert set(batch["task"]) <= set(range(400)) and len(set(batch["task"])) > 390
    model = functions_run.make_model(config.model, 1)
    arrays = (batch["inputs"][:1], batch["targets"][:1], batch["is_query"][:1])
    params, _ = jax.eval_shape(model.init, jax.random.key(0), *arrays)
    shapes = {name: value["w"].shape for name, value in params.items() if "query" in name}
    assert list(shapes.values()) == [(8, 16, 16)] and config.model.repeats == 3 and config.model.heads == 2
    assert set(config.data.transfer) == {"sine", "line"} and TRANSFER["line"].slopes == (0.1, 0.5)
    counts = {name: (family.num_inputs, family.num_parameters) for name, family in NAMED_TASKS.items()}
    assert counts == {
        "notebook": (1, 593),
        "sigmoid_15": (15, 16),
        "relu_15_5_10_4_1": (15, 80 + 60 + 44 + 5),
        "relu_15_20_1": (15, 320 + 21),
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data.tasks", "notebook", "--data.activation", "relu"], "data.activation is for data.tasks mlp"),
        (["--data.transfer", "sinus"], "got sinus"),
        (["--data.queries", "10"], "left to learn from"),
        (["--data.weight-scale", "3", "1"], "weight_scale"),
        (["--data.fraction", "0.9", "0.1"], "low <= high"),
        (["--model.heads", "3"], "multiple of heads"),
        (["--eval.every", "0"], "at least 1"),
    ],
)
def test_mistakes_end_with_one_line(tmp_path, capsys, words, message):
    with pytest.raises(SystemExit):
        run("laptop", *WITHOUT_HIDDEN, *words, "--workdir", tmp_path)
    error = capsys.readouterr().err
    assert message in " ".join(error.split()) and "Traceback" not in error
    assert not list(tmp_path.iterdir())


def fingerprint(config):
    """Give what a configuration makes: first tasks of training and of an evaluation, and the model's program."""
    run_of = functions_run.FunctionsRun(config, None)
    samplers = functions_run.make_samplers(config)
    batches = [next(iter(run_of.streams["train"])), *(samplers[name].sample(np.arange(4)) for name in samplers)]
    arrays = [values.tobytes() for batch in batches for values in batch.values()]
    params, state = jax.eval_shape(run_of.init, jax.random.key(0))
    program = jax.make_jaxpr(run_of.loss_fn)(params, state, jax.random.key(0), batches[0])
    return arrays, list(samplers), str(params), str(program)


CHANGES = {
    "data": {
        "tasks": "sigmoid_15", "num_inputs": 2, "hidden": (3,), "activation": "mixed", "weight_scale": (2.0, 2.0),
        "bias_scale": (2.0, 2.0), "inputs": "normal", "noise": 0.1, "standardise": False, "num_tasks": 2, "points": 11,
        "queries": 3, "fraction": (0.2, 0.8), "places": "random", "transfer": ("sine",), "batch_size": 16,
    },
    "model": {"width": 32, "layers": 2, "heads": 4, "repeats": 2, "compute_dtype": "bfloat16"},
}  # fmt: skip


@pytest.mark.parametrize(("part", "field"), [(part, field) for part, fields in CHANGES.items() for field in fields])
def test_every_option_changes_something(part, field):
    config = parse("laptop", *(WITHOUT_HIDDEN if field == "tasks" else TINY))
    before = getattr(config, part)
    changed = dataclasses.replace(config, **{part: dataclasses.replace(before, **{field: CHANGES[part][field]})})
    assert fingerprint(changed) != fingerprint(config)
    assert {name.name for name in dataclasses.fields(before)} == CHANGES[part].keys()


def test_by_default_all_known_families_that_fit_are_tested_on():
    names = functions_run.transfer_families(DataConfig()).keys()
    assert len(names) == 12 and "sparse_linear" not in names
    assert "sparse_linear" in functions_run.transfer_families(DataConfig(num_inputs=3))
