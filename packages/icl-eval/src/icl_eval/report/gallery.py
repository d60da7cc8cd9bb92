"""Pictures and tables that the page of a sweep has of its own."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from icl_eval.report.html import Figures, Markup, part


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
