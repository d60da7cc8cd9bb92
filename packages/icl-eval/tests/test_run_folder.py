import dataclasses
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

import icl_eval
from icl_eval import (
    Estimate,
    Examples,
    Headline,
    Measure,
    Result,
    append_evaluations,
    drop_evaluations_after,
    evaluated,
    mean,
    proportion,
    read_run,
    write_summary,
)

LOGGED = ({"step": 10, "time": 1.0, "loss": 0.5}, {"step": 20, "time": 1.6, "loss": 0.2})
TRAINED = {"steps": 20, "seconds": 1.6, "steps_per_second": 12.5, "final_loss": 0.2}
HEADLINES = tuple(
    Headline(name=name, evaluation=evaluation, metric=metric, title=name.upper(), sentence="It is.")
    for name, evaluation, metric in (
        ("icl", "fewshot_holdout", "accuracy_closed"),
        ("iwl", "no_support_zipfian", "accuracy_open"),
    )
)


def begin(folder: Path, *logged: dict[str, Any], **config: Any) -> None:
    """Write what a training loop does of a run."""
    fields = {"seed": 3, "headlines": [headline.to_json() for headline in HEADLINES]} | config
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(fields))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged or LOGGED))


def result(name: str, right: int) -> Result:
    metrics = {"accuracy_closed": proportion(right, 100), "accuracy_open": proportion(right // 2, 100)}
    return Result(evaluation=name, metrics=metrics, chance={"accuracy_closed": 0.5})


def lines(folder: Path) -> list[tuple[int, str, float]]:
    read = [json.loads(line) for line in (folder / "eval.jsonl").read_text().splitlines()]
    return [(line["step"], line["evaluation"], line["metrics"]["accuracy_closed"]["value"]) for line in read]


def test_a_line_has_the_agreed_form(tmp_path: Path) -> None:
    append_evaluations(tmp_path / "new", step=10, results=[result("a", 50)])
    (line,) = map(json.loads, (tmp_path / "new" / "eval.jsonl").read_text().splitlines())
    assert line["step"] == 10
    assert line["evaluation"] == "a"
    assert line["count"] == 100
    assert line["metrics"]["accuracy_closed"] == proportion(50, 100).to_json()
    assert set(line["metrics"]["accuracy_closed"]) == {"value", "low", "high", "count"}


def test_evaluating_again_replaces_and_never_duplicates(tmp_path: Path) -> None:
    for step, right in ((10, 50), (20, 60), (10, 55), (20, 60)):
        append_evaluations(tmp_path, step=step, results=[result("a", right), result("b", 1)])
    assert sorted(lines(tmp_path)) == [(10, "a", 0.55), (10, "b", 0.01), (20, "a", 0.6), (20, "b", 0.01)]


def test_appending_leaves_earlier_lines_alone(tmp_path: Path) -> None:
    append_evaluations(tmp_path, step=10, results=[result("a", 50)])
    before = (tmp_path / "eval.jsonl").read_bytes()
    append_evaluations(tmp_path, step=20, results=[result("a", 60)])
    assert (tmp_path / "eval.jsonl").read_bytes().startswith(before)


def test_a_half_written_last_line_is_dropped_and_other_damage_is_kept(tmp_path: Path) -> None:
    append_evaluations(tmp_path, step=10, results=[result("a", 50)])
    path = tmp_path / "eval.jsonl"
    path.write_bytes(b"not json \xff\n" + path.read_bytes() + b'{"step": 20, "evalu')
    append_evaluations(tmp_path, step=20, results=[result("a", 60)])
    damaged, *rest = path.read_bytes().splitlines()
    assert damaged == b"not json \xff"
    assert [json.loads(line)["step"] for line in rest] == [10, 20]


def test_a_last_line_that_only_lacks_its_end_is_kept(tmp_path: Path) -> None:
    append_evaluations(tmp_path, step=10, results=[result("a", 50)])
    path = tmp_path / "eval.jsonl"
    path.write_bytes(path.read_bytes().rstrip())
    append_evaluations(tmp_path, step=20, results=[result("a", 60)])
    assert lines(tmp_path) == [(10, "a", 0.5), (20, "a", 0.6)]


def test_resuming_drops_the_lines_of_later_steps(tmp_path: Path) -> None:
    drop_evaluations_after(tmp_path, step=5)  # nothing there: nothing to do
    for step in (10, 20, 30):
        append_evaluations(tmp_path, step=step, results=[result("a", step), result("b", step)])
    drop_evaluations_after(tmp_path, step=20)
    assert [step for step, *_ in lines(tmp_path)] == [10, 10, 20, 20]


def test_the_words_of_measures_are_kept_once_in_the_order_that_they_came(tmp_path: Path) -> None:
    words = {name: Measure(sentence=f"It is {name}.", kind="proportion") for name in ("accuracy_open", "loss")}
    first = dataclasses.replace(result("a", 1), measures=words)
    append_evaluations(tmp_path, step=1, results=[first])
    (tmp_path / "measures.json").chmod(0o444)
    inode = (tmp_path / "measures.json").stat().st_ino
    append_evaluations(tmp_path, step=2, results=[first, result("b", 1)])
    assert (tmp_path / "measures.json").stat().st_ino == inode  # nothing is new, so nothing is written
    other = {"accuracy_closed": Measure(sentence="It is closed.", kind="proportion", shown="c", detail=True)}
    append_evaluations(tmp_path, step=3, results=[dataclasses.replace(first, measures=other)])
    assert read_run(tmp_path).measures == {"accuracy_open": words["accuracy_open"]} | other
    assert list(json.loads((tmp_path / "measures.json").read_text())) == ["accuracy_open", "accuracy_closed"]
    (tmp_path / "measures.json").write_text("{")
    append_evaluations(tmp_path, step=4, results=[first])
    assert read_run(tmp_path).measures == {"accuracy_open": words["accuracy_open"]}


def test_what_is_evaluated_is_told_by_step_with_its_counts(tmp_path: Path) -> None:
    assert evaluated(tmp_path) == {}
    for step in (20, 10):
        append_evaluations(tmp_path, step=step, results=[result("a", 1)])
    append_evaluations(tmp_path, step=20, results=[Result("b", {"loss": mean(np.ones(7))}, {})])
    assert list(evaluated(tmp_path).items()) == [(10, {"a": 100}), (20, {"a": 100, "b": 7})]


def test_the_summary_is_a_function_of_the_folder(tmp_path: Path) -> None:
    begin(tmp_path)
    for step, right in ((20, 90), (10, 50)):
        names = ("fewshot_holdout", "no_support_zipfian", "fewshot_rare")
        append_evaluations(tmp_path, step=step, results=[result(name, right) for name in names])
    summary = write_summary(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert list(summary) == ["headlines", "icl", "iwl", "evaluations", "train", "seed"]
    assert summary["headlines"] == ["icl", "iwl"]
    assert summary["icl"] == proportion(90, 100).to_json()
    assert summary["iwl"] == proportion(45, 100).to_json()
    assert summary["evaluations"]["fewshot_rare"]["accuracy_open"] == proportion(45, 100).to_json()
    assert (summary["train"], summary["seed"]) == (TRAINED, 3)
    assert write_summary(tmp_path) == summary


def test_headlines_that_were_not_measured_are_left_out(tmp_path: Path) -> None:
    begin(tmp_path)
    assert set(write_summary(tmp_path)) == {"headlines", "evaluations", "train", "seed"}
    append_evaluations(tmp_path, step=1, results=[result("no_support_zipfian", 1), result("fewshot_rare", 1)])
    assert write_summary(tmp_path)["headlines"] == ["iwl"]


def test_the_kind_of_learner_stands_in_the_summary_where_it_can_be_told(tmp_path: Path) -> None:
    learns = {"accuracy_first": proportion(10, 100), "accuracy_last": proportion(70, 100)}
    results = [Result(name, learns, {"accuracy_last": 0.1}) for name in ("seen", "unseen")]
    begin(tmp_path)
    append_evaluations(tmp_path, step=1, results=results)
    assert "learner" not in write_summary(tmp_path)
    begin(tmp_path, learner={"seen": "seen", "unseen": "unseen"})
    learner = write_summary(tmp_path)["learner"]
    assert learner["kind"] == "general learning to learn"
    assert "0.70 at last" in learner["reason"]


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        (({"step": 5, "time": 0.0, "loss": math.nan},), (5, 0.0, None, None)),
        (({"step": 4, "time": 2.0, "loss": 0.5}, {"step": 7, "failed": True}), (6, 2.0, 3.0, 0.5)),
        (({"step": 1, "failed": True},), (0, None, None, None)),
        (({"step": 4, "loss": "x", "time": True},), (4, None, None, None)),
    ],
)
def test_what_is_said_of_the_training_is_its_last_line(
    tmp_path: Path, logged: tuple[dict[str, Any], ...], expected: tuple[float | None, ...]
) -> None:
    begin(tmp_path, *logged)
    train = write_summary(tmp_path)["train"]
    failed = [line["step"] for line in logged if line.get("failed")]
    assert ([train.pop("failed_at")] if failed else []) == failed
    assert train == dict(zip(("steps", "seconds", "steps_per_second", "final_loss"), expected, strict=True))
    (tmp_path / "metrics.jsonl").unlink()
    assert write_summary(tmp_path)["train"] == {}


def test_files_hold_valid_json_even_of_numbers_that_are_not(tmp_path: Path) -> None:
    nowhere = Estimate(value=np.nan, low=np.nan, high=np.nan, count=5)
    begin(tmp_path, {"step": 1, "time": 1.0, "loss": math.nan})
    broken = Result(evaluation="fewshot_holdout", metrics={"accuracy_closed": nowhere}, chance={})
    append_evaluations(tmp_path, step=1, results=[broken])
    write_summary(tmp_path)
    for name in ("eval.jsonl", "summary.json"):
        assert "NaN" not in (tmp_path / name).read_text()
    assert json.loads((tmp_path / "summary.json").read_text())["train"]["final_loss"] is None


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path)
    write_summary(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    begin(tmp_path, seed=4)

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_summary(tmp_path)
    assert (tmp_path / "summary.json").read_bytes() == before["summary.json"]
    assert {path.name for path in tmp_path.iterdir()} == set(before)


def test_a_summary_of_no_run_is_an_error_that_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        write_summary(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_examples_come_back_as_they_were_saved(tmp_path: Path, make_examples: Callable[[], Examples]) -> None:
    kept = Result(evaluation="a", metrics=result("a", 1).metrics, chance={}, arrays={"examples": make_examples()})
    append_evaluations(tmp_path, step=1, results=[kept, result("b", 1)])
    read = read_run(tmp_path).examples
    assert list(read) == ["a"]
    for name in ("images", "labels", "predicted_closed", "predicted_open"):
        np.testing.assert_array_equal(getattr(read["a"], name), getattr(make_examples(), name))


@pytest.mark.parametrize(
    "change",
    [
        {"labels": np.zeros((2, 4), int)},
        {"predicted_open": np.zeros(3, int)},
        {"images": np.zeros((2, 3, 4, 5))},
    ],
)
def test_examples_that_do_not_fit_together_are_an_error(
    make_examples: Callable[[], Examples], tmp_path: Path, change: dict[str, np.ndarray]
) -> None:
    path = tmp_path / "examples_a.npz"
    make_examples().save(path)
    with np.load(path) as arrays:
        np.savez(path, **(dict(arrays) | change))
    with pytest.raises((ValueError, TypeError)):
        Examples.load(path)


def test_a_negative_step_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="step must be a whole number of at least 0"):
        append_evaluations(tmp_path, step=-1, results=[])


WRITER = """
import sys, types
from pathlib import Path

package = types.ModuleType("icl_eval")  # without its __init__, since all of it is slow to import
package.__path__ = [sys.argv[3]]
sys.modules["icl_eval"] = package
from icl_eval.results.estimate import proportion
from icl_eval.results.result import Measure, Result
from icl_eval.runs.writing import append_evaluations

folder, me = Path(sys.argv[1]), sys.argv[2]
(folder / f"ready{me}").touch()
while not (folder / "go").exists():
    pass
for step in range(40):
    words = {f"m{me}_{step}": Measure(sentence="It is.", kind="proportion")}
    result = Result(f"e{me}", dict.fromkeys(words, proportion(1, 2)), {}, words)
    append_evaluations(folder, step=step, results=[result])
    append_evaluations(folder, step=step // 2, results=[result])
"""


def test_processes_that_write_at_once_lose_no_line_and_no_word(tmp_path: Path) -> None:
    source = str(Path(icl_eval.__file__).parent)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(me), source], stderr=subprocess.PIPE)
        for me in range(3)
    ]
    while len(list(tmp_path.glob("ready*"))) < 3 and all(writer.poll() is None for writer in writers):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    for writer in writers:
        _, error = writer.communicate(timeout=60)
        assert writer.returncode == 0, error.decode()
    written = [json.loads(line) for line in (tmp_path / "eval.jsonl").read_text().splitlines()]
    keys = [(line["step"], line["evaluation"]) for line in written]
    assert sorted(keys) == [(step, f"e{me}") for step in range(40) for me in range(3)]
    assert len(read_run(tmp_path).measures) == 3 * 40


def test_a_file_system_without_locks_is_no_reason_to_lose_an_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotImplementedError("no locks here")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    append_evaluations(tmp_path, step=1, results=[result("a", 1)])
    assert lines(tmp_path) == [(1, "a", 0.01)]
