"""The folder of a run: made once, described by config.json, and never written over by another run."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

CONFIG_FILE = "config.json"
LOCK_FILE = "trainer.lock"
_PARTIAL = CONFIG_FILE + ".partial"
_FRAME = (CONFIG_FILE, _PARTIAL, LOCK_FILE)  # what a run makes before it has done anything
UNFINISHED = ".orbax-checkpoint-tmp"
"""In the names of checkpoints that are being written, or never were to their end."""

REHEARSAL = "rehearsal"
"""The name of the checkpoint that is only saved to see that it can be."""

_LISTED = 3  # differing settings that an error names


def open_run(
    workdir: str | Path,
    config: Mapping[str, Any],
    *,
    resume: bool = False,
    mutable: Sequence[str] = (),
    read_only: bool = False,
    defaults: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    source: str | Path | None = None,
) -> Path:
    """Return the folder of a run: one that is made and describes it, or one that is known to be of this run.

    ``config.json`` holds ``config`` and ``folder`` (the absolute path when that was written); and, of the session that
    began the run: ``python``, ``platform``, ``devices``, ``git`` (``revision`` and ``dirty``, or null) and ``versions``
    of all installed distributions.

    Args:
        workdir: The folder; parents are made too.
        config: The full resolved configuration, as JSON values.
        resume: Whether the folder may hold this run already. One that is missing or empty is made all the
            same, so that a job can always be started with ``resume``, also for the first time. Without ``resume``,
            one whose run failed before it had anything worth keeping (`has_run`) is a new one.
        mutable: Dotted keys, or their beginnings, whose values may differ on resuming ('train.steps').
            Where they do, config.json takes the new values.
        read_only: Whether nothing is written to a folder that has a run, whatever may change: for who only looks at it.
        defaults: Values of settings that the config.json of an older version lacks, as JSON values.
        metadata: What else config.json is to say of the session that began the run, as JSON values by name.
        source: A file or folder in the git repository whose revision is recorded; by default the script or package
            that Python was started with. None is recorded where that lies in no repository, or in one that ignores it.

    Returns:
        The folder.

    Raises:
        ValueError: If the folder has a run and ``resume`` is False; if its configuration is another; if it
            has files but no run; or if `check_is_run` refuses it. Nothing in the folder has been changed then.
        OSError: If the folder cannot be made or written to.
        TypeError: If the configuration has values that JSON does not.

    >>> folder = open_run(Path(tempfile.mkdtemp()) / 'run', {'train': {'steps': 100}})
    >>> open_run(folder, {'train': {'steps': 200}}, resume=True)
    Traceback (most recent call last):
    ...
    ValueError: wanted to resume ... as it was begun, but train.steps was 100 and came as 200; ...
    """
    workdir = expanded(workdir)
    check_is_run(workdir)
    config = json.loads(json.dumps(config))  # tuples become lists, as they will be when read back
    if not read_only:
        check_writable(workdir)
    record = _read_record(workdir)
    # One that failed before its first step is as good as none.
    if record is None or not (resume or has_run(workdir)):
        described = _describe(config, folder=workdir, source=_running_file() if source is None else expanded(source))
        _write_record(workdir, described | json.loads(json.dumps(dict(metadata or {}))))
        return workdir
    if not resume:
        raise ValueError(
            f"wanted a new workdir, got {workdir}, which has a run; resume it (--resume) or give another one"
        )
    _check_same(record["config"], config, workdir=workdir, mutable=mutable, defaults=defaults or {})
    if record["config"] != config and not read_only:
        _write_record(workdir, record | {"config": config, "folder": str(workdir.absolute())})
    return workdir


def has_run(workdir: str | Path) -> bool:
    """Return whether a folder has anything of a run that is worth keeping.

    That is any file that is not empty, other than what a run makes before its first step, what it makes for
    TensorBoard, and a checkpoint that was not written to its end.

    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / 'config.json').write_text('{}'), (folder / 'metrics.jsonl').touch()
    >>> has_run(folder)
    False
    """
    for parent, folders, files in os.walk(expanded(workdir)):  # passes over what goes meanwhile
        folders[:] = [name for name in folders if not _is_passing(name)]
        for name in files:
            if name not in _FRAME and not _is_passing(name) and _has_bytes(Path(parent, name)):
                return True
    return False


def _is_passing(name: str) -> bool:
    return UNFINISHED in name or name in ("tensorboard", REHEARSAL)


def _has_bytes(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:  # it went while we looked
        return False


def check_is_run(workdir: str | Path) -> None:
    """Check that a folder is not one that only holds results of a run, which was evaluated without writing into it.

    Args:
        workdir: The folder, which need not exist. One of results names its run in its config.json, as ``results_of``.

    Raises:
        ValueError: If it is; names the run. Or if its config.json cannot be read.
    """
    run = (_read_record_if_there(expanded(workdir)) or {}).get("results_of")
    if run is not None:
        raise ValueError(
            f"wanted the folder of a run, got {workdir}, which only holds results of the run {run}; resume that one, "
            "or give another workdir"
        )


def expanded(path: str | Path) -> Path:
    """Return a path in which a ``~`` at the beginning is the user's home.

    Raises:
        ValueError: If the home is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"wanted a home folder for the ~ in {str(path)!r}, got none ({error}); set HOME, or give a path without ~"
        ) from error


