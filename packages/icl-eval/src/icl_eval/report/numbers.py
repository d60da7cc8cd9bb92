"""The table of all numbers of a report: every measure of every evaluation, to be sorted and filtered."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from icl_eval.report.html import NOTHING, Figures, Markup, render
from icl_eval.results.estimate import Estimate
from icl_eval.results.result import Measure
from icl_eval.runs.reading import Run


class Row(NamedTuple):
    """A number of a report, with its words if the run has them."""

    evaluation: str
    metric: str
    estimate: Estimate
    chance: float | None
    step: int
    words: Measure | None


def all_numbers(run: Run, figures: Figures) -> Markup:
    """Return the last number of every measure: what is asked for most in one table, details folded in another.

    Without JavaScript both are complete; `report.js` lets them be sorted and filtered.
    """
    latest = run.latest()
    rows = [
        Row(evaluation, metric, estimate, result.chance.get(metric), step, run.measures.get(metric))
        for evaluation, (step, result) in latest.items()
        for metric, estimate in result.metrics.items()
    ]
    if not rows:
        return NOTHING
    first = [(headline.evaluation, headline.metric) for headline in run.headlines]
    order = _orders(run, {row.metric for row in rows})

    def key(row: Row) -> tuple[object, ...]:
        named = (row.evaluation, row.metric)
        return first.index(named) if named in first else len(first), row.evaluation, order[row.metric]

    rows.sort(key=key)
    main, details = ([row for row in rows if _is_detail(row) is folded] for folded in (False, True))
    explained = {
        words.shown or metric: words.sentence
        for metric in sorted(order, key=lambda metric: order[metric])
        if (words := run.measures.get(metric)) is not None
    }
    return render(
        "numbers",
        main=main,
        details=details,
        counts=_counts(details),
        explained=explained,
        counted=" or ".join(sorted({result.unit for _, result in latest.values()})),
    )


def _is_detail(row: Row) -> bool:
    return row.words is not None and row.words.detail


def _counts(rows: Iterable[Row]) -> str:
    """Return how many rows there are of each kind."""
    kinds = [row.words.shown or row.metric for row in rows if row.words is not None]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _orders(run: Run, metrics: Iterable[str]) -> dict[str, tuple[object, ...]]:
    """Return keys that sort metrics in the order of the run's words, those of one kind together and by number."""
    places: dict[str, int] = {}
    for place, (metric, words) in enumerate(run.measures.items()):
        places.setdefault(words.shown or metric, place)
    orders: dict[str, tuple[object, ...]] = {}
    for metric in metrics:
        known = run.measures.get(metric)
        place = len(run.measures) if known is None else places[known.shown or metric]
        orders[metric] = (place, natural(metric))
    return orders


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names with the numbers in them by size.

    >>> sorted(["induction_0_10", "induction_0_2"], key=natural)
    ['induction_0_2', 'induction_0_10']
    """
    parts = (part.lstrip("0") if at % 2 else part for at, part in enumerate(re.split(r"(\d+)", name)))
    # The longer number is the larger; int() would refuse the 5,000 digits that a damaged file may hold.
    return [(len(part) if at % 2 else 0, part) for at, part in enumerate(parts)]
