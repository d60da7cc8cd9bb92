"""When a curve comes to a threshold, of one run and over seeds."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from icl_eval import (
    Emergence,
    ScalarCurve,
    __main__,
    bimodality,
    emergence_table,
    fit_power_law,
    kaplan_meier,
    quartiles,
    time_of_emergence,
)
from icl_eval.sweeps.bimodality import STRONG

WriteRun = Callable[..., Path]


def curve(values: Sequence[float], *, chance: float | None = 0.5, radius: float = 0.0) -> ScalarCurve:
    """Return a curve evaluated every 100 steps from 0 on."""
    heights = np.array(values, np.float64)
    return ScalarCurve(100.0 * np.arange(len(values)), heights, heights - radius, heights + radius, chance=chance)


def when(values: Sequence[float], threshold: float | str = 0.9, **options: object) -> str:
    return str(time_of_emergence(curve(values), threshold=threshold, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 0.7, 0.8, 1.0], "at step 250 (200 to 300)"),
        ([0.5, 0.9], "at step 100 (0 to 100)"),  # exactly at it is at it
        ([0.5, 0.95, 0.6, 0.95], "at step 89 (0 to 100)"),  # the first time counts, though it falls again
        ([0.95, 0.5], "at or before step 0"),
        ([0.5, 0.6, 0.89], "not by step 200"),
        ([0.95], "at or before step 0"),
        ([0.5], "not by step 0"),
        ([0.5, math.nan, 0.7, math.nan, 1.1, math.nan], "at step 300 (200 to 400)"),
        ([0.5, math.nan], "not by step 0"),
        ([math.nan], "None"),
    ],
)
def test_it_is_where_the_line_between_two_evaluations_crosses(values: list[float], expected: str) -> None:
    assert when(values) == expected


@pytest.mark.parametrize(
    ("values", "held", "expected"),
    [
        ([0.5, 1.0, 0.6, 0.8, 1.0, 1.0], 2, "at step 350 (300 to 400)"),
        ([0.5, 1.0, 0.6, 1.0], 2, "not by step 200"),  # what it does at the end may hold
        ([1.0, 1.0], 2, "at or before step 0"),
        ([1.0, 1.0], 3, "not by step 0"),
        ([0.5, 1.0, 1.0, 0.5], 3, "not by step 300"),
    ],
)
def test_it_may_have_to_hold(values: list[float], held: int, expected: str) -> None:
    assert when(values, held=held) == expected


def test_an_error_emerges_by_falling() -> None:
    assert when([2.0, 1.0, 0.0], 0.5, falling=True) == "at step 150 (100 to 200)"
    assert when([2.0, 1.0, 0.8], 0.5, falling=True) == "not by step 200"


def test_halfway_is_from_chance_to_the_last_value_if_that_is_past_chance() -> None:
    assert when([0.5, 0.5, 0.6, 0.7], "halfway") == "at step 200 (100 to 200)"
    assert when([0.5, 0.5, 0.45], "halfway") == "not by step 200"
    unsure = time_of_emergence(curve([0.5, 0.52, 0.55], radius=0.1), threshold="halfway")
    assert unsure is not None and not unsure.happened
    without = time_of_emergence(curve([2.0, 1.5, 1.0], chance=None), threshold="halfway", falling=True)
    assert without is not None and without.threshold == 1.5 and without.step == 100


def test_no_evaluation_is_missed_by_a_slow_oracle() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        values, held = generator.uniform(size=8).round(1), int(generator.integers(1, 4))
        found = time_of_emergence(curve(list(values)), threshold=0.6, held=held)
        starts = [place for place in range(9 - held) if all(values[place : place + held] >= 0.6)]
        assert found is not None and found.happened is bool(starts)
        if starts:
            assert found.by == 100 * starts[0]
            if starts[0]:
                assert np.interp(found.step, 100 * np.arange(8), values) == pytest.approx(0.6)


def test_it_must_hold_for_one_evaluation_or_more() -> None:
    with pytest.raises(ValueError, match="held must be a whole number of at least 1, got 0"):
        time_of_emergence(curve([0.5]), held=0)


def test_a_time_that_contradicts_its_evaluations_is_refused() -> None:
    with pytest.raises(ValueError, match="exactly if it happened"):
        Emergence(step=1.0, happened=True, after=0.0, by=None, threshold=0.9)


# Freireich et al. (1963), remission in weeks with 6-mercaptopurine, as in Kalbfleisch and Prentice (2002), The
# statistical analysis of failure time data, table 1.1; its product-limit estimate as in Cox and Oakes
# (1984), table 4.1.
WEEKS = (6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35)
RELAPSED = tuple(
    week not in (9, 11, 17, 19, 20, 25, 32, 34, 35) and place not in (3, 7) for place, week in enumerate(WEEKS)
)


def test_kaplan_meier_gives_the_textbooks_numbers() -> None:
    assert sum(RELAPSED) == 9
    times, shares = kaplan_meier(WEEKS, RELAPSED)
    assert times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    np.testing.assert_allclose(shares, [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], atol=5e-4)
    found = quartiles(WEEKS, RELAPSED)
    assert (found.lower, found.median, found.upper) == (13, 23, None)
    assert (found.count, found.censored) == (21, 12)


def test_without_censoring_the_median_is_the_usual_one_and_an_unknown_one_is_not_made_up() -> None:
    generator = np.random.default_rng(0)
    for count in range(1, 9):
        times = generator.permutation(100)[:count].astype(float)
        assert quartiles(times, np.ones(count, bool)).median == np.median(times)
    assert quartiles([100, 500], [True, False]).median is None  # anywhere from 300 on
    none = quartiles([5, 5, 7], [False] * 3)
    assert (none.lower, none.median, none.upper, none.censored) == (None, None, None, 3)
    with pytest.raises(ValueError, match="one or more times"):
        quartiles([], [])


def test_two_kinds_of_seeds_are_told_from_one() -> None:
    generator = np.random.default_rng(0)
    draws = 10
    one = [np.exp(generator.normal(6, 0.4, size=16)) for _ in range(draws)]
    two = [np.exp(np.r_[generator.normal(5, 0.2, size=8), generator.normal(7, 0.2, size=8)]) for _ in range(draws)]
    found, false = (sum((bimodality(times) or 0) > STRONG for times in kind) for kind in (two, one))
    assert found == draws and false <= 1
    assert bimodality([100.0] * 20) < 0 and bimodality([0.0] * 20) is None and bimodality([1.0, 9.0] * 3) is None


def test_a_power_law_without_censoring_is_the_line_of_scipy() -> None:
    generator = np.random.default_rng(0)
    x = np.repeat([1.0, 2.0, 5.0, 20.0], 3)
    times = 30 * x**0.7 * np.exp(0.3 * generator.normal(size=12))
    law, line = fit_power_law(x, times, np.ones(12, bool)), stats.linregress(np.log(x), np.log(times))
    assert law.method == "least squares" and law.exponent == pytest.approx(line.slope)
    assert law.scale == pytest.approx(math.exp(line.intercept))
    assert law.high - law.exponent == pytest.approx(stats.t.ppf(0.975, 10) * line.stderr)
    assert law.at(20.0) == pytest.approx(math.exp(line.intercept + line.slope * math.log(20)))


def test_a_power_law_with_censored_seeds_is_where_the_likelihood_is_greatest() -> None:
    generator = np.random.default_rng(1)
    x = np.repeat([1.0, 2.0, 4.0, 8.0], 4)
    all_times = 100 * x * np.exp(0.4 * generator.normal(size=16))
    happened, early = all_times < 600, all_times < 90
    times = np.clip(all_times, 90, 600)
    law = fit_power_law(x, times, happened, at_first=early)
    assert early.sum() > 0 and law.censored == (~happened).sum() + early.sum() and law.method == "maximum likelihood"

    def likelihood(log_scale: float, exponent: float, spread: float) -> float:
        errors = (np.log(times) - log_scale - exponent * np.log(x)) / spread
        known = stats.norm.logpdf(errors) - math.log(spread)
        parts = np.where(early, stats.norm.logcdf(errors), np.where(happened, known, stats.norm.logsf(errors)))
        return float(parts.sum())

    freedom = int((happened & ~early).sum())
    best = (math.log(law.scale), law.exponent, law.spread * math.sqrt((freedom - 2) / freedom))
    for place in range(3):
        for by in (-0.01, 0.01):
            assert likelihood(*best) > likelihood(*(each + by * (number == place) for number, each in enumerate(best)))


@pytest.mark.parametrize("seeds", [2, 4])
def test_the_interval_of_the_exponent_holds_it_as_often_as_it_says(seeds: int) -> None:
    generator = np.random.default_rng(0)
    x, held, naive = np.repeat([1.0, 2.0, 4.0, 8.0], seeds), [], []
    for _ in range(150):
        times = 100 * x * np.exp(0.4 * generator.normal(size=len(x)))
        law = fit_power_law(x, np.minimum(times, 600), times < 600)
        held.append(law.low <= 1 <= law.high)
        naive.append(stats.linregress(np.log(x), np.log(np.minimum(times, 600))).slope)
    assert 0.9 <= np.mean(held) <= 0.995
    assert np.mean(naive) < 0.95  # which taking censored times for known ones would give


@pytest.mark.parametrize(
    ("x", "times", "happened", "said"),
    [
        ([0.0, 1.0, 2.0], [1.0] * 3, [True] * 3, "above 0 for x"),
        ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], [True] * 3, "two or more values; got 3 of 1"),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [True, True, False], "got 2 of 2"),
        ([1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 4.0, 8.0], [True, True, True, False], "exactly"),
    ],
)
def test_where_there_is_no_power_law_it_is_said_why(
    x: list[float], times: list[float], happened: list[bool], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        fit_power_law(x, times, happened)


@pytest.fixture
def sweep(tmp_path: Path, write_run: WriteRun) -> Path:
    """Settings n = 1, 2, 4 with three seeds that emerge about step 100 n, but for some of the last."""
    for n in (1, 2, 4):
        for seed in range(3):
            time = 100 * n + 20 * seed
            steps = range(0, 441, 40)
            values = {step: float(np.clip(0.5 + 0.45 * step / time, 0.5, 1.0)) for step in steps}
            write_run(tmp_path / f"n{n}-{seed}", values, seed=seed, steps=440, n=n)
    return tmp_path


def test_the_table_has_a_row_for_each_setting_and_threshold(sweep: Path) -> None:
    found = emergence_table(sweep, against="data.n")
    assert found.columns == (
        *("data.n", "evaluation", "metric", "threshold", "seeds", "censored"),
        *(f"{unit}.{end}" for unit in ("step", "sequences") for end in ("lower", "median", "upper")),
        *("bimodality", "scale", "exponent", "exponent.low", "exponent.high", "note"),
    )
    assert [row[:6] for row in found.rows] == [
        (n, "new", "accuracy", threshold, 3, censored)
        for n, *both in ((1, 0, 0), (2, 0, 0), (4, 0, 0))
        for threshold, censored in zip((0.9, 0.95), both, strict=True)
    ]
    medians = np.array(found.column("step.median"), float)
    np.testing.assert_allclose(
        medians, [120 / 0.45 * 0.4, 120, 220 / 0.45 * 0.4, 220, 420 / 0.45 * 0.4, 420], rtol=0.02
    )
    assert found.column("sequences.median") == tuple(32 * median for median in medians)
    assert len({row[-4] for row in found.rows[::2]}) == 1 and 0.8 < float(found.rows[0][-4] or 0) < 1.05


def test_what_does_not_emerge_is_censored_and_all_of_it_is_no_median(sweep: Path) -> None:
    found = emergence_table(sweep, thresholds=[1.0], held=2, against="data.n")
    assert found.column("censored") == (0, 0, 3) and found.column("step.median")[2] is None
    assert found.column("exponent")[0] is not None
    none = emergence_table(sweep, thresholds=[1.5], against="data.n")
    assert none.column("censored") == (3, 3, 3) and set(none.column("step.lower")) == {None}
    assert all(str(note).startswith("no power law: A power law wants 3 or more times") for note in none.column("note"))


def test_what_is_past_the_threshold_at_first_is_said_to_be(sweep: Path) -> None:
    found = emergence_table(sweep, thresholds=[0.4, "halfway"])
    assert found.column("note")[0] == "3 at or before the first evaluation" and found.column("step.median")[0] == 0
    assert found.column("threshold")[1] == "halfway"


def test_runs_that_were_never_evaluated_are_counted(sweep: Path, write_run: WriteRun) -> None:
    write_run(sweep / "begun", {}, seed=9, steps=440, n=1)
    found = emergence_table(sweep, thresholds=[0.9])
    assert found.column("note")[0] == "1 never evaluated" and found.column("seeds")[0] == 3


def test_one_run_alone_with_one_evaluation_is_a_row(tmp_path: Path, write_run: WriteRun) -> None:
    found = emergence_table(write_run(tmp_path / "a", {100: 0.7}))
    assert [row[:5] for row in found.rows] == [("new", "accuracy", "halfway", 1, 0), ("new", "accuracy", 0.9, 1, 1)]


def test_the_command_prints_it_and_explains_in_one_line_what_it_cannot_do(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["emergence", str(sweep), "--threshold", "0.8", "halfway", "--against", "data.n", "--held", "2"]
    assert __main__.main(command) == 0
    found = emergence_table(sweep, thresholds=[0.8, "halfway"], against="data.n", held=2)
    assert capsys.readouterr().out == found.csv()
    assert __main__.main([*command, "--to", str(tmp_path / "e.csv")]) == 0
    assert (tmp_path / "e.csv").read_text() == found.csv()
    capsys.readouterr()
    for wrong, said in (
        (["--evaluation", "new"], "an evaluation and a metric"),
        (["--evaluation", "new", "--metric", "rank"], "there are the evaluations new, old"),
        (["--against", "data.m"], "one of data.n; got data.m"),
        (["--threshold", "nan"], "Wanted one or more thresholds"),
    ):
        assert __main__.main(["emergence", str(sweep), *wrong]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and said in error


def test_runs_without_a_headline_ask_for_one(tmp_path: Path, write_run: WriteRun) -> None:
    (write_run(tmp_path / "a", {1: 0.5}) / "config.json").unlink()
    with pytest.raises(ValueError, match="name an evaluation and a metric; there are the evaluations new, old"):
        emergence_table(tmp_path)
