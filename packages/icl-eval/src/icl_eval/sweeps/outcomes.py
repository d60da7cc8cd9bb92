"""The outcomes of a sweep: to which kinds of learner the seeds of each setting came, and how their last numbers lie."""

import collections
import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import get_args

from icl_eval.paths import AnyPath, as_path
from icl_eval.runs.learner_kinds import LearnerKind
from icl_eval.runs.learner_type import learner_type
from icl_eval.runs.reading import read_shots
from icl_eval.sweeps.arrangement import ended
from icl_eval.sweeps.bimodality import LEAST_SEEDS, STRONG, bimodality
from icl_eval.sweeps.sweep_runs import Cell, SweepRuns
from icl_eval.sweeps.target import Target, headline_targets

_METRICS = ("accuracy_last", "normalised_error")  # that tell the kind, where no headline is of unseen tasks


@dataclasses.dataclass(frozen=True, kw_only=True)
class SettingOutcomes:
    """What the seeds of a setting came to.

    Attributes:
      setting: the values of the varied options.
      target: whose last values they are.
      kinds: of learner, by the path of each run that has one.
      lasts: the last value of these runs; NaN where it is not known.
    """

    setting: tuple[Cell, ...]
    target: Target
    kinds: Mapping[str, LearnerKind]
    lasts: Mapping[str, float]

    @property
    def counts(self) -> dict[LearnerKind, int]:
        """How many seeds came to each kind, all kinds in the order in which they are told apart."""
        found = collections.Counter(self.kinds.values())
        return {kind: found[kind] for kind in get_args(LearnerKind)}

    @property
    def known(self) -> list[float]:
        """The last values that are known."""
        return [value for value in self.lasts.values() if math.isfinite(value)]

    @functools.cached_property
    def bimodality(self) -> float | None:
        """By how much two kinds of seeds explain the last values better than one; errors by their logarithms."""
        return bimodality(self.known, scale="log" if self.target.kind == "error" else "linear")

    @property
    def _usable(self) -> int:
        """How many last values have a place on the scale."""
        return sum(value > 0 for value in self.known) if self.target.kind == "error" else len(self.known)

    def modes(self) -> str:
        """Return in words whether the last values are of two kinds."""
        if self.bimodality is None:
            return f"wants {LEAST_SEEDS} seeds, has {self._usable}"
        if self.bimodality > STRONG:
            return f"two kinds of seeds (BIC lower by {self.bimodality:.1f})"
        than = "lower" if self.bimodality > 0 else "higher"
        return f"no strong evidence of two kinds (BIC {than} by {abs(self.bimodality):.1f})"


def outcome_target(sweep: SweepRuns) -> Target | None:
    """Return the first headline on unseen tasks, or else the number that tells the kind; None if no run names any."""
    unseen = dict.fromkeys(run.learner["unseen"] for run in sweep.runs.values() if "unseen" in run.learner)
    for target in headline_targets(sweep):
        if target.evaluation in unseen:
            return target
    for evaluation in unseen:
        for metric in _METRICS:
            for run in sweep.runs.values():
                if run.evaluation_curve(evaluation, metric) is not None:
                    title = f"{metric} of {evaluation}"
                    return Target(evaluation=evaluation, metric=metric, title=title, kind=run.kind(metric))
    return None


def setting_outcomes(sweep: SweepRuns, target: Target, *, folder: AnyPath) -> list[SettingOutcomes]:
    """Return what the seeds of each setting came to, in the order of the settings; without those of no kind.

    Of a setting with finished runs, the others are left out.

    Args:
      sweep: the runs.
      target: whose last values are asked for.
      folder: of the sweep, where the accuracies by position are that tell of a failure.
    """
    found = []
    for setting, runs in sweep.settings.items():
        complete = ended(runs)
        kinds: dict[str, LearnerKind] = {}
        for path, run in complete.items():
            name = run.learner.get("seen", "")
            shots = read_shots(as_path(folder) / path, name)
            whole = run if shots is None else dataclasses.replace(run, shots={name: shots})
            if (learner := learner_type(whole)) is not None:
                kinds[path] = learner.kind
        if kinds:
            lasts = {path: target.last(complete[path]) for path in kinds}
            known = {path: math.nan if value is None else value for path, value in lasts.items()}
            found.append(SettingOutcomes(setting=setting, target=target, kinds=kinds, lasts=known))
    return found


def most_mixed(outcomes: Sequence[SettingOutcomes], *, most: int) -> list[SettingOutcomes]:
    """Return the settings with enough seeds for a histogram, in their order; of too many those whose seeds differ most.

    Seeds differ near a transition: what counts is how many came to another kind than most seeds of their setting did,
    then how far their last values lie apart.
    """
    enough = [each for each in outcomes if len(each.known) >= LEAST_SEEDS]

    def differ(each: SettingOutcomes) -> tuple[float, float]:
        return 1 - max(each.counts.values()) / len(each.kinds), max(each.known) - min(each.known)

    chosen = sorted(range(len(enough)), key=lambda place: differ(enough[place]), reverse=True)[:most]
    return [enough[place] for place in sorted(chosen)]
