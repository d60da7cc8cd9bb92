"""The sweeps by their names: ``nox -s sweep -- gpicl phases --workdir runs/phases``."""

import dataclasses

import icl_lab as lab
from experiments.gpicl.config import PRESETS, GpiclConfig
from experiments.gpicl.phases.pictures import draw

_LAPTOP = dataclasses.replace(
    PRESETS["laptop"],
    train=dataclasses.replace(PRESETS["laptop"].train, steps=1_200),
    eval=dataclasses.replace(
        PRESETS["laptop"].eval, every=1_200, final_count=1_024, baseline_count=0, other_datasets=False
    ),
)

PHASES: lab.SweepPreset[GpiclConfig] = lab.SweepPreset(
    config=_LAPTOP,
    grid={"data.num_tasks": (2**2, 2**4, 2**6, 2**8, 2**10, 2**12), "model.width": (16, 32, 64)},
    seeds=2,
    draw=draw,
)

# The paper has widths of 2 to 512 and pools of 1 to 2**24 tasks.
PHASES_PAPER: lab.SweepPreset[GpiclConfig] = lab.SweepPreset(
    config=dataclasses.replace(PRESETS["paper"], eval=dataclasses.replace(PRESETS["paper"].eval, maml_steps=0)),
    grid={
        "data.num_tasks": tuple(2**power for power in range(0, 25, 2)),
        "model.width": (4, 16, 64, 256, 512),
    },
    seeds=5,
    draw=draw,
)
