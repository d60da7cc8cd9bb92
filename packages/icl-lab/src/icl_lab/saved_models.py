"""The models of a run's folder: checkpoints, or plain arrays; of a member of an ensemble, those of all members."""

from pathlib import Path
from typing import Any

import icl_train as training
from icl_lab.weights import FOLDER, read_weights, weight_steps

CHECKPOINTS = "checkpoints"


def run_steps(folder: Path) -> list[int]:
    """Return the steps whose models a run's folder has, as checkpoints or as plain arrays."""
    where, _ = _where(folder)
    return training.checkpoint_steps(where) or weight_steps(folder)


def read_model(folder: Path, step: int | None) -> training.ModelCheckpoint:
    """Return the model of a step, or of the latest one, from a checkpoint, or from plain arrays where there are none.

    Raises:
      FileNotFoundError: there is no such run or step.
      ValueError: weights that are damaged.
      icl_train.RunError: checkpoints that are; or the folder of an ensemble, of which none of the members is named.
    """
    if not (there := run_steps(folder)) or (step is not None and step not in there):
        wanted = "a checkpoint" if step is None else f"the checkpoint of step {step}"
        raise FileNotFoundError(f"wanted {wanted} in {folder}, found those of steps {there}; train first.")
    where, member = _where(folder)
    if training.checkpoint_steps(where):
        return training.restore_model(where, step=step, member=member)
    return read_weights(folder, weight_steps(folder)[-1] if step is None else step)


def stamp_of(folder: Path) -> tuple[Any, ...]:
    """Return what is another once a run has gone on, or another one stands in its folder."""
    where, _ = _where(folder)
    checkpoints, weights = where / CHECKPOINTS, sorted((folder / FOLDER).glob("*"))
    paths = [folder / "config.json", *(checkpoints / str(step) for step in training.checkpoint_steps(where)), *weights]
    return tuple((path.name, path.stat().st_mtime_ns) for path in paths if path.exists())


def _where(folder: Path) -> tuple[Path, int | None]:
    """Return where the checkpoints of a run are, and which member of an ensemble it is, if it is one."""
    number = folder.name.removeprefix("member-")
    if number != folder.name and number.isdecimal() and not training.checkpoint_steps(folder):
        return folder.parent, int(number)
    return folder, None
