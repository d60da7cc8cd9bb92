"""What keeps the packages and their rooms apart, and one version of all."""

import ast
import graphlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = {"icl_data", "icl_models", "icl_train", "icl_eval"}  # which never import one another; icl_lab has all four
ALL = PACKAGES | {"icl_lab"}
FOLDERS = sorted((ROOT / "packages").iterdir())
IMPORT_NAMES = {
    "absl-py": "absl",
    "dm-haiku": "haiku",
    "orbax-checkpoint": "orbax",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
}
# What a file may import besides its package's dependencies: something of that package's extras.
OPTIONAL = {
    "icl_data/arrays.py": {"jax"},
    "icl_data/device_bank.py": {"jax"},
    "icl_data/distinct.py": {"jax"},
    "icl_data/random_keys.py": {"jax"},
    "icl_data/tasks/processes.py": {"jax"},
    "icl_data/banks/tfds_directory.py": {"tensorflow_datasets"},
    "icl_eval/sweeps/run_table.py": {"pandas", "pyarrow"},
    "icl_train/metrics/tensorboard.py": {"tensorboardX"},
}
# The folders of each package from the ground up: one imports only those before it.
FLOORS = {
    "icl_data": ("banks", "sequences", "tasks", "inspection"),
    "icl_models": ("trunks", "encoders"),
    "icl_train": ("devices", "checkpoints", "metrics"),
    "icl_eval": (
        "results",
        "sequences",
        "tasks",
        "attention",
        "baselines",
        "optimal",
        "theory",
        "runs",
        "sweeps",
        "figures",
        "report",
    ),
    "icl_lab": (),
}


def imported_by(path):
    """Return the top-level names that a module imports, lazily or not."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names.add(node.module.split(".")[0])
    return names


def imported_modules(folder):
    """Return the top-level names that the modules below a folder import, but for the optional ones."""
    names = set()
    for path in folder.rglob("*.py"):
        names |= imported_by(path) - OPTIONAL.get(path.relative_to(folder).as_posix(), set())
    return names


def metadata(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_package_imports_no_sibling_and_only_what_it_declares(folder):
    own = folder.name.replace("-", "_")
    imported = imported_modules(folder / "src")
    assert own == "icl_lab" or not imported & (ALL - {own})
    assert "experiments" not in imported
    declared = {Requirement(each).name for each in metadata(folder)["dependencies"]}
    allowed = (
        {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in declared} | {own} | set(sys.stdlib_module_names)
    )
    if "jax" in declared:
        allowed.add("numpy")  # jax cannot be without it
    assert imported <= allowed
    assert not imported & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@pytest.mark.parametrize("file", OPTIONAL)
def test_what_a_file_may_import_besides_is_in_an_extra_and_imported(file):
    folder = next(folder for folder in FOLDERS if (folder / "src" / file).exists())
    extras = metadata(folder)["optional-dependencies"]
    offered = {Requirement(each).name for requirements in extras.values() for each in requirements}
    assert OPTIONAL[file] <= {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in offered}
    assert OPTIONAL[file] <= imported_by(folder / "src" / file)


def rooms_of(package):
    """Return which rooms of a package each of its rooms imports, and the modules that import the package's own top."""
    source = ROOT / "packages" / package.replace("_", "-") / "src" / package
    rooms, from_the_top = {}, []
    for path in source.rglob("*.py"):
        room = path.relative_to(source).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):  # which open all doors
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == package:
                names = [node.module.split(".")[1]] if "." in node.module else [alias.name for alias in node.names]
                there = {path.stem for path in source.iterdir()}
                from_the_top += [f"{path}: {name}" for name in names if name not in there]
                rooms.setdefault(room, set()).update(set(names) & there - {room})
    return rooms, from_the_top


@pytest.mark.parametrize("package", sorted(ALL))
def test_no_import_runs_upward_between_the_rooms_of_a_package(package):
    rooms, from_the_top = rooms_of(package)
    assert not from_the_top
    order = FLOORS[package]
    folders = {room: others & set(order) for room, others in rooms.items() if room in order}
    upward = [
        f"{room} imports {other}"
        for room, others in folders.items()
        for other in others
        if order.index(room) < order.index(other)
    ]
    assert not upward
    graphlib.TopologicalSorter(rooms).prepare()  # raises where rooms and files at the top import in a circle


def test_experiments_are_on_top_of_icl_lab_which_is_on_top_of_the_four():
    assert imported_modules(ROOT / "packages" / "icl-lab" / "src") >= PACKAGES
    assert imported_modules(ROOT / "experiments") >= {"icl_lab", "icl_data", "icl_models", "icl_eval"}
    names = {path.name for path in (ROOT / "experiments").iterdir() if (path / "__main__.py").exists()}
    assert names == {"omniglot", "gpicl", "functions", "linear", "kinetics", "symbols"}
    lab = "".join(path.read_text() for path in (ROOT / "packages" / "icl-lab" / "src").rglob("*.py"))
    code = re.sub(r'"""(.|\n)*?"""|#.*', "", lab)
    code = re.sub(r'linear_attention|attention="linear"', "", code)  # a trunk, not the experiment
    assert not [name for name in names if name in code], "icl_lab knows an experiment"


def test_the_packages_have_one_version_python_and_licence():
    projects = [metadata(folder) for folder in FOLDERS]
    assert len(projects) == 5
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for field in ("version", "requires-python"):
        assert {project[field] for project in projects} == {root[field]}
    for folder, project in zip(FOLDERS, projects, strict=True):
        assert "Private :: Do Not Upload" in project["classifiers"]
        assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
        assert (folder / "src" / project["name"].replace("-", "_") / "py.typed").exists()


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_importing_a_package_loads_no_sibling_and_nothing_heavy(package):
    code = (
        f"import sys, {package}\n"
        f"heavy = {{'tensorflow', 'torch', 'sklearn', 'tensorflow_datasets', 'matplotlib.pyplot'}}\n"
        f"print(sorted((heavy | {PACKAGES - {package}!r}) & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("package", sorted(ALL))
def test_every_public_name_exists_once_and_is_documented(package):
    module = __import__(package)
    assert sorted(set(module.__all__)) == sorted(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        if callable(value) and hasattr(value, "__module__") and value.__module__.startswith(package):
            assert value.__doc__, name


def test_experiments_stay_thin():
    for path in (ROOT / "experiments").glob("*/__main__.py"):
        assert len(path.read_text().splitlines()) <= 40, path
    symbols = sum(len(path.read_text().splitlines()) for path in (ROOT / "experiments" / "symbols").glob("*.py"))
    assert symbols <= 300  # what a new experiment takes, its own predictors and sweeps with it


def test_the_workspace_has_every_extra_of_every_package_and_every_group():
    """So that ``uv sync --all-extras`` at the root leaves nothing out."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = dict(
        re.fullmatch(r"([\w-]+)\[([\w,]+)\]", each).groups() for each in root["project"]["optional-dependencies"]["all"]
    )
    there = {folder.name: set(metadata(folder).get("optional-dependencies", {})) for folder in FOLDERS}
    assert {name: set(extras.split(",")) for name, extras in asked.items()} == {
        name: extras for name, extras in there.items() if extras
    }
    assert root["tool"]["uv"]["default-groups"] == "all"
