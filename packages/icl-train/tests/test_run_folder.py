"""A folder is made once, described once, and never written over; each mistake gets one line."""

import json
import os
import platform
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from icl_train import (
    checkpoint_steps,
    drop_lines_after,
    has_run,
    is_last_checkpoint,
    latest_step,
    member_folder,
    open_run,
    restore_model,
    watch,
)

CONFIG = {
    "train": {"steps": 100, "seed": 0},
    "data": {"ways": 2, "shape": (28, 28), "zips": []},
    "nan": float("nan"),
}


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_config_json_describes_the_run(tmp_path):
    folder = open_run(tmp_path / "deep" / "run", CONFIG)
    record = json.loads((folder / "config.json").read_text())
    assert json.dumps(record["config"]) == json.dumps(CONFIG)
    assert record["python"] == platform.python_version()
    assert len(record["devices"]) == 8
    assert {"jax", "optax", "orbax-checkpoint", "numpy"} <= set(record["versions"])
    assert [path.name for path in folder.iterdir()] == ["config.json"]


def test_the_git_revision_is_recorded_with_whether_files_differ_from_it(tmp_path):
    assert json.loads((open_run(tmp_path / "a", {}, source=tmp_path) / "config.json").read_text())["git"] is None
    repository = tmp_path / "repository"
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    subprocess.run(["git", "-C", repository, *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    git = json.loads((open_run(tmp_path / "b", {}, source=repository) / "config.json").read_text())["git"]
    assert re.fullmatch("[0-9a-f]{40}", git["revision"]) and git["dirty"] is False
    (repository / "new").touch()
    assert json.loads((open_run(tmp_path / "c", {}, source=repository) / "config.json").read_text())["git"]["dirty"]


@pytest.fixture
def repositories(tmp_path):
    """The revisions of two git repositories, "study" and "other", each with the folder "runs" ignored."""
    revisions = {}
    for name in ("study", "other"):
        folder = tmp_path / name
        git = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        (folder / ".gitignore").write_text("runs\n")
        (folder / "train.py").touch()
        (folder / "runs").mkdir()
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-q", "-m", name], check=True)
        done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        revisions[name] = done.stdout.strip()
    assert len(set(revisions.values())) == 2
    return revisions


@pytest.mark.parametrize(
    ("script", "of", "is_dirty"),
    [
        ("study/train.py", "study", False),
        ("study/new.py", "study", True),
        ("link.py", "study", False),
        ("other/runs/bin/tool.py", None, None),
        ("outside.py", None, None),
        (None, None, None),
    ],
)
def test_the_revision_is_that_of_what_runs_and_not_of_the_folder_it_runs_in(
    tmp_path, monkeypatch, repositories, script, of, is_dirty
):
    monkeypatch.chdir(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))  # as in a hook of git's
    (tmp_path / "link.py").symlink_to(tmp_path / "study" / "train.py")
    main = types.ModuleType("__main__")
    if script is not None:
        (tmp_path / script).parent.mkdir(exist_ok=True)
        (tmp_path / script).touch()
        main.__file__ = str(tmp_path / script)
    monkeypatch.setitem(sys.modules, "__main__", main)
    git = json.loads((open_run(tmp_path / "run", {}) / "config.json").read_text())["git"]
    assert git == (None if of is None else {"revision": repositories[of], "dirty": is_dirty})


def test_a_tilde_is_the_users_home_and_no_folder_of_that_name(problem, monkeypatch):
    monkeypatch.setenv("HOME", str(problem.folder))
    monkeypatch.chdir(problem.folder)
    open_run("~/run", {"steps": 2})
    problem.run("x", workdir="~/run", steps=2)
    assert latest_step("~/run") == 2 and checkpoint_steps("~/run") == [2] and is_last_checkpoint("~/run", 2)
    assert list(watch("~/run")) == [2] and restore_model("~/run", init=problem.init).step == 2
    assert member_folder("~/run", 1) == problem.folder / "run" / "member-001"
    drop_lines_after(Path("~/run/metrics.jsonl"), 0)
    assert (problem.folder / "run" / "metrics.jsonl").read_text() == ""
    problem.run("warm", workdir="~/warm", steps=1, init_from="~/run")
    assert sorted(path.name for path in problem.folder.iterdir()) == ["run", "warm"]


def test_a_tilde_without_a_home_is_refused_in_one_line(monkeypatch, no_home):
    for do in (lambda: open_run("~/run", {}), lambda: latest_step("~/run")):
        with pytest.raises(ValueError, match=r"^wanted a home folder for the ~ in '~/run', got none .*; set HOME, or"):
            do()


def test_the_same_configuration_may_be_resumed_and_nothing_is_rewritten(tmp_path):
    folder = open_run(tmp_path / "run", CONFIG)
    before = contents(folder)
    assert open_run(folder, CONFIG, resume=True, metadata={"preset": {"name": "of another session"}}) == folder
    assert "preset" not in json.loads((folder / "config.json").read_text())  # it is of the session that began the run
    assert contents(folder) == before


@pytest.mark.parametrize("exists", [True, False])
def test_resuming_what_never_began_begins(tmp_path, exists):
    if exists:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "config.json.partial").write_text('{"conf')  # killed while it was being written
    assert contents(open_run(tmp_path / "run", CONFIG, resume=True))


def test_what_may_change_is_taken_over_and_the_rest_of_the_record_stays(tmp_path):
    folder = open_run(tmp_path / "run", CONFIG)
    before = json.loads((folder / "config.json").read_text())
    longer = CONFIG | {"train": {"steps": 200, "seed": 0}}
    open_run(folder, longer, resume=True, mutable=["train.steps"])
    after = json.loads((folder / "config.json").read_text())
    assert after["config"]["train"]["steps"] == 200
    assert {name: after[name] for name in after if name != "config"} == {
        name: before[name] for name in before if name != "config"
    }


