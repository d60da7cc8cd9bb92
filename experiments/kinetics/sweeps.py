"""The two sweeps of Nguyen & Reddy (2024): when ICL comes by the context's length, and from how many classes on."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.kinetics.config import PRESETS, KineticsConfig

EXPONENT_OF_TIME = 1.0
"""Time to ICL grows as N to this (ibid.)."""
EXPONENT_OF_CLASSES = 1 / 0.7
"""The number of classes K* from which on ICL wins grows as N to this (ibid.)."""

_THRESHOLD, _WINS = 0.95, 0.75
_ICL, _IWL = "new_classes", "no_support"


def draw_onset(folder: Path, base: KineticsConfig, runs: Sequence[KineticsConfig]) -> lab.Drawn:
    """Return a table of when ICL came, by the length of the context, and the exponent beside the theory's.

    Args:
      folder: of the sweep, where it is written as onset.md.
      base: what all runs have in common.
      runs: those that are finished.
    """
    times: dict[int, list[evaluation.Emergence]] = {}
    for run in runs:
        curve = evaluation.read_run(run.workdir, arrays=False).evaluation_curve(_ICL, "accuracy_closed")
        when = None if curve is None else evaluation.time_of_emergence(curve, threshold=_THRESHOLD)
        times.setdefault(run.data.context, []).extend([] if when is None else [when])
    rows = [(f"{N}", f"{len(found)}", _median(found)) for N, found in sorted(times.items()) if found]
    known = [(N, when) for N, found in times.items() for when in found]
    said = _fitted(
        [N for N, _ in known],
        [when.step for _, when in known],
        [when.happened for _, when in known],
        what="Steps to ICL",
        theory=EXPONENT_OF_TIME,
    )
    header = ("context N", "seeds", f"ICL at {_THRESHOLD}")
    return _written(folder / "onset.md", f"When ICL came to {_THRESHOLD}", header, rows, said)


def draw_classes(folder: Path, base: KineticsConfig, runs: Sequence[KineticsConfig]) -> lab.Drawn:
    """Return a table of final accuracies by the context's length and the number of classes, and how K* grows.

    K* is where the mean over seeds of the last ICL accuracy passes 0.75, see `icl_eval.crossing`, over the logarithm of
    K. The interval of the exponent knows nothing of how well each K* is known.

    Args:
      folder: of the sweep, where it is written as classes.md.
      base: what all runs have in common.
      runs: those that are finished.
    """
    ends: dict[int, dict[int, list[tuple[evaluation.Estimate, evaluation.Estimate]]]] = {}
    for run in runs:
        read = evaluation.read_run(run.workdir, arrays=False)
        icl, iwl = (read.evaluation_curve(name, "accuracy_closed") for name in (_ICL, _IWL))
        if run.data.classes is not None and icl is not None and iwl is not None:
            of = ends.setdefault(run.data.context, {}).setdefault(run.data.classes, [])
            of.append((_last(icl, run.eval.final_count), _last(iwl, run.eval.final_count)))
    rows: list[tuple[str, ...]] = []
    stars: dict[int, float] = {}
    for N, by_classes in sorted(ends.items()):
        sizes = sorted(by_classes)
        numbers = [[icl for icl, _ in by_classes[K]] for K in sizes]
        star = float(np.exp(evaluation.crossing(np.log(sizes).tolist(), numbers, level=_WINS).value))
        for K in sizes:
            means = [np.mean([each.value for each in of]) for of in zip(*by_classes[K], strict=True)]
            rows.append((f"{N}", f"{K:,}", f"{len(by_classes[K])}", *(f"{mean:.3f}" for mean in means)))
        told = f"below {sizes[0]:,}" if star == 0 else f"above {sizes[-1]:,}" if star == np.inf else f"{star:,.0f}"
        rows.append((f"{N}", f"K* {told}", "", f"{_WINS}", ""))
        stars |= {N: star} if 0 < star < np.inf else {}
    said = _fitted([*stars], [*stars.values()], [True] * len(stars), what="K*", theory=EXPONENT_OF_CLASSES)
    header = ("context N", "classes K", "seeds", "ICL, final", "IWL, final")
    return _written(folder / "classes.md", "Who wins, by the number of classes", header, rows, said)


def _last(curve: evaluation.ScalarCurve, count: int) -> evaluation.Estimate:
    return evaluation.Estimate(float(curve.values[-1]), float(curve.low[-1]), float(curve.high[-1]), count=count)


def _median(found: Sequence[evaluation.Emergence]) -> str:
    of = evaluation.quartiles([each.step for each in found], [each.happened for each in found])
    missing = f"not for {of.censored} of {of.count}" if of.censored else ""
    return ", ".join(filter(None, ["" if of.median is None else f"step {of.median:,.0f}", missing]))


def _fitted(x: Sequence[int], y: Sequence[float], happened: Sequence[bool], *, what: str, theory: float) -> str:
    try:
        law = evaluation.fit_power_law(x, y, happened)
    except ValueError as error:
        return f"{what} against N: {error} The theory has the exponent {theory:.2f}."
    return (
        f"{what} grows as N to the {law.exponent:.2f} ({law.low:.2f} to {law.high:.2f}); "
        f"the theory has the exponent {theory:.2f}."
    )


def _written(path: Path, title: str, header: Sequence[str], rows: Sequence[tuple[str, ...]], said: str) -> lab.Drawn:
    lines = [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
    path.write_text("\n".join([*lines, "", said, ""]), encoding="utf-8")
    return lab.Drawn(tables=[evaluation.Table(title, header, rows)], note=said, said=[said])


_LAPTOP = PRESETS["laptop"]
_CONTEXTS = (8, 12, 16, 24, 32, 48)
_STEPS = 400  # for each item of the context: about three times as long as ICL took in the runs that were tried


def onset_settings(config: KineticsConfig) -> Mapping[str, lab.Setting]:
    """Return the lengths of the context, each with as many steps as ICL may take there."""
    return {f"N {N}": {"data.context": N, "train.steps": _STEPS * N} for N in _CONTEXTS}


def classes_settings(config: KineticsConfig) -> Mapping[str, lab.Setting]:
    """Return lengths, each with numbers of classes on both sides of where ICL begins to win."""
    return {
        f"N {N}, K {K}": {"data.context": N, "data.classes": K, "train.steps": _STEPS * N}
        for N in _CONTEXTS[:-2]
        for K in (16, 32, 64, 128, 256, 512)
    }


# A step took 3.5 ms of one core with a context of 8, 12 ms with 32. With --members 1, and two processes on the folder:
# 224,000 steps of the first sweep 22 minutes on two cores, 288,000 of the second 17 minutes.
_EVAL = dataclasses.replace(_LAPTOP.eval, every=50, count=500)
ONSET: lab.SweepPreset[KineticsConfig] = lab.SweepPreset(
    config=dataclasses.replace(_LAPTOP, eval=_EVAL), settings=onset_settings, seeds=4, draw=draw_onset
)
CLASSES: lab.SweepPreset[KineticsConfig] = lab.SweepPreset(
    config=dataclasses.replace(_LAPTOP, eval=dataclasses.replace(_EVAL, every=200)),
    settings=classes_settings,
    seeds=2,
    draw=draw_classes,
)

SWEEPS: Mapping[str, lab.SweepPreset[KineticsConfig]] = {"onset": ONSET, "classes": CLASSES}
