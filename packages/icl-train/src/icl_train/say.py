"""What the user is told in the course of a run."""

import sys
from contextlib import suppress

import jax
from tqdm import tqdm


def say(message: str) -> None:
    """Print a line to stderr, above the progress bar, by the first of several hosts.

    Where stderr is a file on a disk that is full, the line is lost, and not the run.
    """
    if jax.process_index() == 0:
        with suppress(OSError):
            tqdm.write(message, file=sys.stderr)
