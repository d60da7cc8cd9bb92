"""Sections of a report: what a model learns of frequent and of rare classes, and which heads do it."""

import re
from collections.abc import Mapping

from icl_eval.figures.attention import attention_map, attention_rows
from icl_eval.figures.frequency import by_frequency, deciles
from icl_eval.figures.grid import MOST_CONFUSED, confusion, confusion_matrix
from icl_eval.figures.heads import Head, ablations, head_name, heads_over_training
from icl_eval.report.html import NOTHING, Figures, Markup
from icl_eval.report.words import counted, headlines_first, title
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, readable
from icl_eval.results.result import Result
from icl_eval.runs.reading import Run

_ROWS = 8  # heads whose attention is shown side by side
_PER_HEAD = "_L_H"  # how a measure of every head is shown, as `induction_L_H`
_MOST_DRAWN = 3  # evaluations side by side


def frequencies(run: Run, figures: Figures) -> Markup:
    """Return accuracy by class frequency, drawn."""
    latest = run.latest()
    found = {name: deciles(latest[name][1]) for name in headlines_first(run, latest)}
    known = {name: estimates for name, estimates in found.items() if estimates is not None}
    shown = dict(list(known.items())[:_MOST_DRAWN])
    if not shown:
        return NOTHING
    said = "; ".join(f"{name} {_ends(estimates)}" for name, estimates in shown.items())
    return figures.add(
        "frequency",
        by_frequency(shown),
        alt=f"By class frequency: {said}.",
        caption="Open accuracy of each tenth of the trained classes, from the rarest to the most frequent, with 95 % "
        f"intervals, from {counted(latest[name][1] for name in shown)} of each evaluation in all.",
    )


def confusions(run: Run, figures: Figures) -> Markup:
    """Return which label of a few-shot problem is taken for which, drawn."""
    parts = []
    for name, (_, result) in run.latest().items():
        found = confusion_matrix(result)
        if found is None or len(found[0]) > MOST_CONFUSED:
            continue
        shares, counts = found
        right = ", ".join(f"{shares[label, label]:.3f} of label {label}" for label in range(len(shares)))
        caption = (
            f"{name}: of the queries with each label, the share that the open arg-max names so; the last column is any "
            f"label besides. {sum(counts):,} {result.unit}."
        )
        alt = f"Predicted right: {right}."
        parts.append(figures.add(f"confusion_{name}", confusion(shares, counts), alt=alt, caption=caption))
    return NOTHING.join(parts)


def heads(run: Run, figures: Figures) -> Markup:
    """Return the scores of attention heads over training, and what is lost without each, drawn."""
    latest = run.latest()
    parts = []
    for score, sentence in head_scores(run).items():
        for evaluation in run.evaluations:
            curves = head_curves(run, evaluation, score)
            if not curves:
                continue
            best = max(curves, key=lambda head: float(curves[head].values[-1]))
            drawn = heads_over_training(curves, title=title(score))
            alt = f"{title(score)}: {head_name(best)} ends highest, at {readable(curves[best].values[-1])}."
            caption = (
                f"{title(score)}: {sentence[:1].lower()}{sentence[1:-1]}; the mean over "
                f"{counted([latest[evaluation][1]])} of {evaluation}, with 95 % bands; the dotted line is uniform "
                "attention."
            )
            parts.append(figures.add(f"{score}_{evaluation}", drawn, alt=alt, caption=caption))
    parts += [_ablations(run, step, result, figures) for step, result in latest.values()]
    return NOTHING.join(parts)


