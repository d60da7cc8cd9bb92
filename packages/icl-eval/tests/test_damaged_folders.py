"""Whatever was done to a run folder, a page is written, and it names what was left out."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import (
    AttentionMaps,
    Estimate,
    Fits,
    Result,
    ScalarCurve,
    ShotCurves,
    append_evaluations,
    proportion,
    read_run,
    save_attention,
    save_by_examples,
    save_fits,
    write_report,
    write_summary,
)

HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 2.5, 10**30, 10**400, -(10**400), 1e308, -1e308, 1e-320, float("nan"), float("inf")),
    *("", "<script>alert(1)</script>", "\ud800", "\0", "a" * 3000, "../../x", "$\\frac{$"),
    *([], [[]], [1, [2, {}]], {}, {"": {}}, {"value": 1}, {"a/b": {"\ud800": None}}),
)
FILES = ("config.json", "summary.json", "metrics.jsonl", "eval.jsonl")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icl_eval.report.html.encode", draw_only)


def draw_only(figure: Any, *, form: str) -> bytes:
    """Stand in for encode, which is slow: text and ticks are found, where bad numbers show, and nothing is rendered."""
    for panel in figure.axes:
        panel.get_xticks(), panel.get_yticks()
    return b""


def of_sequences() -> list[Result]:
    """Make results with what a report shows of sequences: confusion, frequencies, baselines, heads, ablations."""
    half = proportion(10, 20)
    fewshot = ["accuracy_closed", "accuracy_nearest_pixels", "confusion_0_to_0", "confusion_0_to_other"]
    heads = [f"{kind}_0_{head}" for kind in ("induction", "previous_token", "same_class") for head in range(2)]
    ablated = ["icl", "iwl", "icl_without_0_0", "icl_without_0_1", "iwl_without_0_0"]
    named = {"fewshot_holdout": fewshot, "heads_fewshot_holdout": heads, "ablated_heads": ablated}
    named["no_support_zipfian"] = ["accuracy_open", "accuracy_open_decile_3", "accuracy_open_decile_10"]
    return [Result(name, dict.fromkeys(metrics, half), dict.fromkeys(metrics, 0.25)) for name, metrics in named.items()]


@pytest.fixture
def whole(run: Path) -> Path:
    """Make a run that has one of everything that a report shows."""
    results = [
        Result(
            evaluation=name,
            metrics={
                "accuracy_last": proportion(9, 20),
                "squared_error": Estimate(value=0.5, low=0.4, high=0.6, count=20),
                "squared_error_constant": Estimate(value=0.7, low=0.6, high=0.9, count=20),
                "induction_0_1": proportion(3, 20),
            },
            chance={"accuracy_last": 0.1},
        )
        for name in ("unseen_tasks", "seen_tasks", "transfer_lines")
    ]
    append_evaluations(run, step=100, results=results + of_sequences())
    images = np.zeros((1, 3, 4, 4), np.uint8)
    attention = AttentionMaps(
        images=images,
        labels=np.array([[0, 1, 1]]),
        predicted=np.array([1]),
        attention=np.full((1, 1, 2, 5, 5), 0.2, np.float32),
        item_tokens=np.array([0, 2, 4]),
        label_tokens=np.array([1, 3]),
    )
    save_attention(run, "fewshot_holdout", attention)
    line = np.linspace(0, 1, 4)
    curves = {"model": ScalarCurve(line, line, line, line, chance=0.1)}
    save_by_examples(run, "unseen_tasks", ShotCurves(measure="accuracy", curves=curves, count=9))
    row = np.zeros((1, 4))
    fits = Fits(context_inputs=row, context_targets=row, inputs=row, truth=row, predictions={"model": row})
    save_fits(run, "sines", fits)
    write_summary(run, train={"steps": 100, "seconds": 4.0, "steps_per_second": 25.0, "final_loss": 0.05}, seed=7)
    summary = json.loads((run / "summary.json").read_text())
    summary["verdict"] = {"verdict": "learns to learn", "reason": "0.6 < 0.7"}
    (run / "summary.json").write_text(json.dumps(summary))
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"preset": {"name": "laptop", "config": {"steps": 9}}}))
    return run


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every place in nested JSON."""
    yield ()
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        for place in places(each):
            yield (key, *place)


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    changed = copy.copy(value)
    changed[place[0]] = replaced(value[place[0]], place[1:], new)
    return changed


def check_page(folder: Path) -> str:
    """Return the page of a folder, having seen that it is whole, has no script but ours, and names what is missing."""
    text = write_report(folder).read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.endswith("</body></html>\n")
    assert text.count("<script") == 1
    missing = read_run(folder).missing
    assert text.count("<li>") >= len(missing)
    assert bool(missing) <= ('id="missing"' in text)  # parts that could not be drawn stand there too
    return text


