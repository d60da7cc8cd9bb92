"""Runs whose data, or who themselves, have moved; results that go elsewhere than the run; and homes."""

import json
import shutil

import pytest

import icl_lab as lab


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with data in it that a run was begun from, by a relative path, in runs/a."""
    (tmp_path / "began" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "began")
    (tmp_path / "began" / "data" / "x.txt").write_text("c0ffee")
    return tmp_path / "began"


@pytest.fixture
def begun(place, run):
    run("toy", "--data.path", "data/x.txt", "--train.steps", 3, "--no-report", "--workdir", "runs/a")
    return place / "runs" / "a"


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def test_a_run_knows_what_data_it_has_and_where(begun, place, read):
    record = read(begun / "config.json")
    assert record["data"] == {"file": "c0ffee"}
    assert record["config"]["data"]["path"] == str(place / "data" / "x.txt") and record["folder"] == str(begun)


def test_data_that_have_moved_are_given_by_their_new_path(begun, place, run, read):
    (place / "data").rename(place / "elsewhere")
    run(begun, "--mode", "eval", "--data.path", "elsewhere/x.txt", "--no-report")
    assert read(begun / "config.json")["config"]["data"]["path"] == str(place / "data" / "x.txt")  # only looked at
    run(begun, "--resume", "--train.steps", 6, "--data.path", "elsewhere/x.txt", "--no-report")
    assert read(begun / "summary.json")["train"]["steps"] == 6
    assert read(begun / "config.json")["config"]["data"]["path"] == str(place / "elsewhere" / "x.txt")
    run(begun, "--mode", "eval", "--no-report")


def test_a_run_goes_on_from_another_folder(begun, run, tmp_path, monkeypatch, read):
    monkeypatch.chdir(tmp_path)
    run("began/runs/a", "--mode", "eval", "--no-report")
    run("began/runs/a", "--resume", "--train.steps", 6, "--no-report")
    assert read(begun / "summary.json")["train"]["steps"] == 6


def test_a_run_that_has_moved_with_its_data_finds_them(begun, place, run, tmp_path, read):
    place.rename(tmp_path / "now")
    folder = tmp_path / "now" / "runs" / "a"
    run(folder, "--mode", "eval", "--no-report")
    run(folder, "--resume", "--train.steps", 6, "--no-report")
    assert read(folder / "config.json")["config"]["data"]["path"] == str(tmp_path / "now" / "data" / "x.txt")


@pytest.mark.parametrize("words", [("--mode", "eval"), ("--resume", "--train.steps", 6), ("--mode", "follow")])
def test_other_data_are_refused_with_both_fingerprints(begun, place, run, capsys, words):
    (place / "data" / "y.txt").write_text("decaf")
    before = contents(begun)
    with pytest.raises(SystemExit) as caught:
        run(begun, *words, "--data.path", "data/y.txt", "--no-report")
    said = capsys.readouterr().err
    assert caught.value.code == 2 and "c0ffee" in said and "decaf" in said and said.count("\n") == 1
    assert contents(begun) == before


def test_a_run_of_an_older_version_is_resumed_with_the_path_that_it_has(begun, place, run, capsys):
    record = json.loads((begun / "config.json").read_text())
    del record["data"], record["folder"]
    record["config"]["data"]["path"] = "data/x.txt"
    (begun / "config.json").write_text(json.dumps(record))
    (place / "y.txt").write_text("c0ffee")
    with pytest.raises(SystemExit):
        run(begun, "--resume", "--data.path", "y.txt", "--no-report")
    assert "data.path was" in capsys.readouterr().err


def test_a_sweep_follows_its_data_and_refuses_others(place, toy, run, capsys):
    def sweep(path):
        config = lab.parse(
            ["--data.path", path, "--no-report", "--workdir", "sweep"], toy.PRESETS, name="t", default="toy"
        )
        lab.execute_sweep(toy.TOY, lab.Sweep(base=config, settings=({"width": 2}, {"width": 3})), vary=("width",))
        return capsys.readouterr().out

    assert "0 of 2 runs are finished" in sweep("data/x.txt")
    (place / "data").rename(place / "elsewhere")
    assert "2 of 2 runs are finished" in sweep("elsewhere/x.txt")
    (place / "y.txt").write_text("decaf")
    with pytest.raises(SystemExit):
        sweep("y.txt")
    assert "c0ffee" in capsys.readouterr().err


def test_results_go_elsewhere_and_the_run_is_not_touched(finished, run, tmp_path, read):
    before = contents(finished)
    for count in (16, 20):
        run(finished, "--mode", "eval", "--eval-to", tmp_path / "to", "--eval.final-count", count)
        assert contents(finished) == before
        summary = read(tmp_path / "to" / "summary.json")
        assert summary["unseen"]["count"] == count and summary["train"] == read(finished / "summary.json")["train"]
    names = {path.name for path in (tmp_path / "to").iterdir() if not path.name.startswith(".")}
    assert (
        names >= {"config.json", "eval.jsonl", "summary.json", "arrays", "report.html"} and "checkpoints" not in names
    )


@pytest.mark.lengthy
@pytest.mark.parametrize("members", [1, 2])
def test_a_folder_of_results_is_not_gone_on_with(run, tmp_path, capsys, members):
    folder, to = tmp_path / "run", tmp_path / "to"
    run("toy", "--no-report", "--workdir", folder, *(["--train.ensemble.members", 2] if members > 1 else []))
    run(folder, "--mode", "eval", "--eval-to", to)
    before, numbers = contents(to), ["", "member-001"][:members]
    for words in (["--resume"], ["--resume", "--train.steps", 9], ["--mode", "eval"], ["--mode", "follow"]):
        for results, its_run in ((to / number, folder / number) for number in numbers):
            capsys.readouterr()
            with pytest.raises(SystemExit) as caught:
                run(results, *words)
            said = capsys.readouterr().err
            assert caught.value.code == 2 and said.count("\n") == 1
            assert f"{results}, which only holds results of the run {its_run}; resume that one" in said
    assert contents(to) == before
    run(folder, "--mode", "eval", "--eval-to", to)


def test_a_run_that_was_killed_before_its_first_checkpoint_goes_on(run, tmp_path, read, finished):
    folder = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    (folder / "summary.json").unlink()
    run(folder, "--resume", "--no-report")
    assert read(folder / "eval.jsonl") == read(finished / "eval.jsonl")


def test_each_members_results_go_to_a_folder_of_its_own(tmp_path, run, read):
    run("toy", "--train.ensemble.members", 2, "--no-report", "--workdir", tmp_path / "all")
    before = contents(tmp_path / "all")
    run(tmp_path / "all", "--mode", "eval", "--eval.final-count", 16, "--no-report", "--eval-to", tmp_path / "to")
    assert contents(tmp_path / "all") == before
    for member in ("member-000", "member-001"):
        assert read(tmp_path / "to" / member / "summary.json")["unseen"]["count"] == 16


def test_where_results_cannot_go_is_told(finished, run, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    other = shutil.copytree(finished, tmp_path / "other")
    (other / "config.json").write_text((other / "config.json").read_text().replace('"seed": 0', '"seed": 1'))
    for words, message in (
        (["--mode", "eval", "--eval-to", tmp_path / "full"], "has files, but none of a run"),
        (["--mode", "eval", "--eval-to", other], "is of another run than"),
        (["--mode", "eval", "--eval-to", finished / "x"], "lies within"),
        (["--resume", "--eval-to", tmp_path / "to"], "is for --mode eval, follow and replay"),
    ):
        with pytest.raises(SystemExit) as caught:
            run(finished, *words)
        assert caught.value.code == 2 and message in capsys.readouterr().err


def test_a_home_is_a_home_in_every_path(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["--workdir", "~/run", "--data.path", "~/x.txt", "--init-from", "~/other", "--compile-cache", "~/cache"]
    config = lab.parse(["toy", *words, "--eval-to", "~/to"], toy.PRESETS, name="toy", default="toy")
    assert (config.workdir, config.data.path, config.eval_to) == (tmp_path / "run", tmp_path / "x.txt", tmp_path / "to")
    assert (config.init_from, config.compile_cache) == (tmp_path / "other", tmp_path / "cache")
    (tmp_path / "mine.json").write_text(json.dumps({"data": {"path": "~/y.txt"}}))
    assert lab.parse(["~/mine.json"], toy.PRESETS, name="toy", default="toy").data.path == tmp_path / "y.txt"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps({"config": lab.to_json(config)}))
    assert lab.parse(["~/run"], toy.PRESETS, name="toy", default="toy").workdir == tmp_path / "run"


@pytest.fixture
def homeless(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("ICL_COMPILE_CACHE", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: (_ for _ in ()).throw(KeyError(number)))


def test_a_user_without_a_home_gets_help_and_a_configuration(homeless, toy, tmp_path, capsys):
    assert toy.ToyConfig().compile_cache is None
    with pytest.raises(SystemExit) as caught:
        lab.parse(["toy", "--help"], toy.PRESETS, name="toy", default="toy")
    assert caught.value.code == 0 and "--data.noise" in capsys.readouterr().out
    config = lab.parse(["--workdir", str(tmp_path / "x")], {"toy": toy.ToyConfig()}, name="toy", default="toy")
    assert config.compile_cache is None
    with pytest.raises(SystemExit) as caught:
        lab.parse(["--workdir", "~/x"], toy.PRESETS, name="toy", default="toy")
    assert caught.value.code == 2 and "give a path without ~" in capsys.readouterr().err