def refused(tmp_path, config, kind=ValueError, **options):
    before = contents(tmp_path)
    with pytest.raises(kind) as error:
        open_run(tmp_path / "run", config, **options)
    assert contents(tmp_path) == before
    assert "\n" not in str(error.value)
    assert str(tmp_path / "run") in str(error.value) and "give another" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("left", ["metrics.jsonl", "eval.jsonl", "member-001/metrics.jsonl", "checkpoints/5/data/x"])
def test_a_run_is_not_written_over(tmp_path, left):
    open_run(tmp_path / "run", CONFIG)
    path = tmp_path / "run" / left
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    assert "which has a run; resume it (--resume)" in refused(tmp_path, CONFIG)


def test_a_run_that_failed_before_its_first_step_left_nothing_that_blocks_the_folder(tmp_path):
    run = open_run(tmp_path / "run", CONFIG)
    (run / "metrics.jsonl").touch()
    (run / "trainer.lock").write_text("host")
    half = run / "checkpoints" / "10.orbax-checkpoint-tmp" / "model"
    for folder in (half, run / "checkpoints" / "rehearsal", run / "tensorboard"):
        folder.mkdir(parents=True)
        (folder / "file").write_text("nothing to keep")
    other = CONFIG | {"nan": 1}
    open_run(tmp_path / "run", other)
    assert json.loads((run / "config.json").read_text())["config"]["nan"] == 1


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"resume": True, "read_only": True}])
def test_a_folder_of_a_runs_results_is_not_taken_for_the_run(tmp_path, options):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"config": CONFIG, "results_of": "/there/runs/a"}))
    assert "only holds results of the run /there/runs/a; resume that one" in refused(tmp_path, CONFIG, **options)


def test_who_only_looks_writes_nothing(tmp_path):
    folder = open_run(tmp_path / "run", CONFIG)
    before = contents(folder)
    longer = CONFIG | {"train": {"steps": 200, "seed": 0}}
    open_run(folder, longer, resume=True, mutable=["train.steps"], read_only=True)
    assert contents(folder) == before
    assert "train.steps was 100" in refused(tmp_path, longer, resume=True, read_only=True)


def test_a_setting_that_an_older_version_did_not_have_was_as_by_default(tmp_path):
    open_run(tmp_path / "run", CONFIG)
    newer = CONFIG | {"data": CONFIG["data"] | {"labels": 1}}
    assert "data.labels was absent" in refused(tmp_path, newer, resume=True)
    defaults = {"data": {"labels": 1, "ways": 9}, "gone": 3}
    open_run(tmp_path / "run", newer, resume=True, defaults=defaults)
    other = CONFIG | {"data": CONFIG["data"] | {"labels": 2}}
    assert "data.labels was 1 and came as 2" in refused(tmp_path, other, resume=True, defaults=defaults)


def test_another_configuration_is_refused_with_both_values(tmp_path):
    open_run(tmp_path / "run", CONFIG)
    other = {
        "train": {"steps": 200, "seed": 0},
        "data": {"ways": 4, "shape": (28, 29), "new": "x"},
        "nan": None,
    }
    message = refused(tmp_path, other, resume=True, mutable=["train.steps"])
    assert "data.ways was 2 and came as 4, data.shape was [28, 28] and came as [28, 29]" in message
    assert "data.zips was [] and came as absent, and 2 more differ" in message
    assert "train.steps" not in message
    same_prefix = CONFIG | {"train": {"steps": 100, "seed": 0, "steps_extra": 1}}
    assert "train.steps_extra was absent and came as 1" in refused(
        tmp_path, same_prefix, resume=True, mutable=["train.steps"]
    )


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_of_something_else_is_refused(tmp_path, resume):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    assert "which has 'thesis.tex' but no config.json" in refused(tmp_path, CONFIG, resume=resume)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"config": 3}'])
def test_a_damaged_record_is_refused(tmp_path, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(text)
    assert "cannot be read" in refused(tmp_path, CONFIG, resume=True)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("not a folder")
    assert "it is a file" in refused(tmp_path, CONFIG, kind=OSError)


def test_a_file_in_place_of_a_parent_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"wanted a workdir that can be written to, got .*run: not a directory; give"):
        open_run(tmp_path / "file" / "run", CONFIG)


@pytest.mark.skipif(platform.system() != "Linux", reason="needs /proc, which nobody can write to")
@pytest.mark.parametrize("path", ["/proc/run", "/proc/self"])
def test_a_folder_that_cannot_be_written_to_is_refused(path):
    with pytest.raises(OSError, match=f"wanted a workdir that can be written to, got {path}: "):
        open_run(path, CONFIG)


def test_a_folder_that_orbax_would_take_for_a_pattern_is_refused_and_not_made(tmp_path):
    with pytest.raises(OSError, match=r"wanted a workdir without a \[ in its path, got .*lr=\[3e-4\]/a; give another"):
        open_run(tmp_path / "lr=[3e-4]" / "a", {})
    assert not list(tmp_path.iterdir())


def test_a_configuration_that_json_cannot_hold_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(TypeError):
        open_run(tmp_path / "run", {"when": object()})
    assert not (tmp_path / "run").exists()


def test_what_another_process_removes_meanwhile_is_passed_over(tmp_path, monkeypatch):
    going = tmp_path / "checkpoints" / "going"
    going.mkdir(parents=True)
    scandir = os.scandir

    def scan(path):
        if Path(path) == going:
            going.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert not has_run(tmp_path) and not going.exists()
