"""What a sweep is asked about: a metric of an evaluation, by default the first headline."""

import dataclasses
import math
from collections.abc import Sequence

from icl_eval.results.curve import ScalarCurve
from icl_eval.results.result import Kind
from icl_eval.runs.reading import Run
from icl_eval.sweeps.emergence import Threshold
from icl_eval.sweeps.sweep_runs import SweepRuns

HIGH = (0.9, 0.95)
"""What a proportion is asked for by default."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A metric of an evaluation.

    Attributes:
      evaluation: the name of the evaluation.
      metric: the name of the metric.
      title: what a figure calls it.
      kind: what kind of number it is.
    """

    evaluation: str
    metric: str
    title: str
    kind: Kind

    @property
    def falling(self) -> bool:
        """Whether less of it is better."""
        return self.kind == "error"

    def curve(self, run: Run) -> ScalarCurve | None:
        """Return it over training; None if the run never measured it."""
        return run.evaluation_curve(self.evaluation, self.metric)

    def last(self, run: Run) -> float | None:
        """Return its last value of a run, NaN if that is not finite; None if it was never measured."""
        curve = self.curve(run)
        return None if curve is None else float(curve.values[-1])

    def thresholds(self, given: Sequence[Threshold] | None, sweep: SweepRuns) -> tuple[Threshold, ...]:
        """Return the thresholds asked for, or those that tell something of a sweep.

        These are 0.9 and 0.95 of a proportion that comes to 0.9 in any run, else halfway and 0.9; halfway of what is no
        proportion.

        Raises:
          ValueError: for none, or one that is not finite.
        """
        if given is None:
            return self._telling(sweep) if self.kind == "proportion" else ("halfway",)
        known = [each for each in given if each == "halfway" or (not isinstance(each, str) and math.isfinite(each))]
        if not given or len(known) < len(given):
            raise ValueError(f'Wanted one or more thresholds, each a number or "halfway"; got {list(given)}.')
        return tuple(dict.fromkeys(given))

    def _telling(self, sweep: SweepRuns) -> tuple[Threshold, ...]:
        curves = [curve for run in sweep.runs.values() if (curve := self.curve(run)) is not None]
        return HIGH if any((curve.values >= HIGH[0]).any() for curve in curves) else ("halfway", HIGH[0])


def headline_targets(sweep: SweepRuns) -> list[Target]:
    """Return the headlines of the runs, each once, in the order in which they are named, that any run measured."""
    found: dict[tuple[str, str], Target] = {}
    for run in sweep.runs.values():
        for each in run.headlines:
            target = Target(
                evaluation=each.evaluation, metric=each.metric, title=each.title, kind=run.kind(each.metric)
            )
            if target.curve(run) is not None:
                found.setdefault((each.evaluation, each.metric), target)
    return list(found.values())


def find_target(sweep: SweepRuns, evaluation: str | None = None, metric: str | None = None) -> Target:
    """Return the metric asked for, or the first headline that is a proportion, or else the first of all.

    Raises:
      ValueError: if only one of the two is given, no run has it, or there is no headline.
    """
    if (evaluation is None) is not (metric is None):
        raise ValueError(f"Wanted an evaluation and a metric of it, or neither; got {evaluation} and {metric}.")
    if evaluation is None or metric is None:
        headlines = headline_targets(sweep)
        if not headlines:
            raise ValueError(f"These runs measured no headline; name an evaluation and a metric{_known(sweep)}.")
        return next((each for each in headlines if each.kind == "proportion"), headlines[0])
    having = [run for run in sweep.runs.values() if run.evaluation_curve(evaluation, metric) is not None]
    if not having:
        raise ValueError(f"No run has the metric {metric} of the evaluation {evaluation}{_known(sweep)}.")
    title = f"{metric} of {evaluation}"
    return Target(evaluation=evaluation, metric=metric, title=title, kind=having[0].kind(metric))


def _known(sweep: SweepRuns) -> str:
    """Return for an error what there is to choose from."""
    names = sorted({name for run in sweep.runs.values() for name in run.evaluations})
    return f"; there are the evaluations {', '.join(names[:20])}" if names else "; nothing was evaluated"
