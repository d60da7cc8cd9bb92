import itertools

import numpy as np
import pytest

from icl_eval import Estimate, Measure, Ratio, Tally, proportion, sequence_estimates
from icl_eval.sequences.sequence_measures import BINS, CALIBRATION, MEASURES


def make_ratios(count: int, seed: int = 0) -> dict[str, Ratio]:
    """Make what some sequences might add: few context items where a sequence is short, confidence above accuracy."""
    generator = np.random.default_rng(seed)
    items = generator.integers(0, 6, size=count).astype(np.float64)
    right = generator.binomial(items.astype(int), 0.7).astype(np.float64)
    confidence, correct = generator.random(count), generator.random(count)
    gap = confidence - (correct < 0.9 * confidence)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    calibration = {f"{CALIBRATION}{at}": Ratio(np.where(bins == at, gap, 0), np.ones(count)) for at in range(BINS)}
    return {
        "accuracy_open": Ratio((generator.random(count) < 0.3).astype(np.float64), np.ones(count)),
        "loss": Ratio(generator.gamma(4, size=count) / 8, np.ones(count)),
        "context_accuracy_open": Ratio(right, items),
        "context_loss": Ratio(items * generator.random(count), items),
        **calibration,
    }


def part(ratios: dict[str, Ratio], rows: slice) -> dict[str, Ratio]:
    return {name: Ratio(*(values[rows] for values in ratio)) for name, ratio in ratios.items()}


def of(ratios: dict[str, Ratio], name: str) -> Estimate:
    return Tally.of({name: ratios[name]}).estimates(MEASURES)[name]


@pytest.mark.parametrize("cuts", [[13], [1, 2, 99], [50, 60]])
def test_tallies_of_parts_in_any_order_add_up_to_that_of_the_whole(cuts: list[int]) -> None:
    ratios = make_ratios(100)
    whole = sequence_estimates(Tally.of(ratios))
    tallies = [Tally.of(part(ratios, slice(a, b))) for a, b in itertools.pairwise([0, *cuts, 100])]
    added = sequence_estimates(sum(reversed(tallies), start=Tally.empty()))
    assert added.keys() == whole.keys()
    assert set(whole) == {"accuracy_open", "loss", "context_accuracy_open", "context_loss", "calibration_error"}
    for name, estimate in whole.items():
        assert added[name].count == estimate.count
        for end in ("value", "low", "high"):
            assert getattr(added[name], end) == pytest.approx(getattr(estimate, end), rel=1e-12)
    assert added["accuracy_open"] == whole["accuracy_open"] == proportion(int(ratios["accuracy_open"][0].sum()), 100)


@pytest.mark.parametrize(("count", "apart"), [(200, 0.01), (2000, 0.002)])
@pytest.mark.parametrize("seed", range(3))
def test_intervals_agree_with_those_of_a_bootstrap(count: int, apart: float, seed: int) -> None:
    ratios = make_ratios(count, seed)
    found = sequence_estimates(Tally.of(ratios))
    drawn = np.random.default_rng(seed).integers(count, size=(1000, count))
    for name in ("accuracy_open", "loss", "context_accuracy_open", "context_loss"):
        above, below = ratios[name]
        expected = np.quantile(above[drawn].sum(1) / below[drawn].sum(1), [0.025, 0.975])
        assert (found[name].low, found[name].high) == pytest.approx(tuple(expected), abs=apart), name
    # Of the calibration error: how far the gaps of all bins are off together, in 95 of 100 draws.
    gaps = np.stack([ratios[f"{CALIBRATION}{at}"].numerators for at in range(BINS)])
    off = [np.abs(gaps[:, rows].mean(1) - gaps.mean(1)).sum() for rows in drawn]
    error = found["calibration_error"]
    assert error.value == pytest.approx(np.abs(gaps.mean(1)).sum())
    assert error.high - error.value == pytest.approx(np.quantile(off, 0.95), abs=apart)
    assert error.low == pytest.approx(max(0, error.value - np.quantile(off, 0.95)), abs=apart)


