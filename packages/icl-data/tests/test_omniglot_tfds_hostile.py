"""A TFDS directory from elsewhere is not to be trusted: what is wrong with it is refused in one line."""

import json
import os
import struct

import numpy as np
import pytest

from icl_data import omniglot
from icl_data.banks import omniglot_files

pytest.importorskip("tensorflow_datasets", reason='needs pip install "icl-data[tfds]"')


def refused(folder, message):
    with pytest.raises(ValueError, match=message) as caught:
        omniglot(folder)
    assert "\n" not in str(caught.value)
    return True


def test_records_out_of_order_or_missing_are_refused(directory, as_tfrecords, tmp_path):
    swapped = as_tfrecords(directory, tmp_path / "a", lambda records: [records[1], records[0], *records[2:]])
    assert refused(swapped, "not in TFDS's order")
    repeated = as_tfrecords(directory, tmp_path / "b", lambda records: [records[0], *records[:-1]])
    assert refused(repeated, "not in TFDS's order, or not all 20 drawers")


def test_a_shard_that_is_cut_short_or_gone_is_refused(copy, as_tfrecords, tmp_path):
    records = as_tfrecords(copy, tmp_path / "tfrecords")
    (path,) = records.glob("*train.tfrecord*")
    whole = path.read_bytes()
    for length in [0, 5, 12, 40, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert refused(records, "cut short")
    path.write_bytes(struct.pack("<Q4x", 2**60) + whole[12:])
    assert refused(records, "damaged or cut short at record 0")
    path.unlink()
    assert refused(records, "is missing")
    (path,) = copy.glob("*train.array_record*")
    whole = path.read_bytes()
    for length in [0, 10, len(whole) // 2, len(whole) - 100]:
        path.write_bytes(whole[:length])
        assert refused(copy, "prepare it again|not in TFDS")


def test_a_damaged_shard_is_refused_or_does_no_harm(copy):
    items = omniglot(copy).items
    (path,) = copy.glob("*test.array_record*")
    whole = path.read_bytes()
    refusals = 0
    for place in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            assert np.array_equal(omniglot(copy).items, items)
        except ValueError as error:
            refusals += 1
            assert "\n" not in str(error) and str(copy) in str(error)
    assert refusals > 3


def test_a_shard_outside_the_directory_is_refused(copy, tmp_path):
    (path,) = copy.glob("*train.array_record*")
    elsewhere = path.rename(tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    assert refused(copy, "leads out of the directory")
    path.unlink()
    info = copy / "dataset_info.json"
    info.write_text(info.read_text().replace("{DATASET}-{SPLIT}.", "../../{DATASET}-{SPLIT}."))
    assert refused(copy, "leads out of the directory|not a sound TFDS directory")


@pytest.mark.parametrize("key", ["pythonClassName", "python_class_name", "type"])
def test_a_description_imports_nothing_of_its_own(copy, tmp_path, monkeypatch, key):
    (tmp_path / "harmful.py").write_text("raise SystemExit('was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    features = copy / "features.json"
    description = json.loads(features.read_text())
    label = description["featuresDict"]["features"]["label"]
    label.pop("pythonClassName")
    label[key] = "harmful.Feature"
    label["content"] = {}
    features.write_text(json.dumps(description))
    assert refused(copy, "asks for harmful.Feature, which is not TFDS's own")
    info = copy / "dataset_info.json"
    info.write_text(info.read_text().replace("icl_data.banks.omniglot_tfds", "harmful"))
    features.write_text(json.dumps(description).replace("harmful.Feature", "tensorflow_datasets.core.features.No"))
    assert refused(copy, "not a sound TFDS directory")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "dataset_info.json",
            '"name": "omniglot"',
            '"name": "mnist"',
            r"holds mnist/3\.0\.0; expected omniglot/3\.0\.0",
        ),
        ("dataset_info.json", '"version": "3.0.0"', '"version": "2.0.0"', r"holds omniglot/2\.0\.0; expected"),
        ("dataset_info.json", '"shardLengths"', '"shardLength"', "not a sound TFDS directory"),
        ("dataset_info.json", '"80"', '"79"', "not in TFDS's order"),
        ("dataset_info.json", '"80"', '"8000000000000"', "prepare it again"),
        ("dataset_info.json", '"80"', '"-80"', "prepare it again|not a sound"),
        ("dataset_info.json", "{", "", "not a sound TFDS directory"),
        ("dataset_info.json", "array_record", "riegeli", "prepare it again"),
        ("features.json", '"label"', '"title"', "'title': 'ClassLabel'}; expected Omniglot's"),
        ("features.json", "image_feature.Image", "text_feature.Text", "'image': 'Text'.*; expected Omniglot's"),
        ("features.json", "{", "", "not a sound TFDS directory"),
        ("alphabet.labels.txt", "Greek", "Hellenic", "not in TFDS's order"),
    ],
)
def test_a_damaged_description_gets_one_clear_line(copy, name, old, new, message):
    text = (copy / name).read_text()
    assert old in text
    (copy / name).write_text(text.replace(old, new))
    assert refused(copy, message)


def test_a_description_that_is_missing_or_huge_is_refused(copy):
    (copy / "features.json").write_text(" " * (1 << 26) + "{}")
    assert refused(copy, "features.json has 67108866 bytes")
    (copy / "features.json").unlink()
    assert refused(copy, "not a sound TFDS directory")


def test_only_ordinary_files_of_reasonable_size_are_opened(copy, tmp_path):
    for name in ("features.json", "alphabet.labels.txt", "label.labels.txt", "dataset_info.json"):
        elsewhere = (copy / name).rename(tmp_path / name)
        (copy / name).symlink_to(elsewhere)
        assert refused(copy, f"{name} is a symbolic link or no ordinary file")
        (copy / name).unlink()
        elsewhere.rename(copy / name)
    (copy / "new.labels.txt").write_bytes(bytes((1 << 20) + 1))
    assert refused(copy, r"new\.labels\.txt has 1048577 bytes, expected at most 1048576")
    (copy / "new.labels.txt").unlink()
    assert omniglot(copy).num_classes == 6
    info = json.loads((copy / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["1"] * 300_000
    (copy / "dataset_info.json").write_text(json.dumps(info))
    assert refused(copy, r"dataset_info\.json has \d+ bytes, expected at most")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["features.json", "label.labels.txt", "metadata.json"])
def test_a_pipe_is_not_waited_for(copy, name):
    (copy / name).unlink(missing_ok=True)
    os.mkfifo(copy / name)
    assert refused(copy, f"{name} is a symbolic link or no ordinary file")


@pytest.mark.parametrize("name", ["sub/label", "../label", "sub\\\\label"])
def test_a_features_name_cannot_lead_elsewhere(copy, name):
    features = copy / "features.json"
    features.write_text(features.read_text().replace('"label"', f'"{name}"'))
    assert refused(copy, "features.json has a feature .* whose name leads to another directory")


def test_characters_that_omniglot_does_not_have_are_refused(directory, monkeypatch):
    monkeypatch.setattr(omniglot_files, "CHARACTERS", range(1, 1500))
    assert refused(directory, r"Tibetan.*: Omniglot has the characters 1\.\.1499")