def attention(run: Run, figures: Figures) -> Markup:
    """Return where heads look in a few sequences, drawn."""
    parts = []
    for name, maps in run.attention.items():
        score, ranked = _ranked(run, name, maps.attention.shape[1:3])
        order = f"; the heads are in the order of their {score} scores" if score else ""
        for k in range(len(maps.images)):
            shown = ranked[:_ROWS]
            alt = f"Attention of the query in a sequence of {name}, of {', '.join(map(head_name, shown))}."
            caption = (
                f"Sequence {k + 1} of {name}: how much of its attention the query's token gives to each token. "
                f"Framed items have the query's label. One sequence{order}."
            )
            rows = attention_rows(maps, k, shown)
            parts.append(figures.add(f"attention_{name}_{k}", rows, alt=alt, caption=caption))
        whole = f"The whole attention of {head_name(ranked[0])} in"
        alt, caption = f"{whole} a sequence of {name}.", f"{whole} sequence 1: each row is a token, and where it looks."
        drawn = attention_map(maps, 0, *ranked[0])
        parts.append(figures.add(f"attention_map_{name}", drawn, alt=alt, caption=caption))
    return NOTHING.join(parts)


def head_scores(run: Run) -> dict[str, str]:
    """Return the scores that every head has, with what each says: those whose words name a layer L and a head H."""
    found = {}
    for words in run.measures.values():
        score = (words.shown or "").removesuffix(_PER_HEAD)
        if words.shown == score + _PER_HEAD and not score.startswith("\N{HORIZONTAL ELLIPSIS}"):
            found[score] = words.sentence
    return found


def head_curves(run: Run, evaluation: str, score: str) -> dict[Head, ScalarCurve]:
    """Return a score of every head over training, by layer and head, which follow it in the names of metrics."""
    metrics = {metric for result in run.evaluations.get(evaluation, {}).values() for metric in result.metrics}
    found = {_head(metric, f"{score}_"): metric for metric in metrics}
    curves = {head: run.evaluation_curve(evaluation, metric) for head, metric in found.items() if head is not None}
    return {head: curve for head, curve in sorted(curves.items()) if curve is not None}


def _ablations(run: Run, step: int, result: Result, figures: Figures) -> Markup:
    """Return what is left without each head, drawn, of an evaluation that removed them."""
    without: dict[str, dict[Head, Estimate]] = {}
    for name in result.metrics:
        found = {_head(metric, f"{name}_without_"): metric for metric in result.metrics}
        if of_heads := {head: result.metrics[metric] for head, metric in found.items() if head is not None}:
            without[name] = dict(sorted(of_heads.items()))
    if not without:
        return NOTHING
    titles = {headline.name: headline.title for headline in run.headlines}
    intact = {titles.get(name, name): result.metrics[name] for name in without}
    removed = {titles.get(name, name): of_heads for name, of_heads in without.items()}
    said = "; ".join(_lowest(name, intact[name], of_heads) for name, of_heads in removed.items())
    return figures.add(
        f"ablations_{result.evaluation}",
        ablations(intact, removed),
        alt=f"Lowest without a single head: {said}.",
        caption=f"After step {step:,} when the output of one attention head is set to zero, with 95 % intervals from "
        f"{counted([result])} each; the line is the whole model. Lowest: {said}.",
    )


def _lowest(name: str, intact: Estimate, without: Mapping[Head, Estimate]) -> str:
    head = min(without, key=lambda head: without[head].value)
    return f"{name} {readable(without[head].value)} without {head_name(head)} ({readable(intact.value)} with all)"


def _head(metric: str, before: str) -> Head | None:
    """Return the layer and the head that a metric's name ends with."""
    found = re.fullmatch(re.escape(before) + r"(\d{1,6})_(\d{1,6})", metric)
    return None if found is None else (int(found[1]), int(found[2]))


def _ranked(run: Run, evaluation: str, shape: tuple[int, ...]) -> tuple[str, list[Head]]:
    """Return the heads in the order of their last scores, by the first score that the evaluation has of them."""
    layers, heads_of_layer = shape
    every = [(layer, head) for layer in range(layers) for head in range(heads_of_layer)]
    for score in head_scores(run):
        if curves := head_curves(run, evaluation, score):
            last = {head: float(curve.values[-1]) for head, curve in curves.items()}
            return score.replace("_", " "), sorted(every, key=lambda head: (-last.get(head, 0.0), head))
    return "", every


def _ends(estimates: tuple[Estimate | None, ...]) -> str:
    known = [estimate for estimate in estimates if estimate is not None]
    return f"from {readable(known[0].value)} for the rarest to {readable(known[-1].value)} for the most frequent"
