import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from icl_eval import (
    Estimate,
    Examples,
    Result,
    append_evaluations,
    drop_evaluations_after,
    proportion,
    read_run,
    save_examples,
    write_summary,
)
from icl_eval.runs import writing as run_folder_module

TRAIN = {"steps": 20, "seconds": 1.5, "steps_per_second": 13.3, "final_loss": 0.2}


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


def test_the_summary_has_the_last_numbers_and_the_two_headlines(tmp_path: Path) -> None:
    for step, right in ((20, 90), (10, 50)):
        names = ("fewshot_holdout", "no_support_zipfian", "fewshot_rare")
        append_evaluations(tmp_path, step=step, results=[result(name, right) for name in names])
    summary = write_summary(tmp_path, train=TRAIN, seed=3)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["icl"] == proportion(90, 100).to_json()
    assert summary["iwl"] == proportion(45, 100).to_json()
    assert summary["evaluations"]["fewshot_rare"]["accuracy_open"] == proportion(45, 100).to_json()
    assert (summary["train"], summary["seed"]) == (TRAIN, 3)


def test_a_run_without_those_evaluations_leaves_the_headlines_out(tmp_path: Path) -> None:
    assert set(write_summary(tmp_path, train=TRAIN, seed=0)) == {"evaluations", "train", "seed"}
    append_evaluations(tmp_path, step=1, results=[result("fewshot_rare", 1)])
    assert set(write_summary(tmp_path, train=TRAIN, seed=0)) == {"evaluations", "train", "seed"}


def test_files_hold_valid_json_even_of_numbers_that_are_not(tmp_path: Path) -> None:
    nowhere = Estimate(value=np.nan, low=np.nan, high=np.nan, count=5)
    broken = Result(evaluation="fewshot_holdout", metrics={"accuracy_closed": nowhere}, chance={})
    append_evaluations(tmp_path, step=1, results=[broken])
    write_summary(tmp_path, train=TRAIN | {"final_loss": float("nan")}, seed=0)
    for name in ("eval.jsonl", "summary.json"):
        assert "NaN" not in (tmp_path / name).read_text()
    assert json.loads((tmp_path / "summary.json").read_text())["train"]["final_loss"] is None


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_summary(tmp_path, train=TRAIN, seed=0)
    before = (tmp_path / "summary.json").read_bytes()

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        run_folder_module.write_summary(tmp_path, train=TRAIN, seed=1)
    assert (tmp_path / "summary.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_examples_come_back_as_they_were_saved(tmp_path: Path, make_examples: Callable[[], Examples]) -> None:
    kept = Result(evaluation="a", metrics=result("a", 1).metrics, chance={}, examples=make_examples())
    save_examples(tmp_path, [kept, result("b", 1)])
    append_evaluations(tmp_path, step=1, results=[kept])
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
    with pytest.raises(ValueError, match="0 or more"):
        append_evaluations(tmp_path, step=-1, results=[])
