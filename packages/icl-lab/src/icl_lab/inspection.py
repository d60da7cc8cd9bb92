"""What a model would be trained and evaluated on, shown without training: --mode inspect."""

from pathlib import Path

import icl_data as data
from icl_lab.experiment import Config
from icl_lab.runs import Runs

SHOWN = 8
"""Sequences of a stream that are drawn."""


def inspect(runs: Runs[Config], *, to: Path) -> str:
    """Draw the first sequences of every stream of the first run, and return what is in them.

    Args:
      runs: of the session.
      to: folder for the pictures, a PNG file for each stream of images; made if there is one.

    Returns:
      For sequences a table of one and the frequencies of many; for tasks the arrays of a batch.
    """
    parts = []
    for name, sampler in runs.first.samplers.items():
        batch = runs.first.first_batch(name)
        arrays = "\n".join(f"{key:10} {values.dtype!s:8} {list(values.shape)}" for key, values in batch.items())
        drawn = sampler.sampler if isinstance(sampler, data.WithItems) else sampler
        stages = drawn.stages if isinstance(drawn, data.Curriculum) else [drawn]
        for number, each in enumerate(stages):
            said = data.describe(each) if isinstance(each, data.SequenceSampler) else arrays
            parts.append(f"== {name}{f', stage {number}' if len(stages) > 1 else ''}\n{said}")
        if "images" in batch:
            to.mkdir(parents=True, exist_ok=True)
            few = {key: values[:SHOWN] for key, values in batch.items()}
            data.contact_sheet(few, title=name).save(to / f"{name}.png")
            parts.append(f"picture: {to / f'{name}.png'}")
    return "\n".join(parts)
