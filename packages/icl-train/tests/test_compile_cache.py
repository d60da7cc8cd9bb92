"""A second process does not compile again what the first one did; a bad folder is no reason to fail."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

import icl_train
from icl_train.devices.compile_cache import default_compile_cache, use_compile_cache

SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)

PROGRAM = """
import sys, types
from pathlib import Path
import jax, jax.numpy as jnp

# Without the package's own imports, Orbax above all: most of the time.
sys.modules["icl_train"] = types.ModuleType("icl_train")
sys.modules["icl_train"].__path__ = [sys.argv[2]]
from icl_train.devices.compile_cache import use_compile_cache

hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("/cache_hits") else None)
jax.jit(lambda x: x + 1)(jnp.ones(3))  # compiled before the cache is turned on
use_compile_cache(Path(sys.argv[1]))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones(3))
print(len(hits))
"""


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """Run each test without the variables of the environment, and put JAX's settings back after it."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "ICL_COMPILE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def compile_something(number):
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.jit(lambda x: jnp.cos(x) * number)(jnp.ones(5))


def entries(folder):
    return sorted(path.name for path in Path(folder).glob("*-cache"))


@pytest.mark.lengthy
def test_a_second_process_takes_the_program_from_the_cache(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}

    def hits():
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "cache"), str(Path(icl_train.__file__).parent)]
        return int(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)

    assert hits() == 0
    after_first = entries(tmp_path / "cache")
    assert after_first
    assert hits() > 0
    assert entries(tmp_path / "cache") == after_first


def test_the_folder_can_be_changed_and_turned_off_within_a_process(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    assert use_compile_cache(one) == one
    compile_something(1)
    assert use_compile_cache(other) == other
    compile_something(2)
    counts = len(entries(one)), len(entries(other))
    assert min(counts) > 0
    assert use_compile_cache(None) is None
    compile_something(3)
    assert (len(entries(one)), len(entries(other))) == counts


def test_programs_that_compile_in_well_under_a_second_are_kept_too(tmp_path, monkeypatch):
    use_compile_cache(tmp_path)
    assert 0 < jax.config.jax_persistent_cache_min_compile_time_secs < 1
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 7.0)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "7")
    use_compile_cache(tmp_path)
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 7.0


@pytest.mark.parametrize("asked", ["folder", None])
def test_the_users_own_setting_wins(tmp_path, monkeypatch, asked):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/the/users/own")
    assert use_compile_cache(None if asked is None else tmp_path / asked) == Path("/the/users/own")
    assert jax.config.jax_compilation_cache_dir == before  # JAX has read the variable itself
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_a_warning_and_no_cache(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert use_compile_cache(tmp_path / "file" / "cache") is None
    assert jax.config.jax_compilation_cache_dir is None
    warning = capsys.readouterr().err
    assert "without a cache" in warning and str(tmp_path / "file" / "cache") in warning and "not a directory" in warning
    assert warning.count("\n") == 1


def test_a_folder_that_cannot_be_written_to_is_a_warning_and_no_cache(tmp_path, capsys, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # root may write where others may not
    assert use_compile_cache(tmp_path) is None
    assert "permission denied" in capsys.readouterr().err


def test_the_default_folder_is_the_first_that_the_environment_names(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_compile_cache() == Path("/home/someone/.cache/icl/jax")
    monkeypatch.setenv("XDG_CACHE_HOME", "/fast")
    assert default_compile_cache() == Path("/fast/icl/jax")
    monkeypatch.setenv("ICL_COMPILE_CACHE", "~/compiled")
    assert default_compile_cache() == Path("/home/someone/compiled")
    monkeypatch.delenv("ICL_COMPILE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/fast")
    assert default_compile_cache() == Path("/home/someone/fast/icl/jax")


def test_a_user_without_a_home_compiles_without_a_cache(monkeypatch, no_home, capsys):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_compile_cache() is None and use_compile_cache(default_compile_cache()) is None
    monkeypatch.setenv("ICL_COMPILE_CACHE", "~/compiled")
    assert default_compile_cache() is None
    assert use_compile_cache("~/compiled") is None and "wanted a home folder for the ~" in capsys.readouterr().err
