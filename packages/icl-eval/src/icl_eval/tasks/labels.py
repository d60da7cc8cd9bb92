"""The evaluation of in-context classifiers: how well they label an item after 0, 1, 2, ... labelled examples."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, Shaped

from icl_eval.checks import check_whole
from icl_eval.results.collect import Batch, as_array, as_shaped, baseline_tasks, check_function, collect, joined, wanted
from icl_eval.results.curve import ScalarCurve
from icl_eval.results.estimate import Estimate, mean, proportion, task_proportion
from icl_eval.results.own_measures import OwnMeasure, check_own, own_estimates, own_ratios, own_words
from icl_eval.results.result import Family, Measure, Result, check_name, words_of_baselines
from icl_eval.results.saved_arrays import MODEL, ShotCurves
from icl_eval.results.tally import Ratio
from icl_eval.sequences.measures import cross_entropy, predicted_label
from icl_eval.tasks.shots import accuracy_by_shots, improvement, last_window

LabelPredictor = Callable[[dict[str, Any]], Float[Array | np.ndarray, "B P V"]]
LabelBaseline = Callable[
    [Num[np.ndarray, "B S X"], Int[np.ndarray, "B S"], tuple[int, ...]], Int[Array | np.ndarray, "B P"]
]


def evaluate_labels(
    predict: LabelPredictor,
    batches: Iterable[Batch],
    *,
    name: str,
    count: int,
    num_labels: int,
    window: int | None = None,
    baselines: Mapping[str, LabelBaseline] = {},
    measures: Mapping[str, OwnMeasure] = {},
    baseline_positions: Sequence[int] | None = None,
    baseline_count: int | None = None,
    family: Family | None = None,
) -> Result:
    """Return the accuracies of a classifier on exactly `count` tasks, at every item that it predicts.

    Item j is to be predicted from items 0..j and the labels of items 0..j-1, so it has seen j examples. Labels
    stay in the batch, because the model needs those before j; that it does not look at the label of j itself is
    the model's business. Only the last label, which nobody needs, is replaced by 0. Batches go to `predict`
    whole, so that a jitted predictor compiles once.

    Where batches have `shown_labels`, the model and the baselines see these in place of `labels`, by which they are
    graded: with noise in the labels of the context, the true ones are asked for.

    The predicted label is the arg-max over the first `num_labels` logits, the lowest of equals; the loss is over all V.
    "Last" is the mean over the last `window` predicted items.

    Args:
      predict: gives the logits [B, P, V] of the last P items: P = S normally, P = 1 for a model that predicts
        the query alone. V is at least `num_labels`.
      batches: dicts with `labels` int [B, S], each in 0..num_labels-1, perhaps `shown_labels` like them, and `items`
        [B, S, X] for baselines.
      name: of the evaluation, such as `seen_tasks`: letters, digits, _ and -.
      count: how many tasks, at least 1.
      num_labels: how many labels a task has; chance is 1 / num_labels.
      window: how many items are the last ones, in 1..P; an eighth of P and at least 1 if not given.
      baselines: by name, functions of (items, labels, positions) that give the predicted label of the item at
        each position from the items and labels before it; a position is the item's number, 0..S-1.
      measures: of your own, by name: a function of (logits, batch), the batch with its answers, to a number for each
        task, [B], or item, [B, P]; and its words. See `OwnMeasure`.
      baseline_positions: where baselines predict, increasing, at least one of the last `window` items among them;
        every item that the model predicts if not given.
      baseline_count: the baselines see only the first so many tasks; all if not given.
      family: the evaluations that this one stands with in a report.

    Returns:
      The result; under "shots" of its arrays are the accuracies by number of examples of the model (on all `count`
      tasks) and the baselines. Its metrics, with intervals over tasks: `accuracy_last`; `loss` (nats, mean over the
      predicted items); `accuracy_last_<baseline>` (over those of the last items where it predicted); and if the model
      predicts all of two or more items `accuracy_first` (without examples) and `improvement` (last minus first,
      paired).

    Raises:
      ValueError: if the batches end early, lack a key, have other shapes or labels beyond `num_labels`; if a
        prediction has a wrong shape; if the window, the positions or a count make no sense.

    Source: Kirsch et al. (2022), arXiv 2212.04458.

    >>> labels = np.array([[1, 1, 1, 1], [0, 0, 0, 0]])
    >>> copies_the_label_before = lambda batch: np.eye(2)[np.roll(batch["labels"], 1, axis=1)]
    >>> result = evaluate_labels(
    ...     copies_the_label_before, [{"labels": labels}], name="seen_tasks", count=2, num_labels=2)
    >>> result.arrays["shots"].curves["model"].values
    array([0.5, 1. , 1. , 1. ])
    """
    check_name(name)
    check_whole(f"{name}: num_labels", num_labels, least=1)
    check_function(predict, name=f"{name}: predict")
    words = _words(baselines)
    check_own(measures, words, name=name)
    scorer = _Scorer(
        predict=predict,
        name=name,
        count=count,
        num_labels=num_labels,
        window=window,
        baselines=baselines,
        own=measures,
        positions=baseline_positions,
        baseline_count=baseline_tasks(baselines, baseline_count, name=name, count=count),
    )
    scores = joined(collect(scorer, batches, name=name, count=count, unit="tasks"))
    metrics, curves = _summarised(scores, scorer)
    return Result(
        evaluation=name,
        metrics=metrics | own_estimates(measures, scores.own),
        chance={metric: 1 / num_labels for metric in metrics if metric.startswith("accuracy_")},
        measures=words | own_words(measures),
        unit="tasks",
        family=family,
        arrays={"shots": ShotCurves(measure="accuracy", curves=curves, count=count)},
    )


def _summarised(scores: "_Scores", scorer: "_Scorer") -> tuple[dict[str, Estimate], dict[str, ScalarCurve]]:
    """Return the metrics and curves of the scores of all tasks."""
    ((S, P),) = scorer.sizes
    window, chance = last_window(P, scorer.window), 1 / scorer.num_labels
    correct, loss = np.asarray(scores.correct), np.asarray(scores.loss)
    metrics = {"accuracy_last": task_proportion(correct[:, -window:]), "loss": mean(loss.mean(axis=1))}
    if P == S > 1:
        metrics["accuracy_first"] = proportion(int(correct[:, 0].sum()), len(correct))
        metrics["improvement"] = improvement(correct, window=window)
    curves = {MODEL: accuracy_by_shots(correct, examples=np.arange(S - P, S), chance=chance)}
    positions = np.array(_positions(scorer.positions, (S, P), window=window, name=scorer.name))
    for each in scorer.baselines:  # a tree's own order is by name
        found = scores.baselines[each]
        metrics[f"accuracy_last_{each}"] = task_proportion(found[:, positions >= S - window])
        curves[each] = accuracy_by_shots(found, examples=positions, chance=chance)
    return metrics, curves


def _words(baselines: Collection[str]) -> dict[str, Measure]:
    """Return what each metric is."""
    after = "Accuracy after all examples of a task (the mean of the last positions)."
    return {
        "accuracy_last": Measure(sentence=after, kind="proportion"),
        "accuracy_first": Measure(sentence="Accuracy before any example of a task.", kind="proportion"),
        "improvement": Measure(sentence="accuracy_last less accuracy_first.", kind="mean"),
        "loss": Measure(sentence="Cross-entropy in nats.", kind="mean"),
    } | words_of_baselines(
        "accuracy_last", baselines, sentence="accuracy_last of a baseline on the same examples.", kind="proportion"
    )


class _Scores(NamedTuple):
    """What is kept of a batch: a row per task, fewer for baselines once theirs are done."""

    correct: Bool[Array | np.ndarray, "B P"]
    loss: Float[Array | np.ndarray, "B P"]
    baselines: Mapping[str, Bool[np.ndarray, "R Q"]]
    own: Mapping[str, Ratio]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scorer:
    """From a batch, and the number of tasks before it, to its scores. The fields are as in `evaluate_labels`."""

    predict: LabelPredictor
    name: str
    count: int
    num_labels: int
    window: int | None
    baselines: Mapping[str, LabelBaseline]
    own: Mapping[str, OwnMeasure]
    positions: Sequence[int] | None
    baseline_count: int
    sizes: set[tuple[int, int]] = dataclasses.field(default_factory=set)  # S and P of the batches so far

    def __call__(self, batch: Batch, before: int) -> _Scores:
        shown = {"shown_labels": "B S"} if "shown_labels" in batch else {}
        keys = {"labels": "B S"} | shown | ({"items": "B S X"} if self.baselines else {})
        arrays = dict(zip(keys, wanted(batch, keys, name=self.name), strict=True))
        labels, needed = arrays["shown_labels" if shown else "labels"], self.count - before
        targets = _hide_last(arrays["labels"], name=self.name, num_labels=self.num_labels, needed=needed)
        if shown:
            _hide_last(labels, name=self.name, num_labels=self.num_labels, needed=needed)
        seen = {**batch, **dict.fromkeys(("labels", *shown), labels)}
        logits = as_array(self.predict(seen), name=self.name, who="predict")
        S, P = _sizes(logits.shape, targets, name=self.name, num_labels=self.num_labels)
        self.sizes.add((S, P))
        if len(self.sizes) > 1:
            raise ValueError(f"{self.name}: wanted tasks of one size, got (items, predicted) {sorted(self.sizes)}.")
        positions = _positions(self.positions, (S, P), window=last_window(P, self.window), name=self.name)
        correct, loss = _score(jnp.asarray(logits), jnp.asarray(targets[:, S - P :]), num_labels=self.num_labels)
        rows = slice(max(0, self.baseline_count - before))
        found = {
            each: self._baseline(each, arrays["items"][rows], labels[rows], positions, targets[rows])
            for each in self.baselines
        }
        own = own_ratios(self.own, logits, batch, count=len(labels), name=self.name)
        return _Scores(correct, loss, found, own)

    def _baseline(
        self,
        each: str,
        items: Num[np.ndarray, "B S X"],
        labels: Int[np.ndarray, "B S"],
        positions: tuple[int, ...],
        targets: Int[np.ndarray, "B S"],
    ) -> Bool[np.ndarray, "B Q"]:
        """Return whether a baseline is right at each of its positions."""
        if not len(items):  # the tasks of baselines are done
            return np.zeros((0, len(positions)), bool)
        asked = (len(items), len(positions))
        found = self.baselines[each](items, labels, positions)
        predicted = np.asarray(as_shaped(found, asked, name=f"{self.name}: {each}", who="the baseline"))
        return predicted == targets[:, list(positions)]


@functools.partial(jax.jit, static_argnames="num_labels")
def _score(
    logits: Float[Array, "B P V"], targets: Int[Array, "B P"], *, num_labels: int
) -> tuple[Bool[Array, "B P"], Float[Array, "B P"]]:
    """Return whether each prediction is right, and its cross-entropy."""
    B, P, V = logits.shape
    flat, right = logits.reshape(B * P, V), targets.reshape(B * P)
    correct = predicted_label(flat, jnp.arange(V) < num_labels) == right
    return correct.reshape(B, P), cross_entropy(flat, right).reshape(B, P)


def _hide_last(labels: Shaped[np.ndarray, "B S"], *, name: str, num_labels: int, needed: int) -> Int[np.ndarray, "B S"]:
    """Return labels as they are, after replacing the last one of each task in `labels` itself."""
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name}: wanted integer labels [B, S], got {labels.dtype} {list(labels.shape)}.")
    beyond = np.setdiff1d(labels[:needed], np.arange(num_labels))
    if beyond.size:
        raise ValueError(
            f"{name}: an item has the label {beyond[0]}, wanted 0..{num_labels - 1}; "
            "pass the right num_labels or check the labelling."
        )
    targets = labels.astype(np.int32)
    labels[:, -1] = 0
    return targets


def _sizes(shape: tuple[int, ...], targets: Int[np.ndarray, "B S"], *, name: str, num_labels: int) -> tuple[int, int]:
    """Return the number of items and of predicted items, S and P."""
    B, S = targets.shape
    if len(shape) != 3 or shape[0] != B or not 1 <= shape[1] <= S or shape[2] < num_labels:
        raise ValueError(
            f"{name}: wanted the logits of the last P items, [{B}, P, V] with P in 1..{S} and V at least {num_labels}; "
            f"predict gave the shape {list(shape)}."
        )
    return S, shape[1]


def _positions(chosen: Sequence[int] | None, sizes: tuple[int, int], *, window: int, name: str) -> tuple[int, ...]:
    """Return the numbers of the items that baselines predict, after checking them."""
    S, P = sizes
    positions = tuple(range(S - P, S)) if chosen is None else tuple(chosen)
    for position in positions:
        check_whole(f"{name}: each of baseline_positions", position, least=0)
    if list(positions) != sorted(set(positions)) or not positions or positions[-1] >= S:
        raise ValueError(f"{name}: wanted increasing baseline_positions in 0..{S - 1}, got {list(positions)}.")
    if positions[-1] < S - window:
        raise ValueError(
            f"{name}: wanted at least one of the last {window} items among the baseline_positions, which end at "
            f"{positions[-1]}; add {S - 1}."
        )
    return positions
