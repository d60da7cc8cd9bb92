"""The sweeps over pools: from which number of urns or chains on does a model count instead of remembering them?"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import icl_lab as lab
from experiments.symbols.config import PRESETS, SymbolsConfig
from experiments.symbols.optimal import COUNTING, REMEMBERING

# Wurgaft et al. (2025) have pools of 4 to 4,096.
_POOLS = {"data.num_tasks": (*(2**power for power in range(2, 13, 2)), None)}


def draw(folder: Path, base: SymbolsConfig, runs: Sequence[SymbolsConfig]) -> lab.Drawn:
    """Return the distances to both predictors by the size of the pool; see `icl_lab.draw_pool_sizes`."""
    return lab.draw_pool_sizes(folder, base, runs, memorising=REMEMBERING, generalising=COUNTING)


SWEEPS: Mapping[str, lab.SweepPreset[SymbolsConfig]] = {
    name: lab.SweepPreset(
        config=dataclasses.replace(PRESETS[preset], eval=dataclasses.replace(PRESETS[preset].eval, every=5_000)),
        grid=_POOLS,
        seeds=2,
        check=lab.check_pool_sizes,
        draw=draw,
    )
    for name, preset in (("pools", "urns"), ("pools_markov", "markov"))
}
