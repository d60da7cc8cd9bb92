"""Grids of cells: a heat map, an accuracy in each cell; and which labels are taken for which."""

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from icl_eval.figures.drawing import new_figure
from icl_eval.figures.learner_looks import VERBS
from icl_eval.figures.palette import FAINT, INK, PAPER, SHADE, TEXT
from icl_eval.results.result import Result

_NAME = re.compile(r"confusion_(\d{1,3})_to_(\d{1,3}|other)")
MOST_CONFUSED = 12  # labels; beyond, the numbers in the cells cannot be read

UNKNOWN: Mapping[str, Any] = {"facecolor": PAPER, "edgecolor": FAINT, "hatch": "////"}
"""How a cell looks that has no number."""


def heat_map(
    values: Float[np.ndarray, "R C"],
    *,
    row_names: Sequence[str],
    column_names: Sequence[str],
    row_title: str,
    column_title: str,
    title: str,
    kinds: Sequence[Sequence[str]] | None = None,
    seeds: Float[np.ndarray, "R C K"] | None = None,
) -> Figure:
    """Return a figure of accuracies in a grid, each cell with its number and darker the higher; hatched where unknown.

    Axes: R rows, C columns, K seeds.

    Args:
      values: an accuracy per cell, NaN where there is none.
      row_names: one per row, the first at the top.
      column_names: one per column.
      row_title: what the rows are.
      column_title: what the columns are.
      title: what the numbers are.
      kinds: of learner, one per cell, written under the number in a short form.
      seeds: the accuracies of each seed; the lowest and the highest are written under the number.

    Raises:
      ValueError: if there are no cells, or names, kinds or seeds do not fit them.

    >>> figure = heat_map(np.array([[0.5, 0.1]]), row_names=["64"], column_names=["1", "2"], row_title="width",
    ...   column_title="tasks", title="Accuracy", kinds=[["general learning to learn", "undecided"]])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['0.50', 'learns', '0.10', 'undecided']
    """
    values = np.asarray(values, np.float64)
    names = (len(row_names), len(column_names))
    given = () if kinds is None else ((len(kinds), *{len(row) for row in kinds}),)
    if values.size == 0 or {values.shape, *given, *(() if seeds is None else (seeds.shape[:2],))} != {names}:
        raise ValueError(
            f"Wanted values [R, C], and names, kinds and seeds that fit them; got values {values.shape}, "
            f"names {names}, kinds {given} and seeds {None if seeds is None else seeds.shape}."
        )
    figure, panel = new_grid(row_names, column_names, title=title, lines=1 + (kinds is not None) + (seeds is not None))
    panel.set_ylabel(row_title, color=INK, fontsize=TEXT)
    panel.set_xlabel(column_title, color=INK, fontsize=TEXT)
    for (row, column), value in np.ndenumerate(values):
        if math.isnan(value):
            panel.add_patch(cell_patch(row, column, **UNKNOWN))
            continue
        shade = (SHADE, float(np.clip(value, 0, 1)))
        panel.add_patch(cell_patch(row, column, facecolor=shade, edgecolor=PAPER, linewidth=1.5))
        said = [f"{value:.2f}"]
        if seeds is not None and len(known := seeds[row, column][np.isfinite(seeds[row, column])]):
            said.append(f"{known.min():.2f}\N{EN DASH}{known.max():.2f}")
        if kinds is not None and kinds[row][column]:
            said.append(VERBS.get(kinds[row][column], kinds[row][column]))
        write_cell(panel, (row, column), said)
    return figure


