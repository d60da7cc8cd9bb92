"""An evaluation: a predictor and a stream of batches become accuracies and a loss, with intervals."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from icl_eval.results.collect import Batch, collect, first_images, joined
from icl_eval.results.estimate import Estimate
from icl_eval.results.result import Evaluation, Family, Measure, Result, some_of
from icl_eval.results.saved_arrays import Examples
from icl_eval.results.tally import CONTEXT, Ratio, Tally
from icl_eval.sequences.context_baselines import ContextBaseline
from icl_eval.sequences.label_sets import LabelSets
from icl_eval.sequences.sequence_measures import (
    CHANCE_IN_CONTEXT,
    LABELS_OF_CLASS,
    MEASURES,
    LabelLookups,
    Sequences,
    measure,
    sequence_estimates,
)

Predictor = Callable[[dict[str, Any]], Float[Array | np.ndarray, "B *S V"]]
Baseline = Callable[[dict[str, Any]], Int[Array | np.ndarray, " B"]]
OwnMeasure = tuple[Callable[[Sequences], Ratio], Measure]

NOTHING_KNOWN = LabelSets()

_measure = jax.jit(measure)


def evaluate(
    predict: Predictor,
    batches: Iterable[Batch],
    evaluation: Evaluation,
    *,
    count: int,
    examples: int = 0,
    label_sets: LabelSets = NOTHING_KNOWN,
    baselines: Mapping[str, Baseline] = {},
    measures: Mapping[str, OwnMeasure] = {},
    family: Family | None = None,
) -> Result:
    """Return the accuracies, the loss and more of a predictor on exactly `count` sequences.

    Batches go to `predict` whole, so that a jitted predictor compiles once (see `collect`).

    Args:
      predict: gives the logits [B, V] of the query, or [B, S, V] of all items. It sees the batch with the query's
        label replaced by 0: a model that reads the answer gains nothing by it. That item j < S - 1 is predicted without
        its own label, which those after it need, is the model's business.
      batches: dicts of arrays with at least `labels` [B, S], the query last; `classes` [B, S], if label sets speak of
        classes; and `images` [B, S, H, W], uint8 or floats of 0..1, if examples are wanted.
      evaluation: its name, and the possible labels.
      count: how many sequences, at least 1.
      examples: how many of the first sequences to keep in the result, at most `count`.
      label_sets: what the labels stand for in training; what it leaves out is not measured.
      baselines: by name, functions from a batch, without the query's label, to the label [B] they predict for it;
        those of `context_baselines` have their own words.
      measures: of your own, by name: a function of the batch with its logits [B, P, V], of the query (P = 1) or of all
        items, to what each sequence adds; and its words. A proportion's numerators are 0..1 of its denominators.
      family: the evaluations that this one stands with in a report.

    Returns:
      The result, with the first sequences under "examples" of its arrays, if they were asked for. Of its metrics
      `accuracy_closed`, `accuracy_open`, `loss` (nats), `calibration_error` and `accuracy_<baseline>` are always there;
      others as the sequences have something to count. The README lists them.

    Raises:
      ValueError: if the batches end early, lack a key, or hold a query's label that is not possible; if the
        logits are not of shape [B, V] or [B, S, V] with V above every possible label; or if a baseline or a measure
        gives another shape than [B], or a measure has the name of another.

    Source: Chan et al. (2022), arXiv 2205.05055, whose in-context accuracy is the closed one.

    >>> labels = np.array([[0, 1, 1], [1, 0, 0], [0, 1, 0]])
    >>> result = evaluate(lambda batch: np.eye(2)[batch["labels"][:, 1]], [{"labels": labels}],
    ...                   Evaluation("copies_last_label", range(2)), count=2)
    >>> print(result.metrics["accuracy_closed"])
    1.000 (0.342-1.000, n=2)
    """
    if count < 1 or not 0 <= examples <= count:
        raise ValueError(f"{evaluation.name}: wanted count >= 1 and examples in 0..count, got {count} and {examples}.")
    scorer = _Scorer(predict, evaluation, label_sets, baselines, measures, count=count, examples=examples)
    tally, kept = Tally.empty(), list[_Rows]()
    for scores in collect(scorer, batches, name=evaluation.name, count=count):
        tally += Tally.of(scores.measures)
        kept += [] if scores.examples is None else [scores.examples]
    words = {**MEASURES, **_words(baselines), **{name: words for name, (_, words) in measures.items()}}
    metrics = sequence_estimates(tally, words)
    return Result(
        evaluation=evaluation.name,
        metrics=metrics,
        chance=_chances(metrics, evaluation, num_labels=scorer.num_labels, tally=tally),
        measures={name: measure for name, measure in words.items() if name in metrics},
        family=family,
        arrays={"examples": Examples(**joined(kept)._asdict())} if kept else {},
    )


class _Rows(NamedTuple):
    """Of the first sequences, what `Examples` keeps."""

    images: np.ndarray
    labels: np.ndarray
    predicted_closed: Any
    predicted_open: Any


class _Scores(NamedTuple):
    """What is kept of a batch."""

    measures: dict[str, Ratio]
    examples: _Rows | None


class _Scorer:
    """From a batch, and the number of sequences before it, to what the device may still be at work on."""

    def __init__(
        self,
        predict: Predictor,
        evaluation: Evaluation,
        label_sets: LabelSets,
        baselines: Mapping[str, Baseline],
        measures: Mapping[str, OwnMeasure],
        *,
        count: int,
        examples: int,
    ) -> None:
        self._predict, self._evaluation, self._label_sets = predict, evaluation, label_sets
        self._baselines, self._measures = baselines, measures
        self._count, self._examples = count, examples
        self._lookups: LabelLookups | None = None
        self.num_labels = 0

    def __call__(self, batch: Batch, before: int) -> _Scores:
        labels, shown = _hide_answers(batch, self._evaluation, needed=self._count - before)
        logits = self._predict(shown)
        self._check(np.shape(logits), labels.shape)
        if self._lookups is None or self.num_labels != logits.shape[-1]:
            self.num_labels = int(logits.shape[-1])
            self._lookups = LabelLookups.of(self._evaluation.possible_labels, self._label_sets, self.num_labels)
        sequences = Sequences(logits[:, None] if logits.ndim == 2 else logits, labels, batch.get("classes"))
        scores, measures = _measure(sequences, self._lookups)
        measures |= {f"accuracy_{name}": self._baseline(name, shown, labels[:, -1]) for name in self._baselines}
        for name in self._measures:
            if name in measures:
                raise ValueError(
                    f"{self._evaluation.name}: there is a measure {name} already; give yours another name."
                )
            measures[name] = self._own(name, sequences)
        if (rows := self._examples - before) <= 0:
            return _Scores(measures, None)
        predicted = (scores.predicted_closed[:rows, -1], scores.predicted_open[:rows, -1])
        return _Scores(measures, _Rows(first_images(batch, rows), np.array(batch["labels"][:rows]), *predicted))

    def _baseline(self, name: str, batch: dict[str, Any], targets: Int[np.ndarray, " B"]) -> Ratio:
        predicted = self._baselines[name](batch)
        if np.shape(predicted) != targets.shape:
            raise ValueError(
                f"{self._evaluation.name}: wanted the labels [{len(targets)}] of the query from the baseline {name}, "
                f"got the shape {list(np.shape(predicted))}."
            )
        return Ratio(predicted == targets, np.ones(len(targets)))

    def _own(self, name: str, sequences: Sequences) -> Ratio:
        ratio = self._measures[name][0](sequences)
        shapes, wanted = [list(np.shape(part)) for part in ratio], [len(sequences.labels)]
        if shapes != [wanted, wanted]:
            raise ValueError(
                f"{self._evaluation.name}: wanted numerators and denominators {wanted} from the measure {name}, "
                f"got the shapes {shapes}."
            )
        return Ratio(*ratio)

    def _check(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        B, S = wanted
        if shape[:-1] not in ((B,), (B, S)) or shape[-1] <= max(self._evaluation.possible_labels):
            raise ValueError(
                f"{self._evaluation.name}: wanted the query's logits, [{B}, V], or those of all items, [{B}, {S}, V], "
                f"with V above {max(self._evaluation.possible_labels)}; predict gave the shape {list(shape)}."
            )


def _words(baselines: Mapping[str, Baseline]) -> dict[str, Measure]:
    """Return the words of the accuracies of baselines: their own, or their names."""
    words = {}
    for name, baseline in baselines.items():
        known = baseline if isinstance(baseline, ContextBaseline) else None
        words[f"accuracy_{name}"] = Measure(
            sentence=known.sentence if known else f"Baseline: the accuracy of {name}.",
            kind="proportion",
            baseline=known.title if known else name,
        )
    return words


def _hide_answers(
    batch: Batch, evaluation: Evaluation, *, needed: int
) -> tuple[Int[np.ndarray, "B S"], dict[str, Any]]:
    """Return the true labels, and the batch with the label of the query replaced by 0."""
    if "labels" not in batch:
        raise ValueError(f"{evaluation.name}: wanted a batch with 'labels' [B, S], got the keys {sorted(batch)}.")
    labels = np.asarray(batch["labels"])
    if labels.ndim != 2 or labels.shape[1] < 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"{evaluation.name}: wanted integer labels [B, S], got {labels.dtype} {labels.shape}.")
    impossible = np.setdiff1d(labels[:needed, -1], evaluation.possible_labels)
    if impossible.size:
        raise ValueError(
            f"{evaluation.name}: a query has the label {impossible[0]}, which is not among the possible "
            f"labels {some_of(evaluation.possible_labels)}; extend possible_labels or check the labelling."
        )
    shown = labels.copy()  # the caller's batch keeps its answers
    shown[:, -1] = 0
    return labels.astype(np.int32), {**batch, "labels": shown}


def _chances(
    metrics: Mapping[str, Estimate], evaluation: Evaluation, *, num_labels: int, tally: Tally
) -> dict[str, float]:
    """Return what guessing uniformly gives, for those metrics that have such a number."""
    chances = {"accuracy_closed": 1 / len(evaluation.possible_labels), "accuracy_open": 1 / num_labels}
    chances |= {f"{CONTEXT}{name}": chance for name, chance in chances.items()}
    if (in_context := tally.value(CHANCE_IN_CONTEXT)) is not None:
        chances["accuracy_in_context"] = in_context
    labels = tally.value(LABELS_OF_CLASS)
    if labels is not None:
        chances["accuracy_any_label"] = labels / num_labels
        chances["accuracy_closed_any_label"] = labels / len(evaluation.possible_labels)
    else:
        chances |= dict.fromkeys((name for name in metrics if "_decile_" in name), 1 / num_labels)
    return {name: chance for name, chance in chances.items() if name in metrics}
