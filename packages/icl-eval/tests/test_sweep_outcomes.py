"""What the seeds of a sweep came to: their kinds of learner, how their last values lie, and the page."""

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from icl_eval import (
    Estimate,
    Headline,
    Measure,
    Result,
    ShotCurves,
    append_evaluations,
    bimodality,
    proportion,
    write_report,
    write_summary,
)
from icl_eval.figures.outcome_histograms import outcome_histograms
from icl_eval.report.sweep_outcomes import outcome_pictures, outcome_rows
from icl_eval.sweeps.bimodality import STRONG
from icl_eval.sweeps.outcomes import most_mixed, outcome_target, setting_outcomes
from icl_eval.sweeps.sweep_runs import read_sweep
from icl_eval.tasks.shots import accuracy_by_shots

FAILS, MEMORIZES, IDENTIFIES = "fails to meta-train", "task memorization", "task identification"
GENERAL, UNDECIDED = "general learning to learn", "undecided"
KINDS = [MEMORIZES, IDENTIFIES, GENERAL, FAILS, UNDECIDED]
# Of each kind: accuracy on seen tasks first, last and in between, on unseen tasks first and last, and the loss.
MADE = {
    FAILS: (0.1, 0.1, 0.1, 0.1, 0.1, 2.29),
    MEMORIZES: (0.8, 0.8, 0.8, 0.1, 0.11, 0.5),
    IDENTIFIES: (0.1, 0.7, 0.5, 0.1, 0.12, 0.9),
    GENERAL: (0.1, 0.7, 0.5, 0.1, 0.6, 1.0),
    UNDECIDED: (0.1, 0.1, 0.5, 0.1, 0.1, 2.29),  # better at a position in between alone
}


