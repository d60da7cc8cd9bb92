"""The toy experiment, and how to run it and read what it leaves."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

import icl_lab as lab


def load(name: str):
    """Return a module that lies beside this file, under a name that its pickles and dataclasses find."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def toy():
    """Return the module of the toy experiment."""
    return load("toy")


@pytest.fixture(scope="session")
def run(toy):
    """Return a function that runs the words of a command line."""

    def run_words(*words):
        config = lab.parse(list(map(str, words)), toy.PRESETS, name="toy", default="toy")
        lab.execute(toy.TOY, config, lab.ensemble_members(config))

    return run_words


@pytest.fixture(scope="session")
def finished(run, tmp_path_factory):
    """Return the folder of a finished run; a test that changes it works on a copy."""
    folder = tmp_path_factory.mktemp("toy") / "run"
    run("toy", "--no-report", "--workdir", folder)
    return folder


@pytest.fixture(scope="session")
def read():
    """Return a function that reads a file of a run: lines without what depends on the clock, or one object."""

    def read_file(path: Path):
        if path.suffix == ".json":
            return json.loads(path.read_text())
        timed = {"time", "steps_per_second", "items_per_second"}
        lines = map(json.loads, path.read_text().splitlines())
        return [{name: value for name, value in line.items() if name not in timed} for line in lines]

    return read_file
