"""What a notebook shows of results, runs and tables: every number, escaped, with nothing to load or run."""

import json
import math
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import Estimate, Measure, Result, Run, RunTable, ScalarCurve, append_evaluations, mean, read_run, table
from icl_eval.results.fragments import small_curve

HOSTILE = "<script>alert('x')</script>\"&{}%s"


class Page(HTMLParser):
    """The elements of a fragment, in order, and the texts of its cells; refuses what is not balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.rows, self._open = "", list[list[str]](), list[str]()
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for each, attributes in self.elements if each == tag]


def page(shown: Any) -> Page:
    html = shown._repr_html_()
    found = Page(html)
    assert not {"script", "link", "style", "img", "iframe"} & {tag for tag, _ in found.elements}
    assert not [name for _, each in found.elements for name in each if name.startswith("on") or name == "href"]
    assert "http" not in html and "url(" not in html
    return found


def test_a_result_is_a_table_of_its_metrics_with_details_folded() -> None:
    half = Estimate(value=0.5, low=0.4, high=0.6, count=1200)
    result = Result(
        "holdout",
        {"accuracy": half, "loss": mean(np.array([2.0])), "decile_1": half},
        {"accuracy": 0.25},
        {
            "accuracy": Measure(sentence=f"{HOSTILE}.", kind="proportion"),
            "decile_1": Measure(sentence="One tenth.", kind="proportion", detail=True),
        },
        unit="tasks",
    )
    found = page(result)
    header = ["metric", "value", "95 % interval", "chance", "tasks"]
    assert found.rows == [
        header,
        ["accuracy", "0.500", "0.400\N{EN DASH}0.600", "0.25", "1,200"],
        ["loss", "2.000", "interval unknown", "", "1"],
        header,
        ["decile_1", "0.500", "0.400\N{EN DASH}0.600", "", "1,200"],
    ]
    assert found.all("span")[0]["title"] == f"{HOSTILE}."
    assert len(found.all("details")) == 1 and found.text.startswith("holdout") and "details (1)" in found.text


def test_names_of_results_are_escaped() -> None:
    half = Estimate(value=0.5, low=0.4, high=0.6, count=9)
    found = page(Result(HOSTILE, {HOSTILE: half}, {HOSTILE: 0.1}))
    assert found.text.startswith(HOSTILE) and found.rows[1][0] == HOSTILE
    assert "no metrics" in page(Result("empty", {}, {})).text


def test_a_run_shows_its_headlines_with_their_curves_and_the_loss(run: Path) -> None:
    found = page(read_run(run))
    assert found.text.startswith("a <run> & more") and "after 100 steps; seed 7" in found.text
    assert found.rows == [
        ["", "value", "95 % interval", "chance", "count", "over training"],
        ["In context (ICL)", "0.950", "0.910\N{EN DASH}0.973", "0.5", "200", ""],
        ["In weights (IWL)", "0.105", "0.070\N{EN DASH}0.155", "0.01", "200", ""],
        ["training loss", "0.050", "", "", "", ""],
    ]
    words = [drawing["aria-label"] for drawing in found.all("svg")]
    assert words[0] == "from 0.500 at step 0 to 0.950 at step 100"
    assert words[2] == "from 0.455 at step 10 to 0.050 at step 100"
    assert [len((line["points"] or "").split()) for line in found.all("polyline")] == [3, 3, 10]
    assert len(found.all("line")) == 2 and not found.all("details")


def test_what_a_run_lacks_is_said_and_nothing_of_it_is_trusted(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["headlines"][0] |= {"title": HOSTILE, "sentence": HOSTILE}
    (run / "config.json").write_text(json.dumps(config))
    (run / "summary.json").unlink()
    lines = [{"step": 10, "loss": 1e308}, {"step": 20, "loss": -1e308}, {"step": 30, "loss": float("nan")}]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    found = page(read_run(run))
    assert found.rows[1][0] == HOSTILE and found.all("span")[0]["title"] == HOSTILE
    assert "summary.json: not there." in found.text and "notes (1)" in found.text
    assert found.all("polyline")[2]["points"] == "4.0,4.0 176.0,40.0"


def test_a_run_without_headlines_names_what_was_evaluated(tmp_path: Path) -> None:
    append_evaluations(tmp_path, step=5, results=[Result("mine", {"loss": mean(np.arange(3.0))}, {})])
    found = page(read_run(tmp_path))
    assert "after 5 steps; evaluated: mine" in found.text and not found.all("svg")
    assert "after 0 steps" in page(Run("empty")).text


@pytest.mark.parametrize("within", [None, (0.0, 1.0)])
def test_a_small_curve_lies_where_its_numbers_do(within: tuple[float, float] | None) -> None:
    values = np.array([0.2, math.nan, 0.6, 0.4])
    curve = ScalarCurve(np.array([0.0, 5.0, 10.0, 100.0]), values, values - 0.1, values + 0.1, chance=0.5)
    found = Page(str(small_curve(curve, within=within)))
    low, high = within or (0.1, 0.7)
    wanted = [
        (4 + 1.72 * step, 40 - 36 * (value - low) / (high - low)) for step, value in ((0, 0.2), (10, 0.6), (100, 0.4))
    ]
    points = [tuple(map(float, point.split(","))) for point in (found.all("polyline")[0]["points"] or "").split()]
    assert points == pytest.approx(np.array(wanted), abs=0.051)
    assert float(found.all("line")[0]["y1"] or 0) == pytest.approx(40 - 36 * (0.5 - low) / (high - low), abs=0.051)
    assert len((found.all("polygon")[0]["points"] or "").split()) == 6


def test_a_long_curve_keeps_its_ends_and_one_of_nothing_is_not_drawn() -> None:
    line = np.arange(10_000.0)
    found = Page(str(small_curve(ScalarCurve(line, line, line, line))))
    points = (found.all("polyline")[0]["points"] or "").split()
    assert len(points) == 200 and (points[0], points[-1]) == ("4.0,40.0", "176.0,4.0")
    nothing = np.array([math.nan])
    assert small_curve(ScalarCurve(np.zeros(1), nothing, nothing, nothing)) == ""
    one = Page(str(small_curve(ScalarCurve(np.zeros(1), np.ones(1), nothing, nothing))))
    assert [(dot["cx"], dot["cy"]) for dot in one.all("circle")] == [("90.0", "22.0")]


def test_a_table_shows_numbers_out_of_a_file_that_are_no_floats() -> None:
    columns = ("run", "a.loss", "a.loss.low", "a.loss.high", "a.loss.count")
    found = page(RunTable(columns, (("x", 10**400, 0, 1, 9), ("y", 1.0, 0, 10**400, 9))))
    assert found.rows[1:] == [["x", str(10**400)], ["y", "1.000 (interval unknown, n=9)"]]


def test_a_table_puts_numbers_and_their_intervals_into_one_cell() -> None:
    columns = ("run", "rate", "step", "a.loss", "a.loss.low", "a.loss.high", "a.loss.count", "b.low")
    rows = ((HOSTILE, 1e-5, 50, 0.25, 0.2, 0.3, 9, 1.0), ("y", None, 1000, math.nan, None, None, None, math.nan))
    found = page(RunTable(columns, rows))
    assert found.rows == [
        ["run", "rate", "step", "a.loss", "b.low"],
        [HOSTILE, "1e-05", "50", "0.250 (0.200\N{EN DASH}0.300, n=9)", "1"],
        ["y", "", "1000", "not finite (interval unknown, n=)", "not finite"],
    ]
    assert found.text.endswith("2 rows and 5 columns")


def test_a_long_table_is_cut_and_says_so() -> None:
    found = page(RunTable(tuple(map(str, range(30))), (tuple(range(30)),) * 1000))
    assert len(found.rows) == 21 and {len(row) for row in found.rows} == {12}
    assert "The first 20 of 1,000 rows and 12 of 30 columns are shown; write(path), csv() and to_pandas()" in found.text
    assert page(RunTable((), ())).text == "0 rows and 0 columns"


def test_the_table_of_a_sweep_is_shown(tmp_path: Path, write_run: Callable[..., Path]) -> None:
    for seed in range(2):
        write_run(tmp_path / str(seed), {0: 0.5, 100: 0.9}, seed=seed)
    found = page(table(tmp_path, last=True))
    assert found.rows[0] == ["run", "seed", "step", "sequences", "status", "new.accuracy", "old.accuracy"]
    assert found.rows[1][-1] == "0.900 (0.851\N{EN DASH}0.934, n=200)"
