"""The lines of metrics.jsonl as TensorBoard scalars, for who wants to watch curves."""

import logging
import numbers
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from icl_train.log import logger

TENSORBOARD_FOLDER = "tensorboard"

_FLUSH_SECONDS = 5


class TensorBoardFile:
    """Writes metrics lines as scalars to a new event file in ``workdir/tensorboard/``. A context manager.

    Look at them with ``tensorboard --logdir``, given the workdir or a folder of several. What an earlier
    session of the run wrote about steps later than ``first`` is hidden there. Lines reach the disk within
    seconds, from a thread of their own: a process that is killed may lack its last ones here, but not in
    metrics.jsonl, which is the record.

    Args:
        workdir: The run's folder; ``tensorboard/`` is made in it if it is missing.
        first: Steps that were already made, at least 0: the step a resumed run was restored from.

    Raises:
        ImportError: If tensorboardX is not installed. It comes with the extra ``icl-train[tensorboard]``.
        ValueError: If ``first`` is below 0.
    """

    def __init__(self, workdir: Path, *, first: int) -> None:
        if first < 0:
            raise ValueError(f"wanted first, the number of steps already made, to be at least 0, got {first}")
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "wanted tensorboardX to write TensorBoard files, but it cannot be imported; "
                "pip install 'icl-train[tensorboard]', or train without TensorBoard"
            ) from error
        # It would print the same sentence for each NaN it is given; a NaN shows in the curve and in metrics.jsonl.
        logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)
        self._lost = False
        self._writer = SummaryWriter(
            str(workdir / TENSORBOARD_FOLDER),
            purge_step=first + 1,
            flush_secs=_FLUSH_SECONDS,
            max_queue=1_000,  # so that a slow disk does not hold up training
            filename_suffix=f".{time.time_ns()}",  # the rest of the name is the same for sessions of one second
        )

    def write(self, line: Mapping[str, Any]) -> None:
        """Write every number of a metrics line except ``step`` as a scalar of that step.

        What is no number (a text, a truth value, None, a list) is left out.
        """
        if not self._writer.file_writer.event_writer._worker.is_alive():
            # Its thread ends when the disk is full, and nobody would empty its queue, which would stop training.
            if not self._lost:
                logger.warning(
                    f"TENSORBOARD STOPS: step {line['step']} and later could not be written; metrics.jsonl goes on."
                )
            self._lost = True
            return
        for name, value in line.items():
            if name != "step" and isinstance(value, numbers.Real) and not isinstance(value, bool):
                self._writer.add_scalar(name, float(value), line["step"])

    def __enter__(self) -> "TensorBoardFile":
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):
            self._writer.close()  # waits until all is on disk
