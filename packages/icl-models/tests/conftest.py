"""A strict environment (no silent broadcasting), and every program compiled once, and soon rather than well."""

import importlib.metadata
import os

# Compiles sooner; JAX 0.12 has no such flag any more, and ends a process that sets it.
if tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2])) < (0, 12):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_use_fusion_emitters=false"

import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import jaxtyping
import pytest

# The oracle: tests say ``from reference import ReferenceClassifier``, wherever this folder lies.
_SPEC = importlib.util.spec_from_file_location("reference", Path(__file__).parent / "reference.py")
sys.modules["reference"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sys.modules["reference"])

jax.config.update("jax_numpy_rank_promotion", "raise")
if jax.config.jax_compilation_cache_dir is None:  # where the tests run outside of the repository
    _CACHE = tempfile.TemporaryDirectory(prefix="icl-models-tests-")
    jax.config.update("jax_compilation_cache_dir", _CACHE.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture
def unchecked():
    """Switch jaxtyping's checks off: what a caller without them is told."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module", autouse=True)
def _compile_in_haste():
    """Hardly optimise what will run once."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


class Listed(NamedTuple):
    """An array of the original's model, as its own library names it."""

    shape: tuple[int, ...]
    deviation: float  # standard deviation at the start; nan of a number that does not vary


@pytest.fixture(scope="session")
def original():
    """Return the arrays of the original's "params" and "state" by module and name, or skip where no list is."""
    beside_the_repository = Path(__file__).parents[3].parent / "shared" / "data"
    path = Path(os.environ.get("ICL_SHARED_DATA", beside_the_repository)) / "original_parameters.txt"
    if not path.is_file():
        pytest.skip(f"no list of the original's parameters at {path}; set ICL_SHARED_DATA to the folder that holds it")
    trees = {"params": {}, "state": {}}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            kind, module, name, rest = line.split(" ", 3)
            shape, deviation = rest.rsplit(" ", 1)
            listed = Listed(tuple(json.loads(shape)), float(deviation.replace("-", "nan")))
            trees[kind].setdefault(module, {})[name] = listed
    return trees
