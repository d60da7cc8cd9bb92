"""What the pages of a built site link to and load: ``python -m tools.site_links docs/_build/html --to links.txt``.

Links out of the site are listed, not fetched. What a page loads (styles, scripts, pictures, fonts) should come from the
site itself.
"""

import argparse
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_LOADING = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "manifest"}


class Page(NamedTuple):
    """What a page has: targets of links, addresses of what it loads, and anchors that links may lead to."""

    links: tuple[str, ...]
    loaded: tuple[str, ...]
    anchors: frozenset[str]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and _LOADING & set(values.get("rel", "").split()):
            self.loaded.append(values["href"])
        elif tag not in ("a", "link"):
            self.loaded += [values[name] for name in ("src", "data", "poster") if values.get(name)]
            self.loaded += [each.split()[0] for each in values.get("srcset", "").split(",") if each.strip()]


def read_page(text: str) -> Page:
    """Return what an HTML page links to, loads and can be linked at.

    >>> read_page('<h1 id="top">T</h1> <a href="b.html#c">b</a> <img src="p.png">')
    Page(links=('b.html#c',), loaded=('p.png',), anchors=frozenset({'top'}))
    """
    reader = _Reader()
    reader.feed(text)
    return Page(tuple(reader.links), tuple(reader.loaded), frozenset(reader.anchors))


def read_site(site: Path) -> dict[Path, Page]:
    """Return every page of a site by its path.

    Raises:
        FileNotFoundError: there is no page.
    """
    pages = {path.resolve(): read_page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    if not pages:
        raise FileNotFoundError(f"A built site was wanted in {site}, but no page is there; build it by `nox -s docs`.")
    return pages


def external_links(pages: dict[Path, Page]) -> list[str]:
    """Return the addresses outside the site that its pages link to, sorted, each once."""
    return sorted({link for page in pages.values() for link in page.links if _is_remote(link)})


def dead_links(pages: dict[Path, Page]) -> list[str]:
    """Return the links within the site that lead to no file, or to no anchor of a page, each after its page."""
    dead = []
    for path, page in pages.items():
        for link in page.links:
            if _is_remote(link) or urlsplit(link).scheme:
                continue
            address = urlsplit(link)
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            anchor = unquote(address.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].anchors):
                dead.append(f"{path.name}: {link}")
    return dead


def loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Return what pages and style sheets load from outside the site, each after the file that does."""
    found = [f"{path.name}: {each}" for path, page in pages.items() for each in page.loaded if _is_remote(each)]
    for sheet in sorted(site.rglob("*.css")):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
        addresses = re.findall(r"""(?:url\(\s*|@import\s+)["']?([^"')\s]+)""", text)
        found += [f"{sheet.name}: {each}" for each in addresses if _is_remote(each)]
    return found


def _is_remote(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme in ("http", "https", "ftp")


def main() -> None:
    """Write the links out of a site to a file, and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    links = external_links(read_site(options.site))
    options.to.write_text("".join(f"{link}\n" for link in links))
    print(f"{len(links)} links out of the site, not followed, are in {options.to}.")


if __name__ == "__main__":
    main()
