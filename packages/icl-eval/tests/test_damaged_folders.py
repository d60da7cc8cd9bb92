"""Whatever was done to a run folder, a page is written, and it names what was left out."""

import copy
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import (
    AttentionMaps,
    Estimate,
    Examples,
    Family,
    Fits,
    Headline,
    Measure,
    Result,
    ScalarCurve,
    ShotCurves,
    append_evaluations,
    proportion,
    read_run,
    write_report,
    write_summary,
)

HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 2.5, 10**30, 10**400, -(10**400), 1e308, -1e308, 1e-320, float("nan"), float("inf")),
    *("", "<script>alert(1)</script>", "\ud800", "\0", "a" * 3000, "../../x", "$\\frac{$"),
    *([], [[]], [1, [2, {}]], {}, {"": {}}, {"value": 1}, {"a/b": {"\ud800": None}}),
)
FILES = ("config.json", "summary.json", "measures.json", "metrics.jsonl", "eval.jsonl")

pytestmark = pytest.mark.usefixtures("undrawn")


def words(metric: str) -> Measure:
    """Return words of every form that a report reads."""
    kind = "error" if "error" in metric else "proportion"
    many = metric.rstrip("_0123456789") + "_L_H" if metric[-1].isdigit() else None
    baseline = "a baseline" if metric.endswith(("pixels", "constant")) else None
    return Measure(sentence="Words.", kind=kind, shown=many, detail=many is not None, baseline=baseline)  # type: ignore[arg-type]


