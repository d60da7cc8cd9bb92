"""The page of a sweep: of a grid, of one option, of none, and of folders in any state."""

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from icl_eval import Emergence, PowerLaw, __main__, fit_power_law, quartiles, write_report
from icl_eval.figures.against_option import against_option
from icl_eval.figures.emergence_map import MapCell, emergence_map
from icl_eval.figures.emergence_times import emergence_times
from icl_eval.report.sweep_emergence import emergence_map_pictures
from icl_eval.sweeps.arrangement import stretches
from icl_eval.sweeps.emergence_table import setting_emergences
from icl_eval.sweeps.odd_runs import odd_runs
from icl_eval.sweeps.sweep_runs import read_sweep
from icl_eval.sweeps.target import find_target, headline_targets

WriteRun = Callable[..., Path]
STEPS = range(0, 101, 25)


def rising(top: float) -> dict[int, float]:
    """Return a curve that rises from one half to `top`."""
    return {step: 0.5 + (top - 0.5) * step / 100 for step in STEPS}


@pytest.fixture
def grid(tmp_path: Path, write_run: WriteRun) -> Path:
    """Two options with numbers, one over decades, two seeds each; one cell of the grid is missing."""
    for classes in (10, 100, 1000):
        for width in (32, 64):
            for seed in (0, 1) if (classes, width) != (1000, 64) else ():
                top = 1.0 - 0.1 * math.log10(classes / 10) - 0.01 * seed
                write_run(
                    tmp_path / "s" / f"c{classes}-w{width}-{seed}", rising(top), seed=seed, classes=classes, width=width
                )
    return tmp_path / "s"


@pytest.mark.lengthy
def test_a_grid_is_drawn_by_each_option_and_as_a_map_and_told_in_words(grid: Path, tmp_path: Path) -> None:
    text = write_report(grid, png=True).read_text()
    names = {path.name for path in (grid / "figures").iterdir()}
    assert names == {
        *(f"{kind}-{option}.png" for kind in ("final-proportion", "emergence") for option in ("classes", "width")),
        *(f"training-by-{option}-{number}.png" for option in ("classes", "width") for number in (1, 2)),
        *(f"grid-{name}-accuracy.png" for name in ("new", "old")),
        "emergence-map-0.9.png",
        "emergence-map-0.95.png",
    }
    # Lines from 0.5 to 1 and to 0.99 come to 0.9 at steps 80 and 82; with 100 classes they end at 0.9 and 0.89.
    assert "it comes to 0.9, by data.classes and data.width: 81 at 10 and 32; 81 at 10 and 64; " in text
    assert "<title>s: sweep of 10 runs</title>" in text and "varied: data.classes, data.width" in text
    assert "width 32: NEW 0.995 at 10, 0.895 at 100, 0.795 at 1,000" in text and "could not be drawn" not in text
    assert not re.search(r'(?:src|href)="(?!data:|#|\./)', text) and not re.search(r"url\([^#]|@import", text)
    assert write_report(grid, to=tmp_path / "to").read_bytes() == write_report(grid, to=tmp_path / "to").read_bytes()


