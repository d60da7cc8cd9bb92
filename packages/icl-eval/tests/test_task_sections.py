import json
import re
from pathlib import Path

import numpy as np
import pytest

from icl_eval import (
    Estimate,
    Result,
    ScalarCurve,
    append_evaluations,
    proportion,
    read_run,
    write_report,
    write_summary,
)
from icl_eval.results.saved_arrays import Fits, ShotCurves

IMAGE = re.compile(r'src(?:set)?="data:[^"]*"')


def estimate(value: float, *, spread: float = 0.01) -> Estimate:
    return Estimate(value=value, low=value - spread, high=value + spread, count=400)


def begin(folder: Path, results: list[Result], *, steps: tuple[int, ...] = (0, 100)) -> Path:
    for step in steps:
        append_evaluations(folder, step=step, results=results)
    (folder / "config.json").write_text('{"config": {}}')
    (folder / "metrics.jsonl").write_text("".join(f'{{"step": {step}, "loss": {9 - step}}}\n' for step in (1, 2, 3)))
    write_summary(folder, train={"steps": 100}, seed=0)
    return folder


def page(folder: Path) -> str:
    return write_report(folder).read_text()


def headings(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def alts(text: str) -> list[str]:
    return re.findall(r' alt="(.*?)"', text)


def labels_run(folder: Path, *, with_seen: bool = True) -> Path:
    names = ["unseen_tasks", "seen_tasks"] if with_seen else ["unseen_tasks"]
    results = [
        Result(
            evaluation=name,
            metrics={
                "accuracy_last": proportion(right, 400),
                "accuracy_first": proportion(40, 400),
                "loss": estimate(1.5),
            },
            chance={"accuracy_last": 0.1, "accuracy_first": 0.1},
        )
        for name, right in zip(names, (240, 280), strict=False)
    ]
    return begin(folder, results)


def functions_run(folder: Path, *, unseen: float = 0.25) -> Path:
    results = [
        Result(
            evaluation=name, metrics={"squared_error": estimate(0.3), "normalised_error": estimate(error)}, chance={}
        )
        for name, error in (("unseen_tasks", unseen), ("seen_tasks", 0.125))
    ]
    return begin(folder, results)


def set_verdict(folder: Path, verdict: object) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"verdict": verdict}))


def save_curves(folder: Path, name: str) -> None:
    rows = [np.array([0.1, 0.4, np.nan])] * 3
    curves = {
        "model": ScalarCurve(np.array([0.0, 4.0, 8.0]), *rows, chance=0.1),
        "<b>3-NN": ScalarCurve(*[np.arange(3.0)] * 4),
    }
    (folder / "arrays").mkdir(exist_ok=True)
    ShotCurves(measure="accuracy", curves=curves, count=64).save(folder / "arrays" / f"by_examples_{name}.npz")


def save_fits(folder: Path, name: str) -> None:
    line = np.tile(np.linspace(0, 1, 5), (4, 1))
    predictions = {"model": line + 0.5, "3-NN": line - 2}
    fits = Fits(context_inputs=line, context_targets=line, inputs=line, truth=line, predictions=predictions)
    (folder / "arrays").mkdir(exist_ok=True)
    fits.save(folder / "arrays" / f"fits_{name}.npz")


def test_an_omniglot_page_is_what_it_was(run: Path) -> None:
    text = page(run)
    assert headings(text) == [
        "In context (ICL)", "In weights (IWL)", "Over training", "Later in training", "Example sequences",
        "All numbers", "How it was made", "Downloads",
    ]  # fmt: skip
    assert (
        '<div class="numbers"><section class="number icl"><h2>In context (ICL)</h2><p class="value">0.950</p>'
        "<p>95 % interval 0.910\N{EN DASH}0.973, 200 sequences; <b>above chance (0.5)</b>.</p>"
    ) in text
    assert (
        "<figcaption>Accuracy in-context (ICL) and in-weights (IWL), above the training loss, by training step. "
        "Bands are 95 % intervals from 200 sequences per point; dotted lines are chance.</figcaption>"
    ) in text
    assert "<dd>Share that are right when the arg-max is taken over all labels.</dd>" in text
    assert "Cross-entropy" not in text  # nor the meaning of what it does not have
    assert '<th scope="col">sequences</th><th scope="col">step</th>' in text
    assert ".number.learnt" not in text  # nor the style of what it does not have
    assert sorted(path.name for path in (run / "figures").iterdir()) == ["emergence.png", "transience.png"]


def test_the_verdict_comes_first_with_its_reason(tmp_path: Path) -> None:
    folder = labels_run(tmp_path)
    set_verdict(folder, {"verdict": "learns to learn", "reason": "0.6 < 0.7 & so on."})
    text = page(folder)
    assert headings(text)[:3] == ["What it has learnt", "Unseen tasks", "Seen tasks"]
    assert '<p class="value">learns to learn</p><p class="soft">0.6 &lt; 0.7 &amp; so on.</p>' in text
    assert ".number.learnt" in text


@pytest.mark.parametrize("damaged", [None, "learns to learn", {"reason": "x"}, {"verdict": 3}, []])
def test_a_damaged_verdict_is_left_out(tmp_path: Path, damaged: object) -> None:
    folder = labels_run(tmp_path)
    set_verdict(folder, damaged)
    assert "What it has learnt" not in page(folder)