def new_grid(
    row_names: Sequence[str], column_names: Sequence[str], *, title: str, lines: int, widest: int = 0
) -> tuple[Figure, Axes]:
    """Return a new figure and its panel, which has room for so many lines, of so many characters, in each cell."""
    # Inches of text of the sizes used here.
    left = 0.5 + 0.085 * max(map(len, row_names))
    written = [textwrap.fill(name, 10) for name in column_names]
    cell = max(
        0.78 if lines > 1 else 0.55,
        0.07 * widest,
        0.09 * max(len(word) for name in written for word in name.split("\n")),
    )
    below = 0.65 + 0.15 * max(name.count("\n") for name in written)
    width = left + max(cell * len(column_names), 0.095 * len(title))
    figure = new_figure(width, 0.3 + below + (0.2 + 0.15 * lines) * len(row_names))
    panel = figure.subplots()
    panel.set_facecolor(PAPER)
    panel.set_xlim(0, len(column_names))
    panel.set_ylim(len(row_names), 0)
    panel.set_xticks(np.arange(len(column_names)) + 0.5, written)
    panel.set_yticks(np.arange(len(row_names)) + 0.5, row_names)
    panel.tick_params(colors=INK, labelsize=9, length=0, pad=4)
    panel.spines[:].set_visible(False)
    panel.set_title(title, loc="left", color=INK, fontsize=10, fontweight="bold")
    return figure, panel


def cell_patch(row: int, column: int, **style: object) -> Rectangle:
    """Return the area of a cell, to be added to the panel of a grid."""
    return Rectangle((column, row), 1, 1, **style)  # type: ignore[arg-type]


def write_cell(panel: Axes, cell: tuple[int, int], said: Sequence[str]) -> None:
    """Write lines one below the other around the middle of a cell, the first larger."""
    row, column = cell
    for number, line in enumerate(said):
        height = 10.5 * ((len(said) - 1) / 2 - number)
        panel.annotate(
            line, (column + 0.5, row + 0.5), xytext=(0, height), textcoords="offset points", ha="center", va="center",
            color=INK, fontsize=9.5 if number == 0 else 7.5, fontweight="bold" if number == 0 else "normal",
        )  # fmt: skip


def confusion_matrix(result: Result) -> tuple[Float[np.ndarray, "W X"], tuple[int, ...]] | None:
    """Return shares of predictions by true label, and how many queries there were of each; None if not measured.

    Axes: W labels 0..W-1 that a query can have; X = W + 1, the last column for any other label.

    Reads the metrics `confusion_0_to_1` (of queries whose label is 0, the share predicted as 1 by the open arg-max)
    and `confusion_0_to_other`. A share that is missing is NaN; a label without queries counts 0.

    >>> from icl_eval import proportion
    >>> metrics = {"confusion_0_to_0": proportion(3, 4), "confusion_0_to_other": proportion(1, 4)}
    >>> confusion_matrix(Result(evaluation="fewshot_holdout", metrics=metrics, chance={}))
    (array([[0.75, 0.25]]), (4,))
    """
    found = [(match, estimate) for name, estimate in result.metrics.items() if (match := _NAME.fullmatch(name))]
    if not found:
        return None
    labels = {int(label) for match, _ in found for label in match.groups() if label != "other"}
    ways = max(labels) + 1
    shares = np.full((ways, ways + 1), np.nan)
    counts = [0] * ways
    for match, estimate in found:
        true, predicted = int(match[1]), match[2]
        shares[true, ways if predicted == "other" else int(predicted)] = estimate.value
        counts[true] = max(counts[true], estimate.count)
    return shares, tuple(counts)


def confusion(shares: Float[np.ndarray, "W X"], counts: Sequence[int]) -> Figure:
    """Return a figure of true labels against predicted ones, the share of each true label's queries in the cells.

    Args:
      shares: of each of 1..12 true labels, the share predicted as each of them and, in the last column, as another.
      counts: queries of each true label.

    >>> [text.get_text() for text in confusion(np.array([[0.75, 0.25]]), [4]).axes[0].texts]
    ['0.75', '0.25']
    """
    ways = len(shares)
    if shares.shape != (ways, ways + 1) or not 1 <= ways <= MOST_CONFUSED or len(counts) != ways:
        raise ValueError(
            f"Wanted shares [W, W + 1] of W in 1..{MOST_CONFUSED} labels and a count for each, got shares "
            f"{shares.shape} and {len(counts)} counts."
        )
    if (shares < 0).any() or (shares > 1).any():
        raise ValueError(f"Wanted shares in 0..1, got {np.nanmin(shares)}..{np.nanmax(shares)}.")
    return heat_map(
        shares,
        row_names=[f"{label} (of {count:,})" for label, count in enumerate(counts)],
        column_names=[*map(str, range(ways)), "another label"],
        row_title="true label",
        column_title="predicted label",
        title="Share of each true label's queries",
    )
