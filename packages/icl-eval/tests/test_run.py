import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from icl_eval import Measure, Result, append_evaluations, mean, read_run


def test_a_complete_run_is_read_completely(run: Path) -> None:
    read = read_run(run)
    assert read.missing == ()
    assert read.config["git"]["revision"] == "abc123"
    assert list(read.evaluations["fewshot_holdout"]) == [0, 50, 100]
    assert [step for step, _ in read.latest().values()] == [100, 100]
    curve = read.evaluation_curve("fewshot_holdout", "accuracy_closed")
    assert curve is not None
    np.testing.assert_array_equal(curve.steps, [0, 50, 100])
    np.testing.assert_array_equal(curve.values, [0.5, 0.75, 0.95])
    assert (curve.low < curve.values).all()
    assert curve.chance == 0.5
    loss = read.training_curve("loss")
    assert loss is not None
    np.testing.assert_array_equal(loss.values, [5 / (step + 1) for step in range(10, 101, 10)])
    assert read.evaluation_curve("nothing", "accuracy_open") is None
    assert read.evaluation_curve("fewshot_holdout", "nothing") is None
    assert read.training_curve("nothing") is None


def test_headlines_seed_and_learner_are_those_of_the_configuration(run: Path) -> None:
    read = read_run(run)
    assert [headline.name for headline in read.headlines] == ["icl", "iwl"]
    assert (read.seed, read.learner) == (7, {})
    config = dict(read.config) | {"learner": {"seen": "a", "unseen": 3}, "seed": "x"}
    config["headlines"] = [3, {}, config["headlines"][0] | {"title": ""}, config["headlines"][0] | {"name": "train"}]
    (run / "config.json").write_text(json.dumps(config))
    read = read_run(run)
    assert (read.headlines, read.seed, read.learner) == ((), None, {"seen": "a"})
    (run / "config.json").unlink()
    assert (read_run(run).headlines, read_run(run).seed, read_run(run).learner) == ((), None, {})


def test_a_result_that_is_read_has_its_words(run: Path) -> None:
    read = read_run(run)
    (_, result) = read.latest()["fewshot_holdout"]
    assert list(read.measures) == ["accuracy_closed", "accuracy_open"]
    assert result.measures == read.measures
    assert result.measures["accuracy_closed"].sentence == "Share of sequences that are right."
    loss = {"loss": Measure(sentence="Cross-entropy in nats.", kind="mean")}
    append_evaluations(run, step=1, results=[Result("other", {"loss": mean(np.ones(3))}, {}, loss)])
    assert read_run(run).latest()["other"][1].measures == loss
    (run / "measures.json").unlink()
    assert read_run(run).latest()["fewshot_holdout"][1].measures == {}
    assert read_run(run).missing == ()  # a run of someone else's may have none


def test_lines_logged_twice_or_out_of_order_count_once_and_in_order(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 30, "loss": 99}\n{"step": 40, "loss": NaN}\n')
    loss = read_run(run).training_curve("loss")
    assert loss is not None
    assert list(loss.steps) == [10, 20, 30, 50, 60, 70, 80, 90, 100]
    assert loss.values[2] == 99


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "eval.jsonl", "summary.json"])
def test_a_missing_file_is_noted(run: Path, name: str) -> None:
    (run / name).unlink()
    assert read_run(run).missing == (f"{name}: not there.",)


@pytest.mark.parametrize("name", ["metrics.jsonl", "eval.jsonl"])
def test_a_half_written_last_line_is_noted_and_the_rest_is_read(run: Path, name: str) -> None:
    before = read_run(run)
    with (run / name).open("a") as file:
        file.write('{"step": 110, "los')
    after = read_run(run)
    assert after.missing == (f"{name}: the last line is half-written and was left out.",)
    assert (after.metrics, after.evaluations) == (before.metrics, before.evaluations)


def test_without_eval_jsonl_the_summary_still_gives_the_last_numbers(run: Path) -> None:
    before = read_run(run).latest()["fewshot_holdout"]
    (run / "eval.jsonl").unlink()
    step, result = read_run(run).latest()["fewshot_holdout"]
    assert (step, result.metrics) == (before[0], before[1].metrics)


class Exploit:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return pytest.fail, ("a run folder made us unpickle",)


def evaluation_line(metric: str) -> bytes:
    return f'{{"step": 1, "evaluation": "a", "metrics": {{"m": {metric}}}}}\n'.encode()


DAMAGE: dict[str, list[bytes]] = {
    "config.json": [b"", b"{", b"[1, 2]", b"null", b"\xff\xfe", b"[" * 100_000],
    "summary.json": [b"", b"3", b'{"evaluations": '],
    "metrics.jsonl": [b"\x00\x00\n", b'{"loss": 1}\n', b'{"step": "x", "loss": 1}\n', b'{"step": 1e999}\n'],
    "eval.jsonl": [
        b"{}\n",
        b'{"step": 1}\n',
        b'{"step": 1, "evaluation": "a", "metrics": {}}\n',
        b'{"step": 1, "evaluation": "a", "metrics": 3}\n',
        evaluation_line("3"),
        evaluation_line('{"value": 2, "low": 3, "high": 4, "count": 5}'),
        evaluation_line('{"value": "x", "low": 0, "high": 1, "count": 5}'),
        evaluation_line('{"value": 0, "low": 0, "high": 1, "count": 1e999}'),
    ],
    "measures.json": [b"", b"[]", b'{"accuracy_open": 3}', b'{"a": {"sentence": "A.", "kind": "sum"}}'],
    "arrays/examples_fewshot_holdout.npz": [b"", b"PK\x03\x04", b"text", pickle.dumps(Exploit())],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, content) for name, several in DAMAGE.items() for content in several]
)
def test_damage_is_noted_and_the_rest_is_read(run: Path, name: str, content: bytes) -> None:
    before = read_run(run)
    (run / name).write_bytes(content)
    after = read_run(run)
    (noted,) = after.missing
    assert noted.startswith(name)
    parts = {
        "config.json": "config",
        "summary.json": "summary",
        "metrics.jsonl": "metrics",
        "measures.json": "measures",
    }
    parts |= {"eval.jsonl": "evaluations", "arrays/examples_fewshot_holdout.npz": "examples"}
    for part in set(parts.values()) - {parts[name], "evaluations", "examples"}:
        assert getattr(after, part) == getattr(before, part)
    assert (run / name).read_bytes() == content


@pytest.mark.parametrize("content", [{"train": 3, "evaluations": [], "seed": {}}, {"evaluations": {"a": 1}}, {}])
def test_a_summary_of_another_shape_is_no_obstacle(run: Path, content: dict[str, object]) -> None:
    (run / "eval.jsonl").unlink()
    (run / "summary.json").write_text(json.dumps(content))
    assert read_run(run).evaluations == {}


def test_an_evaluation_that_knows_nothing_is_read_as_such(run: Path) -> None:
    (run / "eval.jsonl").write_bytes(evaluation_line('{"value": null, "low": null, "high": null, "count": 5}'))
    assert math.isnan(read_run(run).latest()["a"][1].metrics["m"].value)


def test_pickled_arrays_are_never_loaded(run: Path) -> None:
    path = run / "arrays" / "examples_fewshot_holdout.npz"
    np.savez(path, images=np.array([Exploit()], object), labels=np.zeros((1, 1), int))
    assert "fewshot_holdout" not in read_run(run).examples


def test_a_folder_that_is_missing_or_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is not a run"):
        read_run(tmp_path)


def test_reading_changes_nothing(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    read_run(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    json.loads((run / "summary.json").read_text())
