"""The driver with a toy: every mode, ensembles, resuming, following; what is in a folder, and what is never touched."""

import dataclasses
import functools
import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

import icl_eval as evaluation
import icl_lab as lab
import icl_train as training
from icl_lab import driver
from icl_lab.model import Compiled, Model


def test_a_run_folder_says_what_it_is(finished, read):
    record = read(finished / "config.json")
    assert record["experiment"] == "toy" and record["seed"] == 0
    assert [headline["name"] for headline in record["headlines"]] == ["unseen"]
    assert record["learner"] == {"seen": "seen_tasks", "unseen": "unseen_tasks"}
    lines = read(finished / "eval.jsonl")
    assert [(line["step"], line["evaluation"], line["count"]) for line in lines] == [
        (3, "seen_tasks", 8), (3, "unseen_tasks", 8), (6, "seen_tasks", 12), (6, "unseen_tasks", 12),
    ]  # fmt: skip
    summary = read(finished / "summary.json")
    assert summary["headlines"] == ["unseen"] and summary["seed"] == 0
    assert summary["unseen"] == summary["evaluations"]["unseen_tasks"]["squared_error"]
    assert summary["learner"]["kind"] and summary["train"]["steps"] == 6
    assert not (finished / "report.html").exists()


def test_a_summary_is_a_function_of_the_folder(finished, tmp_path, run, read):
    folder = shutil.copytree(finished, tmp_path / "run")
    before = read(folder / "summary.json")
    run(folder, "--mode", "train", "--resume", "--no-report")  # it is finished: nothing is trained
    assert read(folder / "summary.json") == before
    (folder / "summary.json").unlink()
    evaluation.write_summary(folder)
    assert read(folder / "summary.json") == before


def test_a_run_that_was_stopped_and_goes_on_is_the_run_that_was_not(finished, tmp_path, run, read):
    run("toy", "--train.steps", 3, "--no-report", "--workdir", tmp_path / "run")
    run(tmp_path / "run", "--resume", "--train.steps", 6, "--no-report")
    for name in ("metrics.jsonl", "eval.jsonl"):
        assert read(tmp_path / "run" / name)[-2:] == read(finished / name)[-2:]


