"""Everything a contributor or a user runs: ``nox -l`` lists it, ``nox`` alone runs what a change must pass."""

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import nox

PACKAGES = ("icl-data", "icl-models", "icl-train", "icl-eval", "icl-lab")
SHARED_DATA = Path("..", "shared", "data").resolve()  # real data for tests; they skip with a reason without it

LENIENT = tuple(f"-Wdefault::{kind}" for kind in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning"))

PYTEST = ("pytest", "-n=auto", "--maxprocesses=4", "--dist=loadfile", "--durations=10")
BUT = "not slow and not browser and not site"  # tests that have sessions of their own, and are not for every change

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "lengthy"]


def install(session: nox.Session, *groups: str, extras: tuple[str, ...] = ()) -> None:
    """Install all packages, extras of icl-data and groups of tools.

    They come from uv.lock where uv is present, else the newest allowed.
    """
    if session.venv_backend == "uv":
        session.run_install(
            "uv",
            "sync",
            "--quiet",
            "--frozen",
            "--all-packages",
            "--no-default-groups",
            *(f"--group={group}" for group in groups),
            *(f"--extra={extra}" for extra in extras),
            env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
        )
    else:
        session.install(*editable(extras), *requirements(*groups))


def editable(extras: tuple[str, ...] = ()) -> list[str]:
    """List the words that install all packages in place, with extras of icl-data."""
    wanted = {"icl-data": f"icl-data[{','.join(extras)}]"} if extras else {}
    return [word for package in PACKAGES for word in ("-e", f"packages/{wanted.get(package, package)}")]


@functools.cache
def pythons() -> list[str]:
    """List the versions of Python here that the packages may run on, the oldest first; at least 3.11."""

    def runs(version: str) -> bool:
        found = shutil.which(f"python{version}")
        return found is not None and subprocess.run([found, "--version"], capture_output=True).returncode == 0

    return list(filter(runs, ("3.11", "3.12", "3.13", "3.14"))) or ["3.11"]


def requirements(*groups: str) -> tuple[str, ...]:
    """List the requirements of dependency groups of the root pyproject.toml."""
    return nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), *groups)


def run_experiment(session: nox.Session, *options: str, first: str | None = None) -> None:
    """Run the experiment that the first word names, or else omniglot, with all other words after ``first``."""
    install(session)
    words = list(session.posargs)
    experiments = {path.parent.name for path in Path("experiments").glob("*/__main__.py")}
    experiment = words.pop(0) if words and words[0] in experiments else "omniglot"
    words = words if first is None else [first, *words]
    command = ("python", "-m", f"experiments.{experiment}", *words, *options)
    # Time to finish the step and save after Ctrl+C; nox would kill the run after 0.3 seconds.
    session.run(*command, interrupt_timeout=120, terminate_timeout=120)


@nox.session
def train(session: nox.Session) -> None:
    """Train, evaluate and report: nox -s train -- [experiment] [preset or run folder] [options]."""
    run_experiment(session)


@nox.session
def sweep(session: nox.Session) -> None:
    """Run settings x seeds: nox -s sweep -- [experiment] [preset] --grid.OPTION V1 V2 --seeds N --workdir runs/s."""
    run_experiment(session, first="sweep")


@nox.session(name="eval")
def evaluate(session: nox.Session) -> None:
    """Evaluate the latest checkpoint of a run again: nox -s eval -- [experiment] runs/x [options]."""
    run_experiment(session, "--mode", "eval")


