"""JAX's compilation cache on disk: a second run of the same program does not compile it again."""

import os
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from icl_train.log import logger
from icl_train.run_folder import expanded, why_not_writable

_LEAST_SECONDS = 0.3  # of compilation, for a program to be worth a file; JAX's default of 1 leaves most of a model out


def default_compile_cache() -> Path | None:
    """Return the folder of the compilation cache that all runs of a user share.

    Returns:
        ``$ICL_COMPILE_CACHE``, or else ``$XDG_CACHE_HOME/icl/jax``, or else ``~/.cache/icl/jax``; None for a user
        without a home, as in some containers.
    """
    chosen = os.environ.get("ICL_COMPILE_CACHE")
    try:
        return expanded(chosen) if chosen else expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "icl" / "jax"
    except ValueError:
        return None


def use_compile_cache(folder: str | Path | None) -> Path | None:
    """Keep compiled programs in a folder from now on, in this process, and use those that are there.

    Where the user has set ``JAX_COMPILATION_CACHE_DIR``, that folder is used instead, whatever is asked for here.
    A folder that cannot be written to costs a line on stderr and the cache, never the run. The files are
    executed: share the folder only with those you would let run programs as you.

    Args:
        folder: The folder, made if it is missing (`default_compile_cache` is one); None turns the cache off.

    Returns:
        The folder that is in use, or None.
    """
    chosen_by_user = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if chosen_by_user:
        return Path(chosen_by_user)
    chosen = None if folder is None else _usable(folder)
    jax.config.update("jax_compilation_cache_dir", None if chosen is None else str(chosen))
    if chosen is not None and "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
    # JAX decides about the cache at the first program it compiles, and would not look at the setting again.
    compilation_cache.reset_cache()
    return chosen


def _usable(folder: str | Path) -> Path | None:
    """Return a folder that can be written to, or None, and say why."""
    try:
        path = expanded(folder).absolute()
        reason = why_not_writable(path)
    except ValueError as error:  # of a ~ without a home
        reason = str(error)
    if not reason:
        return path
    logger.warning(
        f"Warning: compiling without a cache, since {folder} cannot be written to ({reason}). "
        "Set ICL_COMPILE_CACHE to a folder of yours."
    )
    return None
