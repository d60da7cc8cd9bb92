import html.parser
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from icl_eval import Estimate, Headline, Measure, Result, __main__, append_evaluations, proportion, write_summary
from icl_eval.report.comparison import write_comparison

VOID = {"img", "link", "meta", "source", "wbr"}


class Page(html.parser.HTMLParser):
    """Checks that elements nest, and keeps the text, the table rows and the attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.addresses: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("link", "iframe", "object")
        given = dict(attrs)
        assert tag != "script" or not given  # inline, and ours by its hash
        self.addresses += [str(given[name]) for name in ("src", "srcset", "href", "xlink:href") if name in given]
        if tag == "svg":
            self.images.append(str(given["aria-label"]))
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data

    def row(self, name: str) -> list[str]:
        return next(row for row in self.rows if row and row[0] == name)


HEADLINES = [
    Headline(name="icl", evaluation="holdout", metric="accuracy_closed", title="ICL", sentence="Closed."),
    Headline(name="iwl", evaluation="trained", metric="accuracy_open", title="IWL", sentence="Open."),
]

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Make run folders that differ in what they are asked to."""

    def make(name: str, *, p_bursty: float = 0.5, seed: int = 0, right: int = 150, iwl: bool = True) -> Path:
        folder = tmp_path / name
        for step in (0, 100):
            closed = Result("holdout", {"accuracy_closed": proportion(right, 200)}, {"accuracy_closed": 0.5})
            weights = Result("trained", {"accuracy_open": proportion(20, 200)}, {"accuracy_open": 0.001})
            append_evaluations(folder, step=step, results=[closed, weights] if iwl else [closed])
        config = {"data": {"p_bursty": p_bursty, "shots": 3}, "train": {"seed": seed}}
        headlines = [headline.to_json() for headline in HEADLINES]
        (folder / "config.json").write_text(json.dumps({"config": config, "headlines": headlines}))
        (folder / "metrics.jsonl").write_text('{"step": 100, "time": 4.0, "loss": 0.125}\n')
        write_summary(folder)
        return folder

    return make


def test_the_page_is_self_contained_and_says_the_numbers_of_every_run(make_run: MakeRun, tmp_path: Path) -> None:
    folders = [make_run("low <b>", p_bursty=0.1, right=100), make_run("high", p_bursty=0.9, right=190)]
    text = write_comparison(folders, tmp_path / "c.html").read_text()
    page = Page(text)
    assert page.addresses
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not re.search(r"url\([^#]|@import", text)
    assert page.row("high")[1:] == [
        "0.950 (0.910\N{EN DASH}0.973)", "0.100 (0.066\N{EN DASH}0.149)", "0.125", "100", "4",
    ]  # fmt: skip
    assert page.row("low <b>")[1].startswith("0.500 (")
    assert page.row("data.p_bursty")[1:] == ["0.1", "0.9"]
    assert not any(row[0] == "data.shots" for row in page.rows)
    assert len(page.images) == 2
    assert "high: ICL from 0.950 at step 0 to 0.950 at step 100" in page.images[0]
    assert "high ICL 0.950, IWL 0.100" in page.images[1]
    assert "Missing" not in page.text


def test_seeds_are_one_group_and_the_page_says_what_its_band_is(
    make_run: MakeRun, tmp_path: Path, undrawn: None
) -> None:
    folders = [make_run(f"bursty-seed{seed}", seed=seed, right=right) for seed, right in ((0, 100), (1, 150), (2, 200))]
    folders.append(make_run("other", p_bursty=0.1))
    page = Page(write_comparison(folders, tmp_path / "c.html").read_text())
    assert "bursty ICL 0.750" in page.images[1]
    assert "from the lowest to the highest seed: bursty (3 seeds); of a run alone, 95 %." in page.text
    assert page.row("bursty-seed2")[1] == "bursty"
    assert page.row("train.seed")[1:] == ["0", "1", "2", "0"]


