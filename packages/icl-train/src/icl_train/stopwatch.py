"""Time spent training, without the time spent on anything else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Counts seconds from its creation on, except while it is paused.

    Args:
        clock: Returns the time in seconds; only differences are used.
        elapsed: Seconds that were already counted, in an earlier session of the run.

    >>> watch = Stopwatch(iter([0.0, 5.0, 7.0, 8.0]).__next__)
    >>> with watch.paused():  # from 5 to 7
    ...     pass
    >>> watch.seconds()
    6.0
    """

    def __init__(self, clock: Callable[[], float], *, elapsed: float = 0.0) -> None:
        self._clock = clock
        self._origin = clock() - elapsed

    def seconds(self) -> float:
        """Return the seconds counted so far. Not to be asked while paused."""
        return self._clock() - self._origin

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop counting for the length of a ``with`` block."""
        begin = self._clock()
        try:
            yield
        finally:
            self._origin += self._clock() - begin
