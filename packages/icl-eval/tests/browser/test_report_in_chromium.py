"""What only a browser can tell of a page: the policy lets our script run and nothing else, and it fits a phone."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import (
    Estimate,
    Measure,
    Picture,
    Result,
    SizePoint,
    against_size,
    append_evaluations,
    proportion,
    write_comparison,
    write_report,
    write_summary,
    write_sweep,
)

playwright = pytest.importorskip("playwright.sync_api", reason="wants the dependency group `browser`")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium or google-chrome here"),
]

COLUMNS = ["evaluation", "measure", "value", "95 % interval", "chance", "sequences", "step"]
NUMERIC = range(2, 7)
UNKNOWN = Estimate(value=float("nan"), low=float("nan"), high=float("nan"), count=7)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def measured(run: Path) -> Path:
    """Make a run with about 400 numbers, from 1e-6 to 1e12, with some that are not finite; give its page."""
    generator = np.random.default_rng(0)
    names = ["accuracy_in_context", "loss", "accuracy_prototype_embedding", "from_context_fewshot", "context_loss"]
    names += [f"accuracy_open_decile_{tenth}" for tenth in range(1, 11)]
    names += [f"confusion_{a}_to_{b}" for a in range(2) for b in (0, 1, "other")]
    names += [
        f"{kind}_{layer}_{head}" for kind in ("induction", "same_class") for layer in (0, 1) for head in range(12)
    ]
    words = {
        name: Measure(sentence="One of many.", kind="proportion", shown=name.rstrip("_0123456789"), detail=True)
        for name in names
        if name.startswith(("accuracy_open_decile", "confusion", "induction", "same_class"))
    }
    for step, evaluation in ((100, "fewshot_common"), (1100, "swapped_zipfian"), (20, "fewshot_holdout")):
        metrics = {}
        for name in names:
            value = float(10 ** generator.uniform(-6, 12) if name == "loss" else generator.random() / 3)
            count = int(generator.integers(1, 20_000))
            metrics[name] = Estimate(value=value, low=value / 2, high=value * 2, count=count)
        metrics |= {"accuracy_closed": proportion(9, 90), "calibration_error": UNKNOWN}
        chance = {name: float(generator.random()) for name in names[::2]}
        append_evaluations(run, step=step, results=[Result(evaluation, metrics, chance, words)])
    write_summary(run)
    config = json.loads((run / "config.json").read_text())
    preset = {"name": "laptop", "config": {"data": {"note": "a" * 200}, "steps": 9}}
    (run / "config.json").write_text(json.dumps(config | {"preset": preset}))
    return write_report(run)


class Visit:
    """A page that was opened, with all that it asked for and complained about."""

    def __init__(self, browser: Any, path: Path, *, width: int = 1280, scheme: str = "light", script: bool = True):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def shown(self, *, table: int = 0) -> list[list[str]]:
        """Return the cells of the rows of a table of numbers that are not hidden."""
        return self.page.evaluate(
            "place => Array.from(document.querySelectorAll('.all-numbers .measures table')[place].tBodies[0].rows)"
            ".filter(row => !row.hidden).map(row => Array.from(row.cells, cell => cell.textContent))",
            table,
        )


@pytest.fixture
def sweep(run: Path, tmp_path: Path) -> Path:
    point = SizePoint(trunk="LSTM", state_size=256, parameters=300_000, accuracy=0.25)
    picture = Picture("sizes", "Sizes", lambda: against_size([point]), "A run.", "0.25.")
    shutil.copytree(run, tmp_path / "sweep" / "a")
    return write_sweep(tmp_path / "sweep", pictures=[picture], note="Some.")


@pytest.fixture
def comparison(run: Path, tmp_path: Path) -> Path:
    """Make a page of three runs, of which the second has the highest ICL and the third lacks its evaluations."""
    folders = [run]
    for name, right in (("b$\\frac$ <i>", 199), ("c", None)):
        folders.append(shutil.copytree(run, tmp_path / name))
        (folders[-1] / "eval.jsonl").unlink()
        (folders[-1] / "summary.json").unlink()
        if right is not None:
            metrics = {"accuracy_closed": proportion(right, 200)}
            append_evaluations(folders[-1], step=100, results=[Result("fewshot_holdout", metrics, {})])
    return write_comparison(folders, tmp_path / "comparison.html")


@pytest.mark.parametrize("fixture", ["measured", "sweep", "comparison"])
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_loads_nothing_shows_every_picture_and_fits(
    chromium: Any, request: pytest.FixtureRequest, fixture: str, width: int, scheme: str
) -> None:
    path = request.getfixturevalue(fixture)
    with Visit(chromium, path, width=width, scheme=scheme) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach(folded => { folded.open = true; })")
        assert visit.complaints == []
        assert [url for url in visit.requests if not url.startswith("data:")] == [path.as_uri()]
        widths = visit.page.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
        widths += visit.page.eval_on_selector_all(
            "figure svg", "all => all.map(one => one.getBoundingClientRect().width)"
        )
        assert widths
        assert min(widths) > 0
        assert visit.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        colour = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = np.mean([int(part) for part in re.findall(r"\d+", colour)[:3]])
        assert brightness > 200 if scheme == "light" else brightness < 60


def test_the_runs_of_a_comparison_are_sorted_by_a_number(chromium: Any, comparison: Path) -> None:
    with Visit(chromium, comparison) as visit:
        button = visit.page.locator(".all-numbers thead th button").nth(1)
        assert button.inner_text() == "In context (ICL)"
        button.click()
        values = [row[1][:5] for row in visit.shown()]
        button.click()
        assert values == ["0.950", "0.995", ""]  # what is not known comes last
        assert [row[1][:5] for row in visit.shown()] == ["0.995", "0.950", ""]
        assert visit.page.locator(".downloads a").count() == 1
        assert visit.complaints == []


def test_pictures_take_the_colours_of_the_page(chromium: Any, measured: Path) -> None:
    drawn = "shapes => shapes.map(shape => getComputedStyle(shape).fill + getComputedStyle(shape).stroke)"
    found = []
    for scheme in ("light", "dark"):
        with Visit(chromium, measured, scheme=scheme) as visit:
            found.append(visit.page.eval_on_selector_all("figure svg path[style]", drawn))
            first = visit.page.locator("figure svg path[style]").first
            background = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert first.evaluate("shape => getComputedStyle(shape).fill") == background
    assert len(found[0]) == len(found[1]) > 20
    assert all(light != dark for light, dark in zip(*found, strict=True))


def test_pictures_on_one_page_do_not_take_each_others_parts(chromium: Any, measured: Path) -> None:
    with Visit(chromium, measured) as visit:
        ids = visit.page.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
        assert len(ids) == len(set(ids))
        strangers = visit.page.eval_on_selector_all(
            "figure svg use",
            "uses => uses.filter(use => !use.closest('svg').querySelector(use.getAttribute('xlink:href'))).length",
        )
        assert strangers == 0


def test_the_contents_lead_to_sections(chromium: Any, measured: Path) -> None:
    with Visit(chromium, measured) as visit:
        links = visit.page.locator("nav a")
        assert links.count() >= 5
        for place in range(links.count()):
            anchor = links.nth(place).get_attribute("href")
            assert visit.page.locator(f"section{anchor}").count() == 1
            links.nth(place).click()
            assert visit.page.url.endswith(anchor)


def natural(text: str) -> list[int | str]:
    """Order text as a reader does: numbers in it by size."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


