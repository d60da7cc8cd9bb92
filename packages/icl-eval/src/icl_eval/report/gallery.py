"""A gallery: pictures of many runs on one self-contained HTML page, for a sweep."""

import dataclasses
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from icl_eval.figures.drawing import Theme
from icl_eval.report.html import document, plot, table, tag
from icl_eval.runs.writing import write_atomically


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of a gallery.

    Attributes:
      name: of its file, figures/<name>.png, without a slash.
      title: the heading above it.
      draw: draws it in a theme.
      caption: what it shows, beneath it.
      alt: the same in numbers, for who cannot see it.

    Raises:
      ValueError: if the name would not do as a file name.
    """

    name: str
    title: str
    draw: Callable[[Theme], Figure]
    caption: str
    alt: str

    def __post_init__(self) -> None:
        if not self.name or any(character in self.name for character in "/\\\0"):
            raise ValueError(f"Wanted a picture's name that would do as a file name, got {self.name!r}.")


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


def write_gallery(
    folder: Path, *, title: str, pictures: Sequence[Picture], tables: Sequence[Table] = (), note: str = ""
) -> Path:
    """Write report.html with pictures into a folder, and each of them as figures/<name>.png.

    Args:
      folder: of the sweep; made if it is missing.
      title: of the page.
      pictures: at least one.
      tables: before the pictures.
      note: what stands beneath the title.

    Returns:
      The path of the page.

    Raises:
      ValueError: no pictures, or two of one name.

    >>> import tempfile, numpy as np
    >>> from icl_eval import SizePoint, against_size
    >>> point = SizePoint(trunk="LSTM", state_size=256, parameters=300_000, accuracy=0.25)
    >>> picture = Picture("sizes", "Sizes", lambda theme: against_size([point], theme=theme), "A run.", "0.25.")
    >>> write_gallery(Path(tempfile.mkdtemp()), title="A sweep", pictures=[picture]).name
    'report.html'
    """
    names = [picture.name for picture in pictures]
    if not pictures or len(set(names)) < len(names):
        raise ValueError(f"Wanted one or more pictures with names of their own, got {names}.")
    sections = [
        tag(
            "section",
            tag("h2", picture.title),
            plot(folder, picture.name, picture.draw, alt=picture.alt, caption=picture.caption),
        )
        for picture in pictures
    ]
    sections = [
        tag("section", tag("h2", each.title), table(each.header, each.rows, label=each.title, class_="measures"))
        for each in tables
    ] + sections
    style = "".join(
        (resources.files("icl_eval.report") / name).read_text(encoding="utf-8") for name in ("report.css", "tasks.css")
    )
    header = tag("header", tag("h1", title), tag("p", note, class_="soft"))
    path = folder / "report.html"
    write_atomically(path, document(title, style=style, body=tag("main", header, *sections)).encode())
    return path
