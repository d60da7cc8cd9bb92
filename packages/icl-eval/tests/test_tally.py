import itertools

import numpy as np
import pytest

from icl_eval import mean, proportion
from icl_eval.results.resampling import RESAMPLES, resampling_weights
from icl_eval.results.tally import Ratio, Tally


def make_measures(count: int, seed: int = 0) -> dict[str, Ratio]:
    generator = np.random.default_rng(seed)
    items = generator.integers(0, 6, size=count).astype(np.float64)
    right = generator.binomial(items.astype(int), 0.7).astype(np.float64)
    return {
        "accuracy_open": Ratio((generator.random(count) < 0.3).astype(np.float64), np.ones(count)),
        "loss": Ratio(generator.exponential(size=count), np.ones(count)),
        "context_accuracy_open": Ratio(right, items),
        "_calibration_0": Ratio(generator.normal(size=count), np.ones(count)),
        "_calibration_1": Ratio(generator.normal(size=count), np.ones(count)),
    }


def part(measures: dict[str, Ratio], rows: slice) -> dict[str, Ratio]:
    return {name: Ratio(*(values[rows] for values in fraction)) for name, fraction in measures.items()}


@pytest.mark.parametrize("cuts", [[13], [1, 2, 99], [50, 60]])
def test_tallies_of_parts_in_any_order_add_up_to_that_of_the_whole(cuts: list[int]) -> None:
    measures = make_measures(100)
    whole = Tally.of(measures, first=0).estimates()
    bounds = [0, *cuts, 100]
    tallies = [Tally.of(part(measures, slice(a, b)), first=a) for a, b in itertools.pairwise(bounds)]
    added = sum(reversed(tallies), start=Tally.empty()).estimates()
    assert added.keys() == whole.keys() == {"accuracy_open", "loss", "context_accuracy_open", "calibration_error"}
    for name, estimate in whole.items():
        assert added[name].count == estimate.count
        for end in ("value", "low", "high"):
            assert getattr(added[name], end) == pytest.approx(getattr(estimate, end), rel=1e-12)
    assert added["accuracy_open"] == whole["accuracy_open"]  # counts are exact


def test_proportions_have_wilsons_interval_and_means_the_bootstraps() -> None:
    measures = make_measures(2000)
    found = Tally.of(measures, first=0).estimates()
    assert found["accuracy_open"] == proportion(int(measures["accuracy_open"].numerators.sum()), 2000)
    other = mean(measures["loss"].numerators)
    assert found["loss"].value == pytest.approx(other.value)
    assert found["loss"].high - found["loss"].low == pytest.approx(other.high - other.low, rel=0.1)


def test_the_interval_of_context_items_holds_the_truth_as_often_as_it_says() -> None:
    covered, draws = 0, 200
    for seed in range(draws):
        generator = np.random.default_rng(seed)
        chances = generator.beta(2, 1, size=150)  # sequences differ in difficulty: their items are not independent
        right = generator.binomial(8, chances).astype(np.float64)
        estimate = Tally.of({"context_accuracy_open": Ratio(right, np.full(150, 8.0))}, first=0).estimates()
        covered += estimate["context_accuracy_open"].low <= 2 / 3 <= estimate["context_accuracy_open"].high
    assert 0.90 <= covered / draws <= 0.99


def test_all_right_is_not_certain() -> None:
    measures = {"context_accuracy_open": Ratio(np.full(30, 8.0), np.full(30, 8.0))}
    estimate = Tally.of(measures, first=0).estimates()["context_accuracy_open"]
    assert estimate == proportion(30, 30)


def test_what_nothing_counted_in_is_left_out() -> None:
    measures = {"follows_context": Ratio(np.zeros(5), np.zeros(5)), "loss": Ratio(np.ones(5), np.ones(5))}
    assert set(Tally.of(measures, first=0).estimates()) == {"loss"}
    assert Tally.empty().estimates() == {}


def test_a_loss_that_is_not_finite_is_said_to_be_so() -> None:
    estimate = Tally.of({"loss": Ratio(np.array([1.0, np.inf]), np.ones(2))}, first=0).estimates()["loss"]
    assert np.isnan([estimate.value, estimate.low, estimate.high]).all() and estimate.count == 2


def test_one_sequence_cannot_tell_its_spread() -> None:
    estimate = Tally.of({"loss": Ratio(np.ones(1), np.ones(1))}, first=0).estimates()["loss"]
    assert estimate.value == 1 and np.isnan([estimate.low, estimate.high]).all()


def test_tallies_of_other_measures_do_not_add_up() -> None:
    one, other = make_measures(5), make_measures(5)
    del other["loss"]
    with pytest.raises(ValueError, match="differ in loss"):
        Tally.of(one, first=0) + Tally.of(other, first=5)


def test_weights_are_poisson_and_independent() -> None:
    weights = resampling_weights(0, 4000)
    assert weights.shape == (4000, RESAMPLES)
    counts = np.bincount(weights.astype(int).ravel()) / weights.size
    np.testing.assert_allclose(counts[:5], [0.36788, 0.36788, 0.18394, 0.06131, 0.01533], atol=5e-4)
    assert weights.mean() == pytest.approx(1, abs=2e-3) and weights.var() == pytest.approx(1, abs=4e-3)
    assert abs(np.corrcoef(weights[:, :40].T) - np.eye(40)).max() < 0.08
    assert not np.array_equal(weights, resampling_weights(0, 4000, seed=1))
