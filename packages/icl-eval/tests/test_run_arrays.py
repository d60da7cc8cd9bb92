import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import Fits, Result, ScalarCurve, ShotCurves, append_evaluations, proportion, read_run
from icl_eval.results.saved_arrays import SavedArrays

LINE = np.arange(4.0)
CURVES = ShotCurves(
    measure="accuracy", curves={"model": ScalarCurve(LINE, LINE, LINE, LINE), "1-NN": ScalarCurve(*[LINE] * 4)}, count=5
)
GRID = np.zeros((1, 6))
FITS = Fits(context_inputs=GRID, context_targets=GRID, inputs=GRID, truth=GRID, predictions={"model": GRID})


def save(folder: Path, name: str, *, step: int = 100, **arrays: SavedArrays) -> None:
    """Append an evaluation with arrays: without any named, curves and fits."""
    found = Result(name, {"accuracy": proportion(1, 2)}, {}, arrays=arrays or {"shots": CURVES, "fits": FITS})
    append_evaluations(folder, step=step, results=[found])


def test_what_is_saved_is_read_with_the_run_by_name(run: Path) -> None:
    for name in ("seen_tasks", "unseen tasks", "a.b"):
        save(run, name)
    read = read_run(run)
    assert read.missing == ()
    assert sorted(read.shots) == sorted(read.fits) == ["a.b", "seen_tasks", "unseen tasks"]
    assert sorted(read.examples) == ["fewshot_holdout", "no_support_zipfian"]
    assert list(read.shots["unseen tasks"].curves) == ["model", "1-NN"]
    np.testing.assert_array_equal(read.shots["a.b"].curves["model"].values, LINE)
    np.testing.assert_array_equal(read.fits["a.b"].truth, GRID)
    assert not [path for path in (run / "arrays").iterdir() if path.name.startswith(".")]


def test_a_run_without_them_misses_nothing(run: Path) -> None:
    read = read_run(run)
    assert (read.shots, read.fits, read.attention, read.missing) == ({}, {}, {}, ())


def test_saving_makes_the_folder_and_replaces_what_was_there(tmp_path: Path) -> None:
    save(tmp_path / "new", "a", shots=CURVES)
    save(tmp_path / "new", "a", shots=dataclasses.replace(CURVES, count=99))
    save(tmp_path / "other", "a", fits=FITS)
    assert ShotCurves.load(tmp_path / "new" / "arrays" / "shots_a.npz").count == 99
    assert [path.name for path in (tmp_path / "other" / "arrays").iterdir()] == ["fits_a.npz"]


def test_arrays_are_those_of_the_latest_step_of_an_evaluation(tmp_path: Path) -> None:
    for step in (20, 10, 20, 30):
        save(tmp_path, "a", step=step, shots=dataclasses.replace(CURVES, count=step))
        assert read_run(tmp_path).shots["a"].count == max(step, 20)
    save(tmp_path, "b", step=10, shots=CURVES)
    assert read_run(tmp_path).shots["b"].count == CURVES.count


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "a", fits=FITS)

    write = Path.write_bytes

    def fail(path: Path, content: bytes) -> None:
        is_array = ".npz" in path.name
        write(path, content[:9] if is_array else content)
        if is_array:
            raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        save(tmp_path, "a", fits=FITS)
    assert [path.name for path in (tmp_path / "arrays").iterdir()] == ["fits_a.npz"]
    assert Fits.load(tmp_path / "arrays" / "fits_a.npz").truth.shape == (1, 6)


@pytest.mark.parametrize("name", ["", "a/b", "../../a", "a\\b", "a\0b"])
def test_a_name_that_would_leave_the_folder_is_an_error(tmp_path: Path, name: str) -> None:
    for kind, arrays in (("shots", CURVES), ("fits", FITS), ("numbers", FITS)):
        with pytest.raises(ValueError, match="a name without slashes"):
            save(tmp_path, name, **{kind: arrays})
    with pytest.raises(ValueError, match="a kind of examples, attention, shots, fits and"):
        save(tmp_path, "a", numbers=FITS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["shots", "fits"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_a_damaged_file_is_named_and_the_rest_is_read(run: Path, kind: str, content: bytes) -> None:
    save(run, "good")
    (run / "arrays" / f"{kind}_bad.npz").write_bytes(content)
    read = read_run(run)
    assert read.missing == (f"arrays/{kind}_bad.npz: damaged, so it was left out.",)
    assert (set(read.shots), set(read.fits)) == ({"good"}, {"good"})


@pytest.mark.parametrize("kind", ["shots", "fits"])
@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_file_that_was_cut_off_is_named(run: Path, kind: str, cut: float) -> None:
    save(run, "a")
    path = run / "arrays" / f"{kind}_a.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    assert [sentence.split(":")[0] for sentence in read_run(run).missing] == [f"arrays/{kind}_a.npz"]


WRONG = [
    ("shots", {"names": np.array("model")}),
    ("shots", {"names": np.array(["model"])}),
    ("shots", {"chances": np.array(["x", "y"])}),
    ("shots", {"count": np.array(0)}),
    ("shots", {"count": np.array(np.inf)}),
    ("shots", {"count": np.array([1, 2])}),
    ("shots", {"measure": np.array("loss")}),
    ("shots", {"0_values": np.array(["a"] * 4)}),
    ("shots", {"0_values": np.zeros(3)}),
    ("fits", {"names": np.array(["a", "b"])}),
    ("fits", {"names": np.array(3)}),
    ("fits", {"truth": np.zeros((1, 7))}),
]


@pytest.mark.parametrize(("kind", "change"), WRONG)
def test_arrays_of_another_form_are_damage(run: Path, kind: str, change: dict[str, Any]) -> None:
    save(run, "a")
    path = run / "arrays" / f"{kind}_a.npz"
    with np.load(path) as arrays:
        changed = dict(arrays) | change
    np.savez(path, **changed)
    assert read_run(run).missing == (f"arrays/{kind}_a.npz: damaged, so it was left out.",)


def test_a_file_in_an_unknown_compression_is_damage(run: Path) -> None:
    save(run, "a", fits=FITS)
    path = run / "arrays" / "fits_a.npz"
    with zipfile.ZipFile(path) as archive:
        offsets = [info.header_offset for info in archive.infolist()]
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[offsets[0] + 8 : offsets[0] + 10] = b"\x63\x00"
    content[central + 10 : central + 12] = b"\x63\x00"
    path.write_bytes(bytes(content))
    assert read_run(run).missing == ("arrays/fits_a.npz: damaged, so it was left out.",)
