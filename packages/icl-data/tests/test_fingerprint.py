"""Data are known again by what they hold, not by where they lie."""

import dataclasses
import gzip
import hashlib
import struct
import zipfile

import numpy as np
import pytest

from icl_data import (
    ExemplarBank,
    bank_from_arrays,
    bank_from_labels,
    bank_from_tfds,
    gaussian,
    glyphs,
    omniglot,
    prepare_omniglot,
    random_vectors,
    read_idx,
    symbols,
)


def test_golden_fingerprint():
    items = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2)
    bank = bank_from_arrays([items[:2], items[2:]])
    head = b'{"dtype": "uint8", "group": 1, "shape": [2, 2]}'
    numbers = [2, 1, 0, 0, 0, 1, 2]  # counts, symmetries, the place of each exemplar's item
    by_hand = hashlib.sha256(head + struct.pack("<7q", *numbers) + bytes(range(12))).hexdigest()
    assert bank.fingerprint() == by_hand[:16] == "434b7047c9bcee80"
    views = bank.augmented()
    numbers = [2] * 8 + [1] * 8 + [*range(8), *range(8)] + [0, 1] * 8 + [2] * 8
    by_hand = hashlib.sha256(head.replace(b"1", b"8") + struct.pack("<56q", *numbers) + bytes(range(12))).hexdigest()
    assert views.fingerprint() == by_hand[:16]


def test_omniglot_is_the_same_from_any_container_in_any_order(zips, directory, tmp_path):
    bank = omniglot(zips, size=28)
    for path in zips:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "unpacked")
    assert omniglot(zips[::-1], size=28).fingerprint() == bank.fingerprint()
    assert omniglot(tmp_path / "unpacked", size=28).fingerprint() == bank.fingerprint()
    assert omniglot(directory, size=28).fingerprint() == bank.fingerprint()
    others = omniglot(zips[:1], size=28), omniglot(zips, size=27), omniglot(zips, size=28, polarity="paper_is_one")
    assert len({other.fingerprint() for other in (bank, *others)}) == 4


def test_items_are_the_same_however_a_bank_keeps_them(tmp_path):
    images, labels = np.random.default_rng(0).integers(0, 256, (40, 5, 5), np.uint8), np.arange(40) % 4
    bank = bank_from_labels(images, labels)
    order = np.argsort(labels, kind="stable")
    assert bank_from_labels(images[order], labels[order]).fingerprint() == bank.fingerprint()
    np.save(tmp_path / "items.npy", images[order])
    mapped = np.load(tmp_path / "items.npy", mmap_mode="r")
    assert bank_from_labels(mapped, labels[order]).fingerprint() == bank.fingerprint()
    assert (
        dataclasses.replace(bank, items=np.concatenate([images[:3], bank.items]), starts=bank.starts + 3).fingerprint()
        == bank.fingerprint()
    )
    chosen = [3, 1]
    copied = bank_from_arrays([images[labels == label] for label in chosen])
    assert bank.subset(chosen).fingerprint() == copied.fingerprint()
    assert bank.subset(chosen).augmented().fingerprint() == copied.augmented().fingerprint()
    floats = bank_from_labels(images.astype("<f4"), labels)
    assert bank_from_labels(images.astype(">f4"), labels).fingerprint() == floats.fingerprint()


def test_idx_files_are_the_same_plain_and_compressed(tmp_path):
    plain, compressed = tmp_path / "a.idx", tmp_path / "b.gz"
    plain.write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(range(8)))
    compressed.write_bytes(gzip.compress(plain.read_bytes()))
    one, two = (bank_from_labels(read_idx(path), [0, 1]).fingerprint() for path in (plain, compressed))
    assert one == two


def test_whatever_differs_is_told_apart():
    bank = bank_from_arrays([np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.ones((2, 2, 2), np.uint8)])
    changed = bank.items.copy()
    changed[-1, -1, -1] ^= 1
    banks = {
        "bank": bank,
        "one bit": dataclasses.replace(bank, items=changed),
        "dtype": dataclasses.replace(bank, items=bank.items.astype(np.float32)),
        "shape": dataclasses.replace(bank, items=bank.items.reshape(4, 4)),
        "group": dataclasses.replace(bank, group=2),
        "order": bank.subset([1, 0]),
        "fewer classes": bank.subset([0]),
        "single": bank.first_exemplars(1),
        "the other exemplars": bank.split_exemplars(0.5)[1],
        "separated": bank.separated(),
        "turned": dataclasses.replace(bank, symmetries=np.array([0, 1])),
        "views": bank.augmented(),
        "other classes of the same items": ExemplarBank(
            items=bank.items, starts=np.array([0, 3]), counts=np.array([3, 1]), symmetries=np.zeros(2, np.int64)
        ),
    }
    assert len({each.fingerprint() for each in banks.values()}) == len(banks)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: glyphs(5 + seed, cache=False),
        lambda seed: symbols(5 + seed),
        lambda seed: gaussian(5, seed=seed),
        lambda seed: random_vectors(5, exemplars=2, dimensions=3, seed=seed),
    ],
)
def test_every_bank_has_one(make):
    assert make(0).fingerprint() == make(0).fingerprint() != make(1).fingerprint()


def test_a_home_is_expanded_wherever_a_path_is_taken(zips, directory, copy, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "s.zip").write_bytes(zips[2].read_bytes())
    (tmp_path / "a.idx").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 8]))
    assert omniglot("~/s.zip").num_classes == 2
    assert omniglot(["~/omniglot/3.0.0"]).num_classes == omniglot(directory).num_classes
    assert read_idx("~/a.idx").tolist() == [7, 8]
    assert bank_from_tfds("omniglot", split="small1", data_dir="~").num_classes == 2
    with pytest.raises(FileExistsError, match=str(tmp_path)):
        prepare_omniglot("~", zips="~/s.zip")


def test_a_home_that_nobody_has_is_named():
    with pytest.raises(ValueError, match=r"~nobody-at-all/x\.zip begins with a home folder that is not known"):
        omniglot("~nobody-at-all/x.zip")
