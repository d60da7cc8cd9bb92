"""The evaluation of models that predict every symbol of a sequence from those before it, beside optimal predictors."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from icl_eval.optimal.distances import relative_distance, symmetric_divergence
from icl_eval.results.collect import Batch, as_shaped, baseline_tasks, check_function, collect, joined, wanted
from icl_eval.results.estimate import mean
from icl_eval.results.result import Family, Measure, Result, check_name, words_of_baselines
from icl_eval.results.saved_arrays import MODEL, ShotCurves
from icl_eval.tasks.shots import mean_by_shots

_SMALLEST = 1e-30  # a probability that counts as none

Probabilities = Float[Array | np.ndarray, "B N V"]
SymbolPredictor = Callable[[Int[np.ndarray, "B N"]], Probabilities]
"""From symbols to the probabilities of the symbol at each place, from those before it alone."""


def evaluate_every_symbol(
    predict: Callable[[Batch], Probabilities],
    batches: Iterable[Batch],
    *,
    name: str,
    count: int,
    predictors: Mapping[str, SymbolPredictor] = {},
    between: tuple[str, str] | None = None,
    predictor_count: int | None = None,
    family: Family | None = None,
) -> Result:
    """Return how well a model predicts each symbol of exactly `count` sequences, and how far it is from predictors.

    Args:
      predict: from a batch to probabilities [B, N, V] of the symbol at each place, from the symbols before it.
      batches: dicts with `tokens`, integers [B, N + 1]: a start token, and N symbols in 0..V-1.
      name: of the evaluation, such as `unseen_tasks`: letters, digits, _ and -.
      count: how many sequences, at least 1.
      predictors: by name, what the model is compared with, such as `urn_posterior` of a pool and `symbol_counts`:
        functions of symbols [B, N] that give probabilities [B, N, V].
      between: names of two of them, such as one that remembers the tasks of training and one that does not; the model's
        relative distance between these is measured.
      predictor_count: the predictors see only the first so many sequences; all if not given.
      family: the evaluations that this one stands with in a report.

    Returns:
      The result; under "shots" of its arrays is the cross-entropy by number of symbols seen, of the model and of the
      predictors. Its metrics, with intervals over sequences, each a mean over places, in nats:
      `loss` and `loss_<predictor>`, cross-entropies;
      `excess_<predictor>`, the model's cross-entropy less that of a predictor in the same sequences: 0 is as good;
      `divergence_<predictor>`, the Kullback-Leibler divergence of the model from a predictor: the excess that is to be
      expected where that predictor is the best there is, without the chance of which symbol came;
      `distance_<predictor>`, the mean of the divergences in both directions (`symmetric_divergence`);
      `relative_distance`, of `between` = (a, b): the distance to a over the sum of those to a and b: 0 at a, 1 at b.

    Raises:
      ValueError: if the batches end early, lack tokens or have other shapes; if probabilities have a wrong shape or
        symbols are none of V; if `between` names others than two of the predictors.

    Source: Wurgaft et al. (2025), arXiv 2506.17859, section 2.

    >>> batch = {"tokens": np.array([[2, 0, 1, 1], [2, 1, 0, 1]])}
    >>> def uniform(symbols):
    ...     return np.full((*symbols.shape, 2), 0.5)
    >>> result = evaluate_every_symbol(
    ...     lambda batch: np.full((2, 3, 2), [0.25, 0.75]), [batch], name="urns", count=2, predictors={"even": uniform})
    >>> [round(result.metrics[each].value, 3) for each in ("loss", "loss_even", "divergence_even", "distance_even")]
    [0.654, 0.693, 0.144, 0.137]
    """
    check_name(name)
    check_function(predict, name=f"{name}: predict")
    if between is not None and (len(set(between)) != 2 or not set(between) <= set(predictors)):
        raise ValueError(f"{name}: wanted between as two of the predictors {list(predictors)}, got {between}.")
    asked = baseline_tasks(predictors, predictor_count, name=name, count=count)
    scorer = _Scorer(predict=predict, name=name, predictors=predictors, count=asked)
    scores = joined(collect(scorer, batches, name=name, count=count))
    losses = np.asarray(scores.losses, np.float64)
    metrics = {"loss": mean(losses.mean(axis=1))}
    for each in predictors:
        theirs = scores.predictors[each]
        metrics |= {
            f"loss_{each}": mean(theirs.mean(axis=1)),
            f"excess_{each}": mean((losses[: len(theirs)] - theirs).mean(axis=1)),
            f"divergence_{each}": mean(scores.divergences[each].mean(axis=1)),
            f"distance_{each}": mean(scores.distances[each].mean(axis=1)),
        }
    if between is not None:
        metrics["relative_distance"] = relative_distance(*(scores.distances[each] for each in between))
    examples = np.arange(losses.shape[1])
    curves = {MODEL: losses} | dict(scores.predictors)
    return Result(
        evaluation=name,
        metrics=metrics,
        measures=_words(predictors, between),
        chance={},
        family=family,
        arrays={
            "shots": ShotCurves(
                measure="cross_entropy",
                curves={each: mean_by_shots(values, examples=examples) for each, values in curves.items()},
                count=count,
            )
        },
    )


def _words(predictors: Iterable[str], between: tuple[str, str] | None) -> dict[str, Measure]:
    """Return what each metric is."""
    words = {"loss": Measure(sentence="Cross-entropy in nats, mean over all symbols.", kind="mean")}
    for metric, sentence, kind in (
        ("loss", "The cross-entropy of a predictor on the same symbols.", "mean"),
        ("excess", "The model's cross-entropy less a predictor's: 0 is as good.", "mean"),
        ("divergence", "The Kullback-Leibler divergence of the model from a predictor, in nats.", "error"),
        ("distance", "The mean of the divergences of model and predictor in both directions, in nats.", "error"),
    ):
        words |= words_of_baselines(metric, predictors, sentence=sentence, kind=kind)  # type: ignore[arg-type]
    if between is not None:
        sentence = f"How far the model is from {between[0]} on the way to {between[1]}: 0 is the one, 1 the other."
        words["relative_distance"] = Measure(sentence=sentence, kind="mean")
    return words


class _Scores(NamedTuple):
    """What is kept of a batch: a row per sequence, fewer for predictors once theirs are done."""

    losses: Float[np.ndarray, "B N"]
    predictors: Mapping[str, Float[np.ndarray, "R N"]]  # losses by name
    divergences: Mapping[str, Float[np.ndarray, "R N"]]
    distances: Mapping[str, Float[np.ndarray, "R N"]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Scorer:
    """From a batch, and the number of sequences before it, to its scores; `count` is that of the predictors."""

    predict: Callable[[Batch], Any]
    name: str
    predictors: Mapping[str, SymbolPredictor]
    count: int

    def __call__(self, batch: Batch, before: int) -> _Scores:
        (tokens,) = wanted(batch, {"tokens": "B T"}, name=self.name)
        symbols = tokens[:, 1:]
        ours = np.asarray(self.predict(batch), np.float64)
        as_shaped(ours, (*symbols.shape, *ours.shape[2:3]), name=self.name, who="predict")
        V = ours.shape[2] if ours.ndim == 3 else 0
        if not symbols.size or not 0 <= symbols.min() <= symbols.max() < V:
            raise ValueError(
                f"{self.name}: wanted tokens of a start and one or more symbols in 0..{V - 1}, for which predict gave "
                f"probabilities, got the shape {list(tokens.shape)} with symbols up to {symbols.max(initial=0)}."
            )
        rows = slice(max(0, self.count - before))
        theirs = {each: self._predicted(each, symbols[rows], V) for each in self.predictors}
        return _Scores(
            losses=_losses(ours, symbols),
            predictors={each: _losses(known, symbols[rows]) for each, known in theirs.items()},
            divergences={each: _divergence(known, ours[rows]) for each, known in theirs.items()},
            distances={each: symmetric_divergence(ours[rows], known) for each, known in theirs.items()},
        )

    def _predicted(self, each: str, symbols: Int[np.ndarray, "B N"], V: int) -> Float[np.ndarray, "B N V"]:
        if not len(symbols):
            return np.zeros((*symbols.shape, V))
        found = self.predictors[each](symbols)
        return np.asarray(
            as_shaped(found, (*symbols.shape, V), name=f"{self.name}: {each}", who="the predictor"), np.float64
        )


def _losses(probabilities: Float[np.ndarray, "B N V"], symbols: Int[np.ndarray, "B N"]) -> Float[np.ndarray, "B N"]:
    chosen = np.take_along_axis(probabilities, symbols[:, :, None].astype(np.int64), axis=2)[:, :, 0]
    return -np.log(np.maximum(chosen, _SMALLEST))


def _divergence(of: Float[np.ndarray, "B N V"], to: Float[np.ndarray, "B N V"]) -> Float[np.ndarray, "B N"]:
    """Return the mean over symbols of one distribution of how much less probable the other finds them, in nats."""
    return (of * (np.log(np.maximum(of, _SMALLEST)) - np.log(np.maximum(to, _SMALLEST)))).sum(axis=2)
