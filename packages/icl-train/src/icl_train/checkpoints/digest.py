"""Whether the files of a folder are still as they were written: their sizes and hashes, in a file beside them."""

import hashlib
import json
import os
from pathlib import Path

DIGEST_FILE = "digest.json"


# Orbax's notes on the checkpoint as a whole, which it goes on writing until the very end, and does not need to read.
_NOTES = ("_CHECKPOINT_METADATA", "commit_success.txt")


def write_digest(folder: Path) -> None:
    """Write ``digest.json`` into the folder of a checkpoint: size and BLAKE2b hash of every file in it."""
    files = {name: _describe(folder / name) for name in _files(folder)}
    partial = folder / (DIGEST_FILE + ".partial")
    partial.write_text(json.dumps(files, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / DIGEST_FILE)


def find_damage(folder: Path) -> str | None:
    """Return what is wrong with the files of a folder, in a few words, or None.

    A folder without a digest is not examined: nothing is known to be wrong with it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / 'array').write_text('1, 2, 3')
    >>> write_digest(folder)
    >>> find_damage(folder) is None
    True
    >>> _ = (folder / 'array').write_text('1, 2')
    >>> find_damage(folder)
    'array has 4 bytes of 7'
    """
    try:
        expected = json.loads((folder / DIGEST_FILE).read_text(encoding="utf-8"))
        found = set(_files(folder))
        for name, (size, digest) in expected.items():
            if name not in found:
                return f"{name} is missing"
            now = _describe(folder / name)
            if now[0] != size:
                return f"{name} has {now[0]} bytes of {size}"
            if now[1] != digest:
                return f"{name} has other bytes than were written"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return f"{DIGEST_FILE} cannot be read ({error})"
    return None


def _files(folder: Path) -> list[str]:
    paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    names = [path.relative_to(folder).as_posix() for path in paths if path.name not in _NOTES]
    return sorted(name for name in names if not name.startswith(DIGEST_FILE))


def _describe(path: Path) -> list[int | str]:
    with path.open("rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "blake2b").hexdigest()]
