"""An evaluation: a predictor and a stream of batches become accuracies and a loss, with intervals."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from icl_eval.checks import check_whole
from icl_eval.results.collect import Batch, as_array, as_shaped, check_function, collect, first_images, joined
from icl_eval.results.estimate import Estimate
from icl_eval.results.own_measures import OwnMeasure, check_own, own_ratios, own_words
from icl_eval.results.result import Evaluation, Family, Measure, Result, some_of
from icl_eval.results.saved_arrays import Examples
from icl_eval.results.tally import CONTEXT, Ratio, Tally
from icl_eval.sequences.context_baselines import ContextBaseline
from icl_eval.sequences.label_sets import LabelSets
from icl_eval.sequences.measures import Scores
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

NOTHING_KNOWN = LabelSets()


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
      measures: of your own, by name: a function of (logits, batch), the batch with its answers, to a number for each
        sequence or item; and its words. See `OwnMeasure`.
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
    words = {**MEASURES, **_words(baselines)}
    check_own(measures, words, name=getattr(evaluation, "name", ""))
    scorer = _Scorer(
        predict=predict,
        evaluation=evaluation,
        count=count,
        examples=examples,
        label_sets=label_sets,
        baselines=baselines,
        own=measures,
    )
    tally, kept = Tally.empty(), list[dict[str, Any]]()
    for scores in collect(scorer, batches, name=evaluation.name, count=count):
        tally += Tally.of(scores.ratios())
        kept += [] if scores.examples is None else [scores.examples]
    words |= own_words(measures)
    metrics = sequence_estimates(tally, words)
    return Result(
        evaluation=evaluation.name,
        metrics=metrics,
        chance=_chances(metrics, evaluation, num_labels=scorer.num_labels, tally=tally),
        measures=words,
        family=family,
        arrays={"examples": Examples(**joined(kept))} if kept else {},
    )


@functools.partial(jax.tree_util.register_dataclass, data_fields=("parts",), meta_fields=("names",))
@dataclasses.dataclass(frozen=True)
class _Measured:
    """What each sequence adds to measures, in one array: a hundred small ones take long to fetch."""

    parts: Float[Array | np.ndarray, "B 2 M"]
    names: tuple[str, ...]


class _Scores(NamedTuple):
    """What is kept of a batch, of the first sequences also what `Examples` wants."""

    measured: _Measured
    asked: Int[np.ndarray, " B"]  # the labels of the queries
    baselines: dict[str, Int[Array | np.ndarray, " B"]]
    own: dict[str, Ratio]
    examples: dict[str, Any] | None

    def ratios(self) -> dict[str, Ratio]:
        """Return what each sequence adds to each measure, by name and in its order, once the arrays are fetched."""
        numerators, denominators = np.moveaxis(np.asarray(self.measured.parts), 1, 0)
        ratios = {
            name: Ratio(numerators[:, place], denominators[:, place]) for place, name in enumerate(self.measured.names)
        }
        right = {f"accuracy_{each}": predicted == self.asked for each, predicted in self.baselines.items()}
        ratios |= {name: Ratio(values, np.ones(len(values))) for name, values in right.items()}
        return dict(sorted((ratios | self.own).items()))


@jax.jit
def _measure(sequences: Sequences, lookups: LabelLookups) -> tuple[Scores, _Measured]:
    scores, measures = measure(sequences, lookups)
    parts = jnp.stack([jnp.stack(ratio, axis=1) for ratio in measures.values()], axis=2)
    return scores, _Measured(parts, tuple(measures))


@dataclasses.dataclass(kw_only=True)
class _Scorer:
    """From a batch, and the number of sequences before it, to what the device may still be at work on.

    The fields are as in `evaluate`, but for what the output turned out to have: its labels, and what they stand for.
    """

    predict: Predictor
    evaluation: Evaluation
    count: int
    examples: int
    label_sets: LabelSets
    baselines: Mapping[str, Baseline]
    own: Mapping[str, OwnMeasure]
    num_labels: int = 0
    lookups: LabelLookups | None = None

    def __post_init__(self) -> None:
        """Check what was asked for."""
        if not isinstance(self.evaluation, Evaluation):
            raise TypeError(f"Wanted an Evaluation(name, possible_labels), got {self.evaluation!r}.")
        name = self.evaluation.name
        check_whole(f"{name}: count", self.count, least=1)
        check_function(self.predict, name=f"{name}: predict")
        for each, baseline in self.baselines.items():
            check_function(baseline, name=f"{name}: the baseline {each}")
        if not 0 <= self.examples <= self.count:
            raise ValueError(f"{name}: wanted examples in 0..{self.count}, got {self.examples}.")

    def __call__(self, batch: Batch, before: int) -> _Scores:
        name, possible = self.evaluation.name, self.evaluation.possible_labels
        labels, shown = _hide_answers(batch, self.evaluation, needed=self.count - before)
        logits = as_array(self.predict(shown), name=name, who="predict")
        _check_logits(logits.shape, labels.shape, self.evaluation)
        if self.lookups is None or self.num_labels != logits.shape[-1]:
            self.num_labels = int(logits.shape[-1])
            self.lookups = jax.device_put(LabelLookups.of(possible, self.label_sets, self.num_labels))
        classes = _classes(batch, labels.shape, name=name)
        scores, measured = _measure(Sequences(logits, labels, classes), self.lookups)
        baselines = {
            each: as_shaped(baseline(shown), (len(labels),), name=name, who=f"the baseline {each}")
            for each, baseline in self.baselines.items()
        }
        own = own_ratios(self.own, logits, batch, count=len(labels), name=name)
        of_first = None
        if (rows := self.examples - before) > 0:
            of_first = {
                "images": first_images(batch, rows),
                "labels": np.asarray(batch["labels"][:rows]),
                "predicted_closed": scores.predicted_closed[:rows, -1],
                "predicted_open": scores.predicted_open[:rows, -1],
            }
        return _Scores(measured, labels[:, -1], baselines, own, of_first)


def _check_logits(shape: tuple[int, ...], of_labels: tuple[int, ...], evaluation: Evaluation) -> None:
    (B, S), highest = of_labels, max(evaluation.possible_labels)
    if shape[:-1] not in ((B,), (B, S)) or shape[-1] <= highest:
        raise ValueError(
            f"{evaluation.name}: wanted the query's logits, [{B}, V], or those of all items, [{B}, {S}, V], with V "
            f"above {highest}; predict gave the shape {list(shape)}."
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


def _classes(batch: Batch, of_labels: tuple[int, ...], *, name: str) -> Int[np.ndarray, "B S"] | None:
    if "classes" not in batch:
        return None
    classes = np.asarray(batch["classes"])
    if classes.shape != of_labels or classes.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: wanted integer classes {list(of_labels)}, as the labels are, got {classes.dtype} "
            f"{list(classes.shape)}; leave them out if they are not known."
        )
    return classes


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
