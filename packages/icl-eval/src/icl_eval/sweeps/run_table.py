"""A table of runs: named columns, and rows of numbers and texts, to be written as CSV or Parquet."""

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

from icl_eval.paths import AnyPath, as_path
from icl_eval.runs.writing import write_atomically
from icl_eval.sweeps.shown_table import table_html
from icl_eval.sweeps.sweep_runs import Cell


@dataclasses.dataclass(frozen=True)
class RunTable:
    """A table of runs, one kind of cell in each column: whole numbers, numbers or texts.

    Attributes:
      columns: the names of the columns, each once.
      rows: a cell for each column; None where there is none, NaN for a number that was measured and is not finite.

    >>> print(RunTable(("run", "step", "a.loss"), (("x", 50, 0.1), ("y, z", None, None))).csv(), end="")
    run,step,a.loss
    x,50,0.1
    "y, z",,
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if len(set(self.columns)) < len(self.columns) or {len(row) for row in self.rows} - {len(self.columns)}:
            raise ValueError(
                f"Wanted columns of different names and as many cells in each row, got {self.columns} and rows of "
                f"{sorted({len(row) for row in self.rows})} cells."
            )

    def column(self, name: str) -> tuple[Cell, ...]:
        """Return the cells of a column; raise ValueError if there is none of that name."""
        if name not in self.columns:
            raise ValueError(f"There is no column {name}; there are {', '.join(self.columns)}.")
        place = self.columns.index(name)
        return tuple(row[place] for row in self.rows)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the first rows and columns, and how many there are."""
        return table_html(self.columns, self.rows)

    def csv(self) -> str:
        """Return the table as CSV: reading a number again gives the same number, to the last bit."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([self.columns, *self.rows])
        return text.getvalue()

    def write(self, path: AnyPath) -> Path:
        """Write the table as a file, and return its path.

        Args:
          path: it ends in .csv, or in .parquet, for which the extra `table` of icl-eval must be installed.

        Raises:
          ValueError: another ending, or no pyarrow for Parquet.
        """
        path = as_path(path)
        if path.suffix == ".csv":
            write_atomically(path, _encodable(self.csv()).encode())
        elif path.suffix == ".parquet":
            write_atomically(path, self._parquet())
        else:
            raise ValueError(f"Wanted a file that ends in .csv or .parquet; got {path}.")
        return path

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame with columns of Int64, float64 and texts.

        Raises:
          ValueError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ValueError(f"A DataFrame wants pandas; {_INSTALL}") from error
        types = {int: "Int64", float: "float64", str: "object"}
        series = {name: pandas.Series(cells, dtype=types[kind]) for name, (kind, cells) in self._typed().items()}
        return pandas.DataFrame(series, columns=list(self.columns))

    def _parquet(self) -> bytes:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ValueError(f"A .parquet file wants pyarrow; {_INSTALL} A .csv file wants nothing.") from error
        types = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
        arrays = [pyarrow.array(cells, types[kind]) for kind, cells in self._typed().values()]
        content = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(arrays, names=list(map(_encodable, self.columns))), content)
        return content.getvalue()

    def _typed(self) -> dict[str, tuple[type, list[Any]]]:
        """Return of each column its one type, and its cells in that type."""
        found: dict[str, tuple[type, list[Any]]] = {}
        for name in self.columns:
            known = [cell for cell in self.column(name) if cell is not None]
            whole = all(isinstance(cell, int) and -(2**63) <= cell < 2**63 for cell in known)
            kind = str if any(isinstance(cell, str) for cell in known) else int if known and whole else float
            cast = _encodable if kind is str else kind
            found[name] = kind, [None if cell is None else cast(cell) for cell in self.column(name)]
        return found


def _encodable(text: object) -> str:
    """Return a text with question marks for halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    return str(text).encode(errors="replace").decode()


_INSTALL = "install the extra `table` of icl-eval, as in: pip install 'icl-eval[table]'."