@pytest.mark.parametrize("table", [0, 1])
def test_a_click_on_a_column_sorts_it_and_another_turns_it_round(chromium: Any, measured: Path, table: int) -> None:
    with Visit(chromium, measured) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach(folded => { folded.open = true; })")
        before = visit.shown(table=table)
        box = visit.page.locator(".all-numbers .measures").nth(table)
        assert box.locator("thead th").all_inner_texts() == COLUMNS
        for column in range(len(COLUMNS)):
            heading = box.locator("thead th").nth(column)
            heading.locator("button").click()
            assert_sorted(visit, box, heading, table=table, column=column, way="ascending")
            heading.locator("button").press("Enter")
            assert_sorted(visit, box, heading, table=table, column=column, way="descending")
        assert sorted(visit.shown(table=table)) == sorted(before)
        assert visit.complaints == []


def assert_sorted(visit: Visit, box: Any, heading: Any, *, table: int, column: int, way: str) -> None:
    assert heading.get_attribute("aria-sort") == way
    assert box.locator("[aria-sort]").count() == 1
    if column in NUMERIC:
        cells = box.locator(f"tbody tr > :nth-child({column + 1})")
        keys = cells.evaluate_all("cells => cells.map(cell => cell.dataset.sort)")
        known = [float(key) for key in keys if key]
        assert known == sorted(known, reverse=way == "descending")
        assert keys[len(known) :] == [""] * (len(keys) - len(known))  # what is not known comes last
    else:
        shown = [row[column] for row in visit.shown(table=table)]
        assert shown == sorted(shown, key=natural, reverse=way == "descending")


