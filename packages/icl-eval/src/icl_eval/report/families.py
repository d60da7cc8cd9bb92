"""Tables of evaluations that stand together: a row for each, the model beside the baselines that saw the same."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from icl_eval.report.html import NOTHING, Figures, Markup, render
from icl_eval.report.words import titles
from icl_eval.results.estimate import Estimate
from icl_eval.results.result import Family, Result
from icl_eval.runs.reading import Run

# What a baseline that answers with a label of the context is compared with.
_IN_CONTEXT = ("accuracy_in_context", "accuracy_closed")
_NAMED = 2  # baselines that the model is not better than; more would fill the cell


class Cell(NamedTuple):
    """A baseline of a table: its number, whether its interval overlaps the model's, and whether none is better."""

    estimate: Estimate
    overlaps: bool
    is_best: bool


class Best(NamedTuple):
    """The best of the baselines of a row."""

    name: str
    estimate: Estimate


class Row(NamedTuple):
    """An evaluation of a table: the model's number, what of the baselines it is better than, and which is best."""

    name: str
    model: Estimate
    is_best: bool
    beaten: str
    unbeaten: str
    best: Best | None
    cells: Sequence[Cell | None]


class Table(NamedTuple):
    """A table, with what it says in words."""

    label: str
    note: str
    baselines: list[str]
    rows: list[Row]


def families(run: Run) -> dict[Family, list[str]]:
    """Return the evaluations of each family, in order."""
    found: dict[Family, list[str]] = {}
    for name, (_, result) in run.latest().items():
        if result.family is not None:
            found.setdefault(result.family, []).append(name)
    return found


def family_tables(run: Run, figures: Figures, *, family: Family, names: Sequence[str]) -> Markup:
    """Return the tables of the named evaluations of a family, one for each metric that they are compared by."""
    latest = run.latest()
    return _tables(run, {name: latest[name][1] for name in names}, label=family.title, note=family.sentence)


def against_baselines(run: Run, figures: Figures) -> Markup:
    """Return the table of the evaluations of no family that have baselines."""
    having: dict[str, Result] = {}
    for name, results in run.evaluations.items():
        # The trained model has them; a run that goes on has later evaluations without.
        with_baselines = [result for result in results.values() if _baselines(run, result)]
        if with_baselines and with_baselines[-1].family is None:
            having[name] = with_baselines[-1]
    note = "Each baseline sees what the model sees, and answers as the model does."
    return _tables(run, having, label="Baselines", note=note)


def _tables(run: Run, results: Mapping[str, Result], *, label: str, note: str) -> Markup:
    by_metric: dict[str, dict[str, Result]] = {}
    for name, result in results.items():
        by_metric.setdefault(_compared(run, result), {})[name] = result
    made = [_table(run, metric, of_metric, label=label, note=note) for metric, of_metric in by_metric.items()]
    return render("families", tables=made) if made else NOTHING


def _table(run: Run, metric: str, results: Mapping[str, Result], *, label: str, note: str) -> Table:
    """Return the table of one metric."""
    found = {name: _baselines(run, result) for name, result in results.items()}
    baselines = list(dict.fromkeys(baseline for of_result in found.values() for baseline in of_result))
    less_is_better = run.kind(metric) == "error"
    shown = titles(list(results))
    rows = [
        _row(shown[name], result.metrics[metric], found[name], baselines, less_is_better=less_is_better)
        for name, result in results.items()
    ]
    note += f" Shown is {metric}, the model's with its 95 % interval; {'less' if less_is_better else 'more'} is better"
    if baselines:
        note += ", and the best is bold. Better is by value; ≈ marks a baseline whose interval overlaps the model's"
    return Table(label, f"{note}.", baselines, rows)


def _row(
    name: str, model: Estimate, found: Mapping[str, Estimate], baselines: Sequence[str], *, less_is_better: bool
) -> Row:
    sign = -1 if less_is_better else 1
    known = [sign * each.value for each in (model, *found.values()) if not math.isnan(each.value)]
    best = max(known, default=math.nan)
    finite = [baseline for baseline, each in found.items() if not math.isnan(each.value)]
    first = max(finite, key=lambda baseline: sign * found[baseline].value, default=None)
    beaten = [baseline for baseline, each in found.items() if sign * model.value > sign * each.value]
    unbeaten = [baseline for baseline in found if baseline not in beaten]
    cells = [
        Cell(
            found[baseline],
            overlaps=model.low <= found[baseline].high and found[baseline].low <= model.high,
            is_best=sign * found[baseline].value == best,
        )
        if baseline in found
        else None
        for baseline in baselines
    ]
    said = "" if not found else f"{len(beaten)} of {len(found)}" if unbeaten else f"all {len(found)}"
    named = ", ".join(unbeaten) if beaten and len(unbeaten) <= _NAMED else ""
    return Row(
        name,
        model,
        is_best=sign * model.value == best,
        beaten=said,
        unbeaten=named,
        best=None if first is None else Best(first, found[first]),
        cells=cells,
    )


def _baselines(run: Run, result: Result) -> dict[str, Estimate]:
    """Return the baselines of a result by the names that tables show."""
    words = {metric: run.measures[metric].baseline for metric in result.metrics if metric in run.measures}
    return {baseline: result.metrics[metric] for metric, baseline in words.items() if baseline is not None}


def _compared(run: Run, result: Result) -> str:
    """Return the metric of a result that its baselines, or else the headlines or the first words, are about."""
    words = {metric: run.measures.get(metric) for metric in result.metrics}
    of_baselines = [metric for metric, each in words.items() if each is not None and each.baseline is not None]
    own = [metric for metric in words if metric not in of_baselines]
    if of_baselines:
        bases = [metric for metric in own if of_baselines[0].startswith(f"{metric}_")]
        candidates = [*sorted(bases, key=len, reverse=True), *_IN_CONTEXT]
    else:
        candidates = [headline.metric for headline in run.headlines]
    return next(metric for metric in [*candidates, *own, *words] if metric in words)
