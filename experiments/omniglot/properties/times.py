"""When in-context learning came with each value of a property, and how far ICL and IWL rose and fell."""

from collections.abc import Sequence

import numpy as np

import icl_eval as evaluation
import icl_lab as lab
from experiments.omniglot.config import OmniglotConfig
from experiments.omniglot.properties.settings import PROPERTIES, SETTINGS, setting_of

THRESHOLD = 0.9
HEADER = ("property", "value", "seeds", f"ICL at {THRESHOLD}", "ICL: peak, final", "IWL: peak, final")

_ICL = ("fewshot_holdout", ("accuracy_closed",))
_IWL = ("no_support_zipfian", ("accuracy_any_label", "accuracy_open"))


def times_table(base: OmniglotConfig, runs: Sequence[OmniglotConfig]) -> evaluation.Table:
    """Return a table with a row for each value of each property that was run.

    Args:
      base: what all runs have in common.
      runs: those that are finished.
    """
    rows = []
    for name in PROPERTIES:
        for setting in SETTINGS[name]:
            wanted = lab.with_options(base, setting_of(base, setting))
            found = [
                evaluation.read_run(run.workdir, arrays=False) for run in runs if lab.differ_in_seed_alone(run, wanted)
            ]
            icl, iwl = ([_curve(run, *of) for run in found] for of in (_ICL, _IWL))
            if found:
                rows.append((name, setting.value, str(len(found)), _when(icl), _peak(icl), _peak(iwl)))
    title = f"When ICL came to {THRESHOLD}, and how far ICL and IWL went"
    return evaluation.Table(title, HEADER, rows)


def _curve(run: evaluation.Run, name: str, metrics: Sequence[str]) -> evaluation.ScalarCurve | None:
    """Return the first metric that a run has over training."""
    curves = (run.evaluation_curve(name, metric) for metric in metrics)
    return next((curve for curve in curves if curve is not None), None)


def _when(curves: Sequence[evaluation.ScalarCurve | None]) -> str:
    """Return the median step over seeds and its quartiles, and for how many seeds it has not come."""
    found = [evaluation.time_of_emergence(curve, threshold=THRESHOLD) for curve in curves if curve is not None]
    known = [each for each in found if each is not None]
    if not known:
        return "not evaluated"
    of = evaluation.quartiles([each.step for each in known], [each.happened for each in known])
    if of.censored == of.count:
        return f"not by step {max(each.step for each in known):,.0f}"
    missing = f"not for {of.censored} of {of.count}" if of.censored else ""
    if of.median is None:
        return f"{missing}, first at step {min(each.step for each in known if each.happened):,.0f}"
    low, high = ("later" if step is None else f"{step:,.0f}" for step in (of.lower, of.upper))
    return ", ".join(filter(None, [f"step {of.median:,.0f} ({low} to {high})", missing]))


def _peak(curves: Sequence[evaluation.ScalarCurve | None]) -> str:
    """Return the means over seeds of the greatest and the last value."""
    values = [curve.values[np.isfinite(curve.values)] for curve in curves if curve is not None]
    known = [each for each in values if len(each)]
    if not known:
        return ""
    return f"{np.mean([each.max() for each in known]):.3f}, {np.mean([each[-1] for each in known]):.3f}"
