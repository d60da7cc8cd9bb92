"""A result: what an evaluation found, with its intervals, its chance and its words."""

import dataclasses
import itertools
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from icl_eval.results.estimate import Estimate, readable
from icl_eval.results.fragments import chance_text, folded, fragment, interval, named, soft, table, title
from icl_eval.results.saved_arrays import SavedArrays

Kind = Literal["proportion", "mean", "error"]
Unit = Literal["sequences", "tasks"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """What a metric is, in words; it stands beside the code that computes the metric.

    Attributes:
      sentence: what it says, in one sentence.
      kind: a proportion of predictions, a mean of numbers, or an error, of which less is better and 0 perfect.
      shown: the name under which many of a kind are explained together, such as `induction_L_H`; None for its own.
      detail: whether a report folds it away: there are many of its kind, or few ask for them.
      baseline: the name in tables of the baseline that it is of, such as `nearest image`; None for the model's own.

    >>> Measure(sentence="Cross-entropy in nats.", kind="mean").detail
    False
    """

    sentence: str
    kind: Kind
    shown: str | None = None
    detail: bool = False
    baseline: str | None = None

    def __post_init__(self) -> None:
        if not str(self.sentence).endswith(".") or self.kind not in get_args(Kind):
            raise ValueError(
                f"A measure wants a sentence with a full stop and a kind of {get_args(Kind)}, "
                f"got {self.sentence!r} and {self.kind!r}."
            )

    def to_json(self) -> dict[str, Any]:
        """Return its fields, ready for `json.dumps`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Measure":
        """Return what `to_json` wrote; raise AttributeError, KeyError, TypeError or ValueError if it did not."""
        words = {name: fields.get(name) for name in ("shown", "baseline")}
        if any(not isinstance(word, str | None) for word in words.values()):
            raise TypeError(f"Wanted strings or null, got {words}.")
        return cls(
            sentence=str(fields["sentence"]), kind=fields["kind"], detail=bool(fields.get("detail", False)), **words
        )


def words_of_baselines(metric: str, baselines: Iterable[str], *, sentence: str, kind: Kind) -> dict[str, Measure]:
    """Return the words of a metric of baselines, `<metric>_<baseline>` each."""
    return {
        f"{metric}_{name}": Measure(sentence=sentence, kind=kind, shown=f"{metric}_…", baseline=name)
        for name in baselines
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """Evaluations that stand together in a report, in one table or figure.

    Attributes:
      title: its heading, such as "Transfer".
      sentence: what they have in common.

    >>> Family(title="Transfer", sentence="Functions of families that were not trained on.").title
    'Transfer'
    """

    title: str
    sentence: str

    def __post_init__(self) -> None:
        if not self.title or not str(self.sentence).endswith("."):
            raise ValueError(
                f"A family wants a title and a sentence with a full stop, got {self.title!r} and {self.sentence!r}."
            )


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A kind of sequence to be evaluated on.

    Attributes:
      name: as it stands in eval.jsonl and in file names, such as `fewshot_holdout`: letters, digits, _, -.
      possible_labels: what the query's label can be here, and so what the closed accuracy chooses from:
        0..ways-1 for few-shot sequences, the ordered labels of common, rare or both for no-support ones.

    >>> Evaluation("fewshot_holdout", range(2))
    Evaluation(name='fewshot_holdout', possible_labels=(0, 1))
    """

    name: str
    possible_labels: Sequence[int]

    def __post_init__(self) -> None:
        check_name(self.name)
        try:
            labels = tuple(operator.index(label) for label in self.possible_labels)
        except TypeError as error:
            raise ValueError(
                f"{self.name}: wanted possible labels as whole numbers, such as range(ways), got "
                f"{self.possible_labels!r}."
            ) from error
        if not labels or min(labels) < 0 or len(set(labels)) < len(labels):
            raise ValueError(
                f"{self.name}: wanted one or more distinct possible labels, each 0 or more, "
                f"got {some_of(labels)}; for few-shot sequences pass range(ways)."
            )
        object.__setattr__(self, "possible_labels", labels)


@dataclasses.dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Attributes:
      evaluation: its name.
      metrics: accuracies and shares (in 0..1), `loss` (nats) and the like, each with its interval.
      chance: what guessing uniformly gives, for those metrics that have such a number.
      measures: the words of its metrics; those it lacks are shown by name alone. Words of others are dropped.
      unit: what is counted.
      family: the evaluations that this one stands with in a report, if there are others.
      arrays: by kind (see `saved_arrays.KINDS`) what a report draws of it; not part of the JSON form.
    """

    evaluation: str
    metrics: Mapping[str, Estimate]
    chance: Mapping[str, float]
    measures: Mapping[str, Measure] = dataclasses.field(default_factory=dict)
    unit: Unit = "sequences"
    family: Family | None = None
    arrays: Mapping[str, SavedArrays] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, estimate in self.metrics.items():
            if not isinstance(estimate, Estimate):
                raise ValueError(
                    f"{self.evaluation}: wanted metrics that are each an Estimate, got {estimate!r} for {name}; "
                    "`mean`, `proportion` and others make estimates of numbers."
                )
        own = {name: words for name, words in self.measures.items() if name in self.metrics}
        object.__setattr__(self, "measures", own)

    def __str__(self) -> str:
        return f"{self.evaluation}: " + ", ".join(f"{name} {estimate}" for name, estimate in self.metrics.items())

    def _repr_html_(self) -> str:
        """Return what a notebook shows: each metric with its interval, chance and count, details folded away."""
        main: list[list[object]] = []
        details: list[list[object]] = []
        for name, estimate in self.metrics.items():
            words, chance = self.measures.get(name), chance_text(self.chance.get(name))
            shown = named(name, words.sentence if words else None), readable(estimate.value), interval(estimate), chance
            rows = details if words is not None and words.detail else main
            rows.append([*shown, f"{estimate.count:,}"])
        header = ["metric", "value", "95 % interval", "chance", self.unit]
        parts = [title(self.evaluation), table(header, main) if main else soft("no metrics" if not details else "")]
        return fragment(*parts, *([folded(f"details ({len(details)})", table(header, details))] if details else []))

    @property
    def count(self) -> int:
        """How many sequences or tasks were evaluated."""
        if not self.metrics:
            raise ValueError(f"{self.evaluation}: wanted one or more metrics, got none.")
        return max(int(estimate.count) for estimate in self.metrics.values())

    def to_json(self) -> dict[str, Any]:
        """Return {"evaluation", "unit", "family" if any, "count", "chance", "metrics"}, ready for `json.dumps`."""
        family = {} if self.family is None else {"family": dataclasses.asdict(self.family)}
        return {
            "evaluation": self.evaluation,
            "unit": self.unit,
            **family,
            "count": self.count,
            "chance": {name: float(chance) for name, chance in self.chance.items() if math.isfinite(chance)},
            "metrics": {name: estimate.to_json() for name, estimate in self.metrics.items()},
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], measures: Mapping[str, Measure] | None = None) -> "Result":
        """Return what `to_json` wrote, with those of the words given that are of its metrics.

        Raises:
          AttributeError, KeyError, TypeError or ValueError: if `to_json` did not write it.
        """
        metrics = {str(name): Estimate.from_json(estimate) for name, estimate in fields["metrics"].items()}
        if not metrics:
            raise ValueError("Wanted at least one metric, got none.")
        unit, family = fields.get("unit", "sequences"), fields.get("family")
        if unit not in get_args(Unit):
            raise ValueError(f"Wanted a unit of {get_args(Unit)}, got {unit!r}.")
        return cls(
            evaluation=str(fields["evaluation"]),
            metrics=metrics,
            chance={str(name): float(value) for name, value in fields.get("chance", {}).items()},
            measures=measures or {},
            unit=unit,
            family=None if family is None else Family(title=str(family["title"]), sentence=str(family["sentence"])),
        )


def check_name(name: str) -> None:
    """Refuse a name of an evaluation that would not do in a file name."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"Wanted an evaluation name of letters, digits, _ and -, got {name!r}.")


def some_of(labels: Sequence[int]) -> str:
    """Return the labels to read, without listing thousands.

    >>> some_of(range(9))
    '0, 1, 2, 3, 4, ... (9 in all)'
    """
    shown = ", ".join(str(label) for label in itertools.islice(labels, 5))
    return f"{shown}, ... ({len(labels)} in all)" if len(labels) > 5 else shown or "none"
