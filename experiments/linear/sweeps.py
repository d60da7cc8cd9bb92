"""The sweep over pools of tasks (Raventos et al. 2023, 2306.15063): from which size on a model leaves dMMSE for ridge.

python -m experiments.linear sweep raventos --workdir runs/raventos
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import icl_lab as lab
from experiments.linear.config import PRESETS, LinearConfig
from experiments.linear.optimal import DMMSE, RIDGE


def check(run: LinearConfig) -> None:
    """Refuse a run that is not measured beside dMMSE and ridge."""
    lab.check_pool_sizes(run)
    if not run.data.noise:
        raise ValueError("without noise there is no dMMSE to leave: a sweep over pools wants data.noise above 0.")


def draw(folder: Path, base: LinearConfig, runs: Sequence[LinearConfig]) -> lab.Drawn:
    """Return the distances to dMMSE and ridge by the size of the pool; see `icl_lab.draw_pool_sizes`."""
    return lab.draw_pool_sizes(
        folder, base, runs, memorising=DMMSE, generalising=RIDGE, unit=float(base.data.num_inputs)
    )


RAVENTOS: lab.SweepPreset[LinearConfig] = lab.SweepPreset(
    config=dataclasses.replace(
        PRESETS["raventos"], eval=dataclasses.replace(PRESETS["raventos"].eval, baseline_count=128)
    ),
    grid={"data.num_tasks": (*(2**power for power in range(2, 19, 2)), None)},
    seeds=2,
    check=check,
    draw=draw,
)

SWEEPS: Mapping[str, lab.SweepPreset[LinearConfig]] = {"raventos": RAVENTOS}
