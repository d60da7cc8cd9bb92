"""How many steps a dispatch has: as many as the devices make in a third of a second, found out on the way."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import jax

from icl_train.devices.hosts import max_over_hosts
from icl_train.devices.mesh import batch_size
from icl_train.types import Batch

StepsPerDispatch: TypeAlias = int | Literal["auto"]

_SECONDS = 1 / 3  # of a dispatch: one runs and one waits when a signal comes, which is answered within a second
_BYTES = 2**24  # of the batches of a dispatch, on the host and on the devices
_MOST = 1_000  # steps of a dispatch
_LONGEST = 1_000.0  # seconds of a step; a computer may sleep for longer


class Pace:
    """Chooses how many steps each dispatch has, the same on all hosts; of up to K > 1, results do not depend on it.

    Args:
        wanted: Steps of a dispatch that nothing cuts short, or "auto". It is 1 while debugging.
        clock: Returns the time in seconds.
    """

    def __init__(self, wanted: StepsPerDispatch, clock: Callable[[], float]) -> None:
        debugs = jax.config.jax_disable_jit or jax.config.jax_debug_nans  # type: ignore[attr-defined]
        self._wanted, self._clock = 1 if debugs else wanted, clock
        self._most: int | None = None
        self._taking = 0.0  # seconds for the batch of a step
        self._latest: tuple[float, int] | None = (
            None  # since when only the latest dispatch was waited for, and its steps
        )
        self._measured = 0.0  # seconds of a step; 0 while it is not known
        self._agreed = 0.0  # the same by the slowest host
        self._since_asked = 0  # steps

    def count(self) -> int:
        """Return how many steps the next dispatch is to have."""
        if self._wanted != "auto":
            return self._wanted
        if not self._agreed or self._most is None:
            return 1
        return max(1, min(self._most, int(_SECONDS / self._agreed)))

    def most(self, batch: Batch) -> int:
        """Return K, the most steps that a dispatch can have; "auto" spends so much memory on batches like this one."""
        if self._wanted != "auto":
            return self._wanted
        if self._most is None:
            batch_size(batch)  # refuses what is none
            self._most = max(1, min(_MOST, _BYTES // max(1, sum(rows.nbytes for rows in batch.values()))))
        return self._most

    def took(self, seconds: float, *, steps: int) -> None:
        """Take note of how long the batches of steps took to be made: that is no time of the dispatch before them."""
        self._taking = seconds / steps
        if self._latest is not None:
            then, before = self._latest
            self._latest = then + seconds, before

    def dispatched(self, steps: int) -> None:
        """Take note that steps were dispatched, and that those before them are done."""
        self.settled()
        self._latest = self._clock(), steps
        self._since_asked += steps

    def settled(self) -> None:
        """Take note that all steps that were dispatched are done; what comes before the next is no time of steps."""
        if self._latest is not None:
            then, count = self._latest
            # In a steady state, the time from dispatch to dispatch, whether the devices wait for batches or not.
            self._measured = min(max(self._taking + (self._clock() - then) / count, 1e-6), _LONGEST)
        self._latest = None

    def asks(self) -> bool:
        """Return whether hosts are to ask one another now what has come to them: about three times a second."""
        if jax.process_count() > 1 and 0 < self._since_asked * self._agreed < _SECONDS:
            return False
        self._since_asked = 0
        self._agreed = max_over_hosts(int(1e6 * self._measured)) / 1e6
        return True
