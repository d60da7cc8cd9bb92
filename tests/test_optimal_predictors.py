"""The best predictors are the best on the data that they are the best for."""

import numpy as np
import pytest

from icl_data import (
    UNSEEN,
    FunctionSampler,
    LastQueries,
    Linear,
    MarkovChains,
    NormalInputs,
    SymbolSampler,
    Tasks,
    Urns,
    draw_functions,
)
from icl_eval import (
    LeastSquares,
    Ridge,
    at_every_position,
    chain_posterior,
    dmmse,
    excess_by_shots,
    squared_distance,
    stationary,
    symbol_counts,
    transition_counts,
    urn_posterior,
)

POINTS, POOL = 12, 2**4


def linear(count):
    """Make batches of 400 tasks of 4 inputs, with noise of variance 0.25, of a pool of so many or of fresh tasks."""
    tasks = Tasks(count=count) if count else Tasks(first=UNSEEN)
    sampler = FunctionSampler(
        family=Linear(num_inputs=4), tasks=tasks, num_points=POINTS, queries=LastQueries(1),
        inputs=NormalInputs(), noise=0.5,
    )  # fmt: skip
    batch = sampler.sample(np.arange(400))
    return batch["inputs"].astype(np.float64), batch["targets"].astype(np.float64)


def test_each_of_the_two_predictors_of_a_line_is_the_best_on_its_own_tasks():
    pool = draw_functions(Linear(num_inputs=4), seed=0, numbers=np.arange(POOL)).specs["weights"]
    for count, memoriser_is_best in ((POOL, True), (None, False)):
        inputs, targets = linear(count)
        predicted = {
            "dmmse": dmmse(inputs, targets, pool, noise_variance=0.25),
            "ridge": at_every_position(Ridge(0.25, intercept=False), inputs, targets),
            "least squares": at_every_position(LeastSquares(intercept=False), inputs, targets),
        }
        errors = {name: squared_distance(each, targets) for name, each in predicted.items()}
        best, other = ("dmmse", "ridge") if memoriser_is_best else ("ridge", "dmmse")
        excess = excess_by_shots(errors[other][:, 1:], errors[best][:, 1:])
        assert (excess.low > -0.05).all() and (excess.low > 0).mean() > 0.6
        # Where there are about as many points as inputs, least squares has errors without bound.
        excess = excess_by_shots(errors["least squares"][:, 1:], errors[best][:, 1:])
        assert (excess.values > 0).all() and (excess.low[:3] > 0).all()
        # The excess over the best is the distance to it, on average: the orthogonality of errors and predictions.
        excess, distance = errors[other] - errors[best], squared_distance(predicted[other], predicted[best])
        differences = excess_by_shots(excess, distance)
        assert ((differences.low <= 0) & (differences.high >= 0)).mean() > 0.8


@pytest.mark.parametrize("process", [Urns(num_symbols=4), MarkovChains(num_symbols=4)], ids=["urns", "chains"])
def test_the_best_predictor_of_symbols_has_the_lowest_loss(process):
    length, M = 48, 6
    seen = SymbolSampler(process=process, tasks=Tasks(count=M), length=length)
    fresh = SymbolSampler(process=process, tasks=Tasks(first=UNSEEN), length=length, stream="fresh")
    pool = seen.probabilities(np.arange(M))
    urns = pool if pool.ndim == 2 else stationary(pool)
    predictors = {
        "unigram, pool": lambda symbols: urn_posterior(symbols, urns),
        "unigram, counts": lambda symbols: symbol_counts(symbols, 4),
        "bigram, counts": lambda symbols: transition_counts(symbols, 4),
    }
    if pool.ndim == 3:
        predictors["bigram, pool"] = lambda symbols: chain_posterior(symbols, pool)
    for sampler, knows in ((seen, "pool"), (fresh, "counts")):
        symbols = sampler.sample(np.arange(300))["tokens"][:, 1:]
        losses = {
            name: -np.log(np.take_along_axis(predict(symbols), symbols[:, :, None], axis=2)).mean()
            for name, predict in predictors.items()
        }
        assert min(losses, key=losses.get) == f"{'unigram' if pool.ndim == 2 else 'bigram'}, {knows}", losses
