"""What a run goes on from, and whether it may."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from icl_train.checkpoints.restoring import Saved, checkpoint_steps, restore
from icl_train.config import TrainConfig
from icl_train.devices.hosts import sync_hosts
from icl_train.errors import RunError
from icl_train.log import logger
from icl_train.metrics.metrics_file import METRICS_FILE, drop_lines_after
from icl_train.state import TrainState


def find_saved(
    workdir: Path,
    config: TrainConfig,
    *,
    wanted: TrainState,
    members: Sequence[Mapping[str, Any]] | None,
    folders: Sequence[Path],
    resume: bool,
) -> Saved | None:
    """Return what a run goes on from, or None if it begins; drop the metrics that are later than that.

    Args:
        workdir: The run's folder.
        config: What is asked for.
        wanted: Shapes, dtypes and shardings of the state.
        members: Seed and hyper-parameters of each member of an ensemble; None for a lone model.
        folders: Those that have metrics.
        resume: Whether the folder may hold this run already.

    Returns:
        The latest whole checkpoint.

    Raises:
        RunError: If it has a run and ``resume`` is False, or one that does not fit. Nothing has been changed then.
    """
    files = [folder / METRICS_FILE for folder in folders]
    # A file without a line is of a session that failed before it had one.
    if not resume and (checkpoint_steps(workdir) or any(file.exists() and file.stat().st_size for file in files)):
        raise RunError(f"wanted a new workdir, got {workdir}, which has a run; resume it or give another one")
    saved = restore(workdir, wanted) if resume else None
    if saved is not None:
        _check_same_run(workdir, config, saved=saved, members=members)
        step = saved.progress.step
        done = step == config.steps
        logger.info(f"{workdir} already has its {step} steps." if done else f"Resuming {workdir} after step {step}.")
    elif resume:
        logger.info(f"Nothing is saved in {workdir}: training begins at step 0.")
    sync_hosts("the workdir was examined")  # before the first of several hosts changes it
    if resume and jax.process_index() == 0:
        for file in files:
            drop_lines_after(file, 0 if saved is None else saved.progress.step)
    return saved


def _check_same_run(
    workdir: Path, config: TrainConfig, *, saved: Saved, members: Sequence[Mapping[str, Any]] | None
) -> None:
    progress = saved.progress
    if progress.step > config.steps:
        raise RunError(
            f"wanted {config.steps} steps, but {workdir} already has {progress.step}; ask for {progress.step} or more"
        )
    if progress.seed != config.seed:
        raise RunError(
            f"wanted to resume {workdir} with seed {config.seed}, but it was begun with seed "
            f"{progress.seed}; resume with that seed, or give another workdir"
        )
    if _as_trained(progress.members) != _as_trained(members):
        raise RunError(
            f"wanted to resume {workdir} with members {members}, but it was begun with "
            f"{progress.members}; resume with those, or give another workdir"
        )


def _as_trained(members: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Return members with hyper-parameters as the program is given them: 0.1 is the same as the float32 next to it."""
    return [
        {name: np.float32(value) if isinstance(value, float) else value for name, value in each.items()}
        for each in members or ()
    ]