def test_runs_are_linked_where_they_have_a_report_and_else_say_the_command(
    grid: Path, undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(grid / "c10-w32-0")
    text = write_report(grid).read_text()
    assert text.count('<a href="./c10-w32-0/report.html">report</a>') == 1
    assert f"<code>python -m icl_eval report {grid}/c10-w32-1</code>" in text
    assert __main__.main(["report", str(grid), "--reports"]) == 0
    assert capsys.readouterr().out.strip() == str(grid / "report.html")
    text = (grid / "report.html").read_text()
    assert len(re.findall(r'<a href="\./[^"]*/report.html">', text)) == 10
    assert all((grid / found).is_file() for found in re.findall(r'<a href="\./([^"]*)">', text))


def test_with_another_folder_nothing_is_written_into_the_runs(grid: Path, tmp_path: Path, undrawn: None) -> None:
    before = sorted(grid.rglob("*"))
    text = write_report(grid, to=tmp_path / "to", reports=True).read_text()
    assert sorted(grid.rglob("*")) == before
    assert '<a href="./c10-w32-0/report.html">' in text and (tmp_path / "to" / "c10-w32-0" / "report.html").exists()


def test_one_run_below_a_folder_and_runs_that_differ_in_nothing_are_a_page(
    tmp_path: Path, write_run: WriteRun, undrawn: None
) -> None:
    write_run(tmp_path / "s" / "groups" / "a, π <b>", rising(1.0), seed=None)
    text = write_report(tmp_path / "s").read_text()
    assert "varied: nothing but the seed" in text and "a, π &lt;b&gt;" in text and "all runs" in text
    for seed in range(3):
        write_run(tmp_path / "s" / "groups" / f"b{seed}", {100: 0.5}, seed=seed)
    assert "sweep of 4 runs" in write_report(tmp_path / "s").read_text()


def test_texts_are_categories_and_may_be_anything(tmp_path: Path, write_run: WriteRun) -> None:
    for place, name in enumerate(["$\\frac{$", "comma, π", "<script>alert(1)</script>"]):
        write_run(tmp_path / str(place), rising(0.9), note=name)
    text = write_report(tmp_path).read_text()
    assert "could not be drawn" not in text and "<script>alert" not in text


def test_runs_that_failed_are_not_finished_not_finite_or_far_from_others_are_named(
    tmp_path: Path, write_run: WriteRun, undrawn: None
) -> None:
    for seed in range(6):
        write_run(tmp_path / f"seed{seed}", rising(0.6 if seed == 5 else 0.95 + 0.005 * (seed % 3)), seed=seed)
    write_run(tmp_path / "nan", rising(0.9) | {100: math.nan}, seed=6)
    write_run(tmp_path / "half", {0: 0.5, 50: 0.7}, seed=7)
    failed = write_run(tmp_path / "failed", {0: 0.5}, seed=8)
    (failed / "metrics.jsonl").write_text('{"step": 9, "loss": 1}\n{"step": 10, "failed": true}\n')
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.json").write_text("{}")
    sweep = read_sweep(tmp_path)
    found: dict[str, list[str]] = {}
    for path, why in odd_runs(sweep, headline_targets(sweep)):
        found.setdefault(path, []).append(why)
    assert found == {
        "begun": ["unfinished, at step 0", "never evaluated"],
        "failed": ["failed at step 10, where the loss was not finite"],
        "half": ["unfinished, at step 50"],
        "nan": ["NEW is not finite at the end", "OLD is not finite at the end"],
        "seed5": [f"{name} 0.600, where the median of its setting is 0.952" for name in ("NEW", "OLD")],
    }
    text = write_report(tmp_path).read_text()
    assert all(why in text for reasons in found.values() for why in reasons)
    assert "the last to emerge, of those that did: at step" in text


def test_damage_is_named_and_never_makes_it_fail(grid: Path, undrawn: None) -> None:
    for name, file, content in (
        ("c10-w32-0", "eval.jsonl", '{"step": 1e400}\n{"evaluation'),
        ("c10-w32-1", "config.json", "["),
        ("c100-w32-0", "summary.json", '{"train": {"steps_per_second": "fast", "steps": null, "failed_at": []}}'),
        ("c100-w32-1", "metrics.jsonl", "\x00"),
        ("c100-w64-0", "config.json", json.dumps({"config": {"data": {"classes": 10**30, "width": -1e308}}})),
    ):
        (grid / name / file).write_text(content)
    text = write_report(grid).read_text()
    assert "c10-w32-1: config.json: damaged" in text and "sweep of 10 runs" in text


def test_runs_without_headlines_are_a_page_of_tables(tmp_path: Path, write_run: WriteRun) -> None:
    for name in ("a", "b"):
        (write_run(tmp_path / name, {1: 0.5}) / "config.json").unlink()
    text = write_report(tmp_path).read_text()
    assert "The runs measured no headline" in text and "runs.csv" in text


def test_all_censored_has_triangles_and_no_median(tmp_path: Path, write_run: WriteRun) -> None:
    for p in (0, 1):
        write_run(tmp_path / str(p), rising(0.7), p=p)
    text = write_report(tmp_path).read_text()
    # 0.9 is of no use to them: halfway from 0.5 to 0.7 is.
    assert "<td>halfway</td>" in text and "<td>0.95</td>" not in text
    assert "not reached to not reached" in text and "at step 50" in text and "could not be drawn" not in text


def test_a_setting_is_shown_by_its_finished_runs_and_one_without_by_what_it_has(
    tmp_path: Path, write_run: WriteRun, undrawn: None
) -> None:
    for p, seed, curve in ((1, 0, rising(0.9)), (1, 1, {0: 0.5, 50: 0.6}), (2, 0, {0: 0.5, 50: 0.8})):
        write_run(tmp_path / f"p{p}-{seed}", curve, seed=seed, p=p)
    assert "At the end, by data.p: NEW 0.900 at 1, 0.800 at 2" in write_report(tmp_path).read_text()


def test_options_that_were_varied_one_at_a_time_have_a_stretch_each(tmp_path: Path, write_run: WriteRun) -> None:
    for p, k in ((0, 1), (1, 1), (2, 1), (0, 5), (0, 9)):
        write_run(tmp_path / f"{p}-{k}", {1: 0.5}, p=p, k=k)
    sweep = read_sweep(tmp_path)
    assert [(each.title, list(each.settings)) for each in stretches(sweep, "data.p")] == [("", [0, 1, 2])]
    assert [(each.title, list(each.settings)) for each in stretches(sweep, "data.k")] == [("", [1, 5, 9])]


def test_censored_seeds_are_triangles_at_their_last_evaluation() -> None:
    at = Emergence(step=10.0, happened=True, after=0.0, by=20.0, threshold=0.9)
    later = Emergence(step=200.0, happened=False, after=200.0, by=None, threshold=0.9)
    first = Emergence(step=5.0, happened=True, after=None, by=5.0, threshold=0.9)
    panels = {"": ([1, 10], {"0.9": [([at, first], 7.5), ([at, later, later], None)]})}
    (panel,) = emergence_times(panels, names={1: "1", 10: "10"}, x_label="n").axes
    assert panel.get_xscale() == panel.get_yscale() == "log"
    marks = [
        np.asarray(marks.get_offsets()).tolist() for marks in panel.collections if isinstance(marks, PathCollection)
    ]
    assert marks == [[[1, 10], [10, 10]], [[10, 200], [10, 200]], [[1, 5]]]
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), [7.5, np.nan])
    assert [text.get_text() for text in panel.texts] == ["2\N{MULTIPLICATION SIGN}", "0.9"]
    with pytest.raises(ValueError, match="got 0 times in 0 panels"):
        emergence_times({}, names={}, x_label="n")


