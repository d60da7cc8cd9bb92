"""Paths may be strings, and begin with ~."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import (
    Examples,
    Picture,
    Result,
    ScalarCurve,
    __main__,
    append_evaluations,
    copy_run,
    drop_evaluations_after,
    emergence,
    evaluated,
    proportion,
    read_run,
    write_comparison,
    write_report,
    write_summary,
    write_sweep,
)

RESULT = Result("holdout", {"accuracy_open": proportion(1, 9)}, {})


def draw() -> Any:
    return emergence({}, loss=ScalarCurve(*[np.ones(2)] * 4))


CALLS: dict[str, Callable[[str, Examples], object]] = {
    "append_evaluations": lambda folder, _: append_evaluations(folder, step=2, results=[RESULT]),
    "drop_evaluations_after": lambda folder, _: drop_evaluations_after(folder, step=0),
    "evaluated": lambda folder, _: evaluated(folder),
    "read_run": lambda folder, _: read_run(folder),
    "copy_run": lambda folder, _: copy_run(folder, f"{folder}-copy"),
    "write_summary": lambda folder, _: write_summary(folder),
    "write_report": lambda folder, _: write_report(folder),
    "write_report to": lambda folder, _: write_report(folder, to=f"{folder}/to"),
    "write_comparison": lambda folder, _: write_comparison([folder], f"{folder}/c.html"),
    "write_sweep": lambda folder, _: write_sweep(folder, pictures=[Picture("p", "P", draw, "c", "a")]),
    "save": lambda folder, examples: examples.save(f"{folder}/a.npz"),
    "load": lambda folder, examples: (examples.save(f"{folder}/a.npz"), Examples.load(f"{folder}/a.npz")),
    "report": lambda folder, _: __main__.main(["report", folder, "--to", f"{folder}/to"]) and 1 / 0,
    "compare": lambda folder, _: __main__.main(["compare", folder, "--to", f"{folder}/c.html"]) and 1 / 0,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    folder = home / "runs" / "x"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"config": {"seed": 0}}))
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.parametrize("name", CALLS)
def test_every_function_takes_a_string_that_begins_with_the_home_folder(
    name: str, home: Path, tmp_path: Path, make_examples: Callable[[], Examples], undrawn: None
) -> None:
    CALLS[name]("~/runs/x", make_examples())
    assert [path.name for path in tmp_path.iterdir()] == ["home"]  # and no folder named ~


def test_without_a_home_folder_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container: neither HOME nor an entry of the user in passwd."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert __main__.main(["report", "~/runs/x"]) == 2
    assert capsys.readouterr().err == "icl_eval: No home folder is known here for ~/runs/x; write the path in full.\n"