def write_learner(folder: Path, kind: str, *, tasks: int, seed: int, headline: bool = True, count: int = 2000) -> None:
    """Write the run folder of a learner of a kind, whose unseen accuracy varies a little by seed."""
    first, last, middle, unseen_first, unseen_last, loss = MADE[kind]
    unseen_last += 0.002 * (seed % 4)
    accuracies = {"seen_tasks": (first, middle, last), "unseen_tasks": (unseen_first, unseen_last, unseen_last)}
    results = []
    for name, positions in accuracies.items():
        correct = np.arange(count)[:, None] < np.round(np.array(positions) * count)
        curve = accuracy_by_shots(correct, examples=np.arange(3), chance=0.1)
        metrics = {
            f"accuracy_{place}": proportion(round(accuracy * count), count)
            for place, accuracy in (("first", positions[0]), ("last", positions[-1]))
        }
        measures = {metric: Measure(sentence="Share that is right.", kind="proportion") for metric in metrics}
        arrays = {"shots": ShotCurves(measure="accuracy", curves={"model": curve}, count=count)}
        results.append(Result(name, metrics, dict.fromkeys(metrics, 0.1), measures, unit="tasks", arrays=arrays))
    append_evaluations(folder, step=100, results=results)
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 100, "time": 9.0, "loss": loss}) + "\n")
    named = [
        Headline(name=each, evaluation=f"{each}_tasks", metric="accuracy_last", title=f"{each.title()} tasks",
                 sentence="Right.").to_json()
        for each in ("seen", "unseen")
    ]  # fmt: skip
    config = {
        "config": {"train": {"steps": 100, "seed": seed}, "data": {"num_tasks": tasks}},
        "headlines": named if headline else named[:1],
        "learner": {"seen": "seen_tasks", "unseen": "unseen_tasks"},
        "seed": seed,
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_summary(folder)


def write_seeds(folder: Path, kinds: dict[int, Sequence[str]], **options: bool) -> Path:
    for tasks, of_tasks in kinds.items():
        for seed, kind in enumerate(of_tasks):
            write_learner(folder / f"n{tasks}-{seed}", kind, tasks=tasks, seed=seed, **options)  # type: ignore[arg-type]
    return folder


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


@pytest.fixture
def transition(tmp_path: Path) -> Path:
    """Few tasks are memorised, many fail, and in between seeds differ."""
    seeds = {4: [MEMORIZES] * 3, 64: [FAILS] * 4 + [GENERAL] * 5, 256: [FAILS] * 7 + [UNDECIDED]}
    return write_seeds(tmp_path / "s", seeds)


def test_seeds_are_counted_by_kind_and_their_last_values_asked(transition: Path) -> None:
    sweep = read_sweep(transition)
    target = outcome_target(sweep)
    assert target is not None and (target.evaluation, target.title) == ("unseen_tasks", "Unseen tasks")
    found = setting_outcomes(sweep, target, folder=transition)
    assert [list(each.counts.values()) for each in found] == [[3, 0, 0, 0, 0], [0, 0, 5, 4, 0], [0, 0, 0, 7, 1]]
    table = outcome_rows(sweep, found)
    assert table.header == ["num_tasks", "seeds", *KINDS, "Unseen tasks: last", "one or two kinds"]
    assert table.rows[0] == ["4", "3", "3", "0", "0", "0", "0", "0.110 to 0.114", "wants 8 seeds, has 3"]
    assert re.fullmatch(r"two kinds of seeds \(BIC lower by \d+\.\d\)", table.rows[1][-1])
    assert re.fullmatch(r"no strong evidence of two kinds \(BIC higher by \d+\.\d\)", table.rows[2][-1])


def test_without_its_arrays_a_run_is_told_by_the_ends_of_its_curve(transition: Path) -> None:
    for path in transition.glob("n256-7/arrays/*.npz"):
        path.write_bytes(b"damaged")
    sweep = read_sweep(transition)
    target = outcome_target(sweep)
    assert target is not None
    assert setting_outcomes(sweep, target, folder=transition)[-1].counts[FAILS] == 8


def test_the_page_has_the_table_and_a_histogram_for_each_setting_with_enough_seeds(transition: Path) -> None:
    text = write_report(transition, png=True).read_text()
    assert "could not be drawn" not in text and (transition / "figures" / "outcomes.png").exists()
    said = words(text)
    assert "What the seeds came to How many seeds of each setting" in said
    assert "64 9 0 0 5 4 0 0.100 to 0.606 two kinds of seeds (BIC lower by" in said
    assert "num_tasks 64: 0.100 to 0.606, 5 general learning to learn, 4 fails to meta-train" in text
    assert "wants 8 seeds, has 3" in said


def test_a_sweep_whose_runs_have_no_learner_type_has_no_such_table(
    tmp_path: Path, write_run: Callable[..., Path], undrawn: None
) -> None:
    for seed in range(8):
        write_run(tmp_path / f"{seed}", {100: 0.5 + 0.01 * seed}, seed=seed)
    assert outcome_target(read_sweep(tmp_path)) is None
    assert "What the seeds came to" not in write_report(tmp_path).read_text()
    (tmp_path / "0" / "config.json").write_text('{"learner": {"unseen": "new", "seen": "gone"}}')
    assert "What the seeds came to" not in write_report(tmp_path).read_text()


def test_without_a_headline_on_unseen_tasks_the_number_that_tells_the_kind_is_asked(tmp_path: Path) -> None:
    sweep = read_sweep(write_seeds(tmp_path, {4: [GENERAL]}, headline=False))
    target = outcome_target(sweep)
    assert target is not None and target.title == "accuracy_last of unseen_tasks"


def test_of_too_many_settings_those_whose_seeds_differ_most_are_drawn(tmp_path: Path) -> None:
    mixed = {4: 0, 8: 3, 16: 1, 32: 2}
    seeds = {tasks: [GENERAL] * number + [FAILS] * (8 - number) for tasks, number in mixed.items()}
    sweep = read_sweep(write_seeds(tmp_path, seeds))
    target = outcome_target(sweep)
    assert target is not None
    found = setting_outcomes(sweep, target, folder=tmp_path)
    assert [each.setting for each in most_mixed(found, most=2)] == [(8,), (32,)]
    assert [each.setting for each in most_mixed(found, most=9)] == [(4,), (8,), (16,), (32,)]
    few = [dataclasses.replace(each, lasts=dict(list(each.lasts.items())[:7])) for each in found]
    assert most_mixed(few, most=9) == [] == list(outcome_pictures(sweep, few))


def test_bars_hold_every_seed_at_its_value_and_in_the_colour_of_its_kind() -> None:
    generator = np.random.default_rng(0)
    seeds = [(float(value), kind) for value, kind in zip(generator.random(60), KINDS * 12, strict=True)]
    figure = outcome_histograms({"a": seeds, "b": [*seeds[:9], (1.0 + 1e-12, GENERAL)]}, x_label="accuracy", chance=0.1)
    panel, other = figure.axes
    for kind in KINDS:
        values = [value for value, each in seeds if each == kind]
        own = [container for container in panel.containers if container.get_label() == kind]
        bars = {round(bar.get_x(), 6): bar for container in own for bar in container}
        expected = {place: sum(place <= v < place + 0.05 for v in values) for place in np.round(np.arange(20) / 20, 6)}
        assert {x: bar.get_height() for x, bar in bars.items()} == {x: n for x, n in expected.items() if n}
    tops: dict[float, float] = {}
    for bar in panel.patches:  # each stands on the one below
        place = round(bar.get_x(), 6)
        assert bar.get_y() == tops.get(place, 0)
        tops[place] = bar.get_y() + bar.get_height()
    assert sum(bar.get_height() for bar in other.patches) == 10
    legend = figure.legends[0]
    looks = {
        (text.get_text(), patch.get_facecolor(), patch.get_hatch())
        for text, patch in zip(legend.get_texts(), legend.get_patches(), strict=True)
    }
    assert len(looks) == len({look[1:] for look in looks}) == 5
    assert panel.get_ylim() == other.get_ylim()


def test_errors_over_decades_have_a_logarithmic_axis_and_wrong_panels_are_refused() -> None:
    seeds = [(0.001, GENERAL), (0.002, GENERAL), (1.0, FAILS), (float("nan"), FAILS)]
    (panel,) = outcome_histograms({"": seeds}, x_label="error", kind="error", chance=1.0).axes
    assert panel.get_xscale() == "log" and sum(bar.get_height() for bar in panel.patches) == 3
    (panel,) = outcome_histograms({"": [(-2.0, FAILS)]}, x_label="gain", kind="mean").axes
    assert panel.get_xscale() == "linear" and panel.patches[0].get_x() == -2
    for panels in ({}, {"": [(float("nan"), FAILS)]}, {"": [(0.1, "perfect")]}, {str(n): seeds for n in range(13)}):
        with pytest.raises(ValueError, match=r"1\.\.12 panels"):
            outcome_histograms(panels, x_label="accuracy")


def test_accuracies_are_asked_on_a_linear_scale_and_may_be_0() -> None:
    two = [0.0, 0.02, 0.01, 0.0, 0.62, 0.6, 0.58, 0.61]
    found = bimodality(two, scale="linear")
    assert found is not None and found > STRONG
    # What is compared does not change with the unit or the origin, and what is not finite is left out.
    moved = bimodality([*(5 - 300 * value for value in two), float("nan")], scale="linear")
    assert moved == pytest.approx(found, abs=0.01)
    logs = bimodality(np.exp(two))
    assert logs == pytest.approx(found, abs=1e-6)
    assert bimodality(two) is None  # six are above 0
    same = bimodality([0.1] * 9, scale="linear")
    assert same is not None and same < 0 and bimodality([0.0] * 9, scale="linear") == same
    with pytest.raises((ValueError, TypeError)):
        bimodality(two, scale="logit")  # type: ignore[arg-type]


def test_values_without_intervals_are_classified_and_counted(tmp_path: Path) -> None:
    sweep = write_seeds(tmp_path, {4: [GENERAL]})
    lines = (sweep / "n4-0" / "eval.jsonl").read_text().splitlines()
    for number, line in enumerate(map(json.loads, lines)):
        for metric in line["metrics"].values():
            metric.update(low=None, high=None)
        assert Estimate.from_json(line["metrics"]["accuracy_last"]).interval == "interval unknown"
        lines[number] = json.dumps(line)
    (sweep / "n4-0" / "eval.jsonl").write_text("\n".join(lines) + "\n")
    runs = read_sweep(sweep)
    target = outcome_target(runs)
    assert target is not None
    assert setting_outcomes(runs, target, folder=sweep)[0].counts[GENERAL] == 1
