"""Predictions for a table in a CSV file, from the rows of another, by a trained run."""

import csv
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from jaxtyping import Float
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from icl_lab.learners.classifier import InContextClassifier
from icl_lab.learners.learner import Learner
from icl_train import say

Rows = list[dict[str, str]]


def predict(
    run: Annotated[Path, tyro.conf.Positional],
    train: Path,
    ask: Path,
    target: str,
    to: Path | None = None,
    votes: int = 16,
) -> None:
    """Predict a column of a table from the rows of another; nothing is trained.

    Args:
      run: Folder of a trained run, such as zoo/gpicl for classes and zoo/linear for numbers.
      train: CSV file with a header: rows whose target is known.
      ask: CSV file with the same columns; where the target is known there, the score is printed.
      target: Name of the column to predict; all others are numbers.
      to: CSV file for the predictions; by default they are printed.
      votes: How many sequences each prediction is the mean of.
    """
    known, asked = read_rows(train), read_rows(ask)
    if target not in known[0]:
        raise ValueError(f"{train} has no column {target!r}; it has {', '.join(known[0])}.")
    if empty := [place for place, row in enumerate(known, start=1) if not row[target]]:
        raise ValueError(f"{train}, row {empty[0]} below the header: {target!r} is empty; leave that row out.")
    columns = [name for name in known[0] if name != target]
    learner = Learner.load(run, votes=votes)
    is_classifier = isinstance(learner, InContextClassifier)
    answers = [row[target] for row in known] if is_classifier else numbers(known, [target], path=train)[:, 0]
    model = make_pipeline(StandardScaler(), learner)  # columns of a table have units of their own
    model.fit(numbers(known, columns, path=train), answers)
    inputs = numbers(asked, columns, path=ask)
    found = {target: [str(each) for each in model.predict(inputs)]}
    if is_classifier:
        shares = zip(model.classes_, model.predict_proba(inputs).T, strict=True)
        found |= {f"p({name})": [f"{p:.4f}" for p in each] for name, each in shares}
    if to is None:
        write_columns(sys.stdout, found)
    else:
        with to.open("w", encoding="utf-8", newline="") as file:
            write_columns(file, found)
    graded = [place for place, row in enumerate(asked) if row.get(target)]
    if graded:
        told = [asked[place] for place in graded]
        truth = [row[target] for row in told] if is_classifier else numbers(told, [target], path=ask)[:, 0]
        what, score = "accuracy" if is_classifier else "R²", model.score(inputs[graded], truth)
        say(f"{what} on the {len(told)} rows of {ask} whose {target} is known: {score:.3f}", to="stderr")


def read_rows(path: Path) -> Rows:
    """Return the rows of a CSV file by the names in its header.

    Raises:
      OSError: it cannot be read.
      ValueError: no header, no rows, or a row with more or fewer cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {error}") from error
    rows = [row for row in rows if row]
    if len(set(header)) < len(header) or not header or not rows:
        raise ValueError(f"{path} wants a header of different names and rows below it, got {header!r:.80}.")
    if odd := next((number for number, row in enumerate(rows, start=1) if len(row) != len(header)), None):
        raise ValueError(
            f"{path}, row {odd} below the header: wanted {len(header)} cells as in it, got {len(rows[odd - 1])}."
        )
    return [dict(zip(header, map(str.strip, row), strict=True)) for row in rows]


def numbers(rows: Rows, columns: Sequence[str], *, path: Path) -> Float[np.ndarray, "rows columns"]:
    """Return columns of a table as float64.

    Raises:
      ValueError: a column that is not there, or a cell that is no finite number; names it.

    >>> numbers([{"a": "1", "b": "2.5"}], ["b"], path=Path("x.csv"))
    array([[2.5]])
    """
    if missing := [name for name in columns if name not in rows[0]]:
        raise ValueError(f"{path} has no column {missing[0]!r}; it has {', '.join(rows[0])}.")
    found = np.empty((len(rows), len(columns)))
    for place, row in enumerate(rows):
        for column, name in enumerate(columns):
            try:
                found[place, column] = float(row[name])
            except ValueError:
                found[place, column] = math.nan
            if not math.isfinite(found[place, column]):
                raise ValueError(
                    f"{path}, row {place + 1} below the header, column {name!r}: wanted a number, got "
                    f"{row[name]!r:.40}; leave that row or column out, or make numbers of it."
                )
    return found


def write_columns(file: Any, columns: dict[str, list[str]]) -> None:
    """Write columns as CSV into an open file of text."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([list(columns), *zip(*columns.values(), strict=True)])
