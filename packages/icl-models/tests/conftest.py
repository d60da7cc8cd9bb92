"""A strict environment (no silent broadcasting), and every program compiled once, and soon rather than well."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_use_fusion_emitters=false"

import importlib.util
import sys
import tempfile
from pathlib import Path

import jax
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


@pytest.fixture(scope="module", autouse=True)
def _compile_in_haste():
    """Hardly optimise what will run once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
