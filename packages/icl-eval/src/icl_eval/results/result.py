"""A result: what an evaluation found, with its intervals and its chance."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from icl_eval.results.estimate import Estimate
from icl_eval.results.saved_arrays import Examples


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A kind of sequence to be evaluated on.

    Attributes:
      name: as it stands in eval.jsonl and in file names, such as `fewshot_holdout`: letters, digits, _, -.
      possible_labels: what the query's label can be here, and so what the closed accuracy chooses from:
        0..ways-1 for few-shot sequences, the ordered labels of common, rare or both for no-support ones.

    Raises:
      ValueError: if the name would not do as a file name, or the labels are none, negative or not distinct.

    >>> Evaluation("fewshot_holdout", range(2))
    Evaluation(name='fewshot_holdout', possible_labels=(0, 1))
    """

    name: str
    possible_labels: Sequence[int]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            raise ValueError(f"Wanted an evaluation name of letters, digits, _ and -, got {self.name!r}.")
        labels = tuple(int(label) for label in self.possible_labels)
        if not labels or min(labels) < 0 or len(set(labels)) < len(labels):
            raise ValueError(
                f"{self.name}: wanted one or more distinct possible labels, each 0 or more, "
                f"got {_some(labels)}; for few-shot sequences pass range(ways)."
            )
        object.__setattr__(self, "possible_labels", labels)


@dataclasses.dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Attributes:
      evaluation: its name.
      metrics: accuracies and shares (in 0..1), `loss` (nats) and the like, each with its interval.
      chance: what guessing uniformly gives, for those metrics that have such a number.
      examples: the first few sequences, if they were asked for; not part of the JSON form.
    """

    evaluation: str
    metrics: Mapping[str, Estimate]
    chance: Mapping[str, float]
    examples: Examples | None = None

    def __str__(self) -> str:
        return f"{self.evaluation}: " + ", ".join(f"{name} {estimate}" for name, estimate in self.metrics.items())

    @property
    def count(self) -> int:
        """How many sequences were evaluated."""
        return max(estimate.count for estimate in self.metrics.values())

    def to_json(self) -> dict[str, Any]:
        """Return {"evaluation", "count", "chance", "metrics"}, ready for `json.dumps`."""
        metrics = {name: estimate.to_json() for name, estimate in self.metrics.items()}
        return {
            "evaluation": self.evaluation,
            "count": self.count,
            "chance": dict(self.chance),
            "metrics": metrics,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Result":
        """Return what `to_json` wrote; raise AttributeError, KeyError, TypeError or ValueError if not."""
        metrics = {str(name): Estimate.from_json(estimate) for name, estimate in fields["metrics"].items()}
        if not metrics:
            raise ValueError("Wanted at least one metric, got none.")
        chance = {str(name): float(value) for name, value in fields.get("chance", {}).items()}
        return cls(evaluation=str(fields["evaluation"]), metrics=metrics, chance=chance)


def _some(labels: Sequence[int]) -> str:
    """Name the labels, without listing thousands."""
    shown = ", ".join(str(label) for label in itertools.islice(labels, 5))
    return f"{shown}, ... ({len(labels)} in all)" if len(labels) > 5 else shown or "none"
