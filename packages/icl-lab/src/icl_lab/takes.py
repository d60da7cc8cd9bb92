"""What a run's model takes: the form that somebody's own data must have to be a task such as it was trained on."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class TakesVectors:
    """Sequences of labelled vectors under a random projection, whose last label is to be told (Kirsch et al. 2022).

    Before they are projected, vectors have mean 0 and, averaged over coordinates, variance 1 (`icl_data.fit_vectors`).

    Attributes:
      num_inputs: X, the numbers of a vector.
      num_labels: V, the labels of a task.
      length: S, the items of a sequence, the query included.

    >>> TakesVectors(num_inputs=8, num_labels=4, length=16).context
    15
    """

    num_inputs: int
    num_labels: int
    length: int

    def __post_init__(self) -> None:
        _check_whole(self)

    @property
    def context(self) -> int:
        """Examples that a sequence of training showed before its query."""
        return self.length - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class TakesPoints:
    """Points of a function, in any order, of which some are queries.

    Attributes:
      num_inputs: X, the numbers of an input.
      num_outputs: Y, the numbers of a target.
      context: how many points were shown in training.
      inputs: how each number of an input is spread: uniform in -1..1, or normal of variance 1.
      target_std: standard deviation of the targets that are shown, whose mean is 0; None if targets are as they are.

    >>> TakesPoints(num_inputs=1, num_outputs=1, context=40, inputs="uniform", target_std=1.0).context
    40
    """

    num_inputs: int
    num_outputs: int = 1
    context: int
    inputs: Literal["uniform", "normal"]
    target_std: float | None

    def __post_init__(self) -> None:
        _check_whole(self)
        if self.inputs not in ("uniform", "normal"):
            raise ValueError(f"inputs must be uniform or normal, got {self.inputs!r}.")
        if self.target_std is not None and not 0 < self.target_std < float("inf"):
            raise ValueError(f"target_std must be above 0 and finite, or None, got {self.target_std!r}.")


Takes = TakesVectors | TakesPoints


def takes_to_json(takes: Takes) -> dict[str, Any]:
    """Return what a model takes as JSON values.

    >>> takes_to_json(TakesVectors(num_inputs=8, num_labels=4, length=16))
    {'type': 'TakesVectors', 'num_inputs': 8, 'num_labels': 4, 'length': 16}
    """
    return {"type": type(takes).__name__} | dataclasses.asdict(takes)


def takes_from_json(fields: Any) -> Takes:
    """Return what `takes_to_json` wrote.

    Raises:
      ValueError: it did not.

    >>> takes_from_json({"type": "TakesVectors", "num_inputs": 8, "num_labels": 4, "length": 16})
    TakesVectors(num_inputs=8, num_labels=4, length=16)
    """
    kinds: dict[str, type[TakesVectors] | type[TakesPoints]] = {
        kind.__name__: kind for kind in (TakesVectors, TakesPoints)
    }
    if not isinstance(fields, Mapping) or fields.get("type") not in kinds:
        raise ValueError(f"wanted what a model takes, of the type {' or '.join(kinds)}, got {fields!r:.100}.")
    rest = {str(name): value for name, value in fields.items() if name != "type"}
    try:
        return kinds[fields["type"]](**rest)
    except TypeError as error:
        raise ValueError(f"wanted what a model takes, got {fields!r:.200}: {error}.") from error


def _check_whole(takes: Takes) -> None:
    """Refuse counts that are no whole numbers of at least 1; they may come out of a file."""
    for field in dataclasses.fields(takes):
        value = getattr(takes, field.name)
        if field.type in (int, "int") and (type(value) is not int or value < 1):
            raise ValueError(f"{field.name} must be a whole number of at least 1, got {value!r}.")
