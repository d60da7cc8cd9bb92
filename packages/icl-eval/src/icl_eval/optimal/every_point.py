"""The evaluation of regressors that predict every point of a task from those before it, beside optimal predictors."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from icl_eval.optimal.distances import relative_distance, squared_distance
from icl_eval.results.collect import Batch, as_shaped, baseline_tasks, check_function, collect, joined, wanted
from icl_eval.results.estimate import Estimate, mean, ratio
from icl_eval.results.own_measures import OwnMeasure, check_own, own_estimates, own_ratios, own_words
from icl_eval.results.result import Family, Measure, Result, check_name, words_of_baselines
from icl_eval.results.saved_arrays import MODEL, ShotCurves
from icl_eval.results.tally import Ratio
from icl_eval.tasks.functions import FunctionPredictor
from icl_eval.tasks.shots import mean_by_shots

_ROUNDING = 1e-9  # of a squared error, as a share of the largest

PointPredictor = Callable[[Float[np.ndarray, "B N X"], Float[np.ndarray, "B N Y"]], Float[Array | np.ndarray, "B N Y"]]
"""From inputs and targets to what is predicted at each point from the points before it and its own input."""


def evaluate_every_point(
    predict: FunctionPredictor,
    batches: Iterable[Batch],
    *,
    name: str,
    count: int,
    predictors: Mapping[str, PointPredictor] = {},
    between: tuple[str, str] | None = None,
    measures: Mapping[str, OwnMeasure] = {},
    predictor_count: int | None = None,
    family: Family | None = None,
) -> Result:
    """Return the squared errors of a regressor at each point of exactly `count` tasks, after 0, 1, ..., N - 1 examples.

    The model must predict a point from those before it, as an `InterleavedPoints` layout with a causal trunk does: it
    is given all targets but for those of the last point, which are 0; that alone is a query, bool [B, N] `is_query`.

    Args:
      predict: gives values [B, N, Y], of point n from its own input and the points before it.
      batches: dicts with `inputs` [B, N, X] and `targets` [B, N, Y].
      name: of the evaluation, such as `unseen_tasks`: letters, digits, _ and -.
      count: how many tasks, at least 1.
      predictors: by name, what the model is compared with, such as the optimal predictor of these tasks (`dmmse`, or
        any regressor `at_every_position`): functions of (inputs, targets) that give values [B, N, Y] from no more than
        the model has.
      between: names of two of them, such as one that remembers the tasks of training and one that does not; the model's
        relative distance between these is measured.
      measures: of your own, as in `evaluate_functions`.
      predictor_count: the predictors see only the first so many tasks; all if not given.
      family: the evaluations that this one stands with in a report.

    Returns:
      The result; under "shots" of its arrays is the squared error by number of examples, of the model and of the
      predictors. Its metrics, with intervals over tasks, each a mean over points and outputs:
      `squared_error` and `squared_error_<predictor>`;
      `excess_<predictor>`, the model's squared error less that of a predictor in the same tasks: 0 is as good, and a
      predictor that is optimal is beaten by chance alone;
      `largest_ratio_<predictor>`, the model's mean squared error over a predictor's at the number of examples where
      that is largest, but for those after which the predictor's is nothing but rounding, as without noise; of many such
      numbers the largest is one of bad luck, too;
      `distance_<predictor>`, the mean squared difference of what they predict;
      `relative_distance`, of `between` = (a, b): the distance to a over the sum of those to a and b: 0 at a, 1 at b.

    Raises:
      ValueError: if the batches end early, lack a key or have other shapes; if a prediction has a wrong shape; if
        `between` names others than two of the predictors.

    Sources: Garg et al. (2022), arXiv 2208.01066, figure 2, for errors by number of examples; Raventos et al. (2023),
    arXiv 2306.15063, section 2, for distances to predictors; Wurgaft et al. (2025), arXiv 2506.17859, for the relative
    distance.

    >>> batch = {"inputs": np.zeros((2, 3, 1)), "targets": np.array([[[1.0], [1.0], [3.0]], [[0.0], [2.0], [0.0]]])}
    >>> def last(inputs, targets):
    ...     return np.pad(targets[:, :-1], ((0, 0), (1, 0), (0, 0)))
    >>> result = evaluate_every_point(
    ...     lambda batch: np.zeros((2, 3, 1)), [batch], name="lines", count=2, predictors={"last": last})
    >>> [round(result.metrics[each].value, 2) for each in ("squared_error", "excess_last", "distance_last")]
    [2.5, 0.33, 1.0]
    >>> result.arrays["shots"].curves["model"].values
    array([0.5, 2.5, 4.5])
    """
    check_name(name)
    check_function(predict, name=f"{name}: predict")
    words = _words(predictors, between)
    check_own(measures, words, name=name)
    if between is not None and (len(set(between)) != 2 or not set(between) <= set(predictors)):
        raise ValueError(f"{name}: wanted between as two of the predictors {list(predictors)}, got {between}.")
    scorer = _Scorer(
        predict=predict,
        name=name,
        predictors=predictors,
        own=measures,
        count=baseline_tasks(predictors, predictor_count, name=name, count=count),
    )
    scores = joined(collect(scorer, batches, name=name, count=count, unit="tasks"))
    errors = np.asarray(scores.errors, np.float64)
    metrics = {"squared_error": mean(errors.mean(axis=1))}
    for each in predictors:
        theirs = scores.predictors[each]
        ours = errors[: len(theirs)]
        metrics |= {
            f"squared_error_{each}": mean(theirs.mean(axis=1)),
            f"excess_{each}": mean((ours - theirs).mean(axis=1)),
            f"largest_ratio_{each}": _largest_ratio(ours, theirs, negligible=_ROUNDING * theirs.max(initial=0.0)),
            f"distance_{each}": mean(scores.distances[each].mean(axis=1)),
        }
    if between is not None:
        metrics["relative_distance"] = relative_distance(*(scores.distances[each] for each in between))
    metrics |= own_estimates(measures, scores.own)
    examples = np.arange(errors.shape[1])
    curves = {MODEL: errors} | dict(scores.predictors)
    return Result(
        evaluation=name,
        metrics=metrics,
        measures={each: each_words for each, each_words in words.items() if each in metrics} | own_words(measures),
        chance={},
        unit="tasks",
        family=family,
        arrays={
            "shots": ShotCurves(
                measure="squared_error",
                curves={each: mean_by_shots(values, examples=examples) for each, values in curves.items()},
                count=count,
            )
        },
    )


def _words(predictors: Collection[str], between: tuple[str, str] | None) -> dict[str, Measure]:
    """Return what each metric is."""
    words = {"squared_error": Measure(sentence="The model's squared error, mean over all points.", kind="error")}
    for metric, sentence, kind in (
        ("squared_error", "The squared error of a predictor on the same points.", "error"),
        ("excess", "The model's squared error less a predictor's: 0 is as good.", "mean"),
        (
            "largest_ratio",
            "The model's squared error over a predictor's, where that is largest.",
            "mean",
        ),
        ("distance", "The mean squared difference between what the model and a predictor predict.", "error"),
    ):
        words |= words_of_baselines(metric, predictors, sentence=sentence, kind=kind)  # type: ignore[arg-type]
    if between is not None:
        sentence = f"How far the model is from {between[0]} on the way to {between[1]}: 0 is the one, 1 the other."
        words["relative_distance"] = Measure(sentence=sentence, kind="mean")
    return words


def _largest_ratio(ours: Float[np.ndarray, "B N"], theirs: Float[np.ndarray, "B N"], *, negligible: float) -> Estimate:
    """Return the ratio of mean errors at the position where it is largest, of those where there is one to speak of."""
    positions = [position for position in range(ours.shape[1]) if not theirs[:, position].mean() <= negligible]
    each = [ratio(ours[:, position], theirs[:, position]) for position in positions or range(ours.shape[1])]
    return max(each, key=lambda estimate: -np.inf if np.isnan(estimate.value) else estimate.value)


class _Scores(NamedTuple):
    """What is kept of a batch: a row per task, fewer for predictors once theirs are done."""

    errors: Float[Array | np.ndarray, "B N"]  # mean over outputs
    predictors: Mapping[str, Float[np.ndarray, "R N"]]  # errors by name
    distances: Mapping[str, Float[np.ndarray, "R N"]]
    own: Mapping[str, Ratio]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scorer:
    """From a batch, and the number of tasks before it, to its scores; `count` is that of the predictors."""

    predict: FunctionPredictor
    name: str
    predictors: Mapping[str, PointPredictor]
    own: Mapping[str, OwnMeasure]
    count: int

    def __call__(self, batch: Batch, before: int) -> _Scores:
        inputs, targets = wanted(batch, {"inputs": "B N X", "targets": "B N Y"}, name=self.name)
        shown, asked = targets.copy(), np.zeros(targets.shape[:2], bool)
        shown[:, -1], asked[:, -1] = 0, True
        given = {**batch, "targets": shown, "is_query": asked}
        found = as_shaped(self.predict(given), targets.shape, name=self.name, who="predict")
        values = jnp.asarray(found, jnp.float32)
        rows = slice(max(0, self.count - before))
        theirs = {each: self._predicted(each, inputs[rows], targets[rows]) for each in self.predictors}
        ours = np.asarray(values[rows], np.float64) if theirs else np.zeros(0)  # waits for the device
        return _Scores(
            errors=jnp.square(values - jnp.asarray(targets)).mean(axis=2, dtype=jnp.float32),
            predictors={each: squared_distance(predicted, targets[rows]) for each, predicted in theirs.items()},
            distances={each: squared_distance(ours, predicted) for each, predicted in theirs.items()},
            own=own_ratios(self.own, values, batch, count=len(targets), name=self.name),
        )

    def _predicted(
        self, each: str, inputs: Float[np.ndarray, "B N X"], targets: Float[np.ndarray, "B N Y"]
    ) -> Float[np.ndarray, "B N Y"]:
        if not len(inputs):
            return np.zeros(targets.shape)
        found = self.predictors[each](inputs, targets)
        return np.asarray(as_shaped(found, targets.shape, name=f"{self.name}: {each}", who="the predictor"), np.float64)
