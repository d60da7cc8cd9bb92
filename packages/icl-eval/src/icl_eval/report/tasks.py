"""Sections of a report on task learners: what was learnt, on which tasks, from how many examples."""

from pathlib import Path

import numpy as np

from icl_eval.figures.tasks import fitted_functions, learning_curves
from icl_eval.figures.tasks import over_training as draw_over_training
from icl_eval.report.html import Html, against, card, course, interval, join, plot, table, tag, title
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, readable
from icl_eval.results.result import Result
from icl_eval.results.saved_arrays import MODEL, Fits, ShotCurves
from icl_eval.runs.reading import Run

TRANSFER, SQUARED = "transfer_", "squared_error"
_YARDSTICKS = ("3-NN", "constant", "averaging")

SEEN, UNSEEN = "seen_tasks", "unseen_tasks"
ACCURACY, ERROR = "accuracy_last", "normalised_error"
_TITLES = {UNSEEN: ("Unseen tasks", "icl"), SEEN: ("Seen tasks", "iwl")}
_MEANINGS = {
    (UNSEEN, ACCURACY): "Accuracy after all examples on tasks never trained on: only the examples can tell the labels.",
    (SEEN, ACCURACY): "Accuracy after all examples on tasks trained on: the weights may remember them.",
    (
        UNSEEN,
        ERROR,
    ): "Squared error on functions never trained on, as a share of the error of each one's best constant: "
    "1 is as good as that constant, 0 is perfect.",
    (SEEN, ERROR): "The same on functions trained on: the weights may remember them.",
}


def is_of_tasks(run: Run) -> bool:
    """Tell whether a run has anything that this module shows."""
    named = (name for name in run.evaluations if name in _TITLES or name.startswith(TRANSFER))
    return bool(run.shots or run.fits or _judgement(run)) or any(named)


def task_cards(run: Run) -> list[Html]:
    """Return the headlines: what was learnt, then the measure on unseen and on seen tasks."""
    cards = []
    if judgement := _judgement(run):
        verdict, reason = judgement
        cards.append(card("What it has learnt", value=verdict, said=Html(""), meaning=reason, kind="learnt"))
    latest = run.latest()
    for evaluation, (name, kind) in _TITLES.items():
        if evaluation not in latest or (metric := _headline(latest[evaluation][1])) is None:
            continue
        result = latest[evaluation][1]
        estimate, chance = result.metrics[metric], result.chance.get(metric)
        judged = [] if metric == ERROR or chance is None else ["; ", against(estimate, chance)]
        judged = ["; ", _against_constant(estimate)] if metric == ERROR else judged
        said = tag("p", f"95 % interval {interval(estimate)}, {estimate.count:,} tasks", *judged, ".")
        meaning = _MEANINGS[evaluation, metric]
        cards.append(card(name, value=readable(estimate.value), said=said, meaning=meaning, kind=kind))
    return cards


def over_training(run: Run, folder: Path) -> Html:
    """Draw the measure on seen and unseen tasks over training above the loss; nothing for a run without such tasks."""
    if UNSEEN not in run.evaluations or (metric := _headline(run.latest()[UNSEEN][1])) is None:
        return Html("")
    wanted = {"unseen": (UNSEEN, metric), "seen": (SEEN, metric)}
    if metric == ACCURACY:
        wanted["seen, first"] = (SEEN, "accuracy_first")
    found = {name: run.evaluation_curve(*where) for name, where in wanted.items()}
    curves = {name: curve for name, curve in found.items() if curve is not None}
    loss = run.training_curve("loss")
    what = "accuracy" if metric == ACCURACY else "normalised error"
    said = [f"{what}, {name}: {course(curve, at='step')}" for name, curve in curves.items()]
    if loss is not None:
        said.append(f"training loss {course(loss, at='step')}")
    counts = sorted({result.count for name in (UNSEEN, SEEN) for result in run.evaluations.get(name, {}).values()})
    caption = (
        f"{what[0].upper()}{what[1:]} on tasks that were trained on (seen) and on tasks that never were (unseen), "
        f"{'above the training loss, ' if loss is not None else ''}by training step. Bands are 95 % intervals from "
        f"{' to '.join(f'{count:,}' for count in counts[:1] + counts[1:][-1:])} tasks per point; "
    )
    caption += "the dotted line is chance." if metric == ACCURACY else "the dotted line is the best constant."
    if "seen, first" in curves:
        caption += " First: before any example, which only a memory of the task can get right."
    return plot(
        folder,
        "emergence",
        lambda theme: draw_over_training(curves, loss=loss, errors=metric == ERROR, theme=theme),
        alt=f"Over training: {'; '.join(said)}.",
        caption=caption,
    )


def _judgement(run: Run) -> tuple[str, str] | None:
    judgement = run.summary.get("learner")
    if not isinstance(judgement, dict) or not isinstance(verdict := judgement.get("kind"), str):
        return None
    return verdict, str(judgement.get("reason", ""))


def _headline(result: Result) -> str | None:
    return next((metric for metric in (ACCURACY, ERROR) if metric in result.metrics), None)


def _against_constant(estimate: Estimate) -> Html:
    verdict = "better than" if estimate.high < 1 else "worse than" if estimate.low > 1 else "not distinguishable from"
    return tag("b", f"{verdict} the best constant (1)")


