import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from icl_data import omniglot, prepare_omniglot, tfds_order
from icl_data.banks.omniglot_tfds import omniglot_builder

tfds = pytest.importorskip("tensorflow_datasets", reason='needs pip install "icl-data[tfds]"')

# Of the real Omniglot: name of the alphabet, number of its first character.
GREEK, LATIN = ("Greek", 394), ("Latin", 683)


def same(bank, other):
    return all(np.array_equal(getattr(bank, name), getattr(other, name)) for name in ("items", "starts", "counts"))


@pytest.mark.lengthy
def test_every_form_of_the_real_file_gives_the_same_bank(small1, tmp_path):
    bank = omniglot([small1])
    assert bank.num_classes == 136
    with zipfile.ZipFile(small1) as archive:
        archive.extractall(tmp_path / "unpacked")
    prepare_omniglot(tmp_path / "tfds", zips=[small1])
    for form in ["unpacked", "tfds"]:
        assert same(omniglot(tmp_path / form), bank), form


def test_all_splits_are_read_and_overlaps_merge(zips, directory, as_tfrecords, tmp_path):
    bank = omniglot(zips)
    assert bank.num_classes == 6
    records = as_tfrecords(directory, tmp_path / "omniglot" / "3.0.0")
    for form in (directory, directory.parents[1], records, tmp_path, [str(tmp_path), *zips[1:], directory]):
        assert same(omniglot(form), bank), form


def test_the_directory_is_byte_for_byte_what_tfds_makes(write_zip, tmp_path, monkeypatch):
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


def test_without_zips_all_four_are_downloaded_and_verified(zips, write_zip, tmp_path, monkeypatch):
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
def test_a_zip_that_is_not_omniglots_is_not_prepared(write_zip, tmp_path, root, alphabets, options, message):
    path = write_zip(tmp_path / "bad.zip", root, *alphabets, **options)
    with pytest.raises(ValueError, match=message) as caught:
        prepare_omniglot(tmp_path / "tfds", zips=[path])
    assert "\n" not in str(caught.value) and "bad.zip" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


def test_zips_that_do_not_fit_together_are_not_prepared(write_zip, tmp_path):
    greek = write_zip(tmp_path / "greek.zip", "images_background", GREEK)
    latin = write_zip(tmp_path / "latin.zip", "images_background", LATIN)
    with pytest.raises(ValueError, match=r"latin\.zip holds images_background, which another zip file held before"):
        prepare_omniglot(tmp_path / "tfds", zips=[greek, latin])
    other = write_zip(tmp_path / "other.zip", "images_evaluation", ("Latin", 394))
    with pytest.raises(ValueError, match=r"other\.zip.*character 394 was Greek_0 before"):
        prepare_omniglot(tmp_path / "tfds", zips=[greek, other])
    with zipfile.ZipFile(greek, "a") as archive:
        archive.writestr("images_evaluation/Latin/character01/0683_01.png", b"")
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


def test_neither_tensorflow_nor_opencv_nor_jax_is_needed(directory, zips):
    code = (
        "import sys\n"
        "sys.modules['jax'] = None\n"  # where it is installed, Grain imports it
        "import icl_data\n"
        f"icl_data.omniglot({str(zips[0])!r})\n"
        "before = 'tensorflow_datasets' in sys.modules\n"
        f"icl_data.omniglot({str(directory)!r})\n"
        "print(before, [name for name in ('tensorflow', 'cv2') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False []"


def test_the_order_of_tfdss_records_is_known_without_tfds(directory, zips):
    shown = []
    for split in ("train", "test", "small1"):
        source = tfds.builder_from_directory(directory).as_data_source(
            split, decoders={"image": tfds.decode.SkipDecoding()}
        )
        shown += [int(example["label"]) for example in source]
    first_shown = list(dict.fromkeys(shown))
    assert first_shown != sorted(first_shown)
    for sources in (zips, zips[::-1], directory):
        assert (np.unique(first_shown)[tfds_order(sources)] == first_shown).all()
    bank = omniglot(zips, size=28)
    brought = bank.subset(tfds_order(zips)).augmented()
    assert (brought.num_classes, brought.group) == (8 * bank.num_classes, 8)
