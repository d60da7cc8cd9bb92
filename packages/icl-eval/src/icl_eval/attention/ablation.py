"""Ablation: which attention heads in-context and in-weights learning need, by removing one at a time."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from icl_eval.checks import check_whole
from icl_eval.results.collect import Batch
from icl_eval.results.estimate import Estimate
from icl_eval.results.own_measures import OwnMeasure
from icl_eval.results.result import Evaluation, Measure, Result
from icl_eval.sequences.evaluate import NOTHING_KNOWN, Predictor, evaluate
from icl_eval.sequences.label_sets import LabelSets

PredictKeeping = Callable[[dict[str, Any], Float[np.ndarray, "L H"]], Float[Array | np.ndarray, "B V"]]
Headline = tuple[Evaluation, Callable[[], Iterable[Batch]], str]


def ablate_heads(
    predict: PredictKeeping,
    evaluations: Mapping[str, Headline],
    *,
    layers: int,
    heads: int,
    count: int,
    label_sets: LabelSets = NOTHING_KNOWN,
    measures: Mapping[str, OwnMeasure] = {},
) -> Result:
    """Return what is left of a model's measures without each attention head in turn, on the same sequences.

    The batches of one evaluation at a time are drawn once and stay in memory: `count` sequences, rounded up to whole
    batches (10,000 sequences of nine 28 x 28 bytes are 71 MB).

    Args:
      predict: gives the logits [B, V] of the query with the output of head H of layer L multiplied by keep[L, H],
        float32: 1 keeps it, 0 removes it.
      evaluations: by headline (`icl`, `iwl`): the evaluation, what makes its batches anew, and the metric to take.
      layers: L.
      heads: H, in each layer.
      count: how many sequences of each evaluation.
      label_sets: what the labels stand for, if the metrics need that.
      measures: of your own, of which a metric may be one; see `evaluate`.

    Returns:
      The result `ablated_heads`: for each headline its metric with nothing removed (`icl`), and without head H of
      layer L, both from 0 (`icl_without_0_3`). Chance is the metric's, where it has one.

    Raises:
      ValueError: if there are no evaluations, layers or heads; if an evaluation has no such metric; or if `evaluate`
        refuses the batches or the logits.

    Source: Olsson et al. (2022), arXiv 2209.11895, ablations; Singh et al. (2024), arXiv 2404.07129.

    >>> batches = [{"labels": np.array([[0, 0], [1, 1]])}]
    >>> def copies_if_kept(batch, keep):
    ...     return np.eye(2)[batch["labels"][:, 0]] * keep[0, 1]
    >>> result = ablate_heads(
    ...     copies_if_kept, {"icl": (Evaluation("copy", range(2)), lambda: batches, "accuracy_closed")},
    ...     layers=1, heads=2, count=2)
    >>> {name: estimate.value for name, estimate in result.metrics.items()}
    {'icl': 1.0, 'icl_without_0_0': 1.0, 'icl_without_0_1': 0.5}
    """
    check_whole("layers", layers, least=1)
    check_whole("heads", heads, least=1)
    check_whole("count", count, least=1)
    if not evaluations:
        raise ValueError("Wanted at least one evaluation, such as 'icl', got none.")
    metrics: dict[str, Estimate] = {}
    chance: dict[str, float] = {}
    words: dict[str, Measure] = {}
    for headline, (evaluation, make_batches, metric) in evaluations.items():
        batches = _enough(make_batches(), count)
        for suffix, keep in _removals(layers, heads):
            result = evaluate(
                _keeping(predict, keep), batches, evaluation, count=count, label_sets=label_sets, measures=measures
            )
            if metric not in result.metrics:
                raise ValueError(
                    f"{headline}: wanted one of the metrics {', '.join(result.metrics)} of {evaluation.name}, "
                    f"got {metric!r}."
                )
            metrics[headline + suffix] = result.metrics[metric]
            words[headline + suffix] = _words(metric, evaluation, result, is_whole=not suffix)
            if metric in result.chance:
                chance[headline + suffix] = result.chance[metric]
    return Result(evaluation="ablated_heads", metrics=metrics, chance=chance, measures=words)


def _keeping(predict: PredictKeeping, keep: Float[np.ndarray, "L H"]) -> Predictor:
    return lambda batch: predict(batch, keep)


def _words(metric: str, evaluation: Evaluation, result: Result, *, is_whole: bool) -> Measure:
    kind = result.measures[metric].kind if metric in result.measures else "mean"
    if is_whole:
        return Measure(sentence=f"{metric} of {evaluation.name}, with all attention heads.", kind=kind)
    sentence = "The measure when head H in layer L is removed."
    return Measure(sentence=sentence, kind=kind, shown="…_without_L_H", detail=True)


def _removals(layers: int, heads: int) -> Iterator[tuple[str, Float[np.ndarray, "L H"]]]:
    """Yield what to keep, and how metrics are named for it: everything first, then all but each head."""
    yield "", np.ones((layers, heads), np.float32)
    for layer, head in itertools.product(range(layers), range(heads)):
        keep = np.ones((layers, heads), np.float32)
        keep[layer, head] = 0
        yield f"_without_{layer}_{head}", keep


def _enough(batches: Iterable[Batch], count: int) -> list[Batch]:
    """Return the first batches that hold `count` sequences together, or all there are."""
    drawn: list[Batch] = []
    taken = 0
    for batch in batches:
        drawn.append(batch)
        # What lacks labels is for evaluate to refuse.
        taken += len(batch["labels"]) if "labels" in batch else count
        if taken >= count:
            break
    return drawn
