"""The IDX format of MNIST and its kin."""

import gzip
import io
import math
import zlib
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from icl_data.bank import ExemplarBank, bank_from_labels
from icl_data.paths import user_path

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_RANK = 16  # NumPy has its limit at 64
_AT_ONCE = 1 << 24  # bytes; so that a header which promises more than the file has takes no memory


def bank_from_idx(
    images: str | PathLike[str], labels: str | PathLike[str], *, transposed: bool = False
) -> ExemplarBank:
    """Return the labelled images of two IDX files, as those of MNIST and its kin come.

    Args:
      images: path of ``t10k-images-idx3-ubyte.gz``, for example.
      labels: path of ``t10k-labels-idx1-ubyte.gz``, which belongs to it.
      transposed: whether the images are stored column by column, as EMNIST's are, and to be turned back.

    Returns:
      A bank of uint8 images with a class for each label that occurs, in ascending order.

    Raises:
      FileNotFoundError: no such file.
      ValueError: files that ``read_idx`` refuses, that have changed places or do not belong together.

    >>> bank_from_idx("nowhere-images", "nowhere-labels")
    Traceback (most recent call last):
    ...
    FileNotFoundError: No IDX file at nowhere-images; give the path of t10k-images-idx3-ubyte.gz or a like file.
    """
    items, numbers = read_idx(images), read_idx(labels)
    for path, array, what, right in (
        (images, items, "images [N, H, W]", items.ndim in (3, 4)),
        (labels, numbers, "labels [N]", numbers.ndim == 1),
    ):
        if not right:
            raise ValueError(
                f"{path} should hold {what}, but has {array.dtype} {list(array.shape)}; give images first."
            )
    if len(items) != len(numbers):
        raise ValueError(f"{images} has {len(items)} images, but {labels} {len(numbers)} labels; give two of one set.")
    return bank_from_labels(items.swapaxes(1, 2) if transposed else items, numbers)


def read_idx(path: str | PathLike[str], *, max_bytes: int = 2**31) -> Shaped[np.ndarray, "..."]:
    """Return the array in an IDX file, plain or compressed with gzip.

    Args:
      path: of ``t10k-images-idx3-ubyte.gz``, for example.
      max_bytes: how large an array may be; a small gzip file can hold, and its header promise, terabytes.

    Returns:
      A new array of the shape and dtype that the header tells, in this machine's byte order.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not an IDX file, damaged, shorter or longer than its header says, or larger than ``max_bytes``.

    Source: yann.lecun.com/exdb/mnist, "The IDX file format".

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".idx") as file:
    ...     _ = file.write(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(range(6)))
    ...     file.flush()
    ...     read_idx(file.name)
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint8)
    """
    path = user_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No IDX file at {path}; give the path of t10k-images-idx3-ubyte.gz or a like file.")
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            return _read(file, path, max_bytes)
        try:
            with gzip.open(file) as inside:
                return _read(inside, path, max_bytes)
        except (EOFError, OSError, zlib.error) as error:  # what gzip raises for damaged or cut files
            raise ValueError(f"{path} is not a sound gzip file ({error}); download it again.") from error


def _read(file: io.BufferedIOBase, path: Path, max_bytes: int) -> Shaped[np.ndarray, "..."]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not 1 <= magic[3] <= _MAX_RANK:
        raise ValueError(
            f"{path} is not an IDX file: it starts with {magic!r}; expected 0, 0, a type and a rank. "
            "Download it again, or give the path of another file."
        )
    rank = magic[3]
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise ValueError(f"{path} ends within its header of {rank} sizes; download it again.")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    dtype = np.dtype(_DTYPES[magic[2]])
    # An empty array counts by its other sizes, for which NumPy has a limit too.
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize > max_bytes:
        raise ValueError(
            f"{path} promises an array of {shape} {dtype.name}, more than max_bytes={max_bytes}; raise max_bytes if "
            "the file is to be trusted."
        )
    wanted = math.prod(shape) * dtype.itemsize
    content = bytearray()
    # One byte more than wanted, never all that is there: a small gzip file can hold terabytes.
    while chunk := file.read(min(_AT_ONCE, wanted + 1 - len(content))):
        content += chunk
    if len(content) != wanted:
        found = f"only {len(content)}" if len(content) < wanted else "more"
        raise ValueError(
            f"{path} should hold {wanted} bytes of {shape} {dtype.name}, but has {found}; download it again."
        )
    return np.frombuffer(content, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
