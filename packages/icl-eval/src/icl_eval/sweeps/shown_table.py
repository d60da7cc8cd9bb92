"""A table of runs for a notebook: its first rows and columns, each number with its interval in one cell."""

import math
from collections.abc import Sequence

from icl_eval.results.estimate import readable
from icl_eval.results.fragments import fragment, soft, table
from icl_eval.sweeps.sweep_runs import Cell

_MOST_ROWS, _MOST_COLUMNS = 20, 12
_ENDS = (".low", ".high", ".count")
_LARGEST = 1e300  # beyond it a number out of a file is no float


def table_html(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    r"""Return the table as what a notebook shows, and what of it that is.

    The columns `.low`, `.high` and `.count` of a number become one cell with it.

    >>> "0.500 (0.400\N{EN DASH}0.600, n=9)" in table_html(["a", "a.low", "a.high", "a.count"], [[0.5, 0.4, 0.6, 9]])
    True
    """
    places = {name: place for place, name in enumerate(columns)}
    numbers = [name for name in columns if all(f"{name}{end}" in places for end in _ENDS)]
    ends = {f"{name}{end}" for name in numbers for end in _ENDS}
    kept = [name for name in columns if name not in ends]
    shown = kept[:_MOST_COLUMNS]
    cells = []
    for row in rows[:_MOST_ROWS]:
        found = {name: row[places[name]] for name in shown}
        whole = {name: [row[places[f"{name}{end}"]] for end in _ENDS] for name in shown if name in numbers}
        cells.append([_number(cell, *whole[name]) if name in whole else _text(cell) for name, cell in found.items()])
    said = f"{len(rows):,} rows and {len(kept):,} columns"
    if len(rows) > _MOST_ROWS or len(kept) > _MOST_COLUMNS:
        said = f"The first {len(cells)} of {len(rows):,} rows and {len(shown)} of {len(kept):,} columns are shown; "
        said += "write(path), csv() and to_pandas() give all."
    return fragment(table(shown, cells), soft(said))


def _text(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.6g}" if math.isfinite(cell) else "not finite"
    return "" if cell is None else str(cell)


def _number(value: Cell, low: Cell, high: Cell, count: Cell) -> str:
    if not isinstance(value, int | float) or (isinstance(value, int) and abs(value) >= _LARGEST):
        return _text(value)
    within = "interval unknown"
    if isinstance(low, int | float) and isinstance(high, int | float) and max(abs(low), abs(high)) < _LARGEST:
        within = f"{readable(low)}\N{EN DASH}{readable(high)}"
    return f"{readable(value)} ({within}, n={_text(count)})"
