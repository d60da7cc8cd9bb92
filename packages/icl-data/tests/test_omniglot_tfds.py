import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icl_data import omniglot, omniglot_files, prepare_omniglot
from icl_data.omniglot_tfds import omniglot_builder

tfds = pytest.importorskip("tensorflow_datasets", reason='needs pip install "icl-data[tfds]"')

# Of the real Omniglot: name of the alphabet, number of its first character.
GREEK, LATIN, TIBETAN = ("Greek", 394), ("Latin", 683), ("Tibetan", 1500)


def png(seed):
    pixels = np.random.default_rng(seed).random((105, 105)) < 0.9
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(file, "PNG")
    return file.getvalue()


def write_zip(path, root, *alphabets, characters=2, drawers=range(1, 21), number=0):
    """Write a zip like Omniglot's, but with few characters of each alphabet."""
    with zipfile.ZipFile(path, "w") as archive:
        for alphabet, first in alphabets:
            for character in range(1, characters + 1):
                label = first + character - 1 + number
                for drawer in drawers:
                    name = f"{root}/{alphabet}/character{character:02d}/{label:04d}_{drawer:02d}.png"
                    archive.writestr(name, png((label, drawer)))
    return path


def same(bank, other):
    return all(np.array_equal(getattr(bank, name), getattr(other, name)) for name in ("items", "starts", "counts"))


def as_tfrecords(directory, to, order=lambda records: records):
    """Write the same set again as TFRecord files, TFDS's own default, which TFDS cannot write without TensorFlow."""
    builder = tfds.builder_from_directory(directory)
    to.mkdir(parents=True)
    for path in directory.iterdir():
        if "array_record" not in path.name:
            (to / path.name).write_text(path.read_text().replace("array_record", "tfrecord"))
    for split, info in builder.info.splits.items():
        source = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
        records = order(list(source))
        (name,) = info.filenames
        frames = [struct.pack("<Q4x", len(record)) + record + bytes(4) for record in records]
        (to / name.replace("array_record", "tfrecord")).write_bytes(b"".join(frames))
    return to


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    """Give three overlapping zips."""
    folder = tmp_path_factory.mktemp("zips")
    return [
        write_zip(folder / "b.zip", "images_background", GREEK, LATIN),
        write_zip(folder / "e.zip", "images_evaluation", TIBETAN),
        write_zip(folder / "s.zip", "images_background_small1", LATIN),
    ]


@pytest.fixture(scope="module")
def directory(zips, tmp_path_factory):
    """Give a version directory that was prepared from them; not to be changed."""
    return prepare_omniglot(tmp_path_factory.mktemp("tfds"), zips=zips)


@pytest.fixture
def copy(directory, tmp_path):
    """Give a copy of it that may be changed."""
    folder = tmp_path / "omniglot" / "3.0.0"
    folder.mkdir(parents=True)
    for path in directory.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_every_form_of_the_real_file_gives_the_same_bank(small1, tmp_path):
    bank = omniglot([small1])
    assert bank.num_classes == 136
    with zipfile.ZipFile(small1) as archive:
        archive.extractall(tmp_path / "unpacked")
    prepare_omniglot(tmp_path / "tfds", zips=[small1])
    for form in ["unpacked", "tfds"]:
        assert same(omniglot(tmp_path / form), bank), form


def test_all_splits_are_read_and_overlaps_merge(zips, directory, tmp_path):
    bank = omniglot(zips)
    assert bank.num_classes == 6
    records = as_tfrecords(directory, tmp_path / "omniglot" / "3.0.0")
    for form in (directory, directory.parents[1], records, tmp_path, [str(tmp_path), *zips[1:], directory]):
        assert same(omniglot(form), bank), form


