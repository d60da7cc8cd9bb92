"""``nox -s release`` refuses what does not belong into a release, in a line for each thing."""

import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tools.check_release import Expected, check_release, check_sdist, check_wheel, expected_packages

ROOT = Path(__file__).parents[1]
METADATA = """Metadata-Version: 2.4
Name: icl-tiny
Version: 1.2.0
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.11
Requires-Dist: numpy>=2.0
Requires-Dist: icl-other~=1.2.0
Classifier: Programming Language :: Python :: 3
Classifier: Typing :: Typed

Words.
"""
SOURCE = ("icl_tiny/__init__.py", "icl_tiny/py.typed", "icl_tiny/stub.pyi", "icl_tiny/report/page.html")
TRACKED = ("pyproject.toml", "README.md", "tests/test_tiny.py", *(f"src/{name}" for name in SOURCE))
EXPECTED = Expected(
    name="icl-tiny",
    version="1.2.0",
    requires_python=">=3.11",
    files=frozenset({*TRACKED, "LICENSE"}),
    licence=b"Do as you like.",
    needs=frozenset({"icl-other"}),
)


def contents(names, places, changes):
    """Return the bytes of each file of a faultless archive, with changes; None takes one out."""
    files = dict.fromkeys(names, b"") | {"licence": EXPECTED.licence, "metadata": METADATA.encode()} | changes
    return {places.get(name, name): text for name, text in files.items() if text is not None}


def wheel(folder, **changes):
    about = "icl_tiny-1.2.0.dist-info"
    names = (*SOURCE, f"{about}/WHEEL", f"{about}/RECORD")
    places = {"licence": f"{about}/licenses/LICENSE", "metadata": f"{about}/METADATA"}
    path = folder / "icl_tiny-1.2.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents(names, places, changes).items():
            archive.writestr(name, text)
    return path


def sdist(folder, **changes):
    places = {"licence": "LICENSE", "metadata": "PKG-INFO"}
    path = folder / "icl_tiny-1.2.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in contents((*TRACKED, ".gitignore"), places, changes).items():
            member = tarfile.TarInfo(f"icl_tiny-1.2.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return path


KINDS = pytest.mark.parametrize(
    ("build", "check", "source"), [(wheel, check_wheel, ""), (sdist, check_sdist, "src/")], ids=["wheel", "sdist"]
)


@KINDS
def test_nothing_is_wrong_with_what_holds_what_git_has(tmp_path, build, check, source):
    assert check(build(tmp_path), EXPECTED) == []


@KINDS
@pytest.mark.parametrize("name", ["icl_tiny/notes.txt", "icl_tiny/__pycache__/stub.pyc", "icl_tiny/new.py"])
def test_a_file_that_git_does_not_have_is_stray(tmp_path, build, check, source, name):
    path = build(tmp_path, **{source + name: b"?"})
    assert check(path, EXPECTED) == [
        f"{path.name}: {source}{name} is stray; remove it, or commit it if it belongs there"
    ]


@KINDS
@pytest.mark.parametrize("name", SOURCE)
def test_what_git_has_and_the_archive_has_not_is_missing(tmp_path, build, check, source, name):
    path = build(tmp_path, **{source + name: None})
    assert check(path, EXPECTED) == [f"{path.name}: {source}{name} is missing"]


@KINDS
def test_py_typed_is_missing_also_where_git_has_none(tmp_path, build, check, source):
    name = f"{source}icl_tiny/py.typed"
    path = build(tmp_path, **{name: None})
    untyped = Expected(**vars(EXPECTED) | {"files": EXPECTED.files - {"src/icl_tiny/py.typed"}})
    assert check(path, untyped) == [f"{path.name}: {name} is missing"]


@KINDS
def test_the_licence_is_there_and_that_of_the_repository(tmp_path, build, check, source):
    path = build(tmp_path, licence=None)
    (line,) = check(path, EXPECTED)
    assert line.endswith("LICENSE is missing")
    build(tmp_path, licence=b"Do nothing.")
    assert check(path, EXPECTED) == [f"{path.name}: its LICENSE is not that of the repository"]


@KINDS
@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("Version: 1.2.0", "Version: 1.1.0", "Version is '1.1.0', not '1.2.0'"),
        ("Name: icl-tiny", "Name: icl-big", "Name is 'icl-big', not 'icl-tiny'"),
        ("Expression: Apache-2.0", "Expression: MIT", "License-Expression is 'MIT', not 'Apache-2.0'"),
        ("License-File: LICENSE\n", "", "License-File is None, not ['LICENSE']"),
        (">=3.11", ">=3.8", "Requires-Python is '>=3.8', not '>=3.11'"),
        ("Classifier: Typing :: Typed\n", "", "the classifier 'Typing :: Typed' is missing"),
        ("other~=1.2.0", "other", "of icl-other it needs any version, not ~=1.2.0"),
        ("other~=1.2.0", "other~=1.1.0", "of icl-other it needs ~=1.1.0, not ~=1.2.0"),
        ("Requires-Dist: icl-other~=1.2.0\n", "", "of icl-other it needs nothing, not ~=1.2.0"),
        ("Dist: numpy>=2.0", "Dist: icl-third>=1", "of icl-third it needs >=1, not nothing"),
    ],
)
def test_metadata_that_is_not_as_wanted_is_told(tmp_path, build, check, source, was, becomes, said):
    assert METADATA.count(was) == 1
    path = build(tmp_path, metadata=METADATA.replace(was, becomes).encode())
    assert check(path, EXPECTED) == [f"{path.name}: {said}"]


