"""What all tests share: programs compiled once, for this run and the next, and soon rather than well."""

import os
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled programs and drawn glyphs in pytest's cache; the processes that tests start find them too."""
    assert config.cache is not None
    kept = Path(config.cache.mkdir("icl"))
    # The slow tests train for long, and are worth optimised programs.
    hasty = "slow" not in config.option.markexpr.replace("not slow", "")
    os.environ |= {
        "ICL_DATA_CACHE": str(kept / "data"),
        "JAX_COMPILATION_CACHE_DIR": str(kept / ("hasty" if hasty else "optimised")),
        "JAX_COMPILATION_CACHE_MAX_SIZE": str(2 * 10**9),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": str(int(hasty)),
    }
