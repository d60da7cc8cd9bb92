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

from icl_eval import Estimate, Result, __main__, append_evaluations, proportion, read_run, write_report
from icl_eval.report import configuration as setting_module
from icl_eval.report import example_strips as strip_module
from icl_eval.report import html as page_module
from icl_eval.report import html as parts_module
from icl_eval.report import numbers as meanings_module

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
        return " ".join(self.words).replace(". ", ".")


def test_the_page_is_well_formed_and_loads_nothing(run: Path) -> None:
    text = write_report(run).read_text()
    reader = Reader(text)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in reader.elements:
        assert tag not in ("link", "iframe", "object", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "srcset", "href"):
                assert value is not None
                assert value.startswith(("data:image/", "data:application/json", "#"))
                assert not value.startswith("#") or value[1:] in ids
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in str(reader.elements)


def test_the_one_script_is_ours_and_the_policy_knows_its_hash(run: Path) -> None:
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
def test_a_script_that_html_would_change_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="Wanted a script without"):
        page_module.document("A page", style="", body=page_module.tag("main"), script=script)


def test_the_contents_name_the_sections_that_are_there_and_no_others(run: Path) -> None:
    def contents() -> list[str]:
        text = write_report(run).read_text()
        linked = re.findall(r'<a href="#([a-z-]+)">(.*?)</a>', text)
        assert linked == re.findall(r'<section id="([a-z-]+)" class="part"><h2>(.*?)</h2>', text)
        return [title for _, title in linked]

    assert contents() == [
        "Over training", "Later in training", "Example sequences", "All numbers", "How it was made", "Downloads",
    ]  # fmt: skip
    (run / "config.json").unlink()
    (run / "eval.jsonl").write_text("")
    (run / "summary.json").write_text("{}")
    shutil.rmtree(run / "arrays")
    assert contents() == ["Over training", "Missing"]


def test_every_image_says_what_it_shows(run: Path) -> None:
    images = [attributes for tag, attributes in Reader(write_report(run).read_text()).elements if tag == "img"]
    assert len(images) == 2 + 2 * 2 * 3  # the curves, twice; two evaluations of two sequences of three items
    assert all(image["alt"] for image in images)
    assert "from 0.500 at step 0 to 0.950 at step 100" in str(images[0]["alt"])


def test_text_from_the_folder_is_escaped(run: Path) -> None:
    text = write_report(run).read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in text
    reader = Reader(text)
    assert "a <run> & more" in reader.text
    assert 'a"key<' in reader.text


def test_the_page_says_the_numbers_their_intervals_and_their_chance(run: Path) -> None:
    text = Reader(write_report(run).read_text()).text
    for said in (
        "0.950",
        "0.910\N{EN DASH}0.973",
        "200 sequences",
        "above chance (0.5)",
        "100 training steps",
    ):
        assert said in text
    for said in ("seed 7", "final loss 0.050", "data.zips", "a.zip, b.zip", "abc123", "0.10.2", "CPU_0"):
        assert said in text


def test_right_and_wrong_are_told_in_words_and_not_by_colour_only(run: Path) -> None:
    text = Reader(write_report(run).read_text()).text
    assert text.count("\N{CHECK MARK} right") == text.count("\N{MULTIPLICATION X} wrong") == 2
    assert "predicted 1, truth 1 · over all labels 77" in text


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.51, 0.7, "above"), (0.45, 0.7, "not distinguish"), (0.3, 0.55, "not distinguish"), (0.2, 0.4, "below")],
)
def test_chance_is_judged_by_the_interval(low: float, high: float, said: str) -> None:
    estimate = Estimate(value=(low + high) / 2, low=low, high=high, count=10)
    assert said in parts_module.against(estimate, 0.5)


def test_the_same_folder_gives_the_same_bytes_and_the_figure_too(run: Path) -> None:
    first = write_report(run).read_bytes(), (run / "figures" / "emergence.png").read_bytes()
    assert (write_report(run).read_bytes(), (run / "figures" / "emergence.png").read_bytes()) == first
    assert first[1].startswith(b"\x89PNG")


def test_a_run_that_has_only_begun_gets_a_page(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"config": {"seed": 0}, "git": null}')
    reader = Reader(write_report(tmp_path).read_text())
    assert "eval.jsonl: not there." in reader.text
    assert "no training logged" in reader.text
    assert not (tmp_path / "figures").exists()


