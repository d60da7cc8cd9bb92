import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from icl_data import bank_from_labels, bank_from_tfds, read_idx

tfds = pytest.importorskip("tensorflow_datasets", reason='needs pip install "icl-data[tfds]"')


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def prepare(data_dir, examples, *, shape=(28, 28, 1), label=None, version="1.0.0", image=None):
    """Prepare a set with splits of (encoded image, label) pairs, under the name ``little``."""
    label, image = label or tfds.features.ClassLabel(num_classes=10), image or tfds.features.Image(shape=shape)

    class Little(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)

        def _info(self):
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict({"image": image, "label": label}), disable_shuffling=True
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(pairs) for split, pairs in examples.items()}

        def _generate_examples(self, pairs):
            for number, (encoded, value) in enumerate(pairs):
                yield number, {"image": encoded, "label": value}

    builder = Little(data_dir=data_dir, file_format="array_record")
    builder.download_and_prepare()
    return data_dir / "little" / version


def random_pairs(count, shape=(28, 28), seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = rng.integers(0, 10, count)
    return images, labels, [(png(image), int(label)) for image, label in zip(images, labels, strict=True)]


def same(bank, other):
    return all(np.array_equal(getattr(bank, name), getattr(other, name)) for name in ("items", "starts", "counts"))


def test_mnist_from_tfds_is_mnist_from_its_own_files(mnist, tmp_path):
    images, labels = (read_idx(path)[:500] for path in mnist)
    pairs = [(png(image), int(label)) for image, label in zip(images, labels, strict=True)]
    prepare(tmp_path, {"train": pairs[:300], "test": pairs[300:]})
    bank = bank_from_tfds("little", split="train+test", data_dir=tmp_path)
    assert same(bank, bank_from_labels(images, labels))
    assert (bank.num_classes, bank.key, bank.items.dtype) == (10, "images", np.uint8)
    assert same(
        bank_from_tfds("little:1.0.0", split="test", data_dir=tmp_path), bank_from_labels(images[300:], labels[300:])
    )
    assert same(
        bank_from_tfds("little", split="train[5:25]", data_dir=tmp_path), bank_from_labels(images[5:25], labels[5:25])
    )


def test_tfrecords_are_read_like_array_records(tmp_path):
    images, labels, pairs = random_pairs(40)
    directory = prepare(tmp_path, {"train": pairs})
    (path,) = directory.glob("*array_record*")
    source = tfds.builder_from_directory(directory).as_data_source(
        "train", deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
    )
    frames = b"".join(struct.pack("<Q4x", len(record)) + record + bytes(4) for record in source)
    path.with_name(path.name.replace("array_record", "tfrecord")).write_bytes(frames)
    path.unlink()
    info = directory / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    assert same(bank_from_tfds("little", split="train", data_dir=tmp_path), bank_from_labels(images, labels))
    part = bank_from_tfds("little", split="train[10:30]", data_dir=tmp_path)
    assert same(part, bank_from_labels(images[10:30], labels[10:30]))


def test_colour_jpeg_and_images_whose_size_is_not_told(tmp_path):
    images, labels, pairs = random_pairs(20, (6, 4, 3))
    prepare(tmp_path / "png", {"train": pairs}, shape=(None, None, 3))
    bank = bank_from_tfds("little", split="train", data_dir=tmp_path / "png")
    assert same(bank, bank_from_labels(images, labels)) and bank.items.shape == (20, 6, 4, 3)
    jpegs = []
    for number in range(5):
        file = io.BytesIO()
        Image.new("L", (8, 8), 50 * number).save(file, "JPEG")
        jpegs.append((file.getvalue(), number))
    prepare(tmp_path / "jpeg", {"train": jpegs}, image=tfds.features.Image(shape=(8, 8, 1), encoding_format="jpeg"))
    bank = bank_from_tfds("little", split="train", data_dir=tmp_path / "jpeg")
    assert np.abs(bank.items.astype(int).mean((1, 2)) - 50 * np.arange(5)).max() < 2


def test_images_that_are_stored_column_by_column_are_turned_back(tmp_path):
    images, labels, pairs = random_pairs(5, (6, 4))
    prepare(tmp_path, {"train": pairs}, shape=(6, 4, 1))
    bank = bank_from_tfds("little", split="train", data_dir=tmp_path, transposed=True)
    assert same(bank, bank_from_labels(np.stack([image.T for image in images]), labels))


def test_the_newest_version_is_read_unless_one_is_named(tmp_path):
    for count, version in [(3, "1.9.0"), (4, "1.10.0")]:
        prepare(tmp_path, {"train": random_pairs(count)[2]}, version=version)
    (tmp_path / "little" / "2.0.0").mkdir()  # not prepared
    assert len(bank_from_tfds("little", split="train", data_dir=tmp_path).items) == 4
    assert len(bank_from_tfds("little:1.9.0", split="train", data_dir=tmp_path).items) == 3


def test_a_configuration_is_a_part_of_the_name(tmp_path):
    directory = prepare(tmp_path, {"train": random_pairs(3)[2]})
    (tmp_path / "little" / "letters").mkdir()
    directory.rename(tmp_path / "little" / "letters" / "1.0.0")
    assert len(bank_from_tfds("little/letters", split="train", data_dir=tmp_path).items) == 3


@pytest.mark.parametrize("name", ["nothing", "little:3.0.0", "little/letters"])
def test_what_was_not_prepared_is_not_found_and_not_downloaded(tmp_path, name):
    prepare(tmp_path, {"train": random_pairs(3)[2]})
    with pytest.raises(FileNotFoundError, match=f"No set '{name}' in .*; expected .*dataset_info.json. Prepare it"):
        bank_from_tfds(name, split="train", data_dir=tmp_path)


@pytest.mark.parametrize(
    "name", ["", "../little", "little/..", "little/../..", "/etc", "little:newest", "little:1.0.0/x"]
)
def test_a_name_cannot_lead_elsewhere(tmp_path, name):
    with pytest.raises(ValueError, match="name must read"):
        bank_from_tfds(name, split="train", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("options", "pairs", "message"),
    [
        ({"shape": (28, 28, 4)}, [(png(np.zeros((28, 28, 4), np.uint8)), 0)], "1 or 3 channels"),
        ({"image": "Text"}, [("a cat", 0)], "needs the features 'image' and 'label'"),
        ({"label": "Text"}, [(png(np.zeros((28, 28), np.uint8)), "a cat")], "integer labels"),
        ({"label": "Labels"}, [(png(np.zeros((28, 28), np.uint8)), [1, 2])], "needs the features"),
        ({}, [(png(np.zeros((28, 28), np.uint8)), -1)], "example 0 has no label"),
        ({}, [(png(np.zeros((28, 27), np.uint8)), 1)], "example 0 has 27 x 28 pixels; expected 28 x 28"),
        ({}, [(png(np.zeros((28, 28), np.uint8))[:-9], 1)], "example 0 is not a sound PNG or JPEG"),
        ({}, [(b"GIF89a", 1)], "example 0 is not a sound PNG or JPEG"),
        (
            {"shape": (None, None, 1)},
            [(png(np.zeros((28, 28), np.uint8)), 1), (png(np.zeros((9, 28), np.uint8)), 1)],
            "example 1 has 28 x 9 pixels; expected 28 x 28",
        ),
    ],
    ids=range(9),
)
def test_what_is_no_labelled_image_set_gets_one_clear_line(tmp_path, options, pairs, message):
    features = {"Text": tfds.features.Text(), "Labels": tfds.features.Tensor(shape=(2,), dtype=np.int64)}
    prepare(tmp_path, {"train": pairs}, **{name: features.get(kind, kind) for name, kind in options.items()})
    with pytest.raises(ValueError, match=message) as caught:
        bank_from_tfds("little", split="train", data_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_splits_that_are_not_there_are_refused(tmp_path):
    prepare(tmp_path, {"train": random_pairs(30)[2], "small1": random_pairs(4)[2]})
    for split, message in [
        ("nope", "has no split 'nope'; name one of 'train', 'small1'"),
        ("train+nope[:2]", "has no split 'nope'; name one of"),
        ("", "has no split ''; name one of"),
        ("train[", r"split 'train\[': .*; write, say, 'train', 'train\[:10%\]' or 'train\+test'"),
        ("train[:99]", r"incompatible with 30 examples\.; write, say"),
        ("train[2:2]", r"split 'train\[2:2\]' is empty; name another split or a larger part"),
        ("small1[:0]", r"split 'small1\[:0\]' is empty"),
        ("train[:1%]", "is empty"),
    ]:
        with pytest.raises(ValueError, match=message) as caught:
            bank_from_tfds("little", split=split, data_dir=tmp_path)
        assert "\n" not in str(caught.value) and "prepare it again" not in str(caught.value)
    assert len(bank_from_tfds("little", split="train[:0] + small1", data_dir=tmp_path).items) == 4
    assert len(bank_from_tfds("little", split="all", data_dir=tmp_path).items) == 34


def test_a_damaged_description_is_refused(tmp_path):
    directory = prepare(tmp_path, {"train": random_pairs(3)[2]})
    features = json.loads((directory / "features.json").read_text())
    features["pythonClassName"] = "os.path"
    (directory / "features.json").write_text(json.dumps(features))
    with pytest.raises(ValueError, match=r"asks for os\.path, which is not TFDS's own"):
        bank_from_tfds("little", split="train", data_dir=tmp_path)
