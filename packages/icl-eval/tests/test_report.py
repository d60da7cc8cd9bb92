import html.parser
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from icl_eval import Estimate, __main__, page, parts, report, strip, write_report

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
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words).replace(". ", ".")


def test_the_page_is_well_formed_and_loads_nothing(run: Path) -> None:
    text = write_report(run).read_text()
    reader = Reader(text)
    for tag, attributes in reader.elements:
        assert tag not in ("script", "link", "iframe", "object")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "srcset", "href"):
                assert value is not None
                assert value.startswith("data:image/")
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in str(reader.elements)


def test_every_image_says_what_it_shows(run: Path) -> None:
    images = [attributes for tag, attributes in Reader(write_report(run).read_text()).elements if tag == "img"]
    assert len(images) == 1 + 2 * 2 * 3  # the curves; two evaluations of two sequences of three items
    assert all(image["alt"] for image in images)
    assert "from 0.500 at step 0 to 0.950 at step 100" in str(images[0]["alt"])


def test_text_from_the_folder_is_escaped(run: Path) -> None:
    text = write_report(run).read_text()
    assert "<script" not in text
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
    assert said in parts.against(estimate, 0.5)


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
    assert page.tag("p", "<b>", page.tag("i", "&")) == "<p>&lt;b&gt;<i>&amp;</i></p>"
    assert page.tag("p", title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;"></p>'


@pytest.mark.parametrize("scale", [1, 255])
def test_ink_is_dark_on_light_paper_however_it_is_stored(scale: int) -> None:
    ink = np.zeros((4, 4), np.uint8)
    ink[1, 1] = 1
    for stored in (ink * scale, (1 - ink) * scale):
        shown = strip.displayable(stored.astype(np.uint8))
        assert shown[1, 1] == 0
        assert shown[0, 0] == 255


def test_nested_settings_get_the_names_of_the_command_line() -> None:
    assert report.flatten({"a": {"b": [{"c": 1}, 2]}, "d": {}, "e": None}) == [
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
