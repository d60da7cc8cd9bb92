"""Ctrl+C and SIGTERM: the first lets the step finish and be saved, the second ends the process at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Flag:
    """Which signal has come, if any.

    Attributes:
        signal: The first signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None


@contextmanager
def flag_signals() -> Iterator[Flag]:
    """Turn the first SIGINT or SIGTERM inside a ``with`` block into a flag, and let a second end the process.

    The previous handlers come back at the end of the block. Python delivers signals to the main thread only;
    in any other thread this does nothing and the flag stays down.

    >>> with flag_signals() as flag:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     flag.signal.name
    'SIGTERM'
    """
    flag = Flag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handle(number: int, frame: FrameType | None) -> None:
        flag.signal = signal.Signals(number)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        # Not print: a handler may run in the middle of another print to the same stream.
        os.write(2, f"\n{flag.signal.name}: finishing this step and saving; once more stops at once.\n".encode())

    previous = {each: signal.signal(each, handle) for each in SIGNALS}
    try:
        yield flag
    finally:
        for each, handler in previous.items():
            # None stands for a handler that Python did not install and cannot put back.
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
