"""Where the tests find real data, what they make of it, and where they must not write."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icl_data import (
    BatchSource,
    Bursty,
    ClassSplit,
    ExemplarBank,
    SequenceSampler,
    bank_from_arrays,
    glyphs,
    prepare_omniglot,
)


def real_file(name: str) -> Path:
    """Return the path of a file of real data, or skip where it is absent."""
    beside_the_repository = Path(__file__).parents[3].parent / "shared" / "data"
    path = Path(os.environ.get("ICL_SHARED_DATA", beside_the_repository)) / name
    if not path.is_file():
        pytest.skip(f"no real data at {path}; set ICL_SHARED_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def small1() -> Path:
    """Return the path of Omniglot's images_background_small1.zip, or skip where it is absent."""
    return real_file("images_background_small1.zip")


@pytest.fixture(scope="session")
def mnist() -> tuple[Path, Path]:
    """Return the paths of MNIST's test images and labels, or skip where they are absent."""
    return real_file("t10k-images-idx3-ubyte.gz"), real_file("t10k-labels-idx1-ubyte.gz")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the tests out of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ICL_DATA_CACHE", str(folder))
    return folder


@pytest.fixture
def tiny_bank() -> ExemplarBank:
    """Return 5 classes of 2..6 exemplars whose every pixel tells the row and the place."""
    counts = range(2, 7)
    pixels = np.arange(sum(counts) * 9, dtype=np.uint8).reshape(-1, 3, 3)
    return bank_from_arrays(np.split(pixels, np.cumsum(counts)[:-1]))


def png(seed: object) -> bytes:
    """Draw dots in black and white."""
    pixels = np.random.default_rng(seed).random((105, 105)) < 0.9
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def write_zip() -> Callable[..., Path]:
    """Return a function that writes zips like Omniglot's."""

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

    return write_zip


@pytest.fixture(scope="session")
def as_tfrecords() -> Callable[..., Path]:
    """Return a function that writes a TFDS directory again in another form."""
    tfds = pytest.importorskip("tensorflow_datasets")

    def as_tfrecords(directory, to, order=lambda records: records):
        """Write the same set again as TFRecord files, which TFDS cannot write without TensorFlow."""
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

    return as_tfrecords


@pytest.fixture(scope="session")
def zips(write_zip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return three overlapping zips of the characters 394, 395, 683, 684, 1500 and 1501."""
    folder = tmp_path_factory.mktemp("zips")
    return [
        write_zip(folder / "b.zip", "images_background", ("Greek", 394), ("Latin", 683)),
        write_zip(folder / "e.zip", "images_evaluation", ("Tibetan", 1500)),
        write_zip(folder / "s.zip", "images_background_small1", ("Latin", 683)),
    ]


@pytest.fixture(scope="session")
def directory(zips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a TFDS version directory that was prepared from them; not to be changed."""
    pytest.importorskip("tensorflow_datasets", reason='needs pip install "icl-data[tfds]"')
    return prepare_omniglot(tmp_path_factory.mktemp("tfds"), zips=zips)


@pytest.fixture
def copy(directory: Path, tmp_path: Path) -> Path:
    """Return a copy of it that may be changed."""
    folder = tmp_path / "omniglot" / "3.0.0"
    folder.mkdir(parents=True)
    for path in directory.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture(scope="module")
def source() -> BatchSource:
    """Return batches of 6 bursty sequences, with images."""
    bank = glyphs(12, num_exemplars=5, cache=False).augmented()
    split = ClassSplit(num_classes=96, rare=80, holdout=16, group=8)
    sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts, seed=4)
    return BatchSource(sampler=sampler, bank=bank, batch_size=6)
