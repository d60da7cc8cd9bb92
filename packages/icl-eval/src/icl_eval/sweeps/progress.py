"""How far a run has come: whether it is finished, and how many sequences a step is."""

import math
import statistics
from typing import Any, TypeGuard

from icl_eval.runs.options import leaves
from icl_eval.runs.reading import Run

FINISHED, UNFINISHED = "finished", "unfinished"
_STEPS = ("train.steps", "steps")  # the second of a run that was trained without the rest


def status(run: Run) -> str:
    """Return `finished`, `failed at step N`, or `unfinished`.

    A run is finished if its summary, which is written last, has all the steps that its configuration asks for; without
    such a number, if it has a summary of its training. It failed where its loss was not finite.

    >>> status(Run("a", config={"config": {"steps": 9}}, summary={"train": {"steps": 9}}))
    'finished'
    >>> status(Run("a", summary={"train": {"steps": 4, "failed_at": 5}})), status(Run("a"))
    ('failed at step 5', 'unfinished')
    """
    given = run.summary.get("train")
    train = given if isinstance(given, dict) else {}
    failed = (
        [train.get("failed_at")]
        if train
        else [step for step, line in run.metrics.items() if line.get("failed") is True]
    )
    if failed and _is_number(failed[-1]):
        return f"failed at step {failed[-1]}"
    known = dict(leaves(run.config.get("config")))
    wanted = next((known[name] for name in _STEPS if _is_number(known.get(name))), 0)
    steps = train.get("steps")
    return FINISHED if _is_number(steps) and steps >= wanted else UNFINISHED


def sequences_per_step(run: Run) -> int | None:
    """Return how many sequences, or tasks, a step trains on, from the rates that were logged; None if not known.

    >>> sequences_per_step(Run("a", metrics={10: {"items_per_second": 95.9, "steps_per_second": 3.0}}))
    32
    """
    rates = [(line.get("items_per_second"), line.get("steps_per_second")) for line in run.metrics.values()]
    sizes = [items / steps for items, steps in rates if _is_number(items) and _is_number(steps) and steps > 0]
    whole = [round(size) for size in sizes if math.isfinite(size)]
    size = statistics.median_low(whole) if whole else 0
    return size if size > 0 else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
