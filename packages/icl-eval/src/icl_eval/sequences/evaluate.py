"""An evaluation: a predictor and a stream of batches become accuracies and a loss, with intervals."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from icl_eval.results.collect import Batch
from icl_eval.results.estimate import Estimate
from icl_eval.results.result import Evaluation, Result, _some
from icl_eval.results.saved_arrays import Examples
from icl_eval.results.tally import CONTEXT, Fraction, Tally
from icl_eval.sequences.label_sets import LabelSets
from icl_eval.sequences.measures import Scores
from icl_eval.sequences.sequence_measures import CHANCE_IN_CONTEXT, LABELS_OF_CLASS, Lookups, Sequences, measure

Predictor = Callable[[dict[str, Any]], Float[Array | np.ndarray, "B *S V"]]
Baseline = Callable[[dict[str, Any]], Int[Array | np.ndarray, " B"]]

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
) -> Result:
    """Evaluate a predictor on exactly `count` sequences.

    Batches go to `predict` whole, so that a jitted predictor compiles once; the surplus rows of the last
    one are dropped from the results. No batch is drawn beyond those needed. The scores of a batch are
    fetched only after the next one was dispatched, so a device is kept busy.

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
      baselines: by name, functions from a batch, without the query's label, to the label [B] they predict for it.

    Returns:
      The result. Of its metrics `accuracy_closed`, `accuracy_open`, `loss` (nats), `calibration_error` and
      `accuracy_<baseline>` are always there; others as the sequences have something to count. The README lists them.

    Raises:
      ValueError: if the batches end early, lack a key, or hold a query's label that is not possible;
        or if the logits are not of shape [B, V] or [B, S, V] with V above every possible label.

    >>> labels = np.array([[0, 1, 1], [1, 0, 0], [0, 1, 0]])
    >>> result = evaluate(lambda batch: np.eye(2)[batch["labels"][:, 1]], [{"labels": labels}],
    ...                   Evaluation("copies_last_label", range(2)), count=2)
    >>> print(result.metrics["accuracy_closed"])
    1.000 (0.342-1.000, n=2)
    """
    if count < 1 or not 0 <= examples <= count:
        raise ValueError(f"{evaluation.name}: wanted count >= 1 and examples in 0..count, got {count} and {examples}.")
    scorer = _Scorer(predict, evaluation, label_sets, baselines)
    tally, kept, taken = Tally.empty(), list[tuple[Batch, Scores]](), 0
    waiting: tuple[Batch, Any, int] | None = None  # the batch whose scores the device still makes

    def collect() -> None:
        nonlocal tally
        if waiting is not None:
            batch, made, first = waiting
            scores, measures = jax.device_get(made)
            tally += Tally.of(measures, first=first, count=count - first)
            if first < examples:
                kept.append((batch, scores))

    for batch in batches:
        made = scorer(batch, needed=count - taken)
        collect()
        waiting = batch, made, taken
        taken += len(batch["labels"])
        if taken >= count:
            break
    if taken < count:
        raise ValueError(
            f"{evaluation.name}: wanted {count} sequences, but the batches ended after {taken}; "
            f"pass more batches (a repeating stream, say) or count={taken}."
        )
    collect()
    metrics = tally.estimates()
    return Result(
        evaluation=evaluation.name,
        metrics=metrics,
        chance=_chances(metrics, evaluation, num_labels=scorer.num_labels, tally=tally),
        examples=_examples(kept, examples) if examples else None,
    )


class _Scorer:
    """From a batch to its scores and measures, which the device may still be at work on."""

    def __init__(
        self, predict: Predictor, evaluation: Evaluation, label_sets: LabelSets, baselines: Mapping[str, Baseline]
    ) -> None:
        self._predict, self._evaluation, self._label_sets, self._baselines = predict, evaluation, label_sets, baselines
        self._lookups: Lookups | None = None
        self.num_labels = 0

    def __call__(self, batch: Batch, *, needed: int) -> tuple[Scores, dict[str, Fraction]]:
        labels, shown = _hide_answers(batch, self._evaluation, needed=needed)
        logits = self._predict(shown)
        self._check(np.shape(logits), labels.shape)
        if self._lookups is None or self.num_labels != logits.shape[-1]:
            self.num_labels = int(logits.shape[-1])
            self._lookups = Lookups.of(self._evaluation.possible_labels, self._label_sets, self.num_labels)
        logits = logits[:, None] if logits.ndim == 2 else logits
        classes = batch.get("classes")
        scores, measures = _measure(Sequences(logits, labels, classes), self._lookups)
        guessed = {f"accuracy_{name}": self._baseline(name, shown, labels[:, -1]) for name in self._baselines}
        return scores, measures | guessed

    def _baseline(self, name: str, batch: dict[str, Any], targets: Int[np.ndarray, " B"]) -> Fraction:
        predicted = self._baselines[name](batch)
        if np.shape(predicted) != targets.shape:
            raise ValueError(
                f"{self._evaluation.name}: wanted the labels [{len(targets)}] of the query from the baseline {name}, "
                f"got the shape {list(np.shape(predicted))}."
            )
        return Fraction(predicted == targets, np.ones(len(targets)))

    def _check(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
        B, S = wanted
        if shape[:-1] not in ((B,), (B, S)) or shape[-1] <= max(self._evaluation.possible_labels):
            raise ValueError(
                f"{self._evaluation.name}: wanted the query's logits, [{B}, V], or those of all items, [{B}, {S}, V], "
                f"with V above {max(self._evaluation.possible_labels)}; predict gave the shape {list(shape)}."
            )


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
            f"labels {_some(evaluation.possible_labels)}; extend possible_labels or check the labelling."
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
    if (in_context := tally.hidden(CHANCE_IN_CONTEXT)) is not None:
        chances["accuracy_in_context"] = in_context
    labels = tally.hidden(LABELS_OF_CLASS)
    if labels is not None:
        chances["accuracy_any_label"] = labels / num_labels
        chances["accuracy_closed_any_label"] = labels / len(evaluation.possible_labels)
    else:
        chances |= dict.fromkeys((name for name in metrics if "_decile_" in name), 1 / num_labels)
    return {name: chance for name, chance in chances.items() if name in metrics}


def _examples(kept: Sequence[tuple[Batch, Scores]], count: int) -> Examples:
    """Put the first `count` sequences of the kept batches beside their predictions."""
    if any("images" not in batch for batch, _ in kept):
        raise ValueError(
            f"Examples want 'images' uint8 [B, S, H, W] in a batch, got the keys {sorted(kept[0][0])}; "
            "add them or pass examples=0."
        )
    return Examples(
        images=_to_uint8(np.concatenate([np.asarray(batch["images"]) for batch, _ in kept])[:count]),
        labels=np.concatenate([np.asarray(batch["labels"]) for batch, _ in kept])[:count],
        predicted_closed=np.concatenate([scores.predicted_closed[:, -1] for _, scores in kept])[:count],
        predicted_open=np.concatenate([scores.predicted_open[:, -1] for _, scores in kept])[:count],
    )


def _to_uint8(images: Shaped[np.ndarray, "K S H W"]) -> Shaped[np.ndarray, "K S H W"]:
    """Make grey levels of floats; noise beyond 0..1 is cut off."""
    return np.round(images.clip(0, 1) * 255).astype(np.uint8) if images.dtype.kind == "f" else images