def test_what_a_column_is_sorted_by_is_the_number_in_the_folder(chromium: Any, measured: Path) -> None:
    lines = [json.loads(line) for line in (measured.parent / "eval.jsonl").read_text().splitlines()]
    found = {(line["evaluation"], line["step"]): line for line in lines}
    with Visit(chromium, measured) as visit:
        rows = visit.page.locator(".all-numbers .measures").first.locator("tbody tr")
        cells = rows.evaluate_all(
            "rows => rows.map(row => Array.from(row.cells, c => c.dataset.sort ?? c.textContent))"
        )
    assert len(cells) > 10
    for evaluation, metric, value, low, chance, count, step in cells:
        line = found[evaluation, int(step)]
        estimate = line["metrics"][metric]
        for shown, wanted in (
            (value, estimate["value"]),
            (low, estimate["low"]),
            (chance, line["chance"].get(metric)),
            (count, estimate["count"]),
        ):
            assert (float(shown) if shown else None) == wanted


def test_the_filter_keeps_the_rows_that_have_all_its_words(chromium: Any, measured: Path) -> None:
    with Visit(chromium, measured) as visit:
        everything = [visit.shown(table=table) for table in (0, 1)]
        folded = visit.page.locator(".all-numbers details").filter(has=visit.page.locator(".measures"))
        said = visit.page.locator("output")
        for words in ("loss", "COMMON induction_1", "fewshot loss", "no such", "<", ""):
            visit.page.get_by_label("Filter").fill(words)
            wanted = [
                [row for row in rows if all(word in "".join(row).lower() for word in words.lower().split())]
                for rows in everything
            ]
            assert [visit.shown(table=table) for table in (0, 1)] == wanted
            total = sum(map(len, everything))
            assert said.inner_text() == (f"{sum(map(len, wanted))} of {total} rows" if words else "")
            if words:
                assert folded.evaluate("box => box.open") == bool(wanted[1])
        assert visit.complaints == []


def test_without_javascript_the_tables_are_complete(chromium: Any, measured: Path) -> None:
    with Visit(chromium, measured) as visit:
        wanted = sum(len(visit.shown(table=table)) for table in (0, 1))
    with Visit(chromium, measured, script=False) as visit:
        assert visit.page.locator(".all-numbers .measures tbody tr").count() == wanted
        assert visit.page.locator(".all-numbers .measures button").count() == 0
        assert visit.page.get_by_label("Filter").count() == 0


def test_downloads_hold_what_the_files_do(chromium: Any, measured: Path, tmp_path: Path) -> None:
    with Visit(chromium, measured) as visit:
        saved = {}
        links = visit.page.locator(".downloads a")
        for place in range(links.count()):
            with visit.page.expect_download() as waiting:
                links.nth(place).click()
            path = tmp_path / "saved"
            waiting.value.save_as(path)
            saved[waiting.value.suggested_filename] = json.loads(path.read_text())
        assert visit.complaints == []
    for name in ("summary.json", "config.json"):
        assert saved[name] == json.loads((measured.parent / name).read_text())
    lines = [json.loads(line) for line in (measured.parent / "eval.jsonl").read_text().splitlines()]
    assert len(saved["evaluations.json"]) == len(lines)
    assert all(line in saved["evaluations.json"] for line in lines)


def test_a_script_that_found_its_way_into_the_page_does_not_run(chromium: Any, measured: Path) -> None:
    text = measured.read_text().replace("</main>", "<script>document.title = 'taken'</script></main>")
    measured.write_text(text)
    with Visit(chromium, measured) as visit:
        assert "taken" not in visit.page.title()
        assert any("Content Security Policy" in complaint for complaint in visit.complaints)
        assert visit.page.locator(".all-numbers .measures button").count() == 14  # ours still does
