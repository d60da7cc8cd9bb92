"""From the scalars of every step to the lines of metrics.jsonl: window means, rates and training time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from icl_train.stopwatch import Stopwatch

_SHORTEST = 1e-9  # seconds; two readings of a coarse clock can be equal


class Meter:
    """Accumulates the scalars of steps, on the host and in double precision, and measures time.

    A window begins after each multiple of ``log_every``. What the meter has accumulated is part of a
    checkpoint (`get_state`), so a line whose window was interrupted is the same as without the interruption.

    Args:
        log_every: Steps per window, at least 1.
        clock: Returns the time in seconds.
        state: What `get_state` gave in an earlier session of the run, or None.
    """

    def __init__(self, *, log_every: int, clock: Callable[[], float], state: Mapping[str, Any] | None = None) -> None:
        self._log_every = log_every
        self._count: int = state["count"] if state else 0
        self._sums: dict[str, float] = dict(state["sums"]) if state else {}
        self._learning_rate: float | None = None
        self._watch = Stopwatch(clock, elapsed=state["seconds"] if state else 0.0)
        self._steps, self._items, self._since = 0, 0, self._watch.seconds()

    def add(self, step: int, scalars: Mapping[str, float], *, items: int) -> None:
        """Take in the scalars of step number ``step``, which was made on ``items`` examples."""
        if (step - 1) % self._log_every == 0:
            self._count, self._sums = 0, {}
        values = dict(scalars)
        self._learning_rate = values.pop("learning_rate", None)
        self._count += 1
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in values.items()}
        self._steps += 1
        self._items += items

    def mean(self, name: str) -> float:
        """Return the mean of a scalar over the steps of the window."""
        return self._sums[name] / self._count

    def line(self, step: int) -> dict[str, Any]:
        """Return the line to log after a step: window means, and rates since this session's last line."""
        now = self._watch.seconds()
        elapsed = max(now - self._since, _SHORTEST)
        known = {
            "step": step,
            "time": now,
            "steps_per_second": self._steps / elapsed,
            "items_per_second": self._items / elapsed,
            "learning_rate": self._learning_rate,
            "gradient_norm": self.mean("gradient_norm"),
            "loss": self.mean("loss"),
        }
        self._steps, self._items, self._since = 0, 0, now
        line = known | {name: self.mean(name) for name in self._sums}
        return {name: value for name, value in line.items() if value is not None}

    def seconds(self) -> float:
        """Return the seconds of training so far, over all sessions of the run."""
        return self._watch.seconds()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time of a ``with`` block out of all times and rates."""
        with self._watch.paused():
            yield

    def get_state(self) -> dict[str, Any]:
        """Return what a later session needs, as JSON values."""
        return {"seconds": self._watch.seconds(), "count": self._count, "sums": self._sums}