def describe_members(folders: Sequence[Path], members: Sequence[Mapping[str, Any]]) -> None:
    """Write what each member of an ensemble is into ``config.json`` of its folder, where that says no more.

    Args:
        folders: One for each, made if they are missing.
        members: Seed and hyper-parameters of each, as JSON values.
    """
    for folder, member in zip(folders, members, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        if (_read_record_if_there(folder) or {}).keys() <= {"config"}:  # one of `open_run` says more
            _write_record(folder, {"config": dict(member)})


def member_folder(workdir: str | Path, member: int) -> Path:
    """Return the folder of a member of an ensemble, within the folder of the run.

    >>> member_folder('runs/x', 3).as_posix()
    'runs/x/member-003'
    """
    return expanded(workdir) / f"member-{member:03}"


def check_writable(workdir: Path) -> None:
    """Check that a folder can be written to; make it if it is missing.

    Args:
        workdir: The folder.

    Raises:
        OSError: Says why, and what to do. A "[" in the path is refused, too: Orbax takes a checkpoint's path for a
            pattern, and what it saves there cannot be read.
    """
    if "[" in str(workdir.absolute()):
        raise OSError(f"wanted a workdir without a [ in its path, got {workdir.absolute()}; give another workdir")
    if reason := why_not_writable(workdir):
        raise OSError(f"wanted a workdir that can be written to, got {workdir}: {reason}; give another workdir")


def why_not_writable(folder: Path) -> str:
    """Return why a folder, which is made if it is missing, cannot be written to; nothing if it can be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return "it is a file" if isinstance(error, FileExistsError) else (error.strerror or str(error)).lower()


def _read_record_if_there(workdir: Path) -> dict[str, Any] | None:
    return _read_record(workdir) if (workdir / CONFIG_FILE).exists() else None


def _read_record(workdir: Path) -> dict[str, Any] | None:
    path = workdir / CONFIG_FILE
    if not path.exists():
        found = sorted(entry.name for entry in workdir.iterdir() if entry.name not in _FRAME)
        if found:
            raise ValueError(
                f"wanted a workdir that is new, empty or a run, got {workdir}, which has {found[0]!r} "
                f"but no {CONFIG_FILE}; give another workdir"
            )
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["config"].items()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"wanted {path} to describe a run, but it cannot be read ({error}); mend it, or give another workdir"
        ) from error
    return record


def _check_same(
    was: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    workdir: Path,
    mutable: Sequence[str],
    defaults: Mapping[str, Any],
) -> None:
    new = _flatten(now)
    assumed = {key: value for key, value in _flatten(json.loads(json.dumps(dict(defaults)))).items() if key in new}
    old = assumed | _flatten(was)

    def is_free(key: str) -> bool:
        return any(key == free or key.startswith(free + ".") for free in mutable)

    differing = [key for key in old | new if old.get(key) != new.get(key) and not is_free(key)]
    if differing:
        listed = ", ".join(
            f"{key} was {old.get(key, 'absent'):.60} and came as {new.get(key, 'absent'):.60}"
            for key in differing[:_LISTED]
        )
        more = f", and {len(differing) - _LISTED} more differ" if len(differing) > _LISTED else ""
        raise ValueError(
            f"wanted to resume {workdir} as it was begun, but {listed}{more}; "
            "resume with the old values, or give another workdir"
        )


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the JSON text of each value by its dotted key."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        nested = isinstance(value, Mapping) and value
        flat |= _flatten(value, f"{prefix}{key}.") if nested else {prefix + key: json.dumps(value)}
    return flat


def _describe(config: Mapping[str, Any], *, folder: Path, source: Path | None) -> dict[str, Any]:
    versions = {found.metadata["Name"]: found.version for found in importlib.metadata.distributions()}
    return {
        "config": config,
        "folder": str(folder.absolute()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": [f"{device} ({device.device_kind})" for device in jax.devices()],
        "git": _git(source),
        "versions": dict(sorted(versions.items(), key=lambda item: item[0].lower())),
    }


def _running_file() -> Path | None:
    """Return the file that Python was started with, or None, as in a notebook."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return None if file is None else Path(file).resolve()


def _git(source: Path | None) -> dict[str, Any] | None:
    if source is None:
        return None
    folder = source if source.is_dir() else source.parent
    # Git itself sets GIT_DIR for its hooks, and would look there.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def ask(*arguments: str, allowed: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, env=environment
        )
        if done.returncode not in allowed:
            raise subprocess.SubprocessError(done.stderr)
        return done.stdout.strip()

    try:
        if ask("check-ignore", str(source), allowed=(0, 1)):  # it says the path, with code 0, or nothing, with 1
            return None
        if "site-packages" in source.parts and not ask("ls-files", str(source)):  # installed below some repository
            return None
        return {"revision": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):  # no git, or no repository: not an error for a run
        return None


def _write_record(workdir: Path, record: Mapping[str, Any]) -> None:
    partial = workdir / _PARTIAL
    partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    partial.replace(workdir / CONFIG_FILE)
