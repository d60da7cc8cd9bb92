"""The outcomes of a sweep on its page: which kinds of learner the seeds of each setting came to, and how they lie."""

from collections.abc import Iterator, Sequence

from icl_eval.figures.against_option import MOST_PANELS
from icl_eval.figures.outcome_histograms import outcome_histograms
from icl_eval.report.gallery import Picture, Table
from icl_eval.results.estimate import readable
from icl_eval.sweeps.arrangement import said, setting_said, short_names
from icl_eval.sweeps.bimodality import LEAST_SEEDS
from icl_eval.sweeps.outcomes import SettingOutcomes, most_mixed
from icl_eval.sweeps.sweep_runs import SweepRuns

RULE = (
    "How many seeds of each setting came to each kind of learner by the end of their run. One or two kinds of seeds is "
    "asked of their last values: whether a mixture of two normal distributions of one spread explains them better than "
    f"one, by a BIC that is lower by more than 6 (of {LEAST_SEEDS} seeds or more; errors by their logarithms). Look at "
    "the histograms too: values that crowd at one end are skewed, which can pass for two kinds."
)


def outcome_rows(sweep: SweepRuns, outcomes: Sequence[SettingOutcomes]) -> Table:
    """Return the table of outcomes, a row for each of one or more settings."""
    target = outcomes[0].target
    kinds = list(outcomes[0].counts)
    header = [*short_names(list(sweep.varied)).values(), "seeds", *kinds, f"{target.title}: last", "one or two kinds"]
    return Table(
        "What the seeds came to",
        header,
        [
            [
                *map(said, each.setting),
                str(len(each.kinds)),
                *(str(count) for count in each.counts.values()),
                _range(each.known),
                each.modes(),
            ]
            for each in outcomes
        ],
    )


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = readable(min(values)), readable(max(values))
    return low if low == high else f"{low} to {high}"


def _titles(sweep: SweepRuns, shown: Sequence[SettingOutcomes]) -> list[str]:
    """Return settings in words, and with a number where rounding makes two alike."""
    said = [setting_said(sweep, each.setting) for each in shown]
    return [name if said.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(said, 1)]


def outcome_pictures(sweep: SweepRuns, outcomes: Sequence[SettingOutcomes]) -> Iterator[Picture]:
    """Yield the histograms of last values of settings with enough seeds, if there are any, twelve at most."""
    if not (shown := most_mixed(outcomes, most=MOST_PANELS)):
        return
    target = shown[0].target
    panels = {
        said: [(each.lasts[path], kind) for path, kind in each.kinds.items()]
        for said, each in zip(_titles(sweep, shown), shown, strict=True)
    }
    chances = {curve.chance for run in sweep.runs.values() if (curve := target.curve(run)) is not None}
    chance = chances.pop() if len(chances) == 1 else None
    told = [
        f"{setting_said(sweep, each.setting)}: {_range(each.known)}, "
        + ", ".join(f"{count} {kind}" for kind, count in each.counts.items() if count)
        for each in shown
    ]
    more = sum(len(each.known) >= LEAST_SEEDS for each in outcomes) - len(shown)
    left_out = f" {more} more settings, whose seeds differ less, are in the table." if more else ""
    yield Picture(
        name="outcomes",
        title="What the seeds came to, by setting",
        draw=lambda: outcome_histograms(panels, x_label=target.title, kind=target.kind, chance=chance),
        caption=f"The last value of {target.title} of each seed, by its kind of learner, for settings of {LEAST_SEEDS} "
        f"seeds or more; the dotted line is chance.{left_out}",
        alt=f"The last values of {target.title}: {'; '.join(told)}.",
        wide=len(panels) > 1,
    )
