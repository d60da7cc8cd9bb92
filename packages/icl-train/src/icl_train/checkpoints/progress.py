"""What a checkpoint says of its run beside the arrays: a JSON file, written and read here alone."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Window:
    """The steps so far whose metrics are to be in the next line of metrics.jsonl."""

    count: int = 0
    """How many there are."""

    sums: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Sum of each of their scalars."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come, and what it has to be gone on with."""

    step: int
    """Steps made."""

    is_last: bool
    """Whether the run was not asked to go further."""

    seed: int
    """Seed of the run."""

    members: Sequence[Mapping[str, Any]] | None = None
    """Seed and hyper-parameters of each member of an ensemble; None for a lone model."""

    seconds: float
    """Seconds of training."""

    meters: Sequence[Window]
    """The window of a lone model, or of each member."""

    failed: Mapping[int, int]
    """The members that have stopped, and the step at which the loss or gradient of each was not finite."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values.

        >>> Progress(step=4, is_last=False, seed=0, seconds=1.5, meters=[Window()], failed={2: 3}).to_json()['failed']
        {'2': 3}
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields["meters"] = [dataclasses.asdict(window) for window in self.meters]
        fields["failed"] = {str(member): step for member, step in self.failed.items()}
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Progress":
        """Return what `to_json` made JSON values of.

        Raises:
            KeyError, TypeError, ValueError or AttributeError: If they are anything else.
        """
        meters = [Window(window["count"], window["sums"]) for window in values["meters"]]
        failed = {int(member): step for member, step in values["failed"].items()}
        return cls(**(dict(values) | {"meters": meters, "failed": failed}))


def read_progress(checkpoint: Path) -> Progress | None:
    """Return what a checkpoint says of its run, or None if it is gone, half gone or damaged."""
    try:
        # The file that Orbax makes of ``progress``; its own handler would take longer than the rest of a look.
        return Progress.from_json(json.loads((checkpoint / "progress" / "metadata").read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, KeyError, TypeError, ValueError, AttributeError):
        return None