def test_the_directory_is_byte_for_byte_what_tfds_makes(tmp_path, monkeypatch):
    sets = ["images_background", "images_evaluation", "images_background_small1", "images_background_small2"]
    zips = [write_zip(tmp_path / f"{name}.zip", name, GREEK, LATIN, characters=1) for name in sets]
    ours = prepare_omniglot(tmp_path / "ours", zips=zips)
    stock = tfds.builder_cls("omniglot")
    module = sys.modules[stock.__module__]

    class ListsFolders:
        """The one thing of TensorFlow that TFDS's own builder uses."""

        io = type("io", (), {"gfile": type("gfile", (), {"listdir": staticmethod(os.listdir)})})

    class Unpacks:
        """A download manager for what was unpacked already."""

        downloaded_size = 0

        def download_and_extract(self, urls):
            for path in zips:
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(tmp_path / "unpacked" / path.stem)
            return {key: str(tmp_path / "unpacked" / Path(url).stem) for key, url in urls.items()}

    monkeypatch.setattr(module, "tf", ListsFolders)
    names = tfds.builder_from_directory(ours).info.features
    monkeypatch.setattr(module, "_get_names", lambda folders: (names["alphabet"].names, names["label"].names))
    builder = stock(data_dir=tmp_path / "stock", file_format="array_record")
    monkeypatch.setattr(builder, "_make_download_manager", lambda **options: Unpacks())
    builder.download_and_prepare()
    theirs = Path(builder.data_dir)
    assert sorted(path.name for path in ours.iterdir()) == sorted(path.name for path in theirs.iterdir())
    for path in ours.iterdir():
        mine, other = path.read_bytes(), (theirs / path.name).read_bytes()
        if path.name == "dataset_info.json":
            mine, other = json.loads(mine), json.loads(other)
            assert mine.pop("moduleName") and other.pop("moduleName")
        assert mine == other, path.name
    assert same(omniglot(theirs), omniglot(zips[0]))


def test_tfds_reads_the_directory_by_name(directory, zips):
    options = {"data_dir": directory.parents[1], "download": False}
    source = tfds.data_source("omniglot", split="train", decoders={"image": tfds.decode.SkipDecoding()}, **options)
    assert len(source) == 80
    with zipfile.ZipFile(zips[0]) as archive:
        pngs = {archive.read(name) for name in archive.namelist()}
    assert {example["image"] for example in source} == pngs
    assert {(example["alphabet"], example["alphabet_char_id"], example["label"]) for example in source} == {
        (21, 0, 393),
        (21, 1, 394),
        (31, 0, 682),
        (31, 1, 683),
    }
    assert set(tfds.builder_from_directory(directory).info.splits) == {"train", "test", "small1"}


def test_names_are_tfdss_where_known_and_padded_elsewhere(directory):
    features = tfds.builder_from_directory(directory).info.features
    alphabets, labels = features["alphabet"].names, features["label"].names
    assert (len(alphabets), len(set(alphabets)), alphabets) == (50, 50, sorted(alphabets))
    assert (len(labels), len(set(labels))) == (1623, 1623)
    assert labels[393:396] == ["Greek_0", "Greek_1", "unknown_0396"]
    assert (labels[0], labels[-1], labels[1500]) == ("unknown_0001", "unknown_1623", "Tibetan_1")


def test_without_zips_all_four_are_downloaded_and_verified(zips, tmp_path, monkeypatch):
    sets = {"images_background": zips[0], "images_evaluation": zips[1], "images_background_small1": zips[2]}
    sets["images_background_small2"] = write_zip(tmp_path / "s2.zip", "images_background_small2", GREEK)
    builder = omniglot_builder(tmp_path / "tfds")
    asked = {}

    class Downloads:
        downloaded_size = 18

        def download(self, urls):
            asked.update(urls)
            return {name: sets[name] for name in urls}

    monkeypatch.setattr(builder, "_make_download_manager", lambda **options: Downloads())
    builder.download_and_prepare()
    address = "https://github.com/brendenlake/omniglot/raw/master/python/"
    assert asked == {name: f"{address}{name}.zip" for name in sets}
    assert set(builder.url_infos) == set(asked.values())
    assert {len(info.checksum) for info in builder.url_infos.values()} == {64}
    assert list(builder.info.splits) == ["train", "test", "small1", "small2"]
    assert same(omniglot(tmp_path / "tfds"), omniglot(zips))


def test_the_real_download_manager_gets_the_checksums(tmp_path):
    builder = omniglot_builder(tmp_path)
    manager = builder._make_download_manager(download_dir=None, download_config=tfds.download.DownloadConfig())
    assert manager._url_infos.items() >= builder.url_infos.items()


