"""The induction study: which part of the circuit, given for free, shortens the plateau (Singh et al. 2024, 2404.07129).

    python -m experiments.omniglot induction --train.seed 100 --workdir runs/induction-source
    python -m experiments.omniglot sweep induction --workdir runs/induction

The first makes the run whose first layer is given: with ideal patterns in all heads of that layer, none of what they
compute is given, and the plateau did not end (seen with other labels and points than the preset has now).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.presets import PRESETS
from icl_models import Clamp

SOURCE = Path("runs/induction-source")
"""The finished run whose first layer is given, and all that comes before it."""

_LAYER_1 = (
    lab.Graft(run=SOURCE, params="^(encoder|labels|positions)/", frozen=True),
    lab.Graft(run=SOURCE, params="^trunk/blocks/", layers=(0,), frozen=True),
)
_COPY = Clamp(to="copy", layer=1, heads=(0,))

GIVEN: Mapping[str, tuple[Clamp | lab.Graft, ...]] = {
    "nothing": (),
    "previous token": (Clamp(to="previous_token", layer=0, heads=(0,)),),
    "layer 1": _LAYER_1,
    "copy": (_COPY,),
    "layer 1 and copy": (*_LAYER_1, _COPY),
    "match": (Clamp(to="match", layer=1, heads=(0,)),),
}
"""What is given, in the order of the paper: from what helps least to what helps most."""

FORMED = 0.4 * np.log(2)
"""A head is said to be formed once the loss is below this (ibid.)."""
MOMENTS = (0.2, 0.4)
"""Shares of the training at which losses are compared: of 1 million sequences there, 0.2 and 0.4 million (ibid.)."""


def settings(config: OmniglotConfig) -> Mapping[str, lab.Setting]:
    """Return the six settings by what is given."""
    return {name: {"intervene": (*config.intervene, *map(lab.words_of, given))} for name, given in GIVEN.items()}


def draw(folder: Path, base: OmniglotConfig, runs: Sequence[OmniglotConfig]) -> lab.Drawn:
    """Return a table of the losses at two moments and of when the circuit formed, and write it as clamps.md."""
    steps = [round(share * base.train.steps) for share in MOMENTS]
    header = ("given", "seeds", *(f"loss at step {step:,}" for step in steps), f"formed, loss below {FORMED:.2f}")
    rows = []
    for name, setting in settings(base).items():
        wanted = lab.with_options(base, setting)
        alike = [run.workdir for run in runs if lab.differ_in_seed_alone(run, wanted)]
        read = [evaluation.read_run(each, arrays=False).training_curve("loss") for each in alike]
        curves = [curve for curve in read if curve is not None]
        if curves:
            losses = [np.mean([np.interp(step, each.steps, each.values) for each in curves]) for step in steps]
            rows.append((name, str(len(curves)), *(f"{loss:.3f}" for loss in losses), _when(curves)))
    lines = [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
    (folder / "clamps.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lab.Drawn(
        tables=[evaluation.Table("The plateau with parts of the circuit given", header, rows)],
        said=[f"{row[0]}: loss {', '.join(row[2:4])}; {row[4]}" for row in rows],
    )


def _when(curves: Sequence[evaluation.ScalarCurve]) -> str:
    """Return the median step over seeds, and for how many seeds it has not come."""
    found = [evaluation.time_of_emergence(each, threshold=float(FORMED), falling=True) for each in curves]
    known = [each for each in found if each is not None]
    of = evaluation.quartiles([each.step for each in known], [each.happened for each in known])
    missing = f"not for {of.censored} of {of.count}" if of.censored else ""
    return ", ".join(filter(None, ["" if of.median is None else f"step {of.median:,.0f}", missing]))


INDUCTION: lab.SweepPreset[OmniglotConfig] = lab.SweepPreset(
    config=PRESETS["induction"], settings=settings, seeds=8, draw=draw
)
