"""What keeps the four packages apart, and one version of all."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"icl_data", "icl_models", "icl_train", "icl_eval"}
FOLDERS = sorted((ROOT / "packages").iterdir())
IMPORT_NAMES = {"dm-haiku": "haiku", "orbax-checkpoint": "orbax", "pillow": "PIL", "scikit-learn": "sklearn"}
# What a file may import besides its package's dependencies: something of that package's extras.
OPTIONAL = {
    "icl_data/accelerator.py": {"jax"},
    "icl_data/prepared.py": {"tensorflow_datasets"},
    "icl_train/tensorboard.py": {"tensorboardX"},
}


def imported_by(path):
    """Give the top-level names that a module imports, lazily or not."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names.add(node.module.split(".")[0])
    return names


def imported_modules(folder):
    """Give the top-level names that the modules below a folder import, but for the optional ones."""
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
    assert not imported & (PACKAGES - {own})
    declared = {requirement.split(">")[0].split("=")[0] for requirement in metadata(folder)["dependencies"]}
    allowed = {IMPORT_NAMES.get(name, name) for name in declared} | {own} | set(sys.stdlib_module_names)
    if "jax" in declared:
        allowed.add("numpy")  # jax cannot be without it
    assert imported <= allowed
    assert not imported & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@pytest.mark.parametrize("file", OPTIONAL)
def test_what_a_file_may_import_besides_is_in_an_extra_and_imported(file):
    folder = next(folder for folder in FOLDERS if (folder / "src" / file).exists())
    extras = metadata(folder)["optional-dependencies"]
    offered = {requirement.split(">")[0] for requirements in extras.values() for requirement in requirements}
    assert OPTIONAL[file] <= {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in offered}
    assert OPTIONAL[file] <= imported_by(folder / "src" / file)


def test_only_experiments_import_all_four():
    assert imported_modules(ROOT / "experiments") >= PACKAGES
    assert not PACKAGES & imported_modules(ROOT / "packages" / "icl-train" / "src") - {"icl_train"}


def test_the_packages_have_one_version_python_and_licence():
    projects = [metadata(folder) for folder in FOLDERS]
    assert len(projects) == 4
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


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_public_name_exists_once_and_is_documented(package):
    module = __import__(package)
    assert sorted(set(module.__all__)) == sorted(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        if callable(value) and hasattr(value, "__module__") and value.__module__.startswith(package):
            assert value.__doc__, name


def test_experiments_stay_thin():
    for path in (ROOT / "experiments").glob("*.py"):
        if "__main__" in path.read_text():
            assert len(path.read_text().splitlines()) <= 120, path.name
