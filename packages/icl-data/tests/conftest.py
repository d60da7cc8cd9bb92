"""Where the tests find real data, and where they must not write."""

import os
from pathlib import Path

import numpy as np
import pytest

from icl_data import ExemplarBank, bank_from_arrays


def real_file(name: str) -> Path:
    """Give the path of a file of real data, or skip where it is absent."""
    beside_the_repository = Path(__file__).parents[3].parent / "shared" / "data"
    path = Path(os.environ.get("ICL_SHARED_DATA", beside_the_repository)) / name
    if not path.is_file():
        pytest.skip(f"no real data at {path}; set ICL_SHARED_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def small1() -> Path:
    """Give the path of Omniglot's images_background_small1.zip, or skip where it is absent."""
    return real_file("images_background_small1.zip")


@pytest.fixture(scope="session")
def mnist() -> tuple[Path, Path]:
    """Give the paths of MNIST's test images and labels, or skip where they are absent."""
    return real_file("t10k-images-idx3-ubyte.gz"), real_file("t10k-labels-idx1-ubyte.gz")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the tests out of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ICL_DATA_CACHE", str(folder))
    return folder


@pytest.fixture
def tiny_bank() -> ExemplarBank:
    """Give 5 classes of 2..6 exemplars whose every pixel tells the row and the place."""
    counts = range(2, 7)
    pixels = np.arange(sum(counts) * 9, dtype=np.uint8).reshape(-1, 3, 3)
    return bank_from_arrays(np.split(pixels, np.cumsum(counts)[:-1]))
