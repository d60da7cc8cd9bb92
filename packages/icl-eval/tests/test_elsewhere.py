"""What is made of a run without writing into its folder, which may be on a medium that is read-only."""

import json
import os
import shutil
from pathlib import Path

import pytest

from icl_eval import (
    Result,
    __main__,
    append_evaluations,
    copy_run,
    evaluated,
    proportion,
    read_run,
    write_report,
    write_summary,
)


def contents(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Return all that is in a folder, itself too, with when each was changed."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in (folder, *folder.rglob("*"))
    }


def test_a_report_elsewhere_leaves_the_run_as_it_was_and_says_the_same(
    run: Path, tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    before, to = contents(run), tmp_path / "new" / "elsewhere"
    assert __main__.main(["report", str(run), "--to", str(to), "--png"]) == 0
    assert capsys.readouterr().out.strip() == str(to / "report.html")
    assert contents(run) == before
    assert {path.name for path in to.iterdir()} == {"report.html", "figures"}
    assert (to / "report.html").read_bytes() == write_report(run).read_bytes()


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked of the system, since whoever runs the tests may write anywhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert __main__.main(["report", str(run)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--to FOLDER" in said


def test_a_run_is_evaluated_summarised_and_reported_in_a_copy(run: Path, tmp_path: Path, undrawn: None) -> None:
    (run / "checkpoints").mkdir()
    before, to = contents(run), tmp_path / "copy"
    assert copy_run(run, to) == to
    assert not {"checkpoints", "summary.json", "report.html"} & {path.name for path in to.iterdir()}
    assert read_run(to).latest() == read_run(run).latest() and list(read_run(to).examples) == list(
        read_run(run).examples
    )
    again = Result("fewshot_holdout", {"accuracy_closed": proportion(1, 300)}, {})
    append_evaluations(to, step=100, results=[again])
    assert write_summary(to)["icl"] == proportion(1, 300).to_json()
    write_report(to)
    assert contents(run) == before


def test_a_copy_follows_its_run_and_keeps_its_own_evaluations(run: Path, tmp_path: Path) -> None:
    to = copy_run(run, tmp_path / "copy")
    append_evaluations(to, step=150, results=[Result("late", {"accuracy_open": proportion(1, 9)}, {})])
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 150, "loss": 0.5}\n')
    append_evaluations(run, step=150, results=[Result("other", {"accuracy_open": proportion(2, 9)}, {})])
    copy_run(run, to)
    assert 150 in read_run(to).metrics
    assert evaluated(to)[150] == {"late": 9}


def test_a_copy_says_whose_results_it_has_and_a_run_is_never_made_one(run: Path, tmp_path: Path) -> None:
    record = json.loads((run / "config.json").read_text())
    to = copy_run(run, tmp_path / "copy")
    for each in (to, copy_run(to, tmp_path / "again")):
        assert json.loads((each / "config.json").read_text()) == record | {"results_of": str(run)}
    twin = shutil.copytree(run, tmp_path / "twin")
    before = contents(twin)
    with pytest.raises(ValueError, match=r"twin is a run itself, and not results of .*; choose a new folder"):
        copy_run(run, twin)
    assert contents(twin) == before


def test_a_copy_of_another_run_is_refused_and_one_onto_itself_is_nothing(run: Path, tmp_path: Path) -> None:
    to, before = copy_run(run, tmp_path / "copy"), contents(run)
    config = json.loads((to / "config.json").read_text())
    config["config"]["steps"] = 99
    (to / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"of another run .* its steps is 99, not 100; choose a new folder"):
        copy_run(run, to)
    assert copy_run(run, run) == run and contents(run) == before
    with pytest.raises(ValueError, match="is not a run"):
        copy_run(tmp_path, to)


def test_a_run_that_was_made_longer_or_whose_data_moved_is_the_same_run(tmp_path):
    run, to = tmp_path / "run", tmp_path / "to"
    run.mkdir()
    record = {"experiment": "omniglot", "seed": 0, "data": {"bank": "0123"}}
    for steps, path in ((3, "a.zip"), (6, "b.zip")):
        config = {"train": {"steps": steps}, "data": {"zips": [path]}}
        (run / "config.json").write_text(json.dumps(record | {"config": config}))
        copy_run(run, to)
        assert json.loads((to / "config.json").read_text())["config"] == config
    (run / "config.json").write_text(json.dumps(record | {"config": config, "seed": 1}))
    with pytest.raises(ValueError, match="is of another run"):
        copy_run(run, to)