def map_panel(cells: Sequence[Sequence[MapCell]], **laws: Sequence[PowerLaw | None]) -> Axes:
    rows, columns = len(cells), len(cells[0])
    figure = emergence_map(
        cells, row_names=list("abcdefg"[:rows]), column_names=list("uvwxyz"[:columns]), row_title="r", column_title="c",
        title="t", **{"row_laws": [None] * rows, "column_laws": [None] * columns} | laws,
    )  # fmt: skip
    return figure.axes[0]


def test_a_map_is_darker_the_earlier_and_white_where_half_of_the_seeds_did_not_come_there() -> None:
    happened = [True, True, True, True]
    early, late = (MapCell(quartiles([k, k, 2 * k, 2 * k], happened), 0.0) for k in (100, 1_000))
    most = MapCell(quartiles([500, 600, 700, 8_000], [True, True, True, False]), 8_000)
    few = MapCell(quartiles([500, 8_000, 8_000, 8_000], [True, False, False, False]), 8_000)
    panel = map_panel([[early, late, MapCell(None, 0.0)], [most, few, few]])
    dash = "\N{EN DASH}"
    assert [text.get_text() for text in panel.texts] == [
        "150", f"100{dash}200", "1,500", f"1,000{dash}2,000", "650", "3 of 4", *["> 8,000", "1 of 4"] * 2
    ]  # fmt: skip
    faces = [patch.get_facecolor() for patch in panel.patches]
    assert faces[0][3] > faces[3][3] > faces[1][3] and faces[4][:3] == faces[5][:3] == (1.0, 1.0, 1.0)
    assert [patch.get_hatch() for patch in panel.patches] == [None, None, "////", None, None, None]


def test_exponents_stand_at_the_end_of_their_rows_and_above_their_columns() -> None:
    cell = MapCell(quartiles([10, 20], [True, True]), 0.0)
    law = fit_power_law([1, 2, 4, 8], [8, 4, 2, 1], [True] * 4)  # 8 / x
    panel = map_panel([[cell] * 3, [cell] * 3], row_laws=[None, law], column_laws=[law, None, None])
    beside = {text.get_text(): text.xy for text in panel.texts if "x^" in text.get_text()}
    assert list(beside) == ["$x^{-1.00}$\n-1.00 to -1.00"]
    places = [text.xy for text in panel.texts if "x^" in text.get_text()]
    assert places == [(1.0, 0.25), (pytest.approx(1 / 6), 1.0)]  # the lower row of two; the first column of three
    with pytest.raises(ValueError, match="names and laws that fit them; got rows of"):
        map_panel([[cell], [cell]], row_laws=[None])


def test_a_map_has_the_laws_of_its_rows_and_columns_from_runs(tmp_path: Path, write_run: WriteRun) -> None:
    # The step at which a line from 0 at step 0 to 1 at step T comes to 0.9 is 0.9 T.
    for k in (1, 2, 4):
        for p in (1, 3):
            for seed in (0, 1):
                end = 100 * k**2 * p * (1.0 + 0.01 * seed)
                write_run(tmp_path / f"{k}-{p}-{seed}", {0: 0.0, round(end): 1.0}, seed=seed, k=k, p=p)
    sweep = read_sweep(tmp_path)
    target = find_target(sweep)
    rows = setting_emergences(sweep, target, [0.9])
    (picture,) = emergence_map_pictures(sweep, target, rows)
    assert picture.name == "emergence-map-0.9" and "90 at 1 and 1; 271 at 1 and 3; 362 at 2" in picture.alt
    texts = [text.get_text().split("\n")[0] for text in picture.draw().axes[0].texts if "x^" in text.get_text()]
    assert texts == [*["$x^{1.00}$"] * 3, *["$x^{2.00}$"] * 2]


def test_bands_go_from_the_lowest_to_the_highest_seed_that_is_finite() -> None:
    panels = {"": ([1, 2], {"ICL": [[0.5, 0.7, math.nan], []]})}
    (panel,) = against_option(panels, names={1: "1", 2: "2"}, x_label="n", chances={"ICL": 0.5}).axes
    np.testing.assert_allclose(panel.lines[0].get_ydata(), [0.6, np.nan])
    with pytest.raises(ValueError, match=r"Wanted 1\.\.12 panels"):
        against_option({"": ([1], {"ICL": []})}, names={1: "1"}, x_label="n")
