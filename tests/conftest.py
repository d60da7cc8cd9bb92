"""Where experiments are imported from, and what the tests must not touch."""

import os
import sys
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "experiments"), str(ROOT / "tests")]  # the latter for tiny_omniglot.py


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory, request):
    """Keep glyphs out of the user's cache, but draw them once for all tests here, and compile each program once.

    Soon rather than well, but for the slow tests, which train for long.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ICL_DATA_CACHE", str(tmp_path_factory.mktemp("cache")))
        options = {
            "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
            "jax_persistent_cache_min_compile_time_secs": 0,
            "jax_disable_most_optimizations": request.config.option.markexpr == "not slow",
        }
        for name, value in options.items():
            patch.setenv(
                name.upper(), str(int(value) if isinstance(value, bool) else value)
            )  # for the processes that tests start
            jax.config.update(name, value)
        yield


@pytest.fixture(scope="session")
def small1():
    """Give the path of Omniglot's images_background_small1.zip, or skip where it is absent."""
    path = Path(os.environ.get("ICL_SHARED_DATA", ROOT.parent / "shared" / "data")) / "images_background_small1.zip"
    if not path.is_file():
        pytest.skip(f"no real Omniglot at {path}; set ICL_SHARED_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory, cache):
    """Give the folder of a finished run, which all tests share; a test that changes it works on a copy."""
    from tiny_omniglot import TINY, contents, run  # not above: most tests need none of it

    folder = tmp_path_factory.mktemp("runs") / "finished"
    run("laptop", *TINY, "--workdir", folder)
    before = contents(folder)
    yield folder
    assert contents(folder) == before, "a test has changed the run that others rely on"
