"""What asks a run to stop: the first signal lets the step finish and be saved, Ctrl+C once more ends it at once."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

INSISTENT = (signal.SIGINT, signal.SIGTERM)
"""Sent on purpose: a second one is meant to end the process at once."""

_ONCE = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name))
SIGNALS = (*INSISTENT, *_ONCE)
"""Those that stop a run. A terminal that closes and a cluster's warning may come twice, and mean nothing more then."""


class Flag:
    """Which signal has come, if any.

    Attributes:
        signal: The first signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None


@contextmanager
def flag_signals() -> Iterator[Flag]:
    """Turn the first signal that stops a run into a flag, inside a ``with`` block, and let a second Ctrl+C end it.

    These are SIGINT (Ctrl+C), SIGTERM, SIGHUP (the terminal was closed) and SIGUSR1 (which clusters send ahead of a
    time limit). After the first, the last two are ignored; after a first SIGINT or SIGTERM, either of these ends the
    process at once. In a notebook, and wherever else Python is interactive, a second SIGINT raises `KeyboardInterrupt`
    instead: the process has more in it than this run. One that was ignored before stays so: ``nohup`` ignores SIGHUP.
    The previous handlers come back at the end of the block. Python delivers signals to the main thread only; in any
    other thread this does nothing and the flag stays down.

    >>> with flag_signals() as flag:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     flag.signal.name
    'SIGTERM'
    """
    flag = Flag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    heeded = [each for each in SIGNALS if each in INSISTENT or signal.getsignal(each) != signal.SIG_IGN]
    # Where Python is interactive, and there alone, it has prompts; IPython and Jupyter's kernels set them, too.
    is_interactive = hasattr(sys, "ps1")
    again = "one more interrupt" if is_interactive else "Ctrl+C"

    def handle(number: int, frame: FrameType | None) -> None:
        flag.signal = flag.signal or signal.Signals(number)
        for each in heeded:
            if each not in INSISTENT:
                signal.signal(each, signal.SIG_IGN)
            elif number in INSISTENT:  # after a cluster's warning, its SIGTERM is the first of these
                keeps = is_interactive and each == signal.SIGINT
                signal.signal(each, signal.default_int_handler if keeps else signal.SIG_DFL)
        # Not print: a handler may run in the middle of another print to the same stream. And whoever read what is
        # written here may be gone, by the same signal.
        with suppress(OSError):
            os.write(
                2, f"\n{signal.Signals(number).name}: finishing this step and saving; {again} stops at once.\n".encode()
            )

    previous = {each: signal.signal(each, handle) for each in heeded}
    try:
        yield flag
    finally:
        for each, handler in previous.items():
            # None stands for a handler that Python did not install and cannot put back.
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
