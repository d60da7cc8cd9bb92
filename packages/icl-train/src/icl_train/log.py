"""What the user is told in the course of a run, by absl's logging: plain lines on stderr, above the progress bar."""

import logging
import sys
from contextlib import suppress
from typing import Literal, TextIO

import jax
from absl import logging as absl_logging
from tqdm import tqdm


class Unbreakable:
    """The present stderr, on which nothing fails: what cannot be written is lost, and not the run.

    Its reader may be gone (a ``tee`` that Ctrl+C has ended, too), its disk full, its terminal closed.
    """

    @property
    def encoding(self) -> str:
        """By which the progress bar knows whether it may draw blocks."""
        return getattr(sys.stderr, "encoding", None) or "ascii"

    def write(self, text: str) -> int:
        """Write what can be written; return how much was given."""
        with suppress(*_LOST):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Write out what can be written."""
        with suppress(*_LOST):
            sys.stderr.flush()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        with suppress(*_LOST):
            return sys.stderr.isatty()
        return False

    def is_watched(self) -> bool:
        """Return whether somebody looks at it as it comes: at a terminal, or below the cell of a notebook."""
        return self.isatty() or self.is_notebook()

    def is_notebook(self) -> bool:
        """Return whether it is the output of a notebook's cell, no terminal, where a line can be drawn over."""
        return type(sys.stderr).__module__.partition(".")[0] == "ipykernel"

    def fileno(self) -> int:
        """Return its number, by which the progress bar asks for the width of the terminal."""
        return sys.stderr.fileno()

    def __eq__(self, other: object) -> bool:
        # So that tqdm knows which bars are on this stream.
        return other is self or other is sys.stderr

    def __hash__(self) -> int:
        return id(self)


STDERR = Unbreakable()
"""Where all that a run says goes, its progress bar too: lines and bar must share a stream to keep apart."""

_LOST = (OSError, ValueError, AttributeError)  # it cannot be written to; it is closed; there is none


def say(message: str, *, to: Literal["stdout", "stderr"] = "stdout") -> None:
    """Print a line above the progress bar; one that cannot be written is lost, and nothing else.

    Args:
        message: The line.
        to: Where to.
    """
    stream: TextIO | Unbreakable = STDERR if to == "stderr" else sys.stdout
    with suppress(*_LOST):  # of somebody else's bar too, which tqdm redraws
        tqdm.write(message, file=stream)
        stream.flush()


class PlainLines(logging.Handler):
    """Writes messages to `STDERR` as they are, above the progress bar; of several hosts, the first one does."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message."""
        # Not asked of JAX with one process: it would look for devices, which must come after `start_hosts`.
        if not jax.distributed.is_initialized() or jax.process_index() == 0:
            say(self.format(record), to="stderr")


# Below absl's logger, with a level and a handler of its own: at the level INFO, absl's would also show Orbax's notes on
# each checkpoint, and its handler puts a time and a file name before every sentence.
logger = absl_logging.get_absl_logger().getChild("icl_train")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(PlainLines())
