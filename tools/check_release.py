"""Whether what was built for a release holds what it should, and nothing else.

python -m tools.check_release dist

``dist`` has one sdist and one wheel of each package, as ``nox -s release`` builds them. Prints a line for each thing
that is wrong, and then exits with 1. What an archive should hold is what git has of the package's folder.
"""

import argparse
import subprocess
import tarfile
import tomllib
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.metadata import Metadata
from packaging.requirements import Requirement

KINDS = frozenset({".py", ".pyi", ".typed", ".html", ".css", ".js"})
"""Suffixes of what an installed package may hold: code, stubs, py.typed, and what reports are made of."""

CLASSIFIERS = frozenset({"Programming Language :: Python :: 3", "Typing :: Typed"})


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the archives of a package should hold and say.

    Attributes:
      name: of the package, as ``icl-data``.
      version: of it and of all packages that it needs of ours.
      requires_python: of all packages.
      files: what git has of the package's folder, relative to it, with ``/``.
      licence: the text of the licence.
      needs: the packages of ours that it needs.
    """

    name: str
    version: str
    requires_python: str
    files: frozenset[str]
    licence: bytes
    needs: frozenset[str] = frozenset()

    @property
    def module(self) -> str:
        """The name that is imported, and that archives begin with."""
        return self.name.replace("-", "_")


def check_wheel(path: Path, expected: Expected) -> list[str]:
    """Return what is wrong with a wheel; nothing if all is well."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    about = f"{expected.module}-{expected.version}.dist-info"
    package = {name.removeprefix("src/") for name in expected.files if name.startswith("src/")}
    package |= {f"{expected.module}/py.typed"}
    wanted = package | {f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    return [
        *_compare_names(path, contents.keys() - {f"{about}/entry_points.txt"}, wanted),
        *(
            f"{path.name}: {name} is of a kind that no package has; if it belongs there, add its suffix to KINDS"
            for name in sorted(package & contents.keys())
            if PurePosixPath(name).suffix not in KINDS
        ),
        *_check_licence(path, contents.get(f"{about}/licenses/LICENSE"), expected),
        *_check_metadata(path, contents.get(f"{about}/METADATA"), expected),
    ]


def check_sdist(path: Path, expected: Expected) -> list[str]:
    """Return what is wrong with an sdist; nothing if all is well."""
    top = f"{expected.module}-{expected.version}/"
    with tarfile.open(path) as archive:
        members = [member for member in archive.getmembers() if not member.isdir()]
        odd = [f"{path.name}: {each.name} is a link or no file" for each in members if not each.isreg()]
        contents = {each.name.removeprefix(top): archive.extractfile(each).read() for each in members if each.isreg()}  # type: ignore[union-attr]
    # Hatchling writes PKG-INFO, and takes .gitignore along, without which a wheel of the sdist might hold more.
    wanted = expected.files | {"PKG-INFO", ".gitignore", "LICENSE", f"src/{expected.module}/py.typed"}
    return [
        *odd,
        *_compare_names(path, contents, wanted),
        *_check_licence(path, contents.get("LICENSE"), expected),
        *_check_metadata(path, contents.get("PKG-INFO"), expected),
    ]


def check_release(dist: Path, packages: Sequence[Expected], *, changelog: str) -> list[str]:
    """Return what is wrong with a folder of sdists and wheels.

    Args:
      dist: the folder.
      packages: what it should hold an sdist and a wheel of each of.
      changelog: the text of CHANGELOG.md, which should have a section for each version.
    """
    wheels = {f"{each.module}-{each.version}-py3-none-any.whl": each for each in packages}
    sdists = {f"{each.module}-{each.version}.tar.gz": each for each in packages}
    names = {path.name for path in dist.iterdir()} if dist.is_dir() else set()
    sections = {line.split()[1] for line in changelog.splitlines() if line.startswith("## ")}
    unknown = {each.version for each in packages} - sections
    return [
        *_compare_names(dist, names, wheels.keys() | sdists.keys()),
        *(f"CHANGELOG.md: there is no section for {version}" for version in sorted(unknown)),
        *(line for name in sorted(wheels.keys() & names) for line in check_wheel(dist / name, wheels[name])),
        *(line for name in sorted(sdists.keys() & names) for line in check_sdist(dist / name, sdists[name])),
    ]


def expected_packages(root: Path) -> list[Expected]:
    """Return what the archives of all packages below the root of the repository should hold.

    Raises:
      ValueError: git knows no files there.
    """
    shared = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    folders = sorted(path.parent for path in root.glob("packages/*/pyproject.toml"))
    ours = frozenset(folder.name for folder in folders)
    return [
        Expected(
            name=folder.name,
            version=shared["version"],
            requires_python=shared["requires-python"],
            files=_tracked(folder),
            licence=(root / "LICENSE").read_bytes(),
            needs=ours - {folder.name} if folder.name == "icl-lab" else frozenset(),
        )
        for folder in folders
    ]


def _tracked(folder: Path) -> frozenset[str]:
    command = ("git", "ls-files", "-z", "--", ".")
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode or not result.stdout:
        raise ValueError(f"wanted the files that git has of {folder}, got none; release from a clone. {result.stderr}")
    return frozenset(result.stdout.strip("\0").split("\0"))


def _compare_names(path: Path, found: Collection[str], wanted: Collection[str]) -> list[str]:
    stray, missing = sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found))
    return [
        *(f"{path.name}: {name} is stray; remove it, or commit it if it belongs there" for name in stray),
        *(f"{path.name}: {name} is missing" for name in missing),
    ]