def test_what_is_missing_is_named_and_a_run_without_evaluations_is_listed(
    make_run: MakeRun, tmp_path: Path, undrawn: None
) -> None:
    folders = [make_run("whole"), make_run("half", p_bursty=0.1, iwl=False), make_run("begun"), make_run("bare")]
    for name in ("eval.jsonl", "summary.json"):
        (folders[2] / name).unlink()
    for name in ("eval.jsonl", "config.json", "metrics.jsonl"):
        (folders[3] / name).unlink()
    (folders[3] / "summary.json").write_text('{"train": []}')
    page = Page(write_comparison(folders, tmp_path / "c.html").read_text())
    assert "half: no accuracy_open of trained, so no IWL." in page.text
    for said in ("begun: no evaluations.", "begun: eval.jsonl: not there.", "bare: config.json: not there."):
        assert said in page.text
    assert page.row("begun")[1:] == ["", "", "0.125", "100", ""]
    assert page.row("bare")[1:] == ["", "", "", "", ""]
    alone = Page(write_comparison(folders[3:], tmp_path / "d.html").read_text())
    assert alone.images == []
    assert "share no headline that was measured" in alone.text


def test_the_columns_are_the_headlines_that_the_runs_share(make_run: MakeRun, tmp_path: Path, undrawn: None) -> None:
    folders = [make_run("a"), make_run("b", p_bursty=0.1)]
    config = json.loads((folders[1] / "config.json").read_text())
    another = {"name": "another", "evaluation": "x", "metric": "y", "title": "Another", "sentence": "Not shared."}
    # The number of the same name is here of another evaluation, and comes after another.
    config["headlines"] = [another, config["headlines"][1] | {"name": "icl", "title": "Other words"}]
    (folders[1] / "config.json").write_text(json.dumps(config))
    page = Page(write_comparison(folders, tmp_path / "c.html").read_text())
    assert page.row("run") == ["run", "ICL", "final loss", "steps", "seconds"]
    assert page.row("a")[1].startswith("0.750 (") and page.row("b")[1].startswith("0.100 (")
    assert "b: ICL from 0.100" in page.images[0]


def test_errors_are_compared_on_their_own_axis_and_in_the_table(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("a")
    config = json.loads((folder / "config.json").read_text())
    config["headlines"] = [HEADLINES[0].to_json() | {"metric": "normalised_error"}]
    (folder / "config.json").write_text(json.dumps(config))
    error = Measure(sentence="Error.", kind="error")
    quarter = Estimate(value=0.25, low=0.2, high=0.3, count=9)
    result = Result("holdout", {"normalised_error": quarter}, {}, {"normalised_error": error})
    append_evaluations(folder, step=200, results=[result])
    page = Page(write_comparison([folder], tmp_path / "c.html").read_text())
    assert page.row("a")[1] == "0.250 (0.200\N{EN DASH}0.300)"
    assert "At the end" not in page.text  # where proportions stand


def test_the_same_folders_give_the_same_bytes(make_run: MakeRun, tmp_path: Path) -> None:
    folders = [make_run("a"), make_run("b", p_bursty=0.1)]
    for name in ("c.html", "c.svg", "c.png"):
        first = write_comparison(folders, tmp_path / name).read_bytes()
        assert write_comparison(folders, tmp_path / name).read_bytes() == first


def test_a_sweep_of_more_than_six_is_drawn_and_other_crowds_stand_in_tables_alone(
    make_run: MakeRun, tmp_path: Path, undrawn: None
) -> None:
    folders = [make_run(f"p{place}", p_bursty=place / 10) for place in range(7)]
    assert write_comparison(folders, tmp_path / "c.svg").exists()
    copies = [shutil.copytree(folders[0], tmp_path / f"copy{place}") for place in range(7)]
    with pytest.raises(ValueError, match="at most 6 groups"):
        write_comparison(copies, tmp_path / "d.svg")
    assert not (tmp_path / "d.svg").exists()
    page = Page(write_comparison(copies, tmp_path / "d.html").read_text())
    assert "at most 6 groups" in page.text
    assert all(page.row(copy.name)[1].startswith("0.750 (") for copy in copies)


def test_the_command_writes_a_page_and_explains_in_one_line_what_it_cannot_do(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(make_run("a"))
    to = tmp_path / "new" / "c.html"
    assert __main__.main(["compare", folder, "--to", str(to)]) == 0
    assert capsys.readouterr().out.strip() == str(to)
    assert to.exists()
    assert __main__.main(["compare", folder, str(tmp_path / "nowhere"), "--to", str(to)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert __main__.main(["compare", folder, "--to", "c.pdf"]) == 2
    assert "ends in .html; got c.pdf" in capsys.readouterr().err
    with pytest.raises(ValueError, match="one or more run folders"):
        write_comparison([], to)
