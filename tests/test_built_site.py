"""The site that `nox -s docs` has built: every public name, every guide, no dead link, nothing from the network."""

import importlib
import re
import zlib
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.site_links import dead_links, loaded_from_elsewhere, read_site

pytestmark = pytest.mark.site

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "_build" / "html"
PACKAGES = ("icl_data", "icl_models", "icl_train", "icl_eval", "icl_lab")
SOURCES = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/tutorials/*.py"), *ROOT.glob("packages/*/README.md")]


@pytest.fixture(scope="module")
def pages():
    return read_site(SITE)


def inventory():
    """Return the Python names that the site documents, with the pages where they are, read without Sphinx."""
    packed = (SITE / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(packed).decode().splitlines()
    entries = [re.match(r"(\S+) py:(\w+) -?\d+ (\S+) ", line) for line in lines]
    return {entry[1]: entry[3].partition("#")[0] for entry in entries if entry and entry[2] != "module"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_on_the_page_of_its_package(package):
    documented = inventory()
    wanted = {f"{package}.{name}": f"docs/api/{package}.html" for name in importlib.import_module(package).__all__}
    assert {name: documented.get(name) for name in wanted} == wanted


def test_every_guide_tutorial_and_readme_is_a_page(pages):
    for source in SOURCES:
        if "_build" not in source.parts:
            assert (SITE / source.relative_to(ROOT)).with_suffix(".html") in pages, source


def test_every_link_within_the_site_lands(pages):
    assert not dead_links(pages)


def test_nothing_is_loaded_from_the_network(pages):
    assert not loaded_from_elsewhere(SITE, pages)


def test_every_page_can_be_reached_from_the_first_one(pages):
    first = SITE / "docs" / "index.html"
    reached, waiting = set(), [first]
    while waiting:
        path = waiting.pop()
        if path in pages and path not in reached:
            reached.add(path)
            targets = (link.partition("#")[0] for link in pages[path].links if "://" not in link)
            waiting += [(path.parent / target).resolve() for target in targets if target]
    assert set(pages) - reached == {
        SITE / "index.html",
        SITE / "search.html",
    }  # the one leads to the first, the other is a form's
    assert first in {(SITE / link).resolve() for link in pages[SITE / "index.html"].links}


def test_every_cell_of_a_tutorial_is_shown_and_has_run_or_says_why_not(pages):
    for source in ROOT.glob("docs/tutorials/*.py"):
        text = (SITE / source.relative_to(ROOT)).with_suffix(".html").read_text()
        script = source.read_text()
        cells = re.findall(r"^# %%(?! \[markdown\])(.*)$", script, re.M)
        absent = [cell for cell in cells if any(not find_spec(name) for name in re.findall(r"needs-(\w+)", cell))]
        assert text.count('class="cell_input') == len(cells), source
        assert text.count("Not run here, where") == len(absent), source
        assert text.count('class="cell_output') >= script.count("plt.show()"), source
