"""The parts of a report that show what results say of themselves: headlines, families, learners, curves by shots."""

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import (
    Estimate,
    Family,
    Fits,
    Headline,
    Measure,
    Result,
    ScalarCurve,
    ShotCurves,
    append_evaluations,
    proportion,
    write_report,
    write_summary,
)

ERROR = Measure(sentence="Error, as a share of the best constant's.", kind="error")
ACCURACY = Measure(sentence="Accuracy after all examples.", kind="proportion")
ELSEWHERE = Family(title="Elsewhere", sentence="Sines, while the model was trained on linear functions.")

pytestmark = pytest.mark.usefixtures("undrawn")


def estimate(value: float, *, spread: float = 0.01) -> Estimate:
    return Estimate(value=value, low=value - spread, high=value + spread, count=400)


def of_baseline(name: str, *, kind: Any = "error") -> Measure:
    return Measure(sentence="Of a baseline.", kind=kind, shown="baseline", baseline=name)


def begin(folder: Path, results: list[Result], **config: Any) -> Path:
    for step in (0, 100):
        append_evaluations(folder, step=step, results=results)
    headlines = [
        Headline(name=name, evaluation=f"{name}_ones", metric=next(iter(results[0].metrics)), title=name.title(),
                 sentence=f"The {name} ones.").to_json()
        for name in ("new", "old")
    ]  # fmt: skip
    config = {"config": {"steps": 100}, "headlines": headlines} | config
    (folder / "config.json").write_text(json.dumps(config))
    logged = [{"step": step, "time": 1.0, "loss": 9 - step} for step in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged))
    write_summary(folder)
    return folder


def labels_run(folder: Path, *names: str, **config: Any) -> Path:
    results = [
        Result(
            name,
            {"accuracy_last": proportion(right, 400), "accuracy_first": proportion(40, 400)},
            {"accuracy_last": 0.1, "accuracy_first": 0.1},
            {"accuracy_last": ACCURACY, "accuracy_first": ACCURACY},
            unit="tasks",
        )
        for name, right in zip(names or ("new_ones", "old_ones"), (240, 280), strict=False)
    ]
    return begin(folder, results, **config)


def functions_run(folder: Path, *, new: float = 0.25, arrays: dict[str, Any] | None = None) -> Path:
    results = [
        Result(
            name,
            {"normalised_error": estimate(error)},
            {"normalised_error": 1.0},
            {"normalised_error": ERROR},
            "tasks",
            None,
            given,
        )
        for name, error, given in (("new_ones", new, arrays or {}), ("old_ones", 0.125, {}))
    ]
    return begin(folder, results)


def page(folder: Path) -> str:
    return write_report(folder).read_text()


