"""What all tests share: programs compiled once, for this run and the next, and soon rather than well."""

import os
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

_MOST_BYTES = 2 * 10**9
_WITHOUT_EMITTERS = "--xla_cpu_use_fusion_emitters=false"  # compiles in a third of the time
_LAST_WITH_EMITTERS = (0, 10)  # of jaxlib; a flag that XLA does not know ends the process


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled programs and drawn glyphs in pytest's cache; the processes that tests start find them too."""
    assert config.cache is not None
    kept = Path(config.cache.mkdir("icl"))
    # Not JAX_COMPILATION_CACHE_MAX_SIZE, with which every program that is kept costs a look at all that are there.
    if not hasattr(config, "workerinput") and sum(file.stat().st_size for file in kept.rglob("*")) > _MOST_BYTES:
        shutil.rmtree(kept)
        kept.mkdir()
    # The slow tests train for long, and are worth optimised programs.
    hasty = "slow" not in config.option.markexpr.replace("not slow", "")
    os.environ |= {
        "ICL_DATA_CACHE": str(kept / "data"),
        "JAX_COMPILATION_CACHE_DIR": str(kept / ("hasty" if hasty else "optimised")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": str(int(hasty)),
    }
    if hasty and tuple(map(int, version("jaxlib").split(".")[:2])) <= _LAST_WITH_EMITTERS:
        os.environ["XLA_FLAGS"] = (
            f"{_WITHOUT_EMITTERS} {os.environ.get('XLA_FLAGS', '').replace(_WITHOUT_EMITTERS, '')}"
        )