def _check_licence(path: Path, text: bytes | None, expected: Expected) -> list[str]:
    is_other = text is not None and text != expected.licence
    return [f"{path.name}: its LICENSE is not that of the repository"] if is_other else []


def _check_metadata(path: Path, text: bytes | None, expected: Expected) -> list[str]:
    if text is None:
        return []  # which is said where names are compared
    metadata = Metadata.from_email(text, validate=False)  # twine has validated it
    fields: Mapping[str, tuple[object, object]] = {
        "Name": (metadata.name, expected.name),
        "Version": (str(metadata.version), expected.version),
        "License-Expression": (metadata.license_expression, "Apache-2.0"),
        "License-File": (metadata.license_files, ["LICENSE"]),
        "Requires-Python": (str(metadata.requires_python), expected.requires_python),
    }
    return [
        *(
            f"{path.name}: {field} is {is_!r}, not {wanted!r}"
            for field, (is_, wanted) in fields.items()
            if is_ != wanted
        ),
        *(
            f"{path.name}: the classifier {classifier!r} is missing"
            for classifier in sorted(CLASSIFIERS - set(metadata.classifiers or ()))
        ),
        *_check_own(path, metadata.requires_dist or [], expected),
    ]


def _check_own(path: Path, requirements: Sequence[Requirement], expected: Expected) -> list[str]:
    own = {each.name: str(each.specifier) or "any version" for each in requirements if each.name.startswith("icl-")}
    wanted = dict.fromkeys(expected.needs, f"~={expected.version}")
    return [
        f"{path.name}: of {name} it needs {own.get(name, 'nothing')}, not {wanted.get(name, 'nothing')}"
        for name in sorted(own.keys() | wanted.keys())
        if own.get(name) != wanted.get(name)
    ]


def main(arguments: list[str] | None = None) -> None:
    """Read the command line; check; print what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dist", type=Path, help="the folder of sdists and wheels")
    options = parser.parse_args(arguments)
    root = Path(__file__).absolute().parents[1]
    packages = expected_packages(root)
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if wrong := check_release(options.dist, packages, changelog=changelog):
        parser.exit(1, "\n".join(wrong) + "\n")
    print(f"{options.dist}: an sdist and a wheel of each of {', '.join(each.name for each in packages)}; all is well")


if __name__ == "__main__":
    main()
