"""What the site is made of, as far as it can be told without building it; `nox -s docs` builds it and looks at it."""

import dataclasses
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from experiments.linear.config import LinearConfig
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.sequences import SEQUENCES
from tools.site_links import dead_links, external_links, loaded_from_elsewhere, read_site

ROOT = Path(__file__).parents[1]
PACKAGES = ("icl_data", "icl_models", "icl_train", "icl_eval", "icl_lab")


@pytest.fixture
def of_site(monkeypatch):
    """Return a function that imports a module of docs/site."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "site")
    before = set(sys.modules)
    yield importlib.import_module
    for name in ("api_pages", "definitions", "tutorials"):
        if name not in before:
            sys.modules.pop(name, None)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_of_a_package_documents_every_public_name_once(of_site, package):
    page = of_site("api_pages").page(package)
    documented = re.findall(r"^\.\. (?:auto\w+:: \w+\.|py:data:: )(\w+)$", page, re.MULTILINE)
    assert sorted(documented) == sorted(importlib.import_module(package).__all__)


def test_a_constant_is_shown_as_its_module_defines_it(of_site):
    definition = of_site("definitions").definition
    assert definition("icl_data.batch", "Batch").code == "Batch = dict[str, np.ndarray]"
    comment = definition("icl_data.batch", "Arrays").words
    assert comment == "A batch of NumPy's arrays, or of jax's."
    string = definition("icl_train.actions", "ActionFunction").words
    assert string.startswith("Called with the number of steps made")
    assert definition("icl_data.tasks.families", "KNOWN_FAMILIES").code.startswith("KNOWN_FAMILIES: dict[")
    assert definition("icl_lab.tasks", "SEEN").code == definition("icl_lab.tasks", "UNSEEN").code
    with pytest.raises(ValueError, match="should be defined in icl_data"):
        definition("icl_data.batch", "Absent")


def test_a_cell_for_a_library_that_is_absent_is_shown_and_not_run(of_site):
    if importlib.util.find_spec("jupytext") is None:
        pytest.skip("there is no jupytext here; the dependency group docs has it")
    cells = of_site("tutorials").read('# %% tags=["needs-absent"]\nimport absent\n# %% tags=["needs-numpy"]\n1\n').cells
    assert [cell.cell_type for cell in cells] == ["code", "markdown", "code"]
    assert "skip-execution" in cells[0].metadata["tags"]
    assert "absent is not installed" in cells[1].source
    assert "skip-execution" not in cells[2].metadata["tags"]


def test_dead_links_missing_anchors_and_what_comes_from_elsewhere_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#there">1</a><a href="#top">2</a><a href="b.html#not">3</a>'
        '<a href="c.html">4</a><a href="https://example.org/x">5</a><a href="mailto:a@b.c">6</a>'
        '<script src="//cdn.example.org/x.js"></script><img src="p.png"><link rel="canonical" href="https://e.org">'
    )
    (tmp_path / "b.html").write_text(
        '<p id="there">B</p><link rel="stylesheet" href="https://fonts.example.org/f.css">'
    )
    (tmp_path / "s.css").write_text('@import "https://e.org/i.css"; a { background: url(p.png) } /* url(https://no) */')
    pages = read_site(tmp_path)
    assert dead_links(pages) == ["a.html: b.html#not", "a.html: c.html"]
    assert external_links(pages) == ["https://example.org/x"]
    assert loaded_from_elsewhere(tmp_path, pages) == [
        "a.html: //cdn.example.org/x.js",
        "b.html: https://fonts.example.org/f.css",
        "s.css: https://e.org/i.css",
    ]
    with pytest.raises(FileNotFoundError, match="nox -s docs"):
        read_site(tmp_path / "empty")


def options_of(config, prefix=""):
    """Return the options of a configuration by the names of the command line."""
    for field in dataclasses.fields(config):
        name, value = prefix + field.name.replace("_", "-"), getattr(config, field.name)
        yield name
        if dataclasses.is_dataclass(value):
            yield from options_of(value, f"{name}.")


@pytest.mark.parametrize(
    ("section", "config"),
    [("DeepMind", OmniglotConfig()), ("icl-dynamics", OmniglotConfig()), ("Garg", LinearConfig())],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_options_that_others_are_told_of_are_options_here(section, config):
    text = (ROOT / "docs" / "coming_from.md").read_text()
    (part,) = [each for each in text.split("\n## ")[1:] if each.startswith(section)]
    ours = [row.split(" | ")[1] for row in part.splitlines() if row.startswith("| `")]
    told = {option for cell in ours for option in re.findall(r"--([a-z][\w.-]*)", cell)}
    assert len(told) > 8
    assert told - {"resume"} <= set(options_of(config))


def test_the_kinds_that_others_are_told_of_are_kinds_here():
    text = (ROOT / "docs" / "coming_from.md").read_text()
    told = set(re.findall(r"`--data\.train ([a-z]\w+)[` ]", text))
    assert len(told) > 2
    assert told <= set(SEQUENCES)
