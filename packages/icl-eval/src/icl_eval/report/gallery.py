"""A gallery: pictures of many runs on one self-contained HTML page, for a sweep."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from icl_eval.paths import AnyPath, as_path
from icl_eval.report.html import Figures, Markup, Part, part, write_page


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of a gallery.

    Attributes:
      name: of its file, figures/<name>.png, without a slash.
      title: the heading above it.
      draw: draws it.
      caption: what it shows, beneath it.
      alt: the same in numbers, for who cannot see it.
      wide: whether it takes all the width of the page.
    """

    name: str
    title: str
    draw: Callable[[], Figure]
    caption: str
    alt: str
    wide: bool = False

    def __post_init__(self) -> None:
        if not self.name or any(character in self.name for character in "/\\\0"):
            raise ValueError(f"Wanted a picture's name that would do as a file name, got {self.name!r}.")

    def content(self, figures: Figures) -> Markup:
        """Return it as it stands on a page."""
        return figures.add(self.name, self.draw(), alt=self.alt, caption=self.caption, wide=self.wide)


class Table(NamedTuple):
    """A table of a gallery.

    Attributes:
      title: the heading above it.
      header: the names of its columns.
      rows: its cells, row by row.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def content(self) -> Markup:
        """Return it as it stands on a page."""
        return part("table", header=self.header, rows=self.rows, label=self.title, **{"class": "measures"})


def write_gallery(
    folder: AnyPath,
    *,
    title: str,
    pictures: Sequence[Picture],
    tables: Sequence[Table] = (),
    note: str = "",
    png: bool = False,
) -> Path:
    """Write report.html with pictures into a folder.

    Args:
      folder: of the sweep; made if it is missing.
      title: of the page.
      pictures: at least one.
      tables: before the pictures.
      note: what stands beneath the title.
      png: whether to write each picture as figures/<name>.png too.

    Returns:
      The path of the page.

    Raises:
      ValueError: no pictures, or two of one name.

    >>> import tempfile
    >>> from icl_eval import SizePoint, against_size
    >>> point = SizePoint(trunk="LSTM", state_size=256, parameters=300_000, accuracy=0.25)
    >>> picture = Picture("sizes", "Sizes", lambda: against_size([point]), "A run.", "0.25.")
    >>> write_gallery(Path(tempfile.mkdtemp()), title="A sweep", pictures=[picture]).name
    'report.html'
    """
    folder = as_path(folder)
    names = [picture.name for picture in pictures]
    if not pictures or len(set(names)) < len(names):
        raise ValueError(f"Wanted one or more pictures with names of their own, got {names}.")
    figures = Figures(folder / "figures" if png else None)
    parts = [Part(each.title, f"table-{number}", each.content()) for number, each in enumerate(tables, start=1)]
    parts += [
        Part(each.title, f"picture-{number}", each.content(figures)) for number, each in enumerate(pictures, start=1)
    ]
    write_page(folder / "report.html", title=title, below=note, parts=parts)
    return folder / "report.html"