@pytest.mark.parametrize(
    ("root", "alphabets", "options", "message"),
    [
        ("images_background", [GREEK], {"drawers": range(1, 20)}, r"character 394 has the drawers .* 1\.\.20 once"),
        ("images_background", [GREEK], {"drawers": [*range(1, 20), 21]}, "no character 394 by drawer 21"),
        ("images_background", [("Klingon", 394)], {}, "no such alphabet"),
        ("images_background", [GREEK], {"number": 1230}, "no character 1624 by drawer 1"),
        ("images_background", [("Greek", 0)], {}, "no character 0 by drawer 1"),
        ("pictures", [GREEK], {}, r"holds \['pictures'\]; expected just one of images_background,"),
        ("images_background", [GREEK, ("Latin", 394)], {}, "character 394 has the drawers"),
    ],
)
def test_a_zip_that_is_not_omniglots_is_not_prepared(tmp_path, root, alphabets, options, message):
    path = write_zip(tmp_path / "bad.zip", root, *alphabets, **options)
    with pytest.raises(ValueError, match=message) as caught:
        prepare_omniglot(tmp_path / "tfds", zips=[path])
    assert "\n" not in str(caught.value) and "bad.zip" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


def test_zips_that_do_not_fit_together_are_not_prepared(tmp_path):
    greek = write_zip(tmp_path / "greek.zip", "images_background", GREEK)
    latin = write_zip(tmp_path / "latin.zip", "images_background", LATIN)
    with pytest.raises(ValueError, match=r"latin\.zip holds images_background, which another zip file held before"):
        prepare_omniglot(tmp_path / "tfds", zips=[greek, latin])
    other = write_zip(tmp_path / "other.zip", "images_evaluation", ("Latin", 394))
    with pytest.raises(ValueError, match=r"other\.zip.*character 394 was Greek_0 before"):
        prepare_omniglot(tmp_path / "tfds", zips=[greek, other])
    with zipfile.ZipFile(greek, "a") as archive:
        archive.writestr("images_evaluation/Latin/character01/0683_01.png", png(0))
    with pytest.raises(ValueError, match=r"holds \['images_background', 'images_evaluation'\]; expected just one"):
        prepare_omniglot(tmp_path / "tfds", zips=[greek])
    with pytest.raises(ValueError, match="got none"):
        prepare_omniglot(tmp_path / "tfds", zips=[])
    with pytest.raises(FileNotFoundError, match="No Omniglot zip"):
        prepare_omniglot(tmp_path / "tfds", zips=tmp_path / "nowhere.zip")


def test_what_is_there_is_not_overwritten(directory, zips):
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    with pytest.raises(FileExistsError, match=r"3\.0\.0 exists already; remove it or name another folder"):
        prepare_omniglot(directory.parents[1], zips=zips[:1])
    assert {path.name: path.stat().st_mtime_ns for path in directory.iterdir()} == before


def test_the_extra_is_named_where_it_is_missing_and_needed_for_directories_only(directory, zips, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert omniglot(zips).num_classes == 6
    with pytest.raises(ImportError, match=r'pip install "icl-data\[tfds\]"'):
        omniglot(directory)


def test_neither_tensorflow_nor_opencv_is_imported(directory, zips):
    code = (
        "import sys, icl_data\n"
        f"icl_data.omniglot({str(zips[0])!r})\n"
        "before = 'tensorflow_datasets' in sys.modules\n"
        f"icl_data.omniglot({str(directory)!r})\n"
        "print(before, [name for name in ('tensorflow', 'cv2', 'jax') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False []"


def refused(folder, message):
    with pytest.raises(ValueError, match=message) as caught:
        omniglot(folder)
    assert "\n" not in str(caught.value)
    return True


def test_records_out_of_order_or_missing_are_refused(directory, tmp_path):
    swapped = as_tfrecords(directory, tmp_path / "a", lambda records: [records[1], records[0], *records[2:]])
    assert refused(swapped, "not in TFDS's order")
    repeated = as_tfrecords(directory, tmp_path / "b", lambda records: [records[0], *records[:-1]])
    assert refused(repeated, "not in TFDS's order, or not all 20 drawers")


def test_a_shard_that_is_cut_short_or_gone_is_refused(copy, tmp_path):
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
    bank = omniglot(copy)
    (path,) = copy.glob("*test.array_record*")
    whole = path.read_bytes()
    refusals = 0
    for place in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            assert same(omniglot(copy), bank)
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
    info.write_text(info.read_text().replace("icl_data.omniglot_tfds", "harmful"))
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
