"""The evaluation of in-context regressors: how well they fill in the query points of functions."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from icl_eval.checks import check_whole
from icl_eval.results.collect import Batch, as_shaped, baseline_tasks, check_function, collect, joined, wanted
from icl_eval.results.estimate import Estimate, mean, ratio
from icl_eval.results.own_measures import OwnMeasure, check_own, own_estimates, own_ratios, own_words
from icl_eval.results.result import Family, Measure, Result, check_name, words_of_baselines
from icl_eval.results.saved_arrays import MODEL, ShotCurves
from icl_eval.results.tally import Ratio
from icl_eval.tasks.shots import mean_by_shots

FunctionPredictor = Callable[[dict[str, Any]], Float[Array | np.ndarray, "B N Y"]]
FunctionBaseline = Callable[
    [Float[np.ndarray, "B N X"], Float[np.ndarray, "B N Y"], Bool[np.ndarray, "B N"]],
    Float[Array | np.ndarray, "B N Y"],
]


def evaluate_functions(
    predict: FunctionPredictor,
    batches: Iterable[Batch],
    *,
    name: str,
    count: int,
    baselines: Mapping[str, FunctionBaseline] = {},
    measures: Mapping[str, OwnMeasure] = {},
    context_sizes: Sequence[int] = (),
    baseline_count: int | None = None,
    family: Family | None = None,
) -> Result:
    """Return the squared errors of a regressor on exactly `count` tasks, at their query points.

    Whoever predicts sees the targets of query points as 0. Batches go to `predict` whole, and those of all context
    sizes have one shape, so that a jitted predictor compiles once.

    For a context of c points those beyond the first c (in the order of the arrays) become query points too; the
    score is still taken at the task's own queries alone, so that all sizes are measured at the same points. Targets
    that were standardised by the whole context tell of its mean and spread at every size.

    Args:
      predict: gives values [B, N, Y]; those of context points are ignored.
      batches: dicts with `inputs` [B, N, X], `targets` [B, N, Y] and `is_query` bool [B, N], at least one query in
        each task.
      name: of the evaluation, such as `seen_tasks`: letters, digits, _ and -.
      count: how many tasks, at least 1.
      baselines: by name, functions of (inputs, targets, is_query) that give values [B, N, Y].
      measures: of your own, by name: a function of (values, batch), the values [B, N, Y] predicted from the full
        context and the batch with all its targets, to a number for each task, [B]; and its words. See `OwnMeasure`.
      context_sizes: numbers of context points, increasing, from 0 to what the tasks have; the full context is always
        the last one measured, named or not. Wants tasks with equally many context points.
      baseline_count: the baselines see only the first so many tasks; all if not given.
      family: the evaluations that this one stands with in a report.

    Returns:
      The result; under "shots" of its arrays is the squared error by number of context points, of the model and the
      baselines. Its metrics, with intervals over tasks:
      `squared_error`, the mean over tasks of the mean over queries and outputs, on all `count` tasks;
      `squared_error_<baseline>`, the same on the first `baseline_count`;
      `normalised_error`, the squared errors of all tasks divided by those of the best constant of each task (the mean
      of its query targets): 0 is perfect and 1 no better than that constant; NaN if all of them are constant;
      `normalised_error_first`, the same with an empty context, if 0 is the smallest context size.
      Without context_sizes the curves have one point, at the mean number of context points.

    Raises:
      ValueError: if the batches end early, lack a key, have other shapes or a task without query points; if a
        prediction has a wrong shape; if context sizes or counts make no sense or the tasks' contexts differ in size.

    Source: the normalised error is 1 - R^2, pooled over tasks.

    >>> batch = {"inputs": np.zeros((1, 3, 1)), "targets": np.array([[[2.0], [1.0], [3.0]]]),
    ...          "is_query": np.array([[False, True, True]])}
    >>> result = evaluate_functions(
    ...     lambda batch: np.zeros((1, 3, 1)), [batch], name="lines", count=1,
    ...     baselines={"constant": lambda inputs, targets, is_query: targets[:, :1].repeat(3, axis=1)})
    >>> [result.metrics[name].value for name in ("squared_error", "squared_error_constant", "normalised_error")]
    [5.0, 1.0, 5.0]
    """
    check_name(name)
    asked = tuple(context_sizes)
    for size in asked:
        check_whole(f"{name}: each of context_sizes", size, least=0)
    if list(asked) != sorted(set(asked)):
        raise ValueError(f"{name}: wanted increasing context_sizes of 0 or more, got {list(asked)}.")
    check_function(predict, name=f"{name}: predict")
    words = _words(baselines)
    check_own(measures, words, name=name)
    scorer = _Scorer(
        predict=predict,
        name=name,
        count=count,
        baselines=baselines,
        own=measures,
        context_sizes=asked,
        baseline_count=baseline_tasks(baselines, baseline_count, name=name, count=count),
    )
    scores = joined(collect(scorer, batches, name=name, count=count, unit="tasks"))
    # Without context sizes the tasks may differ in theirs; with them the last size is the same for all.
    sizes = np.array(sorted({*asked, int(scores.context[0])}) if asked else [scores.context.mean()])
    errors = {MODEL: np.asarray(scores.errors)} | {each: scores.baselines[each] for each in baselines}
    metrics = {"squared_error": mean(errors[MODEL][:, -1]), "normalised_error": _normalised(scores, -1)}
    if asked and asked[0] == 0:
        metrics["normalised_error_first"] = _normalised(scores, 0)
    metrics |= {f"squared_error_{each}": mean(scores.baselines[each][:, -1]) for each in baselines}
    metrics |= own_estimates(measures, scores.own)
    curves = {each: mean_by_shots(values, examples=sizes) for each, values in errors.items()}
    return Result(
        evaluation=name,
        metrics=metrics,
        chance={each: 1.0 for each in metrics if each.startswith("normalised_error")},  # the best constant's
        measures=words | own_words(measures),
        unit="tasks",
        family=family,
        arrays={"shots": ShotCurves(measure="squared_error", curves=curves, count=count)},
    )


def _words(baselines: Collection[str]) -> dict[str, Measure]:
    """Return what each metric is."""
    normalised = Measure(
        sentence="The squared error as a share of the best constant's: 1 is that constant, 0 is perfect; _first is "
        "before any example.",
        kind="error",
        shown="normalised_error",
    )
    return {
        "normalised_error": normalised,
        "normalised_error_first": normalised,
        "squared_error": Measure(sentence="The model's squared error.", kind="error"),
    } | words_of_baselines(
        "squared_error", baselines, sentence="The squared error of a baseline on the same examples.", kind="error"
    )


class _Scores(NamedTuple):
    """What is kept of a batch: a row per task, fewer for baselines once theirs are done."""

    errors: Float[Array | np.ndarray, "B C"]  # mean over queries and outputs, by context size
    numbers: Int[np.ndarray, " B"]  # that this mean is over
    constant: Float[np.ndarray, " B"]  # summed squared error of the best constant
    context: Int[np.ndarray, " B"]  # how many context points the task has
    baselines: Mapping[str, Float[np.ndarray, "R C"]]  # errors by name
    own: Mapping[str, Ratio]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scorer:
    """From a batch, and the number of tasks before it, to its scores. The fields are as in `evaluate_functions`."""

    predict: FunctionPredictor
    name: str
    count: int
    baselines: Mapping[str, FunctionBaseline]
    own: Mapping[str, OwnMeasure]
    context_sizes: tuple[int, ...]
    baseline_count: int
    contexts: set[int] = dataclasses.field(default_factory=set)  # numbers of context points met so far

    def __call__(self, batch: Batch, before: int) -> _Scores:
        keys = {"inputs": "B N X", "targets": "B N Y", "is_query": "B N"}
        inputs, targets, is_query = wanted(batch, keys, name=self.name)
        masks = self._masks(is_query, needed=self.count - before)
        errors, values = [], None
        for mask in masks:  # the full context last
            shown = {**batch, "targets": _hide(targets, mask), "is_query": mask}
            values = as_shaped(self.predict(shown), targets.shape, name=self.name, who="predict")
            with np.errstate(over="ignore"):
                values = jnp.asarray(values, jnp.float32)
            errors.append(_score(values, jnp.asarray(targets), jnp.asarray(is_query)))
        rows = slice(max(0, self.baseline_count - before))
        found = {
            each: self._baseline(each, inputs[rows], targets[rows], is_query[rows], [mask[rows] for mask in masks])
            for each in self.baselines
        }
        return _Scores(
            errors=jnp.stack(errors, axis=1),
            numbers=is_query.sum(axis=1) * targets.shape[2],
            constant=_best_constant(targets, is_query),
            context=(~is_query).sum(axis=1),
            baselines=found,
            own=own_ratios(self.own, values, batch, count=len(targets), name=self.name),
        )

    def _masks(self, is_query: Shaped[np.ndarray, "B N"], *, needed: int) -> list[Bool[np.ndarray, "B N"]]:
        """Return what is hidden at each context size, the full context last, after checking the masks."""
        if is_query.dtype != bool or not is_query[:needed].any(axis=1).all():
            raise ValueError(
                f"{self.name}: wanted is_query bool [B, N] with at least one query in each task, got {is_query.dtype} "
                f"with {is_query[:needed].sum(axis=1).min()} queries in one."
            )
        if not self.context_sizes:
            return [is_query]
        self.contexts.update((~is_query[:needed]).sum(axis=1).tolist())
        if len(self.contexts) > 1 or max(self.contexts) < self.context_sizes[-1]:
            raise ValueError(
                f"{self.name}: context_sizes up to {self.context_sizes[-1]} want tasks with equally many context "
                f"points, at least that many; got {sorted(self.contexts)}. Leave out context_sizes, or give each task "
                "as many."
            )
        seen_before = np.cumsum(~is_query, axis=1) - ~is_query
        full = max(self.contexts)
        return [is_query | (seen_before >= size) for size in self.context_sizes if size < full] + [is_query]

    def _baseline(
        self,
        each: str,
        inputs: Float[np.ndarray, "B N X"],
        targets: Float[np.ndarray, "B N Y"],
        is_query: Bool[np.ndarray, "B N"],
        masks: Sequence[Bool[np.ndarray, "B N"]],
    ) -> Float[np.ndarray, "B C"]:
        """Return the error of a baseline on each task, by context size."""
        errors = np.zeros((len(inputs), len(masks)))
        for number, mask in enumerate(masks if len(inputs) else ()):
            predicted = self.baselines[each](inputs, _hide(targets, mask), mask)
            found = as_shaped(predicted, targets.shape, name=f"{self.name}: {each}", who="the baseline")
            values = np.asarray(found, np.float64)
            with np.errstate(over="ignore", invalid="ignore"):  # an error beyond floats is said to be not finite
                squares = np.where(is_query, ((values - targets) ** 2).mean(axis=2), 0)
            errors[:, number] = squares.sum(axis=1) / is_query.sum(axis=1)
        return errors


@jax.jit
def _score(
    values: Float[Array, "B N Y"], targets: Float[Array, "B N Y"], is_query: Bool[Array, "B N"]
) -> Float[Array, " B"]:
    """Return the squared error of each task, mean over queries and outputs."""
    squares = jnp.mean(jnp.square(values - targets), axis=2, dtype=jnp.float32)
    # Not a product with the mask: a NaN at a context point is nobody's error.
    return jnp.where(is_query, squares, 0).sum(axis=1) / jnp.maximum(is_query.sum(axis=1), 1)


def _hide(targets: Float[np.ndarray, "B N Y"], mask: Bool[np.ndarray, "B N"]) -> Float[np.ndarray, "B N Y"]:
    return np.where(mask[..., None], np.zeros_like(targets), targets)


def _best_constant(targets: Float[np.ndarray, "B N Y"], is_query: Bool[np.ndarray, "B N"]) -> Float[np.ndarray, " B"]:
    """Return the summed squared error at the queries of each task's best constant, the mean of its query targets."""
    mask, values = is_query[..., None], targets.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # of targets that are not finite it is not finite either
        # From the lowest target, so that equal targets give exactly 0 and never a rounding error to divide by.
        values = np.where(mask, values - np.where(mask, values, np.inf).min(axis=1, keepdims=True), 0)
        centre = values.sum(axis=1, keepdims=True) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
        return np.where(mask, (values - centre) ** 2, 0).sum(axis=(1, 2))


def _normalised(scores: _Scores, size: int) -> Estimate:
    return ratio(np.asarray(scores.errors[:, size], np.float64) * scores.numbers, scores.constant)