def test_text_is_escaped_unless_it_is_html() -> None:
    assert page_module.tag("p", "<b>", page_module.tag("i", "&")) == "<p>&lt;b&gt;<i>&amp;</i></p>"
    assert page_module.tag("p", title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;"></p>'


@pytest.mark.parametrize("scale", [1, 255])
def test_ink_is_dark_on_light_paper_however_it_is_stored(scale: int) -> None:
    ink = np.zeros((4, 4), np.uint8)
    ink[1, 1] = 1
    for stored in (ink * scale, (1 - ink) * scale):
        shown = strip_module.displayable(stored.astype(np.uint8))
        assert shown[1, 1] == 0
        assert shown[0, 0] == 255


def cells(text: str) -> list[list[list[str]]]:
    """Return the rows of each table of numbers, cell by cell."""
    tables = re.findall(r'class="scroll measures".*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    return [
        [
            [re.sub(r"<wbr>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", table)
        ]
        for table in tables
    ]


def test_all_numbers_are_one_table_headlines_first_and_details_folded_in_another(run: Path) -> None:
    metrics = {
        name: proportion(right, 200)
        for right, name in enumerate(
            (
                "strange",
                "confusion_0_to_1",
                "accuracy_open_decile_10",
                "accuracy_open_decile_2",
                "induction_0_3",
                "loss",
            )
        )
    }
    metrics |= {"icl_without_0_3": proportion(9, 200), "accuracy_open": proportion(90, 200)}
    for name in ("no_support_zipfian", "a_zipfian"):
        append_evaluations(run, step=1100, results=[Result(evaluation=name, metrics=metrics, chance={"loss": 1 / 3})])
    main, details = cells(write_report(run).read_text())
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
        "accuracy_open_decile_2", "accuracy_open_decile_10", "confusion_0_to_1", "induction_0_3", "icl_without_0_3",
    ]  # fmt: skip
    assert len(main) + len(details) == 2 * len(metrics) + 2


def test_only_measures_that_are_there_are_explained(run: Path) -> None:
    text = write_report(run).read_text()
    assert re.findall(r"<dt><code>(.*?)</code>", text) == ["accuracy_closed", "accuracy_open"]


SEAMS = [
    "accuracy_closed", "accuracy_open", "accuracy_any_label", "accuracy_in_context", "loss", "calibration_error",
    "probability_in_context", "from_common", "from_rare", "from_fewshot", "from_context", "from_context_common",
    "from_context_rare", "from_context_fewshot", "from_none", "context_loss", "context_accuracy_open",
    "context_from_none", "follows_context", "follows_weights", "accuracy_open_decile_1", "accuracy_open_decile_10",
    "confusion_0_to_1", "confusion_0_to_other", "accuracy_nearest_pixels", "accuracy_prototype_pixels",
    "accuracy_nearest_embedding", "accuracy_prototype_embedding", "accuracy_majority", "induction_0_3",
    "previous_token_11_7", "same_class_0_0", "icl", "iwl", "icl_without_0_3", "iwl_without_1_0", "accuracy_last",
    "accuracy_first", "improvement", "normalised_error", "normalised_error_first", "squared_error",
    "squared_error_3-NN", "accuracy_last_1-NN",
]  # fmt: skip


@pytest.mark.parametrize("metric", SEAMS)
def test_every_measure_that_we_write_is_explained(metric: str) -> None:
    known = meanings_module.meaning(metric)
    assert known is not None
    many = ("decile", "confusion", "induction", "previous_token", "same_class", "without")
    assert known.detail == any(word in metric for word in many)
    assert known.shown == metric or re.search("\N{HORIZONTAL ELLIPSIS}|_L_H|_a_to_b|^normalised_error$", known.shown)


def test_the_downloads_are_the_files(run: Path) -> None:
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
    return str(setting_module.setting(read_run(run), run))


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
    assert with_preset(run, {"name": "laptop", "config": config}).startswith("<p>As preset laptop.</p><details>")


@pytest.mark.parametrize("preset", [None, 3, "laptop", {}, {"name": "laptop"}, {"config": [1]}])
def test_a_damaged_preset_says_nothing(run: Path, preset: object) -> None:
    assert "preset" not in with_preset(run, preset)


def test_nested_settings_get_the_names_of_the_command_line() -> None:
    assert setting_module.flatten({"a": {"b": [{"c": 1}, 2]}, "d": {}, "e": None}) == [
        ("a.b[0].c", "1"),
        ("a.b[1]", "2"),
        ("d", "{}"),
        ("e", "None"),
    ]


def test_the_command_writes_the_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert (run / "report.html").exists()


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
        ([run, other], "no fewshot_holdout in other"),
        ([run, run], f"two folders called {run.name}"),
        ([run, tmp_path / "nowhere"], "nowhere"),
    ):
        assert __main__.main(["compare", *map(str, folders), "--to", str(tmp_path / "b.png")]) == 2
        assert wanted in capsys.readouterr().err
    assert __main__.main(["compare", str(run), "--to", str(tmp_path / "b.gif")]) == 2
    assert ".png or .svg" in capsys.readouterr().err
    assert not list(tmp_path.glob("b.*"))