def arrays() -> dict[str, dict[str, Any]]:
    """Return one of each kind of arrays, by the evaluation that it is of."""
    images, line, row = np.eye(4, dtype=np.uint8)[None, None].repeat(3, 1), np.linspace(0, 1, 4), np.zeros((1, 4))
    labels, one = np.array([[0, 1, 1]]), np.array([1])
    return {
        "few": {"examples": Examples(images=images, labels=labels, predicted_closed=one, predicted_open=one)},
        "heads": {
            "attention": AttentionMaps(
                images=images, labels=labels, predicted=one, attention=np.full((1, 1, 2, 5, 5), 0.2, np.float32),
                item_tokens=np.array([0, 2, 4]), label_tokens=np.array([1, 3]),
            )
        },
        "new": {
            "shots": ShotCurves(measure="accuracy", curves={"model": ScalarCurve(line, line, line, line)}, count=9),
            "fits": Fits(context_inputs=row, context_targets=row, inputs=row, truth=row, predictions={"model": row}),
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run that has one of everything that a report shows."""
    folder = tmp_path_factory.mktemp("made") / "run"
    named = {
        "few": ["accuracy_closed", "accuracy_pixels", "confusion_0_to_0", "confusion_0_to_other"],
        "heads": [f"{score}_0_{head}" for score in ("induction", "same_class") for head in range(2)],
        "removed": ["icl", "icl_without_0_0", "icl_without_0_1"],
        "trained": ["accuracy_open", "accuracy_open_decile_3", "accuracy_open_decile_10"],
        "new": ["accuracy_last", "accuracy_first"],
        "old": ["accuracy_last", "accuracy_first"],
        "lines": ["squared_error", "squared_error_constant", "normalised_error"],
    }
    half, saved = proportion(10, 20), arrays()
    for step in (10, 100):
        results = [
            Result(
                name, dict.fromkeys(metrics, half), dict.fromkeys(metrics, 0.25), {m: words(m) for m in metrics},
                family=Family(title="A family", sentence="Kin.") if name == "lines" else None,
                arrays=saved.get(name, {}),
            )
            for name, metrics in named.items()
        ]  # fmt: skip
        append_evaluations(folder, step=step, results=results)
    logged = [{"step": step, "time": 1.0 + step, "loss": 5 / (step + 1)} for step in range(10, 101, 10)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged))
    about = (("icl", "few", "accuracy_closed"), ("iwl", "trained", "accuracy_open"), ("e", "lines", "normalised_error"))
    headlines = [
        Headline(name=name, evaluation=evaluation, metric=metric, title=name, sentence="A number.").to_json()
        for name, evaluation, metric in about
    ]
    config = {
        "config": {"data": {"note": "<script>", "zips": ["a.zip"]}}, "preset": {"name": "laptop", "config": {"a": 9}},
        "headlines": headlines, "learner": {"seen": "old", "unseen": "new"}, "seed": 7, "versions": {"jax": "0.10"},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    write_summary(folder)
    return folder


@pytest.fixture
def whole(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "run")


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
    assert text.endswith("</script></body></html>")
    assert text.count("<script") == 1
    missing = read_run(folder).missing
    assert text.count("<li>") >= len(missing)
    assert bool(missing) <= ('id="missing"' in text)  # parts that could not be drawn stand there too
    return text


def test_an_undamaged_folder_has_every_part(whole: Path) -> None:
    text = check_page(whole)
    parts = ("training", "later", "baselines", "frequency", "confusion", "heads", "attention", "by-examples", "fits",
             "family-1", "examples", "numbers", "setting", "downloads")  # fmt: skip
    assert [part for part in parts if f'id="{part}"' not in text] == []
    assert 'id="missing"' not in text


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


@pytest.mark.lengthy
@pytest.mark.parametrize("new", HOSTILE[::2], ids=lambda new: repr(new)[:20])
def test_what_the_headlines_read_may_be_anything(whole: Path, new: Any) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    train = dict.fromkeys(("steps", "seconds", "steps_per_second", "final_loss", "failed_at"), new)
    (whole / "summary.json").write_text(json.dumps(summary | {"train": train, "seed": new, "learner": new}))
    (whole / "metrics.jsonl").write_text(json.dumps({"step": 3, "loss": new}) + "\n" + json.dumps({"step": new}) + "\n")
    config = json.loads((whole / "config.json").read_text())
    config |= {"config": new, "versions": new, "preset": {"name": new, "config": {"steps": new}}, "other": {"x": new}}
    config["headlines"] += [new, config["headlines"][0] | {"title": new}, config["headlines"][0] | {"metric": new}]
    (whole / "config.json").write_text(json.dumps(config))
    lines = []
    for end in ("value", "low", "high", "count"):
        estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "count": 5} | {end: new}
        lines += [
            {"step": 900, "evaluation": name, "metrics": {metric: estimate}, "chance": {metric: new}}
            for name, metric in (("few", "accuracy_closed"), ("lines", "squared_error"))
        ]
    every = {"value": new, "low": new, "high": new, "count": 5}
    lines.append({"step": 901, "evaluation": "trained", "metrics": {"accuracy_open": every}})
    lines.append({"step": 902, "evaluation": new, "metrics": {str(new): {**estimate, "count": 5}}, "family": new})
    with (whole / "eval.jsonl").open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
    check_page(whole)


@pytest.mark.lengthy
def test_a_file_cut_off_or_garbled_anywhere_is_named_or_read_to_the_damage(whole: Path) -> None:
    generator = np.random.default_rng(0)
    originals = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file() and path.stat().st_size}
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
    made: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    for place, names in enumerate((FILES[:3], FILES[3:])):  # of all of them nothing of a run would be left
        folder = shutil.copytree(made, tmp_path / str(place))
        for name in names:
            damage(folder / name)
        text = check_page(folder)
        missing = text[text.index('id="missing"') :]
        for name in names:
            if name != "measures.json" or said != "not there":  # a folder without words is whole
                assert re.search(f"{name}: [^<]*{said}", missing)


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


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
@pytest.mark.parametrize("value", [1.5, -3.0, 1e308, None])
@pytest.mark.parametrize(
    "metrics",
    [
        {
            "few": ["confusion_0_to_0", "accuracy_pixels"], "trained": ["accuracy_open_decile_3"],
            "heads": ["induction_0_1"], "removed": ["icl"], "lines": ["normalised_error"],
        },
        {"few": ["confusion_99_to_0"], "heads": ["induction_9_9"], "removed": ["icl", "icl_without_7_7"]},
        {"few": ["confusion_99999999_to_0"], "lines": ["squared_error", "squared_error_constant"]},
    ],
    ids=["usual", "beyond", "far beyond"],
)  # fmt: skip
def test_numbers_that_no_run_writes_cost_a_part_of_the_page_at_most(
    whole: Path, metrics: dict[str, list[str]], value: float | None
) -> None:
    estimate = {"value": value, "low": value, "high": value, "count": 5}
    lines = [{"step": 200, "evaluation": name, "metrics": dict.fromkeys(of, estimate)} for name, of in metrics.items()]
    with (whole / "eval.jsonl").open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))
    assert 'id="numbers"' in check_page(whole)


def test_numbers_are_kept_as_they_are_where_they_can_be_shown(whole: Path) -> None:
    odd = Estimate(value=7.5, low=7.0, high=8.0, count=3)
    append_evaluations(whole, step=300, results=[Result("few", {"accuracy_closed": odd}, {})])
    assert "7.000\N{EN DASH}8.000, 3 sequences" in check_page(whole)