def by_examples(run: Run, folder: Path) -> Html:
    """Draw every measure by the number of examples, on unseen tasks first."""
    if not run.shots:
        return Html("")
    first = sorted(run.shots.items(), key=lambda named: named[0] != UNSEEN)
    drawn = (_curves(name, curves, folder) for name, curves in first)
    return join(drawn)


def _curves(name: str, curves: ShotCurves, folder: Path) -> Html:
    said = "; ".join(f"{line} {course(_known(curve), at='examples')}" for line, curve in curves.curves.items())
    return plot(
        folder,
        f"by_examples_{name}",
        lambda theme: learning_curves(curves, title=title(name), theme=theme),
        alt=f"{title(name)}, {curves.measure.replace('_', ' ')} by number of examples: {said}.",
        caption=_examples_caption(curves),
    )


def _examples_caption(curves: ShotCurves) -> str:
    said = f"The {curves.measure.replace('_', ' ')} of the model and of baselines after so many examples of a task. "
    said += f"{curves.count:,} tasks per point, of baselines perhaps fewer; the band is the model's 95 % interval"
    if curves.measure == "squared_error":
        return said + ". The axis is logarithmic and spans at most five decades."
    return said + ("; the dotted line is chance." if any(c.chance is not None for c in curves.curves.values()) else ".")


def _known(curve: ScalarCurve) -> ScalarCurve:
    """Return the curve where its values are known; as it is if nowhere."""
    known = np.isfinite(curve.values)
    rows = (curve.steps, curve.values, curve.low, curve.high)
    return ScalarCurve(*(row[known] for row in rows)) if known.any() else curve


def fitted(run: Run, folder: Path) -> Html:
    """Draw functions with what was made of them, a row for each family."""
    if not run.fits:
        return Html("")
    columns = 3
    said = "; ".join(f"{title(name)} {_fit_errors(fits, columns)}" for name, fits in run.fits.items())
    return plot(
        folder,
        "fits",
        lambda theme: fitted_functions(run.fits, columns=columns, theme=theme),
        alt=f"Functions and their fits; mean squared distance from the truth as drawn: {said}.",
        caption="A row for each family, in each panel another function: the truth, the points that were shown, and "
        "what was made of them. Lines are cut off where they leave the panel.",
        kind="plot wide",
    )


def _fit_errors(fits: Fits, columns: int) -> str:
    errors = {
        name: float(np.mean((values - fits.truth)[:columns] ** 2, dtype=np.float64))
        for name, values in fits.predictions.items()
    }
    return ", ".join(f"{name} {readable(error)}" for name, error in errors.items())


def transfer(run: Run, folder: Path) -> Html:
    """Return a table of squared errors: a row per family, the best in bold."""
    results = {
        name.removeprefix(TRANSFER): result
        for name, (_, result) in run.latest().items()
        if name.startswith(TRANSFER) and SQUARED in result.metrics
    }
    if not results:
        return Html("")
    prefix = f"{SQUARED}_"
    baselines = list(
        dict.fromkeys(
            metric.removeprefix(prefix)
            for result in results.values()
            for metric in result.metrics
            if metric.startswith(prefix)
        )
    )
    rows = []
    for family, result in results.items():
        model = result.metrics[SQUARED]
        others = {name: result.metrics.get(prefix + name) for name in baselines}
        known = {name: estimate for name, estimate in others.items() if estimate is not None}
        best = float(np.nanmin([np.inf, *(estimate.value for estimate in (model, *known.values()))]))
        cell = Html(_number(model, best) + tag("span", interval(model), class_="soft"))
        cells = [Html("") if e is None else Html(_overlap(model, e) + _number(e, best)) for e in others.values()]
        rows.append([title(family), cell, _below(model, known), *cells])
    note = (
        "Squared errors on families of functions that were not trained on, from the same examples; the best in bold, "
        "the model's with its 95 % interval. Below is by value; \N{ALMOST EQUAL TO} marks a baseline whose interval "
        "overlaps the model's."
    )
    whole = table(["family", MODEL, "model is below", *baselines], rows, label="Transfer", class_="transfer")
    return join([tag("p", note, class_="soft"), whole])


def _number(estimate: Estimate, best: float) -> Html:
    return tag("b" if estimate.value == best else "span", readable(estimate.value))


def _overlap(model: Estimate, baseline: Estimate) -> str:
    return "\N{ALMOST EQUAL TO} " if model.low <= baseline.high and baseline.low <= model.high else ""


def _below(model: Estimate, baselines: dict[str, Estimate]) -> Html:
    """Say how many baselines err more than the model, and whether those do that no learner may lose to."""
    beaten = [name for name, estimate in baselines.items() if model.value < estimate.value]
    if not baselines or len(beaten) == len(baselines):
        return Html(f"all {len(beaten)}" if baselines else "")
    lost = [name for name in _YARDSTICKS if name in baselines and name not in beaten]
    won = [name for name in _YARDSTICKS if name in beaten]
    said = f"not {', '.join(lost)}" if lost else f"with {', '.join(won)}" if won else ""
    return Html(tag("span", f"{len(beaten)} of {len(baselines)}") + tag("span", said, class_="soft"))
