import gzip
import struct

import numpy as np
import pytest

from icl_data import bank_from_idx, bank_from_labels, read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array, *, sizes=None, code=None):
    code = CODES[array.dtype.str[1:]] if code is None else code
    sizes = array.shape if sizes is None else sizes
    header = bytes([0, 0, code, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(5,), (3, 4, 2), (0, 7)])
def test_what_was_written_is_read(tmp_path, dtype, shape, compress):
    array = (np.arange(np.prod(shape)).reshape(shape) - 3).astype(dtype)
    (tmp_path / "array").write_bytes(compress(idx(array)))
    read = read_idx(tmp_path / "array")
    assert np.array_equal(read, array)
    assert read.dtype == np.dtype(dtype) and read.dtype.isnative and read.flags.writeable


def test_mnist_becomes_ten_classes(mnist):
    images, labels = map(read_idx, mnist)
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((10_000, 28, 28), "u1", (10_000,), "u1")
    bank = bank_from_idx(*mnist)
    assert bank.fingerprint() == bank_from_labels(images, labels).fingerprint()
    assert bank.counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.array_equal(bank.gather(np.array([7, 2, 1, 0, 4]), np.zeros(5, np.int64)), images[:5])
    assert 0.10 < images.mean() / 255 < 0.16
    assert bank.augmented().num_classes == 80


GOOD = idx(np.arange(6, dtype="u1").reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"\1" + GOOD[1:], "not an IDX file"),
        (b"\x89PNG\r\n", "not an IDX file"),
        (idx(np.zeros(3, "u1"), code=0x0A), "not an IDX file"),
        (idx(np.zeros(1, "u1"), sizes=()), "not an IDX file"),
        (idx(np.zeros(1, "u1"), sizes=(1,) * 17), "not an IDX file"),
        (GOOD[:9], "ends within its header of 2 sizes"),
        (GOOD[:-1], r"6 bytes of \(2, 3\) uint8, but has only 5"),
        (GOOD + b"\0", r"6 bytes of \(2, 3\) uint8, but has more"),
        (idx(np.zeros(3, "u1"), sizes=(2**32 - 1,) * 16), "more than max_bytes=2147483648"),
        (idx(np.zeros(3, "u1"), sizes=(2**31 - 1,)), "2147483647 bytes .* but has only 3"),
        (idx(np.zeros(0, "u1"), sizes=(0, *(2**32 - 1,) * 3)), r"promises an array of \(0, 4294967295, .* uint8, more"),
        (gzip.compress(idx(np.zeros(0, "u1"), sizes=(2**32 - 1, 9)), mtime=0), "max_bytes=2147483648; raise max_bytes"),
        (gzip.compress(GOOD, mtime=0)[:-9], "not a sound gzip file"),
        (gzip.compress(GOOD, mtime=0)[:-8] + bytes(8), "not a sound gzip file"),
        (gzip.compress(GOOD, mtime=0)[:12] + b"????" + gzip.compress(GOOD, mtime=0)[16:], "not a sound gzip file"),
        (gzip.compress(b"hello", mtime=0), "not an IDX file"),
    ],
    ids=range(18),
)
def test_a_bad_file_gets_one_clear_line(tmp_path, content, message):
    (tmp_path / "bad.idx").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(tmp_path / "bad.idx")
    assert "bad.idx" in str(caught.value) and "\n" not in str(caught.value)


def test_no_more_is_unpacked_than_the_header_promises(tmp_path, monkeypatch):
    unpacked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size: (unpacked.append(size), read(self, size))[1])
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(GOOD + bytes(50_000_000)))
    with pytest.raises(ValueError, match="has more"):
        read_idx(tmp_path / "bomb.gz")
    assert max(unpacked) < 20


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No IDX file at .*nowhere; give the path"):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="No IDX file"):
        read_idx(tmp_path)


def test_no_more_is_read_than_was_allowed(tmp_path):
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(idx(np.zeros((3, 1000), "f8"))))
    with pytest.raises(ValueError, match=r"bomb\.gz promises .* \(3, 1000\) float64, more than max_bytes=23999;"):
        read_idx(tmp_path / "bomb.gz", max_bytes=23_999)
    assert read_idx(tmp_path / "bomb.gz", max_bytes=24_000).shape == (3, 1000)


@pytest.fixture
def written(tmp_path):
    """Return a function that writes arrays as IDX files, and returns their paths."""

    def write(**arrays):
        for name, array in arrays.items():
            (tmp_path / name).write_bytes(idx(array))
        return [tmp_path / name for name in arrays]

    return write


DIGITS = np.arange(4 * 2 * 3, dtype="u1").reshape(4, 2, 3)


def test_emnists_images_are_turned_back(written):
    # EMNIST's readme: the images "need to be transposed" to look as MNIST's do.
    files = written(images=DIGITS, labels=np.array([5, 2, 5, 2], "u1"))
    bank = bank_from_idx(*files, transposed=True)
    assert bank.items.shape == (4, 3, 2)
    assert bank.gather(np.array([1]), np.array([1]))[0].tolist() == [[12, 15], [13, 16], [14, 17]]
    assert np.array_equal(bank_from_idx(*files).items, DIGITS[[1, 3, 0, 2]])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros(4, "u1"), DIGITS, r"images should hold images \[N, H, W\], but has uint8 \[4\]; give images first"),
        (np.zeros(4, "u1"), np.zeros(4, "u1"), r"images should hold images \[N, H, W\]"),
        (DIGITS, DIGITS, r"labels should hold labels \[N\], but has uint8 \[4, 2, 3\]"),
        (DIGITS, np.zeros(3, "u1"), "has 4 images, but .*labels 3 labels; give two of one set"),
        (DIGITS, np.zeros(4, "f4"), "labels must be integers"),
        (DIGITS.astype("i4"), np.zeros(4, "u1"), r"Images must be uint8 .* got int32 \[4, 2, 3\]"),
        (DIGITS.astype("i2"), np.zeros(4, "u1"), "Images must be uint8 .* got int16"),
    ],
)
def test_two_files_that_do_not_belong_together_get_one_clear_line(written, images, labels, message):
    with pytest.raises(ValueError, match=message) as caught:
        bank_from_idx(*written(images=images, labels=labels))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [GOOD[:-1], GOOD[:5], GOOD[:3], b"", b"<html>503", gzip.compress(GOOD, mtime=0)[:-5]]
)
def test_an_interrupted_download_is_told_to_be_downloaded_again(tmp_path, content):
    (tmp_path / "cut").write_bytes(content)
    with pytest.raises(ValueError, match=r"cut .*[dD]ownload it again"):
        read_idx(tmp_path / "cut")
