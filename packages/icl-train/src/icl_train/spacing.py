"""Steps that lie close together where much happens, for evaluations and checkpoints."""

from typing import Literal, TypeAlias

import numpy as np

from icl_train.checks import as_whole

Spacing: TypeAlias = Literal["equal", "log"]
"""How far apart things happen: always as many steps, or each time a little more."""


def spaced_steps(total: int, *, moments: int, around: int | None = None) -> tuple[int, ...]:
    """Return steps of a run whose distances grow geometrically: from its start, or on both sides of one step.

    Args:
        total: Steps of the run, at least 1; the last one is among those returned.
        moments: How many to aim at, at least 2; where they would be less than a step apart there are fewer.
        around: The step that they are densest at, 1 to ``total``; None for the start of the run.

    Returns:
        Steps in 1..total, ascending, each once.

    Raises:
        ValueError: If a number is out of its range.

    >>> spaced_steps(1_000, moments=4)
    (1, 10, 100, 1000)
    >>> spaced_steps(1_000, moments=7, around=500)
    (1, 478, 499, 500, 501, 522, 1000)
    """
    total = as_whole("the steps of a run", total, least=1)
    moments = as_whole("moments", moments, least=2)
    if around is None:
        return _ascending(np.geomspace(1, total, moments), total)
    around = as_whole("the step that moments lie around", around, least=1, most=total)
    each = max(moments // 2, 1)
    before = around - np.geomspace(1, max(around - 1, 1), each)
    after = around + np.geomspace(1, max(total - around, 1), each)
    return _ascending(np.concatenate([before, [around], after, [total]]), total)


def _ascending(steps: np.ndarray, total: int) -> tuple[int, ...]:
    return tuple(sorted({int(step) for step in np.rint(steps) if 1 <= step <= total}))
