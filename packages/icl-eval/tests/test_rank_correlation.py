"""Rank correlation and its interval."""

import math

import numpy as np
import pytest
from scipy import stats

from icl_eval import rank_correlation


def test_it_is_that_of_the_ranks_with_ties_shared() -> None:
    x, y = [3, 1, 4, 1, 5, 9, 2, 6], [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0]
    found = rank_correlation(x, y)
    assert found is not None
    ranks = [stats.rankdata(each) for each in (x, y)]
    assert found.value == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-12)
    # Bonett and Wright (2000), by hand.
    away = 1.96 * math.sqrt((1 + found.value**2 / 2) / 5)
    assert found.low == pytest.approx(math.tanh(math.atanh(found.value) - away), abs=1e-4)
    assert found.high == pytest.approx(math.tanh(math.atanh(found.value) + away), abs=1e-4)


def test_the_interval_holds_the_coefficient_of_the_distribution_in_95_of_100_samples() -> None:
    rng, rho, held = np.random.default_rng(0), 0.6, []
    true = 6 / math.pi * math.asin(rho / 2)  # of the bivariate normal distribution (Pearson 1907)
    for _ in range(400):
        pairs = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=24)
        found = rank_correlation(pairs[:, 0], pairs[:, 1])
        assert found is not None
        held.append(found.low <= true <= found.high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_few_pairs_one_number_throughout_and_what_is_not_finite() -> None:
    few = rank_correlation([1, 2, 3], [1, 3, 2])
    assert few is not None and (few.low, few.high) == (-1.0, 1.0)
    ordered = rank_correlation([1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    swapped = rank_correlation([1, 2, 3, 4, 5], [10, 20, 30, 50, 40])
    assert ordered is not None and swapped is not None and ordered.value == pytest.approx(1.0) == ordered.high
    assert ordered.low == pytest.approx(swapped.low) and ordered.low < 0.5  # one order of 120 is no proof
    assert rank_correlation([1, 1], [1, 2]) is None and rank_correlation([1, math.nan], [1, 2]) is None
    with pytest.raises(ValueError, match="as many x as y, got 2 and 1"):
        rank_correlation([1, 2], [1])