@nox.session
def report(session: nox.Session) -> None:
    """Write the report of a run: nox -s report -- runs/x [--png]."""
    install(session)
    session.run("python", "-m", "icl_eval", "report", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests of all packages and those that cross packages, in minutes; -- -n 0 --pdb debugs."""
    run_tests(session)


@nox.session
def lengthy(session: nox.Session) -> None:
    """Run the tests of many seconds each, most of them whole runs from the command line to the report."""
    run_tests(session, "-m", f"lengthy and {BUT}")


def run_tests(session: nox.Session, *options: str) -> None:
    """Run tests over all processors."""
    install(session, "test", extras=("tfds",))
    # Without uv.lock, another package's newest release may warn of what is to come; that is no failure of ours.
    lenient = () if session.venv_backend == "uv" else LENIENT
    session.run(*PYTEST, *options, *lenient, *session.posargs)


@nox.session(python=pythons()[-1])
def newest(session: nox.Session) -> None:
    """Run the tests on the newest Python here, with the newest releases that are allowed; deprecations are shown."""
    session.install(*editable(("tfds",)), *requirements("test"))
    versions = "import jax, sys; print('Python', sys.version.split()[0], 'jax', jax.__version__)"
    session.run("python", "-c", versions)
    session.run(*PYTEST, "-m", BUT, *LENIENT, *session.posargs)


@nox.session
def others(session: nox.Session) -> None:
    """Run the READMEs' snippets and a tutorial where the libraries are that these show: Equinox, Flax and PyTorch."""
    session.install(*editable(), *requirements("test"), "equinox", "flax", "torch")
    session.run("pytest", "-k", "snippets", "tests/test_readme.py", *session.posargs)
    session.run("python", "docs/tutorials/icl_data_alone.py")


@nox.session
def slow(session: nox.Session) -> None:
    """Run the slow tests: whole laptop runs, to the accuracies that docs/experiments.md promises."""
    install(session, "test")
    session.run("pytest", "-m", "slow", "tests", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Read reports in Chromium: everything shown, sorted, filtered and downloaded, and nothing loaded."""
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        session.skip("there is no chromium or google-chrome here; on Debian: apt-get install chromium")
    install(session, "test", "browser")
    session.run("pytest", "-m", "browser", "packages/icl-eval/tests/browser", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site in docs/_build/html, run its tutorials, check it: nox -s docs -- [options of sphinx-build]."""
    install(session, "test", "docs")
    built = Path("docs", "_build")
    shutil.rmtree(built, ignore_errors=True)  # a page whose source is gone would stay
    options = ("--nitpicky", "--fail-on-warning", "--keep-going", "--conf-dir", "docs/site", "--doctree-dir")
    session.run("sphinx-build", *options, str(built / "doctrees"), *session.posargs, ".", str(built / "html"))
    session.run("python", "-m", "tools.site_links", str(built / "html"), "--to", str(built / "external_links.txt"))
    session.run("pytest", "-m", "site", "tests/test_built_site.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*requirements("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types: of the code, and of what a user writes after the READMEs' snippets."""
    install(session, "types")
    session.run("mypy")
    with tempfile.TemporaryDirectory() as temporary:
        paths = (*Path("packages").glob("*/README.md"), *Path("docs").glob("*.md"), Path("README.md"))
        files = write_snippets(session, Path(temporary), *paths)
        session.run("mypy", "--allow-untyped-defs", "--ignore-missing-imports", *files)


def write_snippets(session: nox.Session, folder: Path, *markdown: Path, options: tuple[str, ...] = ()) -> list[str]:
    """Write the Python snippets of each Markdown file that has some into a file, and return their names."""
    command = ("python", "-m", "tools.snippets", *options, str(folder), *map(str, markdown))
    return (session.run(*command, silent=True) or "").splitlines()


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed, each figure as a ratio against something run beside it."""
    install(session)
    for script in sorted(Path("tools").glob("bench_*.py")):
        if script.stem != "bench_accelerator":  # which has a session of its own
            session.run("python", "-m", f"tools.{script.stem}", *session.posargs)


@nox.session
def accelerator(session: nox.Session) -> None:
    """Measure the experiments beside what this accelerator could do: nox -s accelerator -- [--minutes 6] [--to x]."""
    install(session)
    session.run("python", "-m", "tools.bench_accelerator", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill, damage and resume small runs; nothing may be lost: nox -s chaos -- [options] [-- options of each run]."""
    install(session)
    session.run("python", "-m", "tools.chaos", *session.posargs)
    session.run("python", "-m", "tools.chaos_sweep")


@nox.session
def full(session: nox.Session) -> None:
    """Try the paper's presets at their true size for a few steps: nox -s full -- [preset ...]."""
    install(session)
    session.run("python", "-m", "tools.full_size", *session.posargs)


@nox.session(python=sorted({pythons()[0], pythons()[-1]}))
def release(session: nox.Session) -> None:
    """Build a release into dist/, check it, run its READMEs on the oldest and newest Python: -- [package ...]."""
    packages = session.posargs or PACKAGES
    if unknown := set(packages) - set(PACKAGES):
        session.error(f"wanted packages among {', '.join(PACKAGES)}, got {', '.join(unknown)}")
    session.install("build[uv]", "twine")
    dist = Path("dist").resolve()
    for old in dist.glob("icl_*"):
        old.unlink()
    wheels = build(session, dist)
    session.run("twine", "check", "--strict", *sorted(map(str, dist.glob("icl_*"))))
    session.run("python", "-m", "tools.check_release", "dist")
    with tempfile.TemporaryDirectory(prefix="icl-release-") as temporary:
        for package in packages:
            run_readme(session, package, wheels, Path(temporary).resolve() / package)


def run_readme(session: nox.Session, package: str, wheels: dict[str, str], folder: Path) -> None:
    """Run the snippets of a package's README in a fresh environment with its wheel and all of its extras."""
    extras = nox.project.load_toml(f"packages/{package}/pyproject.toml")["project"].get("optional-dependencies", {})
    wanted = wheels | {package: f"{wheels[package]}[{','.join(extras)}]"} if extras else wheels
    python = fresh_environment(session, folder, [wanted[each] for each in needed_by(package)])
    (file,) = write_snippets(session, folder, Path("packages", package, "README.md"), options=("--without-others",))
    version = nox.project.load_toml("pyproject.toml")["project"]["version"]
    with session.chdir(folder):
        session.run(python, "-c", CHECK_VERSIONS.format(names=needed_by(package), wanted=version), external=True)
        session.run(python, file, external=True)


@nox.session
def alone(session: nox.Session) -> None:
    """Build the wheels; try each by itself, and two together, in fresh environments outside the tree."""
    session.install("build[uv]")
    # Not session.create_tmp(), which lies inside this tree.
    with tempfile.TemporaryDirectory(prefix="icl-alone-") as temporary:
        check_alone(session, Path(temporary).resolve())


def check_alone(session: nox.Session, folder: Path) -> None:
    """Do what ``alone`` says, in a folder outside the tree."""
    wheels = build(session, folder / "wheels", "--wheel")
    for package in PACKAGES:
        python = fresh_environment(session, folder / package, [wheels[each] for each in needed_by(package)])
        if package == "icl-data":
            session.run(python, "-c", CHECK_SIZE, external=True)
        session.run(python, "-m", "pip", "install", "-q", *requirements("test"), external=True)
        module = package.replace("-", "_")
        shutil.copytree(Path("packages", package, "tests"), folder / package / "tests")
        others = {each.replace("-", "_") for each in PACKAGES if each not in needed_by(package)}
        with session.chdir(folder / package):
            session.run(python, "-c", CHECK_ALONE.format(module=module, others=others or set()), external=True)
            command = (python, "-m", "pytest", "-q", "--import-mode=importlib", "--doctest-modules", "tests")
            session.run(*command, "--pyargs", module, env={"ICL_SHARED_DATA": str(SHARED_DATA)}, external=True)
    check_from_git(session, folder)
    # Two packages work without the rest, and all five without this repository.
    project = folder / "outside_project"
    python = fresh_environment(session, project, [wheels["icl-data"], wheels["icl-train"]])
    shutil.copy(Path("tools", "outside_project.py"), project)
    with session.chdir(project):
        session.run(python, "outside_project.py", external=True)
    python = str(folder / "icl-lab" / Path(python).relative_to(project))
    shutil.copy(Path("tools", "outside_experiment.py"), project)
    with session.chdir(project):
        session.run(python, "outside_experiment.py", "tiny", "--workdir", "runs/sines", external=True)
        resumed = ("outside_experiment.py", "runs/sines", "--resume", "--train.steps", "60")
        session.run(python, *resumed, external=True)


def check_from_git(session: nox.Session, folder: Path) -> None:
    """Install icl-data from the repository, as its users do before it is published, with nothing else of the tree."""
    python = fresh_environment(session, folder / "from_git", [])
    source = f"git+{Path.cwd().as_uri()}#subdirectory=packages/icl-data"
    session.run(python, "-m", "pip", "install", "-q", source, external=True)
    others = {package.replace("-", "_") for package in PACKAGES} - {"icl_data"}
    with session.chdir(folder):
        session.run(python, "-c", CHECK_ALONE.format(module="icl_data", others=others), external=True)


def needed_by(package: str) -> list[str]:
    """Return the packages that one needs: itself alone, but for icl-lab, which wires all."""
    return list(PACKAGES) if package == "icl-lab" else [package]


# What the wheels hold; pip and its tools were there before, and bytecode is written or not as one likes.
CHECK_SIZE = """
import pathlib, sysconfig
site = pathlib.Path(sysconfig.get_path("purelib"))
others = {"pip", "setuptools", "pkg_resources", "_distutils_hack"}
files = [path for path in site.rglob("*") if path.is_file() and not others & set(path.relative_to(site).parts)]
bytecode = sum(path.stat().st_size for path in files if path.suffix == ".pyc") / 1e6
megabytes = sum(path.stat().st_size for path in files) / 1e6 - bytecode
print(f"icl-data with all that it needs: {megabytes:.0f} MB installed, and {bytecode:.0f} MB of bytecode")
assert megabytes < 110, megabytes
"""

CHECK_ALONE = """
import importlib.util, sys, {module}
assert "site-packages" in {module}.__file__, {module}.__file__
found = [name for name in (*{others}, "tensorflow", "torch") if importlib.util.find_spec(name)]
assert not found, found
"""


CHECK_VERSIONS = """
from importlib.metadata import version
found = {{name: version(name) for name in {names}}}
assert set(found.values()) == {{{wanted!r}}}, found
"""


def build(session: nox.Session, folder: Path, *options: str) -> dict[str, str]:
    """Build sdists and wheels of all packages, or what options say, into a folder; return the wheel of each package."""
    for package in PACKAGES:
        session.run("python", "-m", "build", "--installer=uv", *options, "--outdir", str(folder), f"packages/{package}")
    return {package: str(next(folder.glob(f"{package.replace('-', '_')}-*.whl"))) for package in PACKAGES}


def fresh_environment(session: nox.Session, folder: Path, wheels: list[str]) -> str:
    """Make an environment with these wheels, which may name extras; return its python."""
    session.run("python", "-m", "venv", str(folder / "venv"))
    python = str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
    if wheels:
        session.run(python, "-m", "pip", "install", "-q", *wheels, external=True)
    return python
