"""Sections of a report: how a model learns in context, where it looks, and what it is to be compared with."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from icl_eval.figures.attention import attention_map, attention_rows
from icl_eval.figures.drawing import Theme
from icl_eval.figures.frequency import by_frequency, deciles
from icl_eval.figures.grid import confusion, confusion_matrix
from icl_eval.figures.heads import Head, ablations, head_name, heads_over_training
from icl_eval.figures.transience import describe_transience, transience
from icl_eval.report.headlines import headline
from icl_eval.report.html import Html, interval, join, plot, table, tag
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, readable
from icl_eval.results.saved_arrays import AttentionMaps
from icl_eval.runs.reading import Run

BASELINES = {
    "nearest_pixels": "nearest image",
    "prototype_pixels": "nearest mean image",
    "nearest_embedding": "nearest embedding",
    "prototype_embedding": "nearest mean embedding",
    "majority": "most frequent label",
}

_ABLATED = "ablated_heads"
_OF_HEADS = "heads_"  # before the name of the evaluation whose sequences they are
_SCORES = {
    "induction": ("Induction", "attention from the query to the labels of context items of its class"),
    "previous_token": ("Previous token", "attention from the label of a context item to the token before it"),
    "same_class": ("Same class", "attention from the query to context items of its class"),
}
_ROWS = 8  # heads whose attention is shown side by side


def later_in_training(run: Run, folder: Path) -> Html:
    """Show whether ICL fades, on a logarithmic axis."""
    curves = {name.upper(): run.evaluation_curve(*headline(run, name)) for name in ("icl", "iwl")}
    later = {
        name: curve
        for name, curve in curves.items()
        if curve is not None and ((curve.steps > 0) & np.isfinite(curve.values)).sum() > 1
    }
    if not later:
        return Html("")
    said = " ".join(f"{name}: {describe_transience(curve)}." for name, curve in later.items())
    counts = _counts(run, [headline(run, name.lower())[0] for name in later])
    return plot(
        folder,
        "transience",
        _drawing(transience, later.get("ICL"), later.get("IWL")),
        alt=said,
        caption=f"{' and '.join(later)} by training step on a logarithmic axis, with the peak of each marked; bands "
        f"are 95 % intervals from {counts} sequences per point. " + said,
    )


def baselines(run: Run, folder: Path) -> Html:
    """Compare the model with rules that see the same sequences, a table for each evaluation."""
    parts = []
    for name, results in run.evaluations.items():
        # The trained model has them; a run that goes on has later evaluations without.
        asked = {f"accuracy_{each}" for each in BASELINES}
        having = [result for result in results.values() if asked & result.metrics.keys()]
        if not having:
            continue
        result = having[-1]
        found = {each: result.metrics.get(f"accuracy_{each}") for each in BASELINES}
        named = {"model, closed": result.metrics.get("accuracy_closed")}
        named["model, in context"] = result.metrics.get("accuracy_in_context")
        named |= {BASELINES[each]: estimate for each, estimate in found.items()}
        rows = [
            [who, readable(estimate.value), interval(estimate), f"{estimate.count:,}"]
            for who, estimate in named.items()
            if estimate is not None
        ]
        header = ["who answers", "accuracy", "95 % interval", "sequences"]
        parts += [tag("h3", name), table(header, rows, label=f"Baselines of {name}", class_="measures")]
    note = (
        "Each baseline sees the sequences that the model sees, and answers with a label of the context, as the model "
        "does in the line “in context”. Those of embeddings compare the model's own item vectors."
    )
    return join([tag("p", note, class_="soft"), *parts]) if parts else Html("")


def frequencies(run: Run, folder: Path) -> Html:
    """Show accuracy by class frequency."""
    found = {name: deciles(result) for name, (_, result) in run.latest().items()}
    known = {name: estimates for name, estimates in found.items() if estimates is not None}
    shown = {name: known[name] for name in sorted(known, key=lambda name: not name.startswith("no_support"))[:3]}
    if not shown:
        return Html("")
    said = "; ".join(f"{name} {_ends(estimates)}" for name, estimates in shown.items())
    return plot(
        folder,
        "frequency",
        _drawing(by_frequency, shown),
        alt=f"By class frequency: {said}.",
        caption="Open accuracy of each tenth of the trained classes, from the rarest to the most frequent, with 95 % "
        f"intervals, from {_counts(run, list(shown), last=True)} sequences of each evaluation in all.",
    )


def confusions(run: Run, folder: Path) -> Html:
    """Show which label of a few-shot problem is taken for which."""
    parts = []
    for name, (_, result) in run.latest().items():
        found = confusion_matrix(result)
        if found is None or not name.startswith("fewshot"):
            continue
        shares, counts = found
        right = ", ".join(f"{shares[label, label]:.3f} of label {label}" for label in range(len(shares)))
        figure = plot(
            folder,
            f"confusion_{name}",
            _drawing(confusion, shares, counts),
            alt=f"Predicted right: {right}.",
            caption=f"{name}: of the queries with each label, the share that the open arg-max names so; the last "
            f"column is any label besides. {sum(counts):,} sequences.",
        )
        parts.append(figure)
    return join(parts)


def heads(run: Run, folder: Path) -> Html:
    """Show the scores of attention heads over training, and what is lost without each."""
    parts = []
    for evaluation in (name for name in run.evaluations if name.startswith(_OF_HEADS)):
        for kind, (heading, meaning) in _SCORES.items():
            curves = head_curves(run, evaluation, kind)
            if not curves:
                continue
            best = _highest(curves)
            chance = curves[best].chance
            figure = plot(
                folder,
                f"{kind}_{evaluation}",
                _drawing(heads_over_training, curves, title=heading, chance=chance),
                alt=f"{heading}: {head_name(best)} ends highest, at {readable(curves[best].values[-1])}.",
                caption=f"{heading} score: {meaning}, the mean over "
                f"{_counts(run, [evaluation], last=True)} sequences of {evaluation.removeprefix(_OF_HEADS)}, with 95 % "
                "bands; the dotted line is uniform attention.",
            )
            parts.append(figure)
    return join([*parts, _ablations(run, folder)])


def attention(run: Run, folder: Path) -> Html:
    """Show where heads look in a few sequences."""
    parts = []
    for name, examples in run.attention.items():
        ranked = _ranked(run, f"{_OF_HEADS}{name}", examples)
        for k in range(len(examples.images)):
            caption = (
                f"Sequence {k + 1} of {name}: how much of its attention the query's token gives to each token. Framed "
                "items have the query's label. One sequence; the heads are in the order of their induction scores."
            )
            figure = plot(
                folder,
                f"attention_{name}_{k}",
                _drawing(attention_rows, examples, k, ranked[:_ROWS]),
                alt=f"Attention of the query in a sequence of {name}, of {', '.join(map(head_name, ranked[:_ROWS]))}.",
                caption=caption,
            )
            parts.append(figure)
        figure = plot(
            folder,
            f"attention_map_{name}",
            _drawing(attention_map, examples, 0, *ranked[0]),
            alt=f"The whole attention of {head_name(ranked[0])} in a sequence of {name}.",
            caption=f"The whole attention of {head_name(ranked[0])} in sequence 1: each row is a token, and where it "
            "looks.",
        )
        parts.append(figure)
    return join(parts)


def head_curves(run: Run, evaluation: str, kind: str) -> dict[Head, ScalarCurve]:
    """Return a score of every head over training, by layer and head."""
    metrics = {metric for result in run.evaluations.get(evaluation, {}).values() for metric in result.metrics}
    found = {_head(metric, f"{kind}_"): metric for metric in metrics}
    curves = {head: run.evaluation_curve(evaluation, metric) for head, metric in found.items() if head is not None}
    return {head: curve for head, curve in sorted(curves.items()) if curve is not None}


def _ablations(run: Run, folder: Path) -> Html:
    if _ABLATED not in run.evaluations:
        return Html("")
    step, result = run.latest()[_ABLATED]
    intact = {name: result.metrics[name] for name in ("icl", "iwl") if name in result.metrics}
    without: dict[str, dict[Head, Estimate]] = {}
    for name in intact:
        found = {_head(metric, f"{name}_without_"): metric for metric in result.metrics}
        without[name] = {
            head: result.metrics[metric] for head, metric in sorted(found.items(), key=str) if head is not None
        }
    intact = {name: estimate for name, estimate in intact.items() if without[name]}
    if not intact:
        return Html("")
    worst = {name: _least(without[name]) for name in intact}
    said = "; ".join(
        f"{name.upper()} {readable(without[name][head].value)} without {head_name(head)} "
        f"({readable(intact[name].value)} with all)"
        for name, head in worst.items()
    )
    return plot(
        folder,
        "ablations",
        _drawing(ablations, intact, {name: without[name] for name in intact}),
        alt=f"Lowest without a single head: {said}.",
        caption=f"Accuracy after step {step:,} when the output of one attention head is set to zero, with 95 % "
        f"intervals from {result.count:,} sequences each; the line is the whole model. Lowest: {said}.",
    )


def _drawing(function: Callable[..., Figure], *arguments: Any, **options: Any) -> Callable[[Theme], Figure]:
    """Return what draws these things in a theme."""
    return lambda theme: function(*arguments, theme=theme, **options)


def _highest(curves: Mapping[Head, ScalarCurve]) -> Head:
    return max(curves, key=lambda head: float(curves[head].values[-1]))


def _least(estimates: Mapping[Head, Estimate]) -> Head:
    return min(estimates, key=lambda head: estimates[head].value)


def _head(metric: str, before: str) -> Head | None:
    """Return the layer and the head that a metric's name ends with."""
    found = re.fullmatch(re.escape(before) + r"(\d{1,6})_(\d{1,6})", metric)
    return None if found is None else (int(found[1]), int(found[2]))


def _ranked(run: Run, evaluation: str, examples: AttentionMaps) -> list[Head]:
    """Return the heads in the order of their last induction scores."""
    _, L, H, *_ = examples.attention.shape
    curves = head_curves(run, evaluation, "induction")
    last = {head: float(curve.values[-1]) for head, curve in curves.items()}
    return sorted(
        ((layer, head) for layer in range(L) for head in range(H)), key=lambda head: (-last.get(head, 0.0), head)
    )


def _ends(estimates: tuple[Estimate | None, ...]) -> str:
    known = [estimate for estimate in estimates if estimate is not None]
    return f"from {readable(known[0].value)} for the rarest to {readable(known[-1].value)} for the most frequent"


def _counts(run: Run, evaluations: list[str], *, last: bool = False) -> str:
    """Say how many sequences the points of these evaluations have."""
    results = [list(run.evaluations.get(name, {}).values())[-1 if last else 0 :] for name in evaluations]
    counts = sorted(result.count for each in results for result in each)
    return " to ".join(f"{count:,}" for count in dict.fromkeys([counts[0], counts[-1]])) if counts else "no"
