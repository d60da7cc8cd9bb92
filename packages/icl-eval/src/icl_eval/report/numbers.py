"""The table of all numbers of a report: every measure of every evaluation, to be sorted and filtered."""

import dataclasses
import math
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from icl_eval.report.headlines import HEADLINES
from icl_eval.report.html import Html, breakable, chance_text, interval, tag
from icl_eval.results.estimate import Estimate, readable
from icl_eval.results.result import Result
from icl_eval.runs.reading import Run

_CLASSES = {"common": "of a common class", "rare": "of a rare class", "fewshot": "of the few-shot problem"}

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a measure, or a family of measures, says.

    Attributes:
      shown: the measure as the page names it.
      pattern: matches the whole name of each of its measures, as it stands in eval.jsonl.
      sentence: what it means.
      detail: whether a report folds it away: there are many of its kind, or few ask for them.

    Raises:
      ValueError: if there is no sentence, or the pattern is no regular expression.

    >>> Meaning(shown="loss", pattern="loss", sentence="Cross-entropy in nats.").names("loss")
    True
    """

    shown: str
    pattern: str
    sentence: str
    detail: bool = False

    def __post_init__(self) -> None:
        if not self.shown or not self.sentence.endswith("."):
            raise ValueError(f"Wanted a name and a sentence, got {self.shown!r} and {self.sentence!r}.")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"Wanted a regular expression for {self.shown}, got {self.pattern!r}: {error}.") from None

    def names(self, metric: str) -> bool:
        """Tell whether a metric is one of this measure."""
        return re.fullmatch(self.pattern, metric) is not None


def _family(shown: str, pattern: str, sentence: str) -> Meaning:
    return Meaning(shown=shown, pattern=pattern, sentence=sentence, detail=True)


def _measure(shown: str, sentence: str, pattern: str | None = None) -> Meaning:
    return Meaning(shown=shown, pattern=pattern or re.escape(shown), sentence=sentence)


MEANINGS = (
    _measure("icl", "Closed accuracy on classes never trained on, with all attention heads."),
    _measure("iwl", "Open accuracy on trained classes whose context does not hold the answer, with all heads."),
    _measure(
        "accuracy_closed",
        "Share of sequences that are right when the arg-max is taken over the labels that can occur in such a sequence "
        "(the number that the papers plot).",
    ),
    _measure("accuracy_open", "Share that are right when the arg-max is taken over all labels."),
    _measure("accuracy_any_label", "The open accuracy where any label of the query's class counts as right."),
    _measure("accuracy_closed_any_label", "The closed accuracy where any label of the query's class counts as right."),
    _measure("accuracy_in_context", "Share that are right when the arg-max is taken over the labels in the context."),
    _measure("accuracy_last", "Accuracy after all examples of a task (the mean of the last positions)."),
    _measure("accuracy_first", "Accuracy before any example of a task."),
    _measure("improvement", "accuracy_last less accuracy_first."),
    _measure(
        "normalised_error",
        "The squared error as a share of the best constant's: 1 is that constant, 0 is perfect; _first is before any "
        "example.",
        r"normalised_error(_first)?",
    ),
    _measure("squared_error", "The model's squared error."),
    _measure("loss", "Cross-entropy in nats."),
    _measure("calibration_error", "How far the model's probabilities are from how often it is right; 0 is perfect."),
    _measure("probability_in_context", "Probability that the model gives to the labels in the context together."),
    _measure("follows_context", "Share whose prediction is what the context says, where the weights say another."),
    _measure("follows_weights", "Share whose prediction is what the weights say, where the context says another."),
    _measure("accuracy_nearest_pixels", "Baseline: the label of the context image nearest in pixels."),
    _measure("accuracy_prototype_pixels", "Baseline: the label whose mean context image is nearest in pixels."),
    _measure("accuracy_nearest_embedding", "Baseline: the label of the context item nearest in the model's embedding."),
    _measure("accuracy_prototype_embedding", "Baseline: the label whose mean context embedding is nearest."),
    _measure("accuracy_majority", "Baseline: the label that stands in the context most often."),
    _measure("accuracy_last_…", "accuracy_last of a baseline on the same examples.", r"accuracy_last_.+"),
    _measure("squared_error_…", "The squared error of a baseline on the same examples.", r"squared_error_.+"),
    *(_measure(f"from_{kind}", f"Share whose open arg-max is a label {what}.") for kind, what in _CLASSES.items()),
    _measure("from_context", "Share whose open arg-max is a label in the context."),
    *(
        _measure(f"from_context_{kind}", f"Share whose open arg-max is a label in the context and {what}.")
        for kind, what in _CLASSES.items()
    ),
    _measure("from_none", "Share for which nothing was predicted, because the logits were not finite."),
    _measure("context_…", "The same measure for the items of the context in place of the query.", r"context_.+"),
    _family(
        "accuracy_open_decile_1…10",
        r"accuracy_open_decile_\d+",
        "Open accuracy on queries of a tenth of the classes, by their frequency: 10 is the most frequent tenth.",
    ),
    _family(
        "confusion_a_to_b",
        r"confusion_.+",
        "Of the queries whose label is a, the share whose open arg-max is b; other is any other label.",
    ),
    _family(
        "induction_L_H",
        r"induction_\d+_\d+",
        "Attention of head H in layer L from the query to the labels of context items of its class.",
    ),
    _family(
        "previous_token_L_H",
        r"previous_token_\d+_\d+",
        "Attention of head H in layer L from the label of a context item to the token before it.",
    ),
    _family(
        "same_class_L_H",
        r"same_class_\d+_\d+",
        "Attention of head H in layer L from the query to context items of its class.",
    ),
    _family("…_without_L_H", r".+_without_\d+_\d+", "The measure when head H in layer L is removed."),
)
"""In the order in which a report lists the measures; the first that fits a name holds."""


def meaning(metric: str) -> Meaning | None:
    """Return what a metric means, or None for one that is not known here.

    >>> meaning("induction_0_3").shown, meaning("accuracy_closed").detail, meaning("another")
    ('induction_L_H', False, None)
    """
    return next((known for known in MEANINGS if known.names(metric)), None)


def order(metric: str) -> tuple[int, list[tuple[int, str]]]:
    """Return a key that sorts metrics as a report lists them; those not known come last, numbers in names by size.

    >>> sorted(["from_none", "induction_0_10", "loss", "induction_0_2", "accuracy_closed"], key=order)
    ['accuracy_closed', 'loss', 'from_none', 'induction_0_2', 'induction_0_10']
    """
    place = next((place for place, known in enumerate(MEANINGS) if known.names(metric)), len(MEANINGS))
    parts = (part.lstrip("0") if at % 2 else part for at, part in enumerate(re.split(r"(\d+)", metric)))
    # The longer number is the larger; int() would refuse the 5,000 digits that a damaged file may hold.
    return place, [(len(part) if at % 2 else 0, part) for at, part in enumerate(parts)]


def meanings(metrics: Collection[str]) -> Html:
    """Explain the measures that a page shows, and no others.

    >>> meanings({"loss"})
    '<dl class="meanings"><dt><code>loss</code></dt><dd>Cross-entropy in nats.</dd></dl>'
    """
    found = {found.shown: found for metric in sorted(metrics, key=order) if (found := meaning(metric)) is not None}
    entries = [
        part for known in found.values() for part in (tag("dt", tag("code", known.shown)), tag("dd", known.sentence))
    ]
    return tag("dl", *entries, class_="meanings") if entries else Html("")