def test_a_second_trainer_is_refused_before_it_drops_an_evaluation_and_to_evaluate_stays_possible(
    finished, tmp_path, run, read, capsys
):
    folder = shutil.copytree(finished, tmp_path / "run")
    before = read(folder / "eval.jsonl")
    hold = (
        "import filelock, sys; lock = filelock.SoftFileLease(sys.argv[1], lease_duration=30.0); lock.acquire(); "
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(folder / "trainer.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SystemExit, match="2"):
            run(folder, "--resume", "--train.steps", 9, "--no-report")
        assert f"held by process {other.pid} on " in capsys.readouterr().err
        assert read(folder / "eval.jsonl") == before
        run(folder, "--mode", "eval", "--no-report")
        other.kill()
    run(folder, "--resume", "--train.steps", 9, "--no-report")
    assert read(folder / "metrics.jsonl")[-1]["step"] == 9


@pytest.mark.lengthy
def test_members_are_the_runs_they_would_be_alone(tmp_path, run, read):
    vary = ["--vary.learning-rate", 0.1, 0.05, "--data.num-tasks", 5]
    run("toy", "--train.ensemble.members", 2, *vary, "--no-report", "--workdir", tmp_path / "all")
    alone = ["--train.seed", 1, "--optimizer.learning-rate", 0.05, "--data.num-tasks", 5]
    run("toy", *alone, "--no-report", "--workdir", tmp_path / "alone")
    member = tmp_path / "all" / "member-001"
    assert read(member / "config.json")["config"] == read(tmp_path / "alone" / "config.json")["config"]
    assert read(member / "config.json")["seed"] == 1
    for mine, other in zip(read(member / "metrics.jsonl"), read(tmp_path / "alone" / "metrics.jsonl"), strict=True):
        assert mine == pytest.approx(other, rel=1e-4)
    assert len(read(member / "eval.jsonl")) == 4


def test_a_member_that_fails_says_so_in_its_folder_and_does_not_stop_the_others(tmp_path, run, read):
    run("toy", "--train.ensemble.members", 2, "--vary.learning-rate", 0.1, 1e30, "--no-report", "--workdir", tmp_path)
    good, failed = (read(tmp_path / f"member-00{number}" / "summary.json") for number in (0, 1))
    assert good["train"]["steps"] == 6 and "failed_at" not in good["train"]
    assert failed["train"]["failed_at"] == failed["train"]["steps"] + 1 <= 6
    steps = [line["step"] for line in read(tmp_path / "member-001" / "eval.jsonl")]
    assert set(steps) == {failed["train"]["steps"]}  # the last good state, as the trained model


def test_data_are_shown_without_a_run(tmp_path, run, capsys):
    run("toy", "--mode", "inspect", "--workdir", tmp_path / "run")
    said = capsys.readouterr().out
    assert all(f"== {name}" in said for name in ("train", "seen_tasks", "unseen_tasks")) and "[8, 5, 1]" in said
    assert not (tmp_path / "run").exists()


def test_the_average_of_the_parameters_is_what_is_evaluated(finished, tmp_path, run, read):
    run("toy", "--train.ema-decay", 0.999, "--no-report", "--workdir", tmp_path / "run")
    assert read(tmp_path / "run" / "metrics.jsonl") == read(finished / "metrics.jsonl")
    assert read(tmp_path / "run" / "eval.jsonl") != read(finished / "eval.jsonl")


def test_a_follower_evaluates_each_checkpoint_once_while_the_run_goes_on(finished, tmp_path, run, read, monkeypatch):
    folder = tmp_path / "run"
    keep = ["--train.keep-checkpoints", 9, "--no-report"]
    run("toy", "--mode", "train", "--train.steps", 3, *keep, "--workdir", folder)

    def watch(workdir, **options):  # whose waiting icl-train tests; while it waits, the other process goes on
        yield 3
        if training.latest_step(workdir) < 6:
            run(workdir, "--resume", "--mode", "train", "--train.steps", 6, *keep)
        yield 6

    monkeypatch.setattr(training, "watch", watch)
    monkeypatch.setattr(training, "is_last_checkpoint", lambda workdir, step: step == 6)
    run(folder, "--mode", "follow", "--no-report")
    assert read(folder / "eval.jsonl") == read(finished / "eval.jsonl")
    before = (folder / "eval.jsonl").read_bytes()
    run(folder, "--mode", "follow", "--no-report")  # as after a restart: nothing is left to do
    assert (folder / "eval.jsonl").read_bytes() == before


def test_what_cannot_be_built_or_resumed_is_one_line_and_touches_nothing(finished, tmp_path, run, capsys):
    folder = shutil.copytree(finished, tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words, message in (
        (["toy", "--width", 0, "--workdir", tmp_path / "other"], "width must be at least 1"),
        (["toy", "--workdir", folder], "wanted a new workdir"),
        ([folder, "--resume", "--train.steps", 3], "has 6 steps, but 3 were asked for"),
        ([folder, "--mode", "eval", "--step", 4], "which has those of steps 3, 6"),
        ([folder, "--step", 3, "--resume"], "--step 3 is for --mode eval"),
        (["toy", "--workdir", tmp_path / "nowhere", "--mode", "follow"], "a run that has begun"),
        (["toy", "--workdir", tmp_path / "nowhere", "--mode", "eval"], "a run with a checkpoint"),
    ):
        with pytest.raises(SystemExit) as caught:
            run(*words)
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("error: ") and message in line
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_all_runs_that_fail_leave_summaries_that_say_so(tmp_path, run, read, capsys):
    with pytest.raises(SystemExit) as caught:
        run("toy", "--optimizer.learning-rate", 1e30, "--no-report", "--workdir", tmp_path / "run")
    assert caught.value.code == 1 and "error: Stopped" in capsys.readouterr().err
    assert read(tmp_path / "run" / "summary.json")["train"]["failed_at"] <= 6


def test_a_follower_does_not_take_what_was_measured_on_the_way_for_the_end(finished, tmp_path, run, read):
    folder = shutil.copytree(finished, tmp_path / "run")
    same = ["--eval.count", 12, "--mode", "follow", "--no-report"]
    before = (folder / "eval.jsonl").read_bytes()
    lines = [json.loads(line) for line in before.decode().splitlines()]
    for line in lines:
        line.pop("family", None)  # as an evaluation on the way writes it
    (folder / "eval.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "summary.json").unlink()  # the trainer was killed before its end
    run(folder, *same)
    assert [line.get("family") for line in read(folder / "eval.jsonl")][-2:] == [FAMILY, FAMILY]
    assert read(folder / "summary.json")["train"]["steps"] == 6


FAMILY = {"title": "Toys", "sentence": "Linear functions."}


def test_what_is_said_at_the_end_has_a_line_for_each_of_a_family(finished, tmp_path, run, capsys):
    folder = shutil.copytree(finished, tmp_path / "run")
    capsys.readouterr()
    run(folder, "--mode", "eval", "--no-report")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Unseen: ") and [line.split()[0] for line in lines[1:3]] == [
        "seen_tasks",
        "unseen_tasks",
    ]


def test_evaluations_and_headlines_of_nothing_are_refused_before_anything_is_trained(toy):
    config = toy.ToyConfig()
    experiment = toy.build(config)
    streams = experiment.samplers(config)
    lost = dataclasses.replace(experiment.at_end[0], streams=("nowhere",))
    with pytest.raises(ValueError, match="wants the stream nowhere; there are train"):
        driver.check_names(dataclasses.replace(experiment, at_end=(lost,)), streams)
    with pytest.raises(ValueError, match="headline unseen is of the evaluation unseen_tasks"):
        driver.check_names(dataclasses.replace(experiment, at_end=()), streams)


def test_a_function_is_compiled_once_for_all_parameters_and_seeds_are_arguments():
    traced = []

    def predict(params, state, rng, batch):
        traced.append(1)
        return params["w"] + jax.random.normal(rng) + batch["x"]

    compiled = Compiled(predict, inputs=("x",), mesh=None)
    outputs = []
    for seed, ema in ((0, None), (1, None), (1, {"w": np.float32(5)})):
        checkpoint = training.ModelCheckpoint(1, {"w": np.float32(1)}, {}, ema)
        initial = functools.partial(training.ModelCheckpoint, 0, {"w": np.float32(-3)}, {})
        model = Model(compiled, checkpoint, seed=seed, initial=initial)
        outputs.append(float(model({"x": np.float32(2), "unread": object()})))
    untrained = float(model.untrained({"x": np.float32(2)}))
    assert len(traced) == 1 and model.untrained is model.untrained
    assert untrained == pytest.approx(outputs[-1] - 8)  # w is -3 and not the 5 of the average
    noise = [float(jax.random.normal(jax.random.key(seed))) for seed in (0, 1, 1)]
    np.testing.assert_allclose(outputs, [3 + noise[0], 3 + noise[1], 7 + noise[2]], rtol=1e-6)


def test_members_differ_in_hyperparameters_only_where_their_values_do(toy):
    config = lab.with_options(toy.ToyConfig(), {"train.ensemble.members": 2, "vary.eps": (1e-8, 1e-5)})
    members = lab.ensemble_members(config)
    runs = driver.prepare(toy.TOY, config, members)
    assert [driver.hyperparameters(runs, each) for each in members] == [{"eps": 1e-8}, {"eps": 1e-5}]


def test_evaluations_can_lie_close_together_where_much_happens(run, tmp_path, read):
    words = ["toy", "--no-report", "--eval.spacing", "log", "--eval.moments", 3, "--train.steps", 9]
    for name, around, wanted in (("start", [], [1, 3, 9]), ("around", ["--eval.around", 5], [4, 5, 6, 9])):
        run(*words, *around, "--workdir", tmp_path / name)
        lines = read(tmp_path / name / "eval.jsonl")
        assert sorted({line["step"] for line in lines if line["evaluation"] == "seen_tasks"}) == wanted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--eval.moments", 3], "eval.moments is for eval.spacing log"),
        (["--eval.around", 3], "eval.around is for eval.spacing log"),
        (["--eval.spacing", "log", "--eval.around", 7], "eval.around must be at most train.steps, got 7 and 6 steps"),
        (["--eval.spacing", "log", "--eval.moments", 1], "eval.moments must be at least 2"),
    ],
)
def test_moments_that_cannot_be_are_refused(run, tmp_path, words, message, capsys):
    with pytest.raises(SystemExit):
        run("toy", *words, "--workdir", tmp_path / "run")
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