def headings(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def alts(text: str) -> list[str]:
    return re.findall(r' aria-label="(.*?)">(?:</svg>|\n)', text)


def words(text: str) -> str:
    text = html.unescape(re.sub(r"<[^>]*>", " ", text))
    return re.sub(r" ([.;,])", r"\1", " ".join(text.split()))


def test_a_card_for_each_headline_in_the_order_of_the_run(tmp_path: Path) -> None:
    text = page(labels_run(tmp_path))
    assert headings(text)[:3] == ["New", "Old", "Over training"]
    assert "New 0.600 95 % interval 0.551\N{EN DASH}0.647, 400 tasks; above chance (0.1). The new ones." in words(text)
    assert alts(text)[0].startswith("Over training: New from 0.600 at step 0 to 0.600 at step 100; Old from 0.700")
    assert "training loss from 8.000 at step 1 to 6.000 at step 3" in alts(text)[0]
    assert "dotted lines are chance" in text
    assert '<th scope="col">tasks</th><th scope="col">step</th>' in text
    assert "Later in training" not in text  # one step above 0 tells of no change


def test_a_headline_that_was_not_measured_is_left_out(tmp_path: Path) -> None:
    text = page(labels_run(tmp_path, "new_ones"))
    assert headings(text)[:2] == ["New", "Over training"]


def test_a_run_that_names_no_headlines_shows_its_loss_and_its_numbers(tmp_path: Path) -> None:
    text = page(labels_run(tmp_path, headlines="lost"))
    assert headings(text) == ["Over training", "All numbers", "How it was made", "Downloads"]
    assert "The loss that training logged" in text


@pytest.mark.parametrize(
    ("error", "said"), [(0.25, "better than"), (0.995, "not distinguishable from"), (1.5, "worse than")]
)
def test_errors_are_held_against_the_best_constant(tmp_path: Path, error: float, said: str) -> None:
    text = page(functions_run(tmp_path, new=error))
    assert f"400 tasks; {said} the best constant (1). The new ones." in words(text)
    assert "dotted lines are the best constant" in text


def test_the_kind_of_learner_comes_first_with_its_reason(tmp_path: Path) -> None:
    text = page(labels_run(tmp_path, learner={"seen": "old_ones", "unseen": "new_ones"}))
    assert headings(text)[:3] == ["What it has learnt", "New", "Old"]
    assert "What it has learnt general learning to learn The accuracy is 0.10 at first and 0.60 at last" in words(text)


@pytest.mark.parametrize("learner", [None, {}, {"seen": "old_ones"}, {"seen": "old_ones", "unseen": "nowhere"}, [1]])
def test_no_kind_of_learner_is_told_without_its_evaluations(tmp_path: Path, learner: object) -> None:
    assert "What it has learnt" not in page(labels_run(tmp_path, learner=learner))


def family(folder: Path, name: str, *, model: float, kind: str = "error", **baselines: float) -> None:
    metric = "squared_error" if kind == "error" else "accuracy_last"
    metrics = {metric: estimate(model)} | {f"{metric}_{each}": estimate(value) for each, value in baselines.items()}
    measures = {metric: Measure(sentence="The model's.", kind=kind)} | {  # type: ignore[arg-type]
        f"{metric}_{each}": of_baseline(each.replace("_", " "), kind=kind) for each in baselines
    }
    result = Result(f"other_{name}", metrics, {}, measures, "tasks", ELSEWHERE)
    append_evaluations(folder, step=100, results=[result])


def rows(text: str) -> dict[str, list[str]]:
    table = text[text.index("scroll family") :]
    cells = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    ]
    found = {
        first: [" ".join(re.sub(r"<(?!/?b>)[^>]*>|&nbsp;|\n", " ", cell).split()) for cell in rest]
        for first, *rest in cells[1:]
        if rest
    }
    return found | {"header": cells[0]}


def test_a_family_is_a_table_with_its_sentence_and_the_best_in_bold(tmp_path: Path) -> None:
    folder = functions_run(tmp_path)
    family(folder, "sines", model=0.1, constant=1.0, Gaussian_process=0.3)
    family(folder, "wide_steps", model=0.5, constant=0.4, Gaussian_process=0.7)
    family(folder, "lines", model=0.5, constant=0.8, ridge=0.495)
    text = page(folder)
    assert "Elsewhere" in headings(text)
    said = words(text)
    assert "Sines, while the model was trained on linear functions. Shown is squared_error" in said
    assert "families of functions that were not trained on" not in said.lower()  # no words but those of the results
    found = rows(text)
    assert found["header"] == [
        "evaluation",
        "model",
        "best baseline",
        "model is better than",
        "constant",
        "ridge",
        "Gaussian process",
    ]
    assert found["Sines"] == [
        "<b>0.100</b> 0.090\N{EN DASH}0.110",
        "0.300 Gaussian process",
        "all 2",
        "1.000",
        "",
        "0.300",
    ]
    assert found["Wide steps"][1:] == ["0.400 constant", "1 of 2 not constant", "<b>0.400</b>", "", "0.700"]
    assert found["Lines"][1:] == ["0.495 ridge", "1 of 2 not ridge", "0.800", "≈ <b>0.495</b>", ""]


def test_of_accuracies_more_is_better(tmp_path: Path) -> None:
    folder = labels_run(tmp_path)
    family(folder, "digits", model=0.5, kind="proportion", ridge=0.4, nearest=0.6)
    assert rows(page(folder))["Other digits"] == [
        "0.500 0.490\N{EN DASH}0.510", "0.600 nearest", "1 of 2 not nearest", "0.400", "<b>0.600</b>",
    ]  # fmt: skip


def test_baselines_without_a_number_are_never_the_best(tmp_path: Path) -> None:
    folder = functions_run(tmp_path)
    family(folder, "sines", model=0.1, lost=np.nan, ridge=0.3)
    assert rows(page(folder))["Other sines"][1:3] == ["0.300 ridge", "1 of 2 not lost"]
    family(folder, "sines", model=0.1, lost=np.nan)
    assert rows(page(folder))["Other sines"][1] == ""


