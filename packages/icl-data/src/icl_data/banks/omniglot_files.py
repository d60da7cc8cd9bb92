"""The drawings in Omniglot's zip files and in folders unpacked from them, one by one."""

import contextlib
import dataclasses
import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from icl_data.paths import user_path

CHARACTERS = range(1, 1624)
DRAWERS = range(1, 21)  # everyone drew every character once
_ENTRY = re.compile(
    r"(?P<set>[^/\\\0-\x1f]+)/(?P<alphabet>[^/\\\0-\x1f]+)/character(?P<character>\d\d)/"
    r"(?P<label>\d{4})_(?P<drawer>\d\d)\.png",
    re.ASCII,
)
_FOLDER = re.compile(r"(?!\.\.?/)[^/\\]+/((?!\.\.?/)[^/\\]+/(character\d\d/)?)?")
# What systems and tools leave in folders, and in zips of them: macOS, Windows, Jupyter, Synology's and NFS servers.
_LITTER = re.compile(
    r"__MACOSX|\._.*|\.DS_Store|thumbs\.db|desktop\.ini|\.ipynb_checkpoints|@eaDir|\.nfs.*", re.IGNORECASE | re.DOTALL
)
# What zipfile raises for damaged, cut, encrypted or oddly compressed files.
_UNSOUND = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError, IndexError, OverflowError),
)
_MAX_BYTES = 1 << 14  # an original image has about 300 bytes and one without compression 11,000; more is not one
_LAYOUT = "<set>/<alphabet>/characterNN/LLLL_DD.png"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """One image of Omniglot, not yet decoded."""

    source: str  # where it was read, for errors
    set: str  # Omniglot's name for a part of itself: "images_background", for example
    alphabet: str
    character: int  # its number within the alphabet, from 1
    label: int  # Omniglot's own number of the character, 1..1623
    drawer: int  # 1..20
    png: bytes

    def __post_init__(self) -> None:
        if self.label not in CHARACTERS or self.drawer not in DRAWERS:
            raise ValueError(
                f"{self.source}: Omniglot has the characters 1..{CHARACTERS[-1]}, each by the drawers "
                f"1..{DRAWERS[-1]}, but no character {self.label} by drawer {self.drawer}. Use the original files."
            )


def as_paths(paths: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Path]:
    """Return one path or several as a list; refuse none."""
    several = [paths] if isinstance(paths, str | PathLike) else list(paths)
    if not several:
        raise ValueError("Omniglot needs at least one zip file or folder, got none; name images_background.zip, say.")
    return [user_path(path) for path in several]


def read_zip(path: Path) -> Iterator[Drawing]:
    """Yield the drawings of one zip file, which is not unpacked to disk; refuse entries that Omniglot's do not have."""
    if not path.is_file():
        raise FileNotFoundError(
            f"No Omniglot zip at {path}; give the path of images_background.zip or a like file, "
            "from github.com/brendenlake/omniglot (python/)."
        )
    with _naming(path):
        archive = zipfile.ZipFile(path)
    found = False
    with archive:
        for name, info in _without_outer_folder(archive.infolist()):
            if match := _match(name, info.is_dir(), path):
                source = f"{path}: {info.filename}"
                _check_size(info.file_size, source)
                with _naming(path):
                    png = archive.read(info)
                found = True
                yield _drawing(match, source, png)
    if not found:
        raise ValueError(f"{path} holds no Omniglot image; expected {_LAYOUT}.")


def _without_outer_folder(entries: Iterable[zipfile.ZipInfo]) -> list[tuple[str, zipfile.ZipInfo]]:
    """Return the entries with their names as in the original zips, without litter.

    Zips that were made again have ``./`` before all names, or one folder around all.
    """
    named = [(re.sub(r"^(\./)+", "", info.filename), info) for info in entries]
    named = [(name, info) for name, info in named if name and not _is_litter(name)]
    tops = {name.partition("/")[0] for name, _ in named}
    if len(tops) == 1 and not tops & {"", ".."} and any(_ENTRY.fullmatch(name.partition("/")[2]) for name, _ in named):
        named = [(name.partition("/")[2], info) for name, info in named]
    return [(name, info) for name, info in named if name]


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the zip file in whatever error comes of its being damaged."""
    try:
        yield
    except _UNSOUND as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"{path} is not a sound zip file ({reason}); download it again.") from error


def read_folder(folder: Path) -> Iterator[Drawing]:
    """Yield the drawings of a folder: of its ``images_*.zip`` and of the sets that were unpacked in it.

    A set is a folder with ``<alphabet>/characterNN/`` in it; ``folder`` may be a set itself. Within a set nothing
    but Omniglot's files may be, and what systems leave there; whatever else lies beside the sets is not touched.

    Raises:
      ValueError: nothing found, a symbolic link, or a file that an Omniglot set does not have.
    """
    zips = sorted(folder.glob("images_*.zip"))
    for path in zips:
        _refuse_link(path)
        yield from read_zip(path)
    candidates = [
        folder.resolve(),
        *sorted(path for path in folder.iterdir() if path.is_dir() and not _is_litter(path.name)),
    ]
    sets = [path for path in candidates if any(path.glob("*/character[0-9][0-9]"))]
    for path in sets:
        yield from _read_set(path)
    if not zips and not sets:
        raise ValueError(
            f"{folder} holds no Omniglot; expected images_*.zip, folders {_LAYOUT}, or a TFDS directory "
            "(omniglot/3.0.0/dataset_info.json)."
        )


def _read_set(folder: Path) -> Iterator[Drawing]:
    _refuse_link(folder)
    found = False
    # Sorted, so that the first error is the same on every machine.
    for path in sorted(folder.rglob("*")):
        if _is_litter(path.relative_to(folder).as_posix()):
            continue
        _refuse_link(path)
        status = path.stat()
        is_folder = stat.S_ISDIR(status.st_mode)
        name = path.relative_to(folder.parent).as_posix() + "/" * is_folder
        if match := _match(name, is_folder, folder.parent):
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{path} is no ordinary file; an unpacked Omniglot has only folders and PNG files.")
            _check_size(status.st_size, str(path))
            found = True
            yield _drawing(match, str(path), path.read_bytes())
    if not found:
        raise ValueError(f"{folder} holds no Omniglot image; expected {_LAYOUT}.")


def _match(name: str, is_folder: bool, source: Path) -> re.Match[str] | None:
    """Return the parts of a drawing's name; None for a folder."""
    if is_folder and _FOLDER.fullmatch(name):
        return None
    match = _ENTRY.fullmatch(name)
    if match is None or ".." in name.split("/"):
        raise ValueError(f"{source}: unexpected entry {name!r}; Omniglot has only {_LAYOUT}. Use the original files.")
    return match


def _is_litter(name: str) -> bool:
    """Return whether a name has a part that no set has, but many a shared folder."""
    return any(_LITTER.fullmatch(part) for part in name.split("/"))


def _drawing(match: re.Match[str], source: str, png: bytes) -> Drawing:
    numbers = {name: int(match[name]) for name in ("character", "label", "drawer")}
    return Drawing(source=source, set=match["set"], alphabet=match["alphabet"], png=png, **numbers)


def _check_size(size: int, source: str) -> None:
    if size > _MAX_BYTES:
        raise ValueError(f"{source} has {size} bytes; expected about 300. Use the original file.")


def _refuse_link(path: Path) -> None:
    # A link could lead out of the folder that was given, and a loop of links never ends.
    if path.is_symlink():
        raise ValueError(f"{path} is a symbolic link; give the path that it leads to instead.")