def test_a_wheel_holds_no_file_of_an_unknown_kind_though_git_has_it(tmp_path):
    path = wheel(tmp_path, **{"icl_tiny/notes.md": b"?"})
    noted = Expected(**vars(EXPECTED) | {"files": EXPECTED.files | {"src/icl_tiny/notes.md"}})
    (line,) = check_wheel(path, noted)
    assert line.startswith(f"{path.name}: icl_tiny/notes.md is of a kind that no package has")


def test_a_wheel_may_hold_entry_points(tmp_path):
    assert check_wheel(wheel(tmp_path, **{"icl_tiny-1.2.0.dist-info/entry_points.txt": b""}), EXPECTED) == []


def test_an_sdist_holds_no_link(tmp_path):
    path = tmp_path / "icl_tiny-1.2.0.tar.gz"
    with tarfile.open(sdist(tmp_path)) as archive:
        files = [(member, archive.extractfile(member).read()) for member in archive.getmembers()]
    with tarfile.open(path, "w:gz") as archive:
        for member, text in files:
            archive.addfile(member, io.BytesIO(text))
        link = tarfile.TarInfo("icl_tiny-1.2.0/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert check_sdist(path, EXPECTED) == [f"{path.name}: icl_tiny-1.2.0/link is a link or no file"]


def test_a_folder_has_a_wheel_and_an_sdist_of_each_package_and_its_version_a_section(tmp_path):
    dist = tmp_path / "dist"
    dist.mkdir()
    wheel(dist)
    sdist(dist)
    assert check_release(dist, [EXPECTED], changelog="# Changelog\n\n## 1.2.0 (today)\n") == []
    (dist / "icl_tiny-1.2.0.tar.gz").rename(dist / "icl_tiny-1.1.0.tar.gz")
    assert check_release(dist, [EXPECTED], changelog="## 1.1.0\n") == [
        "dist: icl_tiny-1.1.0.tar.gz is stray; remove it, or commit it if it belongs there",
        "dist: icl_tiny-1.2.0.tar.gz is missing",
        "CHANGELOG.md: there is no section for 1.2.0",
    ]


def test_what_is_expected_is_what_git_has_of_the_five():
    if subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("git knows nothing of this copy of the repository")
    packages = {each.name: each for each in expected_packages(ROOT)}
    assert sorted(packages) == ["icl-data", "icl-eval", "icl-lab", "icl-models", "icl-train"]
    assert packages["icl-lab"].needs == packages.keys() - {"icl-lab"}
    assert not packages["icl-data"].needs
    assert {"pyproject.toml", "LICENSE", "src/icl_eval/report/report.css"} < packages["icl-eval"].files
    assert all(f"src/{each.module}/py.typed" in each.files for each in packages.values())


def test_a_folder_that_git_does_not_know_is_refused(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name in ("pyproject.toml", "LICENSE", "packages/icl-data/pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('[project]\nversion = "1"\nrequires-python = ">=3.11"\n')
    with pytest.raises(ValueError, match=r"wanted the files that git has of .*icl-data, got none"):
        expected_packages(tmp_path)