def test_a_family_without_baselines_shows_what_the_headlines_do_and_what_has_no_number(tmp_path: Path) -> None:
    folder = functions_run(tmp_path)
    nothing = Estimate(value=np.nan, low=np.nan, high=np.nan, count=3)
    for name, error in (("a_lost", nothing), ("a_found", estimate(0.5))):
        metrics = {"loss": estimate(3.0), "normalised_error": error}
        result = Result(name, metrics, {}, {"normalised_error": ERROR}, "tasks", ELSEWHERE)
        append_evaluations(folder, step=100, results=[result])
    found = rows(page(folder))
    assert found["header"] == ["evaluation", "model"]
    assert found["Lost"] == ["not finite interval unknown"]
    assert found["Found"] == ["<b>0.500</b> 0.490\N{EN DASH}0.510"]


def test_baselines_of_no_family_are_a_table_and_outlive_later_evaluations_without_them(tmp_path: Path) -> None:
    folder = labels_run(tmp_path)
    metrics = {
        "accuracy_closed": estimate(0.9),
        "accuracy_in_context": estimate(0.91),
        "accuracy_pixels": estimate(0.7),
    }
    measures = {"accuracy_pixels": of_baseline("nearest image", kind="proportion")}
    append_evaluations(folder, step=100, results=[Result("few", metrics, {}, measures)])
    append_evaluations(folder, step=200, results=[Result("few", {"accuracy_closed": estimate(0.1)}, {})])
    text = page(folder)
    assert "Against baselines" in headings(text)
    assert "Shown is accuracy_in_context" in words(text)
    assert rows(text)["Few"] == ["<b>0.910</b> 0.900\N{EN DASH}0.920", "0.700 nearest image", "all 1", "0.700"]


def shot_curves() -> ShotCurves:
    values = [np.array([0.1, 0.4, np.nan])] * 3
    curves = {
        "model": ScalarCurve(np.array([0.0, 4.0, 8.0]), *values, chance=0.1),
        "<b>3-NN": ScalarCurve(*[np.arange(3.0)] * 4),
    }
    return ShotCurves(measure="accuracy", curves=curves, count=64)


def some_fits() -> Fits:
    line = np.tile(np.linspace(0, 1, 5), (4, 1))
    predictions = {"model": line + 0.5, "3-NN": line - 2}
    return Fits(context_inputs=line, context_targets=line, inputs=line, truth=line, predictions=predictions)


def test_every_curve_by_shots_gets_a_figure_that_says_its_numbers_headlines_first(tmp_path: Path) -> None:
    folder = labels_run(tmp_path)
    for name in ("a_third", "old_ones", "new_ones"):
        result = Result(name, {"accuracy_last": proportion(1, 2)}, {}, unit="tasks", arrays={"shots": shot_curves()})
        append_evaluations(folder, step=100, results=[result])
    text = page(folder)
    assert "By number of examples" in headings(text)
    said = [alt for alt in alts(text) if "by number of examples" in alt]
    assert [alt.split(",")[0] for alt in said] == ["New ones", "Old ones", "A third"]
    assert "model from 0.100 at examples 0 to 0.400 at examples 4" in said[0]
    assert "&lt;b&gt;3-NN from" in said[0] and "<b>3-NN" not in text
    assert "64 tasks per point" in text and "the dotted line is chance." in text


def test_fits_of_all_evaluations_are_one_figure(tmp_path: Path) -> None:
    folder = functions_run(tmp_path)
    for name in ("other_sines", "other_lines"):
        result = Result(name, {"loss": estimate(1.0)}, {}, arrays={"fits": some_fits()})
        append_evaluations(folder, step=100, results=[result])
    text = page(folder)
    assert headings(text).count("Fitted functions") == 1
    (alt,) = [alt for alt in alts(text) if "fits" in alt]
    assert "Sines model 0.250, 3-NN 4.000" in alt and "Lines model" in alt


def test_damaged_arrays_are_named_and_left_out(tmp_path: Path) -> None:
    folder = functions_run(tmp_path, arrays={"shots": shot_curves(), "fits": some_fits()})
    assert {"By number of examples", "Fitted functions"} <= set(headings(page(folder)))
    for path in (folder / "arrays").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    text = page(folder)
    assert "shots_new_ones.npz: damaged" in text
    assert "fits_new_ones.npz: damaged" in text
    assert not {"By number of examples", "Fitted functions"} & set(headings(text))
