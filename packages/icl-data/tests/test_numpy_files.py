"""Labelled arrays from NumPy's files: mapped where they can be, refused where they are something else."""

from pathlib import Path

import numpy as np
import pytest

from icl_data import bank_from_labels, bank_from_numpy

ITEMS = np.arange(24, dtype=np.float32).reshape(6, 4)


def saved(folder: Path, labels: list[int]) -> tuple[Path, Path]:
    np.save(folder / "items.npy", ITEMS)
    np.save(folder / "labels.npy", np.array(labels))
    return folder / "items.npy", folder / "labels.npy"


@pytest.mark.parametrize("labels", [[1, 1, 3, 3, 3, 7], [3, 1, 7, 3, 1, 3]])
def test_two_files_and_one_archive_are_the_bank_of_their_arrays(tmp_path: Path, labels: list[int]) -> None:
    wanted = bank_from_labels(ITEMS, np.array(labels))
    np.savez_compressed(tmp_path / "both.npz", items=ITEMS, labels=np.array(labels))
    for bank in (bank_from_numpy(*saved(tmp_path, labels)), bank_from_numpy(tmp_path / "both.npz")):
        assert bank.fingerprint() == wanted.fingerprint() and list(bank.counts) == list(wanted.counts)
        np.testing.assert_array_equal(bank.every_item(), wanted.every_item())


def test_items_in_the_order_of_their_labels_stay_in_their_file(tmp_path: Path) -> None:
    assert isinstance(bank_from_numpy(*saved(tmp_path, [1, 1, 3, 3, 3, 7])).items.base, np.memmap)
    assert not isinstance(bank_from_numpy(*saved(tmp_path, [3, 1, 1, 3, 3, 7])).items.base, np.memmap)


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    items, labels = saved(tmp_path, [1, 1, 3, 3, 3, 7])
    with pytest.raises(ValueError, match=r"Wanted a \.npz file alone"):
        bank_from_numpy(items)
    np.savez(tmp_path / "other.npz", x=ITEMS)
    with pytest.raises(ValueError, match="has no array 'items', but x; save both"):
        bank_from_numpy(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError, match=r"No NumPy file at .*none"):
        bank_from_numpy(items, tmp_path / "none.npy")
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("1,2")
    (tmp_path / "text.npz").write_bytes(b"PK\x03\x04 no archive")
    for bad in ("objects.npy", "text.npy"):
        with pytest.raises(ValueError, match="cannot be read as arrays"):
            bank_from_numpy(items, tmp_path / bad)
    with pytest.raises(ValueError, match="cannot be read as arrays"):
        bank_from_numpy(tmp_path / "text.npz")
    np.save(labels, np.arange(5))
    with pytest.raises(ValueError, match=r"items\.npy: Each item needs one label"):
        bank_from_numpy(items, labels)
    np.savez(tmp_path / "both.npz", items=ITEMS, labels=np.arange(6))
    with pytest.raises(ValueError, match="wants arrays of items and of labels"):
        bank_from_numpy(items, tmp_path / "both.npz")
