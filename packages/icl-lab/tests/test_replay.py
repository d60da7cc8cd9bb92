"""All checkpoints of a run evaluated: as each would be alone, none of them twice, and nothing else touched."""

import shutil

import pytest

import icl_train as training

KEEP = ["--train.steps", 6, "--train.checkpoint-every", 1, "--train.keep-checkpoints", 9, "--no-report"]


@pytest.fixture(scope="module")
def kept(run, tmp_path_factory):
    """Return the folder of a run that has all its checkpoints, and was evaluated at steps 3 and 6."""
    folder = tmp_path_factory.mktemp("replay") / "run"
    run("toy", *KEEP, "--workdir", folder)
    return folder


def by_step(lines):
    return {(line["step"], line["evaluation"]): line for line in lines}


def test_each_checkpoint_is_evaluated_as_it_would_be_alone_and_none_again(kept, tmp_path, run, read):
    folder = shutil.copytree(kept, tmp_path / "run")
    before = by_step(read(folder / "eval.jsonl"))
    run(folder, "--mode", "replay", "--no-report")
    found = by_step(read(folder / "eval.jsonl"))
    assert sorted({step for step, _ in found}) == [1, 2, 3, 4, 5, 6]
    assert {key: found[key] for key in before} == before  # what was measured of as much or more stays
    alone = shutil.copytree(kept, tmp_path / "alone")
    run(alone, "--mode", "eval", "--step", 4, "--eval.final-count", 8, "--no-report")
    for name in ("seen_tasks", "unseen_tasks"):  # the toy measures alike on the way and at the end
        one, other = found[4, name], by_step(read(alone / "eval.jsonl"))[4, name]
        assert one["metrics"]["squared_error"] == other["metrics"]["squared_error"]
    again = (folder / "eval.jsonl").read_bytes()
    run(folder, "--mode", "replay", "--no-report")
    assert (folder / "eval.jsonl").read_bytes() == again


@pytest.mark.lengthy
def test_members_of_an_ensemble_are_replayed_each_into_its_folder(tmp_path, run, read):
    run("toy", *KEEP, "--train.ensemble.members", 2, "--workdir", tmp_path / "all")
    run(tmp_path / "all", "--mode", "replay", "--no-report")
    run("toy", *KEEP, "--train.seed", 1, "--workdir", tmp_path / "alone")
    run(tmp_path / "alone", "--mode", "replay", "--no-report")
    member, alone = (by_step(read(tmp_path / name / "eval.jsonl")) for name in ("all/member-001", "alone"))
    assert member.keys() == alone.keys() and len(alone) == 12
    for key, line in alone.items():
        for metric, estimate in line["metrics"].items():
            assert member[key]["metrics"][metric]["value"] == pytest.approx(estimate["value"], rel=1e-4)


def test_evaluations_are_chosen_by_name_and_may_go_elsewhere(kept, tmp_path, run, read):
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file() and path.name != ".lock"}
    to = tmp_path / "results"
    words = ["--replay.evaluations", "unseen_tasks", "--eval.final-count", 20, "--eval-to", to, "--no-report"]
    run(kept, "--mode", "replay", *words)
    found = by_step(read(to / "eval.jsonl"))
    assert {step for step, name in found if name == "unseen_tasks"} == set(range(1, 7))
    assert {line["count"] for (step, name), line in found.items() if step in (1, 2, 4, 5)} <= {8, 20}
    assert {path: path.read_bytes() for path in before} == before


def test_a_damaged_checkpoint_is_named_and_the_others_are_evaluated(kept, tmp_path, run, read, capsys):
    folder = shutil.copytree(kept, tmp_path / "run")
    files = [path for path in (folder / "checkpoints" / "2" / "model").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])
    run(folder, "--mode", "replay", "--no-report")
    assert "step 2: passed over" in capsys.readouterr().out
    assert sorted({line["step"] for line in read(folder / "eval.jsonl")}) == [1, 3, 4, 5, 6]
    assert training.checkpoint_steps(folder) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--mode", "replay", "--replay.evaluations", "heads"],
            "there is no heads; there are seen_tasks, unseen_tasks",
        ),
        (["--mode", "eval", "--replay.evaluations", "unseen_tasks"], "for --mode replay, but the mode is eval"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(kept, words, message, run, capsys):
    with pytest.raises(SystemExit) as caught:
        run(kept, *words)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert caught.value.code == 2 and message in line


def test_a_folder_without_a_checkpoint_is_refused(tmp_path, run, capsys):
    with pytest.raises(SystemExit):
        run("toy", "--mode", "replay", "--workdir", tmp_path / "nowhere")
    assert "--mode replay wants the folder of a run with a checkpoint" in capsys.readouterr().err
