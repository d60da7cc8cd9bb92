"""What a run is about: its headlines as cards, over training, and whether they fade."""

from typing import NamedTuple

import numpy as np

from icl_eval.figures.palette import COLOURS
from icl_eval.figures.training import headline_curves, run_over_training
from icl_eval.figures.transience import describe_transience, transience
from icl_eval.report.html import NOTHING, Figures, Markup, render
from icl_eval.report.words import counted, judged, results_of
from icl_eval.results.curve import ScalarCurve, course
from icl_eval.results.estimate import readable
from icl_eval.results.fragments import interval
from icl_eval.runs.learner_type import learner_type
from icl_eval.runs.reading import Run
from icl_eval.runs.seeds import options


class Card(NamedTuple):
    """A headline on a page: a number or a few words, with its interval and what may be said of chance."""

    title: str
    value: str
    sentence: str
    accent: str
    known: str = ""
    judged: str = ""


def cards(run: Run, figures: Figures) -> Markup:
    """Return what kind of learner the model is, if that can be told, and each headline that was measured."""
    made = []
    if (learner := learner_type(run)) is not None:
        made.append(Card("What it has learnt", learner.kind, learner.reason, accent="learner"))
    latest = run.latest()
    for place, headline in enumerate(run.headlines):
        if (estimate := run.last(headline)) is None:
            continue
        result = latest[headline.evaluation][1]
        made.append(
            Card(
                headline.title,
                readable(estimate.value),
                headline.sentence,
                accent=f"c{place % len(COLOURS)}",
                known=f"95 % interval {interval(estimate)}, {estimate.count:,} {result.unit}",
                judged=judged(estimate, result.chance.get(headline.metric), run.kind(headline.metric)),
            )
        )
    return render("cards", cards=made) if made else NOTHING


def over_training(run: Run, figures: Figures) -> Markup:
    """Return headlines and loss over training, drawn."""
    curves, loss, figure = headline_curves(run), run.training_curve("loss"), run_over_training(run)
    if figure is None:
        return NOTHING
    kinds = {headline.title: run.kind(headline.metric) for headline in run.headlines}
    said = [f"{title} {course(curve)}" for title, curve in curves.items()]
    said += [] if loss is None else [f"training loss {course(loss)}"]
    caption = "The loss that training logged, by training step."
    if curves:
        evaluations = [headline.evaluation for headline in run.headlines if headline.title in curves]
        levels = {
            "the best constant" if kinds[title] == "error" else "chance"
            for title, curve in curves.items()
            if curve.chance is not None
        }
        caption = (
            f"{' and '.join(curves)}{', above the training loss,' if loss is not None else ''} by training step. Bands "
            f"are 95 % intervals from {counted(results_of(run, evaluations))} per point"
        )
        caption += f"; dotted lines are {' or '.join(sorted(levels))}." if levels else "."
    return figures.add(
        "emergence",
        figure,
        alt=f"Over training: {'; '.join(said)}.",
        caption=caption,
    )


def later_in_training(run: Run, figures: Figures) -> Markup:
    """Return whether the headlines that are proportions fade, drawn on a logarithmic axis."""
    asked = [headline for headline in run.headlines if run.kind(headline.metric) == "proportion"]
    curves = headline_curves(run)
    later = {
        headline.title: curves[headline.title]
        for headline in asked
        if headline.title in curves and _is_known_later(curves[headline.title])
    }
    if not later:
        return NOTHING
    said = " ".join(f"{title}: {describe_transience(curve)}." for title, curve in later.items())
    results = results_of(run, [headline.evaluation for headline in asked if headline.title in later])
    return figures.add(
        "transience",
        transience(later, batch_size=_batch_size(run)),
        alt=said,
        caption=f"{' and '.join(later)} by training step on a logarithmic axis, with the peak of each marked; bands "
        f"are 95 % intervals from {counted(results)} per point. {said}",
    )


def _batch_size(run: Run) -> int | None:
    """Return how many sequences or tasks a training batch has, if the configuration says so."""
    size = options(run).get("data.batch_size", "")
    return int(size) if size.isdecimal() and int(size) else None


def _is_known_later(curve: ScalarCurve) -> bool:
    return int(((curve.steps > 0) & np.isfinite(curve.values)).sum()) > 1
