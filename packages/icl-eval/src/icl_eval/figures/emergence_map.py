"""Times of emergence on a grid of two options, with the exponents by which they grow along its rows and columns."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_eval.figures.grid import UNKNOWN, cell_patch, new_grid, write_cell
from icl_eval.figures.palette import FAINT, INK, PAPER, SHADE, TEXT
from icl_eval.sweeps.power_law import PowerLaw
from icl_eval.sweeps.survival import Quartiles

_PALEST, _DARKEST = 0.12, 0.95  # shares of the shade, for the latest and the earliest median


class MapCell(NamedTuple):
    """A setting on the map.

    Attributes:
      steps: when its seeds came there; None where there is no run.
      until: the step to which its seeds are known, at which those that had not come there were evaluated last.
    """

    steps: Quartiles | None
    until: float


def emergence_map(
    cells: Sequence[Sequence[MapCell]],
    *,
    row_names: Sequence[str],
    column_names: Sequence[str],
    row_title: str,
    column_title: str,
    title: str,
    row_laws: Sequence[PowerLaw | None],
    column_laws: Sequence[PowerLaw | None],
) -> Figure:
    """Return a figure of median times of emergence in a grid, darker the earlier; hatched where there is no run.

    Beneath a median stand the quartiles, or how many of the seeds came there where some did not. Where half of them or
    more did not, the time is only known to be later than the last evaluation, and the cell is white. To the right of a
    row and above a column stand the exponent of the power law along it, and its 95 % interval, where there is a fit.

    Args:
      cells: of R rows, the first at the top, and C columns.
      row_names: one per row.
      column_names: one per column.
      row_title: what the rows are.
      column_title: what the columns are.
      title: what emerges.
      row_laws: of each row, by the option of the columns.
      column_laws: of each column, by the option of the rows.

    Raises:
      ValueError: if there are no cells, or names or laws do not fit them.

    >>> cell = MapCell(Quartiles(lower=900.0, median=1000.0, upper=1200.0, count=4, censored=0), 8000.0)
    >>> late = MapCell(Quartiles(lower=None, median=None, upper=None, count=4, censored=4), 8000.0)
    >>> figure = emergence_map([[cell, late]], row_names=["100"], column_names=["0.5", "1"], row_title="classes",
    ...   column_title="burstiness", title="ICL", row_laws=[None], column_laws=[None, None])
    >>> [text.get_text() for text in figure.axes[0].texts if '>' in text.get_text()]
    ['> 8,000']
    """
    shape = (len(row_names), len(column_names))
    if (
        not all(shape)
        or (len(row_laws), len(column_laws)) != shape
        or [len(row) for row in cells] != [shape[1]] * shape[0]
    ):
        raise ValueError(
            f"Wanted cells [R][C], and names and laws that fit them; got rows of {[len(row) for row in cells]} cells, "
            f"names {shape} and laws {(len(row_laws), len(column_laws))}."
        )
    figure, panel = new_grid(row_names, column_names, title="", lines=2, widest=11)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + 1.2, height + 0.55)
    panel.set_ylabel(row_title, color=INK, fontsize=TEXT)
    panel.set_xlabel(column_title, color=INK, fontsize=TEXT)
    medians = [cell.steps.median for row in cells for cell in row if cell.steps is not None and cell.steps.median]
    for row, of_row in enumerate(cells):
        for column, cell in enumerate(of_row):
            _draw_cell(panel, (row, column), cell, medians)
    for row, law in enumerate(row_laws):
        _write_law(panel, law, (1.0, (len(row_laws) - row - 0.5) / len(row_laws)), away=(6, 0))
    for column, law in enumerate(column_laws):
        _write_law(panel, law, ((column + 0.5) / len(column_laws), 1.0), away=(0, 4))
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=10, fontweight="bold")
    return figure


def _draw_cell(panel: Axes, place: tuple[int, int], cell: MapCell, medians: Sequence[float]) -> None:
    if cell.steps is None:
        panel.add_patch(cell_patch(*place, **UNKNOWN))
        return
    steps, reached = cell.steps, cell.steps.count - cell.steps.censored
    of_seeds = f"{reached} of {steps.count}"
    if steps.median is None:
        panel.add_patch(cell_patch(*place, facecolor=PAPER, edgecolor=FAINT, linewidth=1.0))
        write_cell(panel, place, [f"> {cell.until:,.0f}", of_seeds])
        return
    panel.add_patch(
        cell_patch(*place, facecolor=(SHADE, _darkness(steps.median, medians)), edgecolor=PAPER, linewidth=1.5)
    )
    whole = steps.censored == 0 and steps.lower is not None and steps.upper is not None
    beneath = f"{steps.lower:,.0f}\N{EN DASH}{steps.upper:,.0f}" if whole else of_seeds
    write_cell(panel, place, [f"{steps.median:,.0f}", beneath])


def _darkness(median: float, medians: Sequence[float]) -> float:
    """Return how dark a median is, by its logarithm among all.

    >>> _darkness(100.0, [100.0, 400.0]), _darkness(400.0, [100.0, 400.0]), _darkness(0.0, [])
    (0.95, 0.12, 0.95)
    """
    if not medians or median <= 0 or min(medians) == max(medians):
        return _DARKEST
    low, high = np.log(min(medians)), np.log(max(medians))
    return float(_DARKEST - (_DARKEST - _PALEST) * (np.log(median) - low) / (high - low))


def _write_law(panel: Axes, law: PowerLaw | None, place: tuple[float, float], *, away: tuple[int, int]) -> None:
    """Write an exponent beside the grid, beyond a place in shares of the panel."""
    if law is None:
        return
    panel.annotate(
        f"$x^{{{law.exponent:.2f}}}$\n{law.low:.2f} to {law.high:.2f}", place, xycoords="axes fraction", xytext=away,
        textcoords="offset points", ha="left" if away[0] else "center", va="center" if away[0] else "bottom",
        color=INK, fontsize=8,
    )  # fmt: skip
