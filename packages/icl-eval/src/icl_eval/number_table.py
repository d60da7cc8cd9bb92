"""The table of all numbers of a report: every measure of every evaluation, to be sorted and filtered."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from icl_eval.estimate import Estimate, readable
from icl_eval.evaluation import Result
from icl_eval.meanings import meaning, meanings, order
from icl_eval.page import Html, breakable, tag
from icl_eval.parts import chance_text, interval
from icl_eval.run import HEADLINES, Run

_TASK_METRICS = ("accuracy_last", "accuracy_first", "improvement", "normalised_error", "squared_error")
_FIRST = (*HEADLINES.values(), *((name, m) for name in ("unseen_tasks", "seen_tasks") for m in _TASK_METRICS[::3]))


class Row(NamedTuple):
    """A number of a report."""

    evaluation: str
    metric: str
    estimate: Estimate
    chance: float | None
    step: int

    @property
    def is_detail(self) -> bool:
        """Whether it is one of the many that are folded away."""
        known = meaning(self.metric)
        return known is not None and known.detail

    @property
    def order(self) -> tuple[object, ...]:
        """Headlines come first, then evaluation by evaluation."""
        named = (self.evaluation, self.metric)
        return _FIRST.index(named) if named in _FIRST else len(_FIRST), self.evaluation, order(self.metric)


def unit(result: Result) -> str:
    """Return what a result counts: tasks or sequences.

    >>> unit(Result(evaluation="seen_tasks", metrics={"improvement": Estimate(0.5, 0.4, 0.6, 9)}, chance={}))
    'tasks'
    """
    return "tasks" if any(metric in result.metrics for metric in _TASK_METRICS) else "sequences"


def all_numbers(run: Run, folder: Path) -> Html:
    """Show the last number of every measure: what is asked for most in one table, the many details folded in another.

    Without JavaScript both are complete; `report.js` lets them be sorted and filtered.
    """
    latest = run.latest()
    rows = [
        Row(evaluation, metric, estimate, result.chance.get(metric), step)
        for evaluation, (step, result) in latest.items()
        for metric, estimate in result.metrics.items()
    ]
    if not rows:
        return Html("")
    rows.sort(key=lambda row: row.order)
    counted = " or ".join(sorted({unit(result) for _, result in latest.values()}))
    main, details = ([row for row in rows if row.is_detail is detail] for detail in (False, True))
    parts = []
    if main:
        parts.append(_table(main, counted=counted, label="All numbers"))
    if details:
        summary = tag("summary", f"Details: {_counted(details)}")
        parts.append(tag("details", summary, _table(details, counted=counted, label="Details")))
    if said := meanings({row.metric for row in rows}):
        parts.append(tag("details", tag("summary", "What the measures are"), said))
    return tag("div", *parts, class_="all-numbers")


def _counted(rows: Iterable[Row]) -> str:
    """Say how many rows there are of each kind."""
    kinds = [known.shown for row in rows if (known := meaning(row.metric)) is not None]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _table(rows: Iterable[Row], *, counted: str, label: str) -> Html:
    header = ["evaluation", "measure", "value", "95 % interval", "chance", counted, "step"]
    head = tag("tr", *(tag("th", cell, scope="col") for cell in header))
    whole = tag("table", tag("thead", head), tag("tbody", *map(_row, rows)))
    return tag("div", whole, class_="scroll measures", role="region", tabindex="0", aria_label=label)


def _row(row: Row) -> Html:
    estimate = row.estimate
    return tag(
        "tr",
        tag("td", breakable(row.evaluation, after="_")),
        tag("th", breakable(row.metric, after="_"), scope="row"),
        number_cell(estimate.value, readable(estimate.value)),
        number_cell(estimate.low, interval(estimate)),
        number_cell(math.nan if row.chance is None else row.chance, chance_text(row.chance)),
        number_cell(estimate.count, f"{estimate.count:,}"),
        number_cell(row.step, f"{row.step:,}"),
    )


def number_cell(number: float | int | None, shown: str) -> Html:
    """Return a cell that is sorted by the number itself and not by its three digits; what is no number comes last.

    >>> number_cell(0.25, "0.250"), number_cell(None, "")
    ('<td data-sort="0.25">0.250</td>', '<td data-sort=""></td>')
    """
    if number is None:
        return tag("td", shown, data_sort="")
    return tag("td", shown, data_sort=str(number) if math.isfinite(number) else "")
