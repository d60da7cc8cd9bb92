import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_eval import Fits, Judgement, ScalarCurve, ShotCurves, read_run, save_by_examples, save_fits, write_summary

LINE = np.arange(4.0)
CURVES = ShotCurves(
    measure="accuracy", curves={"model": ScalarCurve(LINE, LINE, LINE, LINE), "1-NN": ScalarCurve(*[LINE] * 4)}, count=5
)
GRID = np.zeros((1, 6))
FITS = Fits(context_inputs=GRID, context_targets=GRID, inputs=GRID, truth=GRID, predictions={"model": GRID})


def test_what_is_saved_is_read_with_the_run_by_name(run: Path) -> None:
    for name in ("seen_tasks", "unseen tasks", "a.b"):
        save_by_examples(run, name, CURVES)
        save_fits(run, name, FITS)
    read = read_run(run)
    assert read.missing == ()
    assert sorted(read.by_examples) == sorted(read.fits) == ["a.b", "seen_tasks", "unseen tasks"]
    assert sorted(read.examples) == ["fewshot_holdout", "no_support_zipfian"]
    assert list(read.by_examples["unseen tasks"].curves) == ["model", "1-NN"]
    np.testing.assert_array_equal(read.by_examples["a.b"].curves["model"].values, LINE)
    np.testing.assert_array_equal(read.fits["a.b"].truth, GRID)
    assert not [path for path in (run / "arrays").iterdir() if path.name.startswith(".")]


def test_a_run_without_them_misses_nothing(run: Path) -> None:
    read = read_run(run)
    assert (read.by_examples, read.fits, read.missing) == ({}, {}, ())


def test_saving_makes_the_folder_and_replaces_what_was_there(tmp_path: Path) -> None:
    save_by_examples(tmp_path / "new", "a", CURVES)
    save_by_examples(tmp_path / "new", "a", ShotCurves(measure="accuracy", curves=CURVES.curves, count=99))
    save_fits(tmp_path / "other", "a", FITS)
    assert ShotCurves.load(tmp_path / "new" / "arrays" / "by_examples_a.npz").count == 99
    assert [path.name for path in (tmp_path / "other" / "arrays").iterdir()] == ["fits_a.npz"]


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_fits(tmp_path, "a", FITS)

    def fail(self: Fits, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Fits, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_fits(tmp_path, "a", FITS)
    assert [path.name for path in (tmp_path / "arrays").iterdir()] == ["fits_a.npz"]
    assert Fits.load(tmp_path / "arrays" / "fits_a.npz").truth.shape == (1, 6)


@pytest.mark.parametrize("name", ["", "a/b", "../../a", "a\\b", "a\0b"])
def test_a_name_that_would_leave_the_folder_is_an_error(tmp_path: Path, name: str) -> None:
    for save, what in ((save_by_examples, CURVES), (save_fits, FITS)):
        with pytest.raises(ValueError, match="stand in a file name"):
            save(tmp_path, name, what)  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["by_examples", "fits"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_a_damaged_file_is_named_and_the_rest_is_read(run: Path, kind: str, content: bytes) -> None:
    save_by_examples(run, "good", CURVES)
    save_fits(run, "good", FITS)
    (run / "arrays" / f"{kind}_bad.npz").write_bytes(content)
    read = read_run(run)
    assert read.missing == (f"arrays/{kind}_bad.npz: damaged, so it was left out.",)
    assert (set(read.by_examples), set(read.fits)) == ({"good"}, {"good"})


@pytest.mark.parametrize("kind", ["by_examples", "fits"])
@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_file_that_was_cut_off_is_named(run: Path, kind: str, cut: float) -> None:
    save_by_examples(run, "a", CURVES)
    save_fits(run, "a", FITS)
    path = run / "arrays" / f"{kind}_a.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    assert [sentence.split(":")[0] for sentence in read_run(run).missing] == [f"arrays/{kind}_a.npz"]


WRONG = [
    ("by_examples", {"names": np.array("model")}),
    ("by_examples", {"names": np.array(["model"])}),
    ("by_examples", {"chances": np.array(["x", "y"])}),
    ("by_examples", {"count": np.array(0)}),
    ("by_examples", {"count": np.array(np.inf)}),
    ("by_examples", {"count": np.array([1, 2])}),
    ("by_examples", {"measure": np.array("loss")}),
    ("by_examples", {"0_values": np.array(["a"] * 4)}),
    ("by_examples", {"0_values": np.zeros(3)}),
    ("fits", {"names": np.array(["a", "b"])}),
    ("fits", {"names": np.array(3)}),
    ("fits", {"truth": np.zeros((1, 7))}),
]


@pytest.mark.parametrize(("kind", "change"), WRONG)
def test_arrays_of_another_form_are_damage(run: Path, kind: str, change: dict[str, Any]) -> None:
    save_by_examples(run, "a", CURVES)
    save_fits(run, "a", FITS)
    path = run / "arrays" / f"{kind}_a.npz"
    with np.load(path) as arrays:
        changed = dict(arrays) | change
    np.savez(path, **changed)
    assert read_run(run).missing == (f"arrays/{kind}_a.npz: damaged, so it was left out.",)


def test_a_file_in_an_unknown_compression_is_damage(run: Path) -> None:
    save_fits(run, "a", FITS)
    path = run / "arrays" / "fits_a.npz"
    with zipfile.ZipFile(path) as archive:
        offsets = [info.header_offset for info in archive.infolist()]
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[offsets[0] + 8 : offsets[0] + 10] = b"\x63\x00"
    content[central + 10 : central + 12] = b"\x63\x00"
    path.write_bytes(bytes(content))
    assert read_run(run).missing == ("arrays/fits_a.npz: damaged, so it was left out.",)


def test_the_verdict_stands_in_the_summary_if_there_is_one(tmp_path: Path) -> None:
    judged = Judgement("learns to learn", "It does.")
    write_summary(tmp_path, train={"steps": 1}, seed=0, verdict=judged)
    read = json.loads((tmp_path / "summary.json").read_text())
    assert read["verdict"] == {"verdict": "learns to learn", "reason": "It does."}
    assert read_run(tmp_path).summary["verdict"]["verdict"] == "learns to learn"
    assert "verdict" not in write_summary(tmp_path, train={"steps": 1}, seed=0)