def test_the_calibration_error_of_one_bin_has_the_normal_interval() -> None:
    gap = np.random.default_rng(0).normal(0.4, 0.2, size=400)
    error = sequence_estimates(Tally.of({f"{CALIBRATION}0": Ratio(gap, np.ones(400))}))["calibration_error"]
    assert error.high - error.value == pytest.approx(1.96 * gap.std() / 20, rel=2e-3)


def test_numbers_that_are_large_and_differ_little_keep_their_interval() -> None:
    differences = np.random.default_rng(0).normal(size=100)
    rows = {"loss": Ratio(1e9 + differences, np.ones(100))}
    added = Tally.of(part(rows, slice(30))) + Tally.of(part(rows, slice(30, 100)))
    near, far = of({"loss": Ratio(differences, np.ones(100))}, "loss"), added.estimates(MEASURES)["loss"]
    assert (far.low - 1e9, far.high - 1e9) == pytest.approx((near.low, near.high), abs=1e-6)


def test_the_interval_of_context_items_holds_the_truth_as_often_as_it_says() -> None:
    covered, draws = 0, 400
    for seed in range(draws):
        generator = np.random.default_rng(seed)
        chances = generator.beta(2, 1, size=150)  # sequences differ in difficulty: their items are not independent
        right = generator.binomial(8, chances).astype(np.float64)
        estimate = of({"context_accuracy_open": Ratio(right, np.full(150, 8.0))}, "context_accuracy_open")
        covered += estimate.low <= 2 / 3 <= estimate.high
    assert 0.92 <= covered / draws <= 0.98


def test_items_that_agree_by_chance_feign_no_certainty() -> None:
    half = of({"context_accuracy_open": Ratio(np.full(30, 4.0), np.full(30, 8.0))}, "context_accuracy_open")
    items = proportion(120, 240)
    assert (half.low, half.high, half.count) == (items.low, items.high, 30)


def test_all_right_is_not_certain() -> None:
    ratios = {"context_accuracy_open": Ratio(np.full(30, 8.0), np.full(30, 8.0))}
    assert of(ratios, "context_accuracy_open") == proportion(30, 30)


def test_an_interval_does_not_go_beyond_the_numbers() -> None:
    estimate = of({"loss": Ratio(np.array([0.0] * 9 + [1.0]), np.ones(10))}, "loss")
    assert estimate.low == 0 < estimate.value < estimate.high < 1


def test_the_kind_of_a_measure_tells_its_interval_and_one_without_words_is_a_mean() -> None:
    tally = Tally.of({"a": Ratio(np.array([1.0] * 9 + [0.0]), np.ones(10))})
    assert tally.estimates({"a": Measure(sentence="A.", kind="proportion")})["a"] == proportion(9, 10)
    assert tally.estimates({})["a"] == tally.estimates({"a": Measure(sentence="A.", kind="error")})["a"]
    assert tally.estimates({})["a"] != proportion(9, 10)


def test_what_nothing_counted_in_is_left_out() -> None:
    ratios = {"follows_context": Ratio(np.zeros(5), np.zeros(5)), "loss": Ratio(np.ones(5), np.ones(5))}
    assert set(Tally.of(ratios).estimates(MEASURES)) == {"loss"}
    assert Tally.empty().estimates(MEASURES) == {}


def test_a_loss_that_is_not_finite_is_said_to_be_so() -> None:
    broken = {"loss": Ratio(np.array([1.0, np.inf]), np.ones(2))}
    for tally in (Tally.of(broken), Tally.of(broken) + Tally.of(broken)):
        estimate = tally.estimates(MEASURES)["loss"]
        assert np.isnan([estimate.value, estimate.low, estimate.high]).all()


def test_one_sequence_cannot_tell_its_spread() -> None:
    found = sequence_estimates(Tally.of(part(make_ratios(9), slice(1))))
    assert found["accuracy_open"].count == 1 and found["accuracy_open"].low < found["accuracy_open"].high
    for name in ("loss", "calibration_error"):
        assert np.isfinite(found[name].value) and np.isnan([found[name].low, found[name].high]).all()


def test_tallies_of_other_measures_do_not_add_up() -> None:
    one, other = make_ratios(5), make_ratios(5)
    del other["loss"]
    with pytest.raises(ValueError, match="differ in loss"):
        Tally.of(one) + Tally.of(other)
