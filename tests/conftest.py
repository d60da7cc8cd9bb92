"""What the tests of experiments share, and must not touch."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def real_file(name):
    """Return the path of a file of real data, or skip where it is absent."""
    path = Path(os.environ.get("ICL_SHARED_DATA", ROOT.parent / "shared" / "data")) / name
    if not path.is_file():
        pytest.skip(f"no real data at {path}; set ICL_SHARED_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def small1():
    """Return the path of Omniglot's images_background_small1.zip, or skip where it is absent."""
    return real_file("images_background_small1.zip")


@pytest.fixture(scope="session")
def mnist():
    """Return the paths of MNIST's test images and labels, or skip where they are absent."""
    return real_file("t10k-images-idx3-ubyte.gz"), real_file("t10k-labels-idx1-ubyte.gz")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished run of omniglot; a test that changes it works on a copy."""
    from tests.tiny import OMNI, contents  # not above: most tests need none of it

    folder = tmp_path_factory.mktemp("runs") / "finished"
    OMNI.tiny("--report", "--workdir", folder)
    before = contents(folder)
    yield folder
    assert contents(folder) == before, "a test has changed the run that others rely on"
