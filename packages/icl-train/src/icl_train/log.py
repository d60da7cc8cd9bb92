"""What the user is told in the course of a run, by absl's logging: plain lines on stderr, above the progress bar."""

import logging
import sys
from contextlib import suppress

import jax
from absl import logging as absl_logging
from tqdm import tqdm


class PlainLines(logging.Handler):
    """Writes messages to stderr as they are, above the progress bar; of several hosts, the first one does.

    Where stderr is a file on a disk that is full, the line is lost, and not the run.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message."""
        # Not asked of JAX with one process: it would look for devices, which must come after `start_hosts`.
        if not jax.distributed.is_initialized() or jax.process_index() == 0:
            with suppress(OSError, ValueError):  # the latter where stderr is closed
                tqdm.write(self.format(record), file=sys.stderr)


# Below absl's logger, with a level and a handler of its own: at the level INFO, absl's would also show Orbax's notes on
# each checkpoint, and its handler puts a time and a file name before every sentence.
logger = absl_logging.get_absl_logger().getChild("icl_train")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(PlainLines())
