from pathlib import Path

import numpy as np
import pytest

from icl_eval import ScalarCurve, ShotCurves

STEPS = np.array([0.0, 2.0, 8.0])


def curve(value: float, *, chance: float | None = None) -> ScalarCurve:
    return ScalarCurve(STEPS, np.full(3, value), np.full(3, value - 0.1), np.full(3, value + 0.1), chance=chance)


def same(one: ScalarCurve, other: ScalarCurve) -> bool:
    rows = ("steps", "values", "low", "high")
    equal = all(np.array_equal(getattr(one, row), getattr(other, row), equal_nan=True) for row in rows)
    return equal and one.chance == other.chance


def test_a_round_trip_through_a_file_changes_nothing(tmp_path: Path) -> None:
    one_point = ScalarCurve(STEPS[1:2], np.array([np.nan]), np.array([np.nan]), np.array([np.nan]))
    curves = {"model": curve(0.7, chance=0.1), "Gaussian process": curve(0.3), "k = 3, naïve": one_point}
    before = ShotCurves(measure="accuracy", curves=curves, count=77)
    before.save(tmp_path / "a b.npz")
    after = ShotCurves.load(tmp_path / "a b.npz")
    assert (after.measure, after.count) == ("accuracy", 77)
    assert list(after.curves) == list(curves)
    assert all(same(after.curves[name], curves[name]) for name in curves)
    assert after.curves["Gaussian process"].chance is None


def test_a_chance_of_zero_is_not_none(tmp_path: Path) -> None:
    ShotCurves(measure="squared_error", curves={"model": curve(1.0, chance=0.0)}, count=1).save(tmp_path / "a.npz")
    assert ShotCurves.load(tmp_path / "a.npz").curves["model"].chance == 0.0


@pytest.mark.parametrize(
    "change", [{"curves": {}}, {"count": 0}, pytest.param({"measure": "loss"}, id="another measure")]
)
def test_what_is_no_measure_by_shots_is_an_error(change: dict) -> None:
    # The type checker of the tests may be faster.
    with pytest.raises((ValueError, TypeError), match=r"Wanted a measure|measure"):
        ShotCurves(**({"measure": "accuracy", "curves": {"model": curve(0.5)}, "count": 3} | change))


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    ShotCurves(measure="accuracy", curves={"model": curve(0.5)}, count=3).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        np.savez(tmp_path / "a.npz", **(dict(arrays) | {"names": np.array(["model"], object)}))
    with pytest.raises(ValueError, match="allow_pickle"):
        ShotCurves.load(tmp_path / "a.npz")