def test_runs_on_labels_show_accuracy_against_chance(tmp_path: Path) -> None:
    text = page(labels_run(tmp_path))
    assert '<p class="value">0.600</p><p>95 % interval ' in text
    assert "400 tasks; <b>above chance (0.1)</b>." in text
    (alt,) = alts(text)
    assert alt.startswith(
        "Over training: accuracy, unseen: from 0.600 at step 0 to 0.600 at step 100; accuracy, seen: "
    )
    assert "accuracy, seen, first: from 0.100" in alt
    assert "training loss from 8.000 at step 1 to 6.000 at step 3" in alt
    assert "Accuracy before any example" in text
    assert "closed accuracy" not in text
    assert '<th scope="col">tasks</th><th scope="col">step</th>' in text
    assert (tmp_path / "figures" / "emergence.png").read_bytes().startswith(b"\x89PNG")


def test_unseen_tasks_alone_are_enough(tmp_path: Path) -> None:
    text = page(labels_run(tmp_path, with_seen=False))
    assert headings(text)[:2] == ["Unseen tasks", "Over training"]
    assert "First: before any example" not in text


@pytest.mark.parametrize(
    ("error", "said"), [(0.25, "better than"), (0.995, "not distinguishable from"), (1.5, "worse than")]
)
def test_runs_on_functions_are_held_against_the_best_constant(tmp_path: Path, error: float, said: str) -> None:
    text = page(functions_run(tmp_path, unseen=error))
    unseen = text[text.index("Unseen tasks</h2>") : text.index("Seen tasks</h2>")]
    assert f"<b>{said} the best constant (1)</b>" in unseen
    assert "normalised error, seen: from 0.125 at step 0" in alts(text)[0]
    assert "the dotted line is the best constant" in text
    assert "Cross-entropy" not in text


def test_every_curve_by_examples_gets_a_figure_that_says_its_numbers(tmp_path: Path) -> None:
    folder = labels_run(tmp_path)
    for name in ("seen_tasks", "other data", "unseen_tasks"):
        save_curves(folder, name)
    assert set(read_run(folder).by_examples) == {"seen_tasks", "other data", "unseen_tasks"}
    text = page(folder)
    assert "By number of examples" in headings(text)
    _, *said = alts(text)
    assert [alt.split(",")[0] for alt in said] == ["Unseen tasks", "Other data", "Seen tasks"]
    assert "model from 0.100 at examples 0 to 0.400 at examples 4" in said[0]
    assert "&lt;b&gt;3-NN from" in said[0]
    assert "<b>3-NN" not in text
    assert (folder / "figures" / "by_examples_other data.png").exists()
    assert len(re.findall(r"<source media", text)) == 4  # light and dark


def test_fits_of_all_families_are_one_figure(tmp_path: Path) -> None:
    folder = functions_run(tmp_path)
    for name in ("sines", "a<i>b"):
        save_fits(folder, name)
    text = page(folder)
    assert headings(text).count("Fitted functions") == 1
    alt = alts(text)[-1]
    assert "Sines model 0.250, 3-NN 4.000" in alt
    assert "A&lt;i&gt;b model" in alt
    assert (folder / "figures" / "fits.png").exists()


def transfer(folder: Path, family: str, *, model: float, **baselines: float) -> None:
    metrics = {"squared_error": estimate(model)} | {
        f"squared_error_{name.replace('_', ' ')}": estimate(value) for name, value in baselines.items()
    }
    append_evaluations(folder, step=100, results=[Result(evaluation=f"transfer_{family}", metrics=metrics, chance={})])


def rows(text: str) -> dict[str, list[str]]:
    table = text[text.index("scroll transfer") :]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", table)]
    return {
        first: [re.sub(r"<(?!/?b>)[^>]*>", " ", cell).strip() for cell in rest] for first, *rest in cells[1:] if rest
    } | {"header": cells[0]}


def test_transfer_is_a_table_with_the_best_in_bold(tmp_path: Path) -> None:
    folder = functions_run(tmp_path)
    transfer(folder, "sines", model=0.1, constant=1.0, Gaussian_process=0.3)
    transfer(folder, "wide_steps", model=0.5, constant=0.4, Gaussian_process=0.7)
    transfer(folder, "lines", model=0.5, constant=0.8, ridge=0.495)
    found = rows(page(folder))
    assert found["header"] == ["family", "model", "model is below", "constant", "ridge", "Gaussian process"]
    assert found["Sines"] == ["<b>0.100</b> 0.090\N{EN DASH}0.110", "all 2", "1.000", "", "0.300"]
    assert found["Wide steps"][1:] == ["1 of 2  not constant", "<b>0.400</b>", "", "0.700"]
    assert found["Lines"][1:] == ["1 of 2  with constant", "0.800", "\N{ALMOST EQUAL TO} <b>0.495</b>", ""]


def test_transfer_without_baselines_or_without_a_number_is_shown(tmp_path: Path) -> None:
    folder = functions_run(tmp_path)
    nothing = Estimate(value=np.nan, low=np.nan, high=np.nan, count=3)
    broken = Result(evaluation="transfer_lost", metrics={"squared_error": nothing}, chance={})
    append_evaluations(folder, step=100, results=[broken])
    assert rows(page(folder))["Lost"] == ["not finite  interval unknown", ""]


def test_damaged_arrays_are_named_and_left_out(tmp_path: Path) -> None:
    folder = labels_run(tmp_path)
    save_curves(folder, "unseen_tasks")
    save_fits(folder, "sines")
    for path in (folder / "arrays").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    text = page(folder)
    assert "by_examples_unseen_tasks.npz: damaged" in text
    assert "fits_sines.npz: damaged" in text
    assert not {"By number of examples", "Fitted functions", "Transfer"} & set(headings(text))


def test_the_same_folder_gives_the_same_page(tmp_path: Path) -> None:
    folder = functions_run(tmp_path)
    save_curves(folder, "unseen_tasks")
    save_fits(folder, "sines")
    first = page(folder)
    assert page(folder) == first
    assert IMAGE.search(first)