@pytest.mark.parametrize("name", FILES)
def test_any_type_in_any_place_of_the_json_leaves_a_page(whole: Path, name: str) -> None:
    path = whole / name
    lines = path.read_text().splitlines() if name.endswith("l") else [path.read_text()]
    last = json.loads(lines[-1])
    generator = np.random.default_rng(0)
    every = list(places(last))
    for _ in range(4):
        place, new = every[generator.integers(len(every))], HOSTILE[generator.integers(len(HOSTILE))]
        path.write_text("\n".join([*lines[:-1], json.dumps(replaced(last, place, new)), ""]))
        check_page(whole)


@pytest.mark.parametrize("new", HOSTILE[::2], ids=lambda new: repr(new)[:20])
def test_what_the_headlines_read_may_be_anything(whole: Path, new: Any) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    train = dict.fromkeys(("steps", "seconds", "steps_per_second", "final_loss"), new)
    (whole / "summary.json").write_text(json.dumps(summary | {"train": train, "seed": new, "verdict": new}))
    (whole / "metrics.jsonl").write_text(json.dumps({"step": 3, "loss": new}) + "\n" + json.dumps({"step": new}) + "\n")
    config = {"config": new, "versions": new, "preset": {"name": new, "config": {"steps": new}}, "other": {"x": new}}
    (whole / "config.json").write_text(json.dumps(config))
    lines = []
    for end in ("value", "low", "high", "count"):
        estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "count": 5} | {end: new}
        lines += [
            {"step": 900, "evaluation": name, "metrics": {metric: estimate}, "chance": {metric: new}}
            for name, metric in (("fewshot_holdout", "accuracy_closed"), ("transfer_lines", "squared_error"))
        ]
    every = {"value": new, "low": new, "high": new, "count": 5}
    lines.append({"step": 901, "evaluation": "no_support_zipfian", "metrics": {"accuracy_open": every}})
    lines.append({"step": 902, "evaluation": new, "metrics": {str(new): {**estimate, "count": 5}}})
    with (whole / "eval.jsonl").open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
    check_page(whole)


def test_a_file_cut_off_or_garbled_anywhere_is_named_or_read_to_the_damage(whole: Path) -> None:
    generator = np.random.default_rng(0)
    originals = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file() and path.suffix != ".png"}
    for path, original in originals.items():
        at = int(generator.integers(len(original)))
        garbled = bytearray(original)
        garbled[at : at + 9] = generator.bytes(9)
        for content in (original[:at], bytes(garbled)):
            path.write_bytes(content)
            check_page(whole)
        path.write_bytes(original)


@pytest.mark.parametrize(
    ("damage", "said"),
    [(lambda path: path.unlink(), "not there"), (lambda path: path.write_bytes(b"\x00{"), "left out")],
)
def test_each_file_that_is_missing_or_garbled_is_named(
    whole: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    for name in FILES:
        copied = tmp_path / name / "run"
        shutil.copytree(whole, copied)
        damage(copied / name)
        text = check_page(copied)
        assert name in text[text.index('id="missing"') :]
        assert said in text[text.index('id="missing"') :]


def test_a_folder_in_the_place_of_a_file_is_named(whole: Path) -> None:
    for name in FILES[:-1]:
        (whole / name).unlink()
        (whole / name).mkdir()
    shutil.rmtree(whole / "arrays")
    (whole / "arrays").write_text("no folder")
    text = check_page(whole)
    for name in FILES[:-1]:
        assert f"{name}: cannot be read" in text


def test_an_empty_evaluation_file_is_no_damage(whole: Path) -> None:
    (whole / "eval.jsonl").write_text("")
    (whole / "summary.json").write_text("{}")
    assert 'id="missing"' not in check_page(whole)


@pytest.mark.parametrize("nested", ["[" * 900 + "]" * 900, '{"a":' * 300 + "1" + "}" * 300])
def test_json_nested_too_deep_is_damage(whole: Path, nested: str) -> None:
    (whole / "config.json").write_text(f'{{"config": {nested}}}')
    assert "config.json: damaged" in check_page(whole)


@pytest.mark.parametrize(
    ("evaluation", "metric"),
    [
        ("fewshot_holdout", "confusion_0_to_0"), ("fewshot_holdout", "confusion_99_to_0"),
        ("fewshot_holdout", "confusion_99999999_to_0"), ("fewshot_holdout", "accuracy_nearest_pixels"),
        ("no_support_zipfian", "accuracy_open_decile_3"), ("no_support_zipfian", "accuracy_any_label"),
        ("heads_fewshot_holdout", "induction_0_1"), ("heads_fewshot_holdout", "induction_9_9"),
        ("ablated_heads", "icl"), ("ablated_heads", "icl_without_7_7"),
    ],
)  # fmt: skip
def test_numbers_that_no_run_writes_cost_a_part_of_the_page_at_most(whole: Path, evaluation: str, metric: str) -> None:
    lines = []
    for value in (1.5, -3.0, 1e308, None):
        estimate = {"value": value, "low": value, "high": value, "count": 5}
        lines.append({"step": 200, "evaluation": evaluation, "metrics": {metric: estimate}})
        with (whole / "eval.jsonl").open("a") as file:
            file.write(json.dumps(lines[-1]) + "\n")
        assert 'id="numbers"' in check_page(whole)
