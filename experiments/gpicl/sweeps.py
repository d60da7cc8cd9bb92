"""The sweeps by their names, such as ``nox -s sweep -- gpicl phases --workdir runs/phases``."""

import dataclasses
from collections.abc import Mapping

import icl_lab as lab
from experiments.gpicl.config import PRESETS, GpiclConfig
from experiments.gpicl.courses import draw as draw_courses
from experiments.gpicl.phases import draw as draw_phases
from experiments.gpicl.sizes import draw as draw_sizes
from experiments.gpicl.sizes import named_settings

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
    draw=draw_phases,
)

# The paper has widths of 2 to 512 and pools of 1 to 2**24 tasks.
PHASES_PAPER: lab.SweepPreset[GpiclConfig] = lab.SweepPreset(
    config=dataclasses.replace(
        PRESETS["paper"], eval=dataclasses.replace(PRESETS["paper"].eval, maml_steps=0, shifts=False)
    ),
    grid={
        "data.num_tasks": tuple(2**power for power in range(0, 25, 2)),
        "model.width": (4, 16, 64, 256, 512),
    },
    seeds=5,
    draw=draw_phases,
)

# Times of emergence do not depend on how long a run is: the rate is constant.
_PLATEAU = dataclasses.replace(
    _LAPTOP,
    optimizer=dataclasses.replace(_LAPTOP.optimizer, schedule="constant"),
    train=dataclasses.replace(_LAPTOP.train, steps=3_000),
    eval=dataclasses.replace(_LAPTOP.eval, every=50, count=256),
)

# How long the plateau is, by the batch, by Adam's epsilon, and by the share of sequences with fixed labels.
BATCH_SIZE: lab.SweepPreset[GpiclConfig] = lab.SweepPreset(
    config=_PLATEAU, grid={"data.batch_size": (8, 16, 32, 64, 128, 256)}, seeds=4
)
EPSILON: lab.SweepPreset[GpiclConfig] = lab.SweepPreset(
    config=_PLATEAU, grid={"optimizer.eps": (1e-10, 1e-8, 1e-6, 1e-4)}, seeds=4
)
BIAS: lab.SweepPreset[GpiclConfig] = lab.SweepPreset(
    config=_PLATEAU,
    grid={"data.p_identity": (0.0, 0.5, 0.9), "data.num_tasks": (2**8, 2**12)},
    seeds=4,
    draw=draw_courses,
)

STATE_SIZE: lab.SweepPreset[GpiclConfig] = lab.SweepPreset(
    config=dataclasses.replace(_LAPTOP, train=dataclasses.replace(_LAPTOP.train, steps=2_000)),
    settings=named_settings,
    seeds=2,
    draw=draw_sizes,
)

SWEEPS: Mapping[str, lab.SweepPreset[GpiclConfig]] = {
    "phases": PHASES,
    "phases_paper": PHASES_PAPER,
    "batch_size": BATCH_SIZE,
    "epsilon": EPSILON,
    "bias": BIAS,
    "state_size": STATE_SIZE,
}
