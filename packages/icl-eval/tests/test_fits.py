from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import Fits

FIELDS: dict[str, Any] = {
    "context_inputs": np.random.default_rng(0).normal(size=(2, 5)),
    "context_targets": np.random.default_rng(1).normal(size=(2, 5)),
    "inputs": np.tile(np.linspace(-1, 1, 9), (2, 1)),
    "truth": np.random.default_rng(2).normal(size=(2, 9)),
    "predictions": {"model": np.zeros((2, 9)), "Gaussian process": np.ones((2, 9)), "3-NN": np.full((2, 9), np.nan)},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_round_trip_through_a_file_changes_nothing(tmp_path: Path, dtype: type) -> None:
    arrays = {name: array.astype(dtype) for name, array in FIELDS.items() if name != "predictions"}
    predictions = {name: array.astype(dtype) for name, array in FIELDS["predictions"].items()}
    Fits(**arrays, predictions=predictions).save(tmp_path / "two sines.npz")
    after = Fits.load(tmp_path / "two sines.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(after, name), array)
        assert getattr(after, name).dtype == dtype
    assert list(after.predictions) == ["model", "Gaussian process", "3-NN"]
    for name, array in predictions.items():
        np.testing.assert_array_equal(after.predictions[name], array)


@pytest.mark.parametrize(
    "change",
    [
        {"predictions": {}},
        {"predictions": {"model": np.zeros((2, 8))}},
        {"context_targets": np.zeros((2, 4))},
        {"context_inputs": np.zeros((3, 5)), "context_targets": np.zeros((3, 5))},
        {"context_inputs": np.zeros((2, 0)), "context_targets": np.zeros((2, 0))},
        {"truth": np.zeros((2, 8))},
        {"truth": np.zeros(9)},
    ],
)
def test_arrays_that_do_not_fit_together_are_an_error(change: dict[str, Any]) -> None:
    # The type checker of the tests may be faster.
    with pytest.raises((ValueError, TypeError)):
        Fits(**(FIELDS | change))


def test_pickled_arrays_are_never_loaded(tmp_path: Path) -> None:
    Fits(**FIELDS).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        np.savez(tmp_path / "a.npz", **(dict(arrays) | {"truth": np.array([[None]])}))
    with pytest.raises(ValueError, match="allow_pickle"):
        Fits.load(tmp_path / "a.npz")
