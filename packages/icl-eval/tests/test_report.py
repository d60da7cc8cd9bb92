import base64
import hashlib
import html
import html.parser
import json
import operator
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from icl_eval import Measure, Result, __main__, append_evaluations, proportion, read_run, write_report
from icl_eval.figures.drawing import displayable
from icl_eval.report import configuration
from icl_eval.report import html as page_module
from icl_eval.report.words import judged
from icl_eval.results.estimate import Estimate
from icl_eval.runs.options import flatten

VOID = {"img", "link", "meta", "source", "wbr"}


class Reader(html.parser.HTMLParser):
    """Checks that elements nest, and keeps what a test asks about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split()).replace(" .", ".").replace(" ;", ";")


def test_the_page_is_well_formed_and_loads_nothing(run: Path) -> None:
    text = write_report(run).read_text()
    reader = Reader(text)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 20  # glyphs and clips of two figures among them
    for tag, attributes in reader.elements:
        assert tag not in ("link", "iframe", "object", "base", "form", "foreignobject")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "srcset", "href", "xlink:href"):
                assert value is not None
                assert value.startswith(("data:image/", "data:application/json", "#"))
                assert not value.startswith("#") or value[1:] in ids
    assert {clip[5:-1] for clip in re.findall(r"url\([^)]*\)", text)} <= set(ids)  # within the page
    assert "@import" not in text
    assert "default-src 'none'" in str(reader.elements)


def test_figures_stand_in_the_page_and_take_its_colours(run: Path) -> None:
    text = write_report(run).read_text()
    for figure in re.findall(r"<svg .*?</svg>", text, re.DOTALL):
        assert "<style" not in figure and "<!--" not in figure and "<?xml" not in figure
        named = set(re.findall(r"var\((--[a-z]+), ", figure))
        assert {"--ink", "--paper", "--blue", "--orange"} <= named
        assert all(f"{name}: #" in text for name in named)  # twice: for light and for dark pages
    assert len(re.findall(r"--ink: #", text)) == 2


def test_png_files_are_written_when_asked_for(run: Path, tmp_path: Path) -> None:
    write_report(run)
    assert not (run / "figures").exists()
    write_report(run, png=True)
    assert sorted(path.name for path in (run / "figures").iterdir()) == ["emergence.png", "transience.png"]
    first = (run / "figures" / "emergence.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    page_module.Figures(tmp_path / "here").add("../a/b", Figure(), alt="", caption="")
    assert [path.name for path in (tmp_path / "here").iterdir()] == [".._a_b.png"]


def test_the_same_folder_gives_the_same_bytes(run: Path) -> None:
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_every_image_says_what_it_shows(run: Path, undrawn: None) -> None:
    elements = Reader(write_report(run).read_text()).elements
    images = [attributes for tag, attributes in elements if tag == "img"]
    assert len(images) == 2 * 2 * 3  # two evaluations of two sequences of three items
    assert all(image["alt"] for image in images)
    figures = [str(attributes["aria-label"]) for tag, attributes in elements if tag == "svg"]
    assert all(attributes["role"] == "img" for tag, attributes in elements if tag == "svg")
    assert len(figures) == 2
    assert "In context (ICL) from 0.500 at step 0 to 0.950 at step 100" in figures[0]
    assert "In weights (IWL): highest at step 100" in figures[1]


def test_the_one_script_is_ours_and_the_policy_knows_its_hash(run: Path, undrawn: None) -> None:
    text = write_report(run).read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert text.count("<script") == 1
    assert script == (Path(page_module.__file__).parent / "report.js").read_text()
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [
        attributes["content"] for _, attributes in Reader(text).elements if attributes.get("http-equiv") is not None
    ]
    assert policy is not None
    assert f"script-src 'sha256-{hashed}'" in policy
    assert policy.count("script-src") == 1


@pytest.mark.parametrize("script", ["'</script>'", "'<!--'", "1;\r\n"])
def test_a_script_that_html_would_change_is_refused(tmp_path: Path, script: str) -> None:
    with pytest.raises(ValueError, match="Wanted a script without"):
        page_module.write_page(tmp_path / "page.html", title="A page", parts=[], script=script)


def test_the_page_shows_what_it_has_in_order_and_its_contents_name_that(run: Path, undrawn: None) -> None:
    def contents() -> list[str]:
        text = write_report(run).read_text()
        linked = re.findall(r'<a href="#([a-z-]+)">(.*?)</a>', text)
        assert linked == re.findall(r'<section id="([a-z-]+)" class="part"><h2>(.*?)</h2>', text)
        return [title for _, title in linked]

    assert contents() == [
        "Over training", "Later in training", "Example sequences", "All numbers", "How it was made", "Downloads",
    ]  # fmt: skip
    (run / "config.json").unlink()
    (run / "measures.json").unlink()
    (run / "eval.jsonl").write_text("")
    (run / "summary.json").write_text("{}")
    shutil.rmtree(run / "arrays")
    assert contents() == ["Over training", "Missing"]


def test_text_from_the_folder_is_escaped(run: Path, undrawn: None) -> None:
    config = json.loads((run / "config.json").read_text())
    for words in config["headlines"]:
        words |= {"title": f"<i>{words['name']}\ud800", "sentence": '"><script>alert(2)</script>'}
    (run / "config.json").write_text(json.dumps(config))
    words = {
        name: {"sentence": "</dd><script>.", "kind": "proportion", "shown": "<b>"} for name in ("accuracy_closed",)
    }
    (run / "measures.json").write_text(json.dumps(words))
    text = write_report(run).read_text()
    assert text.count("<script") == 1
    assert "<i>" not in text and "<b>" not in text.replace("<b>above chance", "")
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text
    reader = Reader(text)
    for said in ("a <run> & more", 'a"key<', "<i>icl?", '"><script>alert(2)</script>', "</dd><script>."):
        assert said in reader.text


def test_the_page_says_the_numbers_their_intervals_and_their_chance(run: Path, undrawn: None) -> None:
    text = Reader(write_report(run).read_text()).text
    for said in (
        "In context (ICL) 0.950 95 % interval 0.910\N{EN DASH}0.973, 200 sequences; above chance (0.5).",
        "In weights (IWL) 0.105",
        "In context (ICL) and In weights (IWL), above the training loss, by training step. Bands are 95 % intervals "
        "from 200 sequences per point; dotted lines are chance.",
        "100 training steps · 4 seconds · 25.0 steps/s · final loss 0.050 · seed 7",
        *("data. zips", "a.zip, b.zip", "abc123", "0.10.2", "CPU_0"),
    ):
        assert said in text, said


def test_a_run_that_failed_says_where(run: Path, undrawn: None) -> None:
    summary = json.loads((run / "summary.json").read_text())
    summary["train"]["failed_at"] = 1101
    (run / "summary.json").write_text(json.dumps(summary))
    assert "stopped at step 1,101, where the loss was not finite" in write_report(run).read_text()


def test_right_and_wrong_are_told_in_words_and_not_by_colour_only(run: Path, undrawn: None) -> None:
    text = Reader(write_report(run).read_text()).text
    assert text.count("✓ right") == text.count("✗ wrong") == 2
    assert "predicted 1, truth 1 · over all labels 77" in text
    assert "The first 2 sequences, 1 right." in text


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.51, 0.7, "above"), (0.45, 0.7, "not distinguish"), (0.3, 0.55, "not distinguish"), (0.2, 0.4, "below")],
)
def test_chance_is_judged_by_the_interval_and_the_kind(low: float, high: float, said: str) -> None:
    estimate = Estimate(value=(low + high) / 2, low=low, high=high, count=10)
    assert judged(estimate, 0.5, "proportion").startswith(said)
    of_errors = {"above": "worse than", "below": "better than"}.get(said, said)
    assert judged(estimate, 0.5, "error").startswith(of_errors)
    assert judged(estimate, 0.5, "error").endswith("the best constant (0.5)")
    assert judged(estimate, None, "error") == ""


def test_a_run_that_has_only_begun_gets_a_page(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"config": {"seed": 0}, "git": null}')
    reader = Reader(write_report(tmp_path).read_text())
    assert "eval.jsonl: not there." in reader.text
    assert "no training logged" in reader.text


@pytest.mark.parametrize("scale", [1, 255])
def test_ink_is_dark_on_light_paper_however_it_is_stored(scale: int) -> None:
    ink = np.zeros((4, 4), np.uint8)
    ink[1, 1] = 1
    for stored in (ink * scale, (1 - ink) * scale):
        shown = displayable(stored.astype(np.uint8))
        assert shown[1, 1] == 0
        assert shown[0, 0] == 255


def cells(text: str) -> list[list[list[str]]]:
    """Return the rows of each table of numbers, cell by cell."""
    tables = re.findall(r'class="scroll measures".*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    return [
        [
            [re.sub(r"<wbr>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        ]
        for table in tables
    ]


def test_all_numbers_are_one_table_headlines_first_and_details_folded_in_another(run: Path, undrawn: None) -> None:
    words = {
        "loss": Measure(sentence="Cross-entropy in nats.", kind="mean"),
        **{
            name: Measure(sentence="Of an accuracy.", kind="proportion", shown=shown, detail=True)
            for name, shown in (
                ("accuracy_open_decile_10", "deciles"), ("confusion_0_to_1", "confusion"),
                ("accuracy_open_decile_2", "deciles"), ("induction_0_3", "induction"),
            )
        },
    }  # fmt: skip
    values = (
        "strange",
        "confusion_0_to_1",
        "accuracy_open_decile_10",
        "accuracy_open_decile_2",
        "induction_0_3",
        "loss",
    )
    metrics = {name: proportion(right, 200) for right, name in enumerate(values)}
    metrics |= {"accuracy_open": proportion(90, 200)}
    for name in ("no_support_zipfian", "a_zipfian"):
        result = Result(evaluation=name, metrics=metrics, chance={"loss": 1 / 3}, measures=words)
        append_evaluations(run, step=1100, results=[result])
    text = write_report(run).read_text()
    main, details = cells(text)
    assert [row[:2] for row in main] == [
        ["fewshot_holdout", "accuracy_closed"],
        ["no_support_zipfian", "accuracy_open"],
        ["a_zipfian", "accuracy_open"],
        ["a_zipfian", "loss"],
        ["a_zipfian", "strange"],
        ["fewshot_holdout", "accuracy_open"],
        ["no_support_zipfian", "loss"],
        ["no_support_zipfian", "strange"],
    ]
    assert main[3][2:] == ["0.025", "0.011\N{EN DASH}0.057", "0.33", "200", "1,100"]
    assert [row[1] for row in details if row[0] == "a_zipfian"] == [
        "accuracy_open_decile_2", "accuracy_open_decile_10", "confusion_0_to_1", "induction_0_3",
    ]  # fmt: skip
    assert "<summary>Details: 4 deciles, 2 confusion, 2 induction</summary>" in text
    # What is explained is what is there, those of a kind once.
    explained = re.findall(r"<dt><code>(.*?)</code></dt><dd>(.*?)</dd>", text)
    assert explained == [
        ("accuracy_closed", "Share of sequences that are right."), ("accuracy_open", "Share right among all labels."),
        ("loss", "Cross-entropy in nats."), ("deciles", "Of an accuracy."), ("confusion", "Of an accuracy."),
        ("induction", "Of an accuracy."),
    ]  # fmt: skip


def test_the_downloads_are_the_files(run: Path, undrawn: None) -> None:
    reader = Reader(write_report(run).read_text())
    linked = {
        attributes["download"]: json.loads(base64.b64decode(str(attributes["href"]).split(",")[1]))
        for tag, attributes in reader.elements
        if tag == "a" and "download" in attributes
    }
    for name in ("summary.json", "config.json"):
        assert linked.pop(name) == json.loads((run / name).read_text())
    lines = [json.loads(line) for line in (run / "eval.jsonl").read_text().splitlines()]
    ((_, evaluations),) = linked.items()
    key = operator.itemgetter("evaluation", "step")
    assert sorted(evaluations, key=key) == sorted(lines, key=key)


def with_preset(run: Path, preset: object) -> str:
    """Return the section on how it was made of a run whose config.json names a preset."""
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"preset": preset}))
    return str(configuration.configuration(read_run(run), page_module.Figures())).strip()


def test_the_difference_from_the_preset_is_shown_and_nothing_else_of_it(run: Path) -> None:
    preset = {"data": {"note": "plain", "zips": ["a.zip", "b.zip"]}, "steps": 100, "only<there": 1}
    text = with_preset(run, {"name": "laptop<", "config": preset})
    assert text.startswith("<p>Differs from preset laptop&lt; in:</p>")
    shown = html.unescape(text[: text.index("<details>")].replace("<wbr>", ""))
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td></tr>', shown)
    assert rows == [("data.note", "plain", "<script>alert('x')</script>"), ("only<there", "1", "\N{EM DASH}")]
    assert text.count("laptop") == 2  # in the sentence and above its column


def test_a_run_as_its_preset_says_so(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())["config"]
    assert re.match(r"<p>As preset laptop.</p>\s*<details>", with_preset(run, {"name": "laptop", "config": config}))


@pytest.mark.parametrize("preset", [None, 3, "laptop", {}, {"name": "laptop"}, {"config": [1]}])
def test_a_damaged_preset_says_nothing(run: Path, preset: object) -> None:
    assert "preset" not in with_preset(run, preset)


def test_nested_options_get_the_names_of_the_command_line() -> None:
    assert flatten({"a": {"b": [{"c": 1}, 2]}, "d": {}, "e": None}) == [
        ("a.b[0].c", "1"),
        ("a.b[1]", "2"),
        ("d", "{}"),
        ("e", "None"),
    ]


def test_the_command_writes_the_report(run: Path, capsys: pytest.CaptureFixture[str], undrawn: None) -> None:
    assert __main__.main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert (run / "report.html").exists() and not (run / "figures").exists()
    assert __main__.main(["report", str(run), "--png"]) == 0
    assert (run / "figures" / "emergence.png").exists()


def test_the_command_explains_a_bad_folder_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "nowhere", tmp_path, tmp_path / "file"):
        assert __main__.main(["report", str(folder)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert str(folder) in error


def test_the_command_compares_runs(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    for figure, magic in ((tmp_path / "a.png", b"\x89PNG"), (tmp_path / "a.svg", b"<?xml")):
        assert __main__.main(["compare", str(run), str(other), "--to", str(figure)]) == 0
        assert capsys.readouterr().out.strip() == str(figure)
        assert figure.read_bytes().startswith(magic)
    (other / "eval.jsonl").unlink()
    (other / "summary.json").unlink()  # it would stand in for the last step
    for folders, wanted in (
        ([run, other], "no In context (ICL) in other"),
        ([run, run], f"two folders called {run.name}"),
        ([run, tmp_path / "nowhere"], "nowhere"),
    ):
        assert __main__.main(["compare", *map(str, folders), "--to", str(tmp_path / "b.png")]) == 2
        assert wanted in capsys.readouterr().err
    assert __main__.main(["compare", str(run), "--to", str(tmp_path / "b.gif")]) == 2
    assert ".png or .svg" in capsys.readouterr().err
    assert not list(tmp_path.glob("b.*"))
