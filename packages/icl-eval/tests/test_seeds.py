from typing import Any

import numpy as np
import pytest

from icl_eval import Result, Run, ScalarCurve, proportion
from icl_eval.runs.seeds import Group, differing, group_runs, numeric_difference, over_seeds


def make_run(name: str, config: dict[str, Any] | None = None, *, right: int = 50) -> Run:
    result = Result(
        evaluation="fewshot_holdout",
        metrics={"accuracy_closed": proportion(right, 100)},
        chance={"accuracy_closed": 0.5},
    )
    evaluations = {"fewshot_holdout": {0: result, 10: result}}
    return Run(name, config={} if config is None else {"config": config}, evaluations=evaluations)


def of(p_bursty: float, seed: int) -> dict[str, Any]:
    return {"data": {"p_bursty": p_bursty, "shots": 3}, "train": {"seed": seed, "steps": 100}}


def curve(steps: list[int], values: list[float], chance: float | None = 0.5) -> ScalarCurve:
    line = np.array(values)
    return ScalarCurve(steps=np.array(steps, np.float64), values=line, low=line - 0.1, high=line + 0.1, chance=chance)


def test_seeds_are_averaged_at_the_steps_that_all_have_in_a_band_from_lowest_to_highest() -> None:
    curves = [
        curve([0, 10, 20, 30], [0.1, 0.2, 0.3, 0.4]),
        curve([0, 20, 30], [0.3, 0.9, 0.4]),
        curve([5, 20, 30], [0.9, 0.6, 0.4]),
    ]
    mean = over_seeds(curves)
    assert mean is not None
    np.testing.assert_array_equal(mean.steps, [20, 30])
    np.testing.assert_allclose(mean.values, [0.6, 0.4])
    np.testing.assert_allclose(mean.low, [0.3, 0.4])
    np.testing.assert_allclose(mean.high, [0.9, 0.4])
    assert mean.chance == 0.5


def test_the_mean_never_leaves_its_band_even_if_all_seeds_are_equal() -> None:
    mean = over_seeds([curve([0], [0.1])] * 3)  # (0.1 + 0.1 + 0.1) / 3 > 0.1
    assert mean is not None
    assert mean.low[0] <= mean.values[0] <= mean.high[0]


def test_one_seed_keeps_its_interval_and_none_and_no_common_step_are_nothing() -> None:
    one = curve([0, 1], [0.1, 0.2])
    assert over_seeds([one]) is one
    assert over_seeds([]) is None
    assert over_seeds([one, curve([2, 3], [0.1, 0.2])]) is None
    mixed = over_seeds([one, curve([0, 1], [0.1, 0.2], chance=0.25)])
    assert mixed is not None
    assert mixed.chance is None


def test_runs_that_differ_in_the_seed_alone_are_one_group() -> None:
    names = ["x-0.1-seed0", "x-0.1-seed1", "x-0.9-seed10", "x-0.9-seed11"]
    runs = [make_run(name, of(float(name[2:5]), int(name.split("seed")[1]))) for name in names]
    groups = group_runs([runs[0], runs[2], runs[1], runs[3]])
    assert [(group.name, [run.name for run in group.runs]) for group in groups] == [
        ("x-0.1", names[:2]),
        ("x-0.9", names[2:]),
    ]
    assert numeric_difference(groups) == ("data.p_bursty", {"x-0.1": 0.1, "x-0.9": 0.9})


def test_names_that_say_nothing_give_way_to_what_differs() -> None:
    runs = [
        make_run(name, of(p, seed)) for name, p, seed in (("a", 0.1, 0), ("b", 0.1, 1), ("c", 0.9, 0), ("d", 0.9, 1))
    ]
    assert [group.name for group in group_runs(runs)] == ["data.p_bursty 0.1", "data.p_bursty 0.9"]
    assert [group.name for group in group_runs(runs[:2])] == ["a and b"]
    alike = [make_run(f"run_{place}", run.config["config"]) for place, run in enumerate(runs)]
    assert [group.name for group in group_runs(alike)] == ["data.p_bursty 0.1", "data.p_bursty 0.9"]


def test_a_run_alone_keeps_its_name_and_copies_and_unknown_configurations_stay_alone() -> None:
    runs = [make_run("a", of(0.1, 0)), make_run("b", of(0.1, 0)), make_run("c"), make_run("d")]
    assert [group.name for group in group_runs(runs)] == ["a", "b", "c", "d"]


def test_two_runs_of_one_name_and_empty_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="two folders called a"):
        group_runs([make_run("a"), make_run("a")])
    with pytest.raises(ValueError, match="one or more runs"):
        Group("a", ())


def test_only_what_differs_is_told_with_gaps_where_a_run_lacks_it() -> None:
    runs = [make_run("a", of(0.1, 0)), make_run("b", {"train": {"seed": 0, "steps": 200}}), make_run("c")]
    assert differing(runs) == {
        "data.p_bursty": ("0.1", "", ""),
        "data.shots": ("3", "", ""),
        "train.seed": ("0", "0", ""),
        "train.steps": ("100", "200", ""),
    }
    assert differing(runs[:1]) == {}


def test_a_difference_of_words_or_of_two_options_is_no_number() -> None:
    for other in ({"data": {"p_bursty": "zipfian", "shots": 3}}, {"data": {"p_bursty": 0.9, "shots": 4}}):
        config = {**of(0.1, 0), **other}
        assert numeric_difference(group_runs([make_run("a", of(0.1, 0)), make_run("b", config)])) is None
