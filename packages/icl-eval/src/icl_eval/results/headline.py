"""A headline: a number that a run is about, named in the run's own folder."""

import dataclasses
from collections.abc import Mapping
from typing import Any

_TAKEN = frozenset({"headlines", "learner", "evaluations", "train", "seed"})  # other keys of summary.json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Headline:
    """A number that a run is about.

    Attributes:
      name: its key in summary.json, such as `icl`.
      evaluation: the evaluation that it is of.
      metric: the metric of that evaluation.
      title: what a report calls it, such as "In context (ICL)".
      sentence: what it says, in one sentence or two.

    >>> headline = Headline(name="icl", evaluation="holdout", metric="accuracy_closed", title="In context",
    ...                     sentence="Closed accuracy on classes never trained on.")
    >>> Headline.from_json(headline.to_json()) == headline
    True
    """

    name: str
    evaluation: str
    metric: str
    title: str
    sentence: str

    def __post_init__(self) -> None:
        for field, value in vars(self).items():
            if not isinstance(value, str) or not value:
                raise ValueError(f"A headline wants a {field} of one letter or more, got {value!r}.")
        if self.name in _TAKEN:
            raise ValueError(f"{self.name} is another part of summary.json; give the headline another name.")

    def to_json(self) -> dict[str, str]:
        """Return its fields, ready for `json.dumps`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Headline":
        """Return what `to_json` wrote; raise AttributeError, KeyError, TypeError or ValueError if it did not."""
        return cls(**{field.name: fields[field.name] for field in dataclasses.fields(cls)})
