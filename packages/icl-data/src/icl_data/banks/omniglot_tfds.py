"""Omniglot as a TFDS directory: made from the original zip files, and read back, without TensorFlow."""

import hashlib
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from icl_data.banks.omniglot_files import CHARACTERS, DRAWERS, Drawing, as_paths, read_zip
from icl_data.banks.tfds_directory import TFDS, import_tfds, is_prepared, open_prepared, read_split
from icl_data.paths import user_path

# Omniglot's sets, which are also the names of its zip files, and TFDS's names for them, in TFDS's order.
SPLITS = {
    "images_background": "train",
    "images_evaluation": "test",
    "images_background_small1": "small1",
    "images_background_small2": "small2",
}
_FEATURES = {"image": "Image", "alphabet": "ClassLabel", "alphabet_char_id": "Tensor", "label": "ClassLabel"}
# An alphabet's number is its place in this list, sorted as TFDS sorts it; no single zip file has all fifty.
_NAMES = """
    Alphabet_of_the_Magi Angelic Anglo-Saxon_Futhorc Arcadian Armenian Asomtavruli_(Georgian) Atemayar_Qelisayer
    Atlantean Aurek-Besh Avesta Balinese Bengali Blackfoot_(Canadian_Aboriginal_Syllabics) Braille
    Burmese_(Myanmar) Cyrillic Early_Aramaic Futurama Ge_ez Glagolitic Grantha Greek Gujarati Gurmukhi Hebrew
    Inuktitut_(Canadian_Aboriginal_Syllabics) Japanese_(hiragana) Japanese_(katakana) Kannada Keble Korean Latin
    Malay_(Jawi_-_Arabic) Malayalam Manipuri Mkhedruli_(Georgian) Mongolian N_Ko
    Ojibwe_(Canadian_Aboriginal_Syllabics) Old_Church_Slavonic_(Cyrillic) Oriya Sanskrit Sylheti
    Syriac_(Estrangelo) Syriac_(Serto) Tagalog Tengwar Tibetan Tifinagh ULOG
"""
_ALPHABETS = tuple(_NAMES.split())


def prepare_omniglot(
    data_dir: str | PathLike[str], *, zips: str | PathLike[str] | Iterable[str | PathLike[str]] | None = None
) -> Path:
    """Write ``omniglot/3.0.0`` as TFDS does, for ``omniglot(data_dir)`` and for ``tfds.data_source("omniglot", ...)``.

    Features, records and their order are those of TFDS's own builder, the files ArrayRecord. There is a split for
    each zip: ``train`` (images_background), ``test`` (images_evaluation), ``small1`` and ``small2``. Names of
    characters that are in none of the zips are padded: ``unknown_0001``, and so on.

    Args:
      data_dir: where TFDS keeps its data; made if need be.
      zips: paths of the original zip files, one or more; None downloads all four (18 MB, checksums verified) from
        github.com/brendenlake/omniglot to ``data_dir/downloads``.

    Returns:
      The path of ``data_dir/omniglot/3.0.0``.

    Raises:
      FileExistsError: it is there already.
      ValueError: a zip that is not one of the four, is damaged or lacks a drawer of a character; or two for one set.
      ImportError: tensorflow-datasets is not installed.
    """
    builder = omniglot_builder(data_dir, zips=zips)
    directory = Path(builder.data_dir)
    if directory.exists():
        raise FileExistsError(f"{directory} exists already; remove it or name another folder.")
    builder.download_and_prepare()
    return directory


def omniglot_builder(
    data_dir: str | PathLike[str], *, zips: str | PathLike[str] | Iterable[str | PathLike[str]] | None = None
) -> TFDS:
    """Return the builder behind ``prepare_omniglot``: TFDS's own, but for how it finds the drawings.

    It takes the zip files' entries as they are, where TFDS's unpacks them by means of TensorFlow.
    """
    stock = import_tfds().builder_cls("omniglot")
    given = None if zips is None else _by_split(as_paths(zips))  # now: a bad zip leaves nothing on disk

    class Omniglot(stock, skip_registration=True):  # type: ignore[misc, valid-type, call-arg]
        url_infos = stock.url_infos  # sizes and checksums of the four downloads; TFDS looks beside this file for them

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            urls = {name: url for url in self.url_infos for name in SPLITS if url.endswith(f"/{name}.zip")}
            drawings = given or _by_split(as_paths(dl_manager.download(urls).values()))
            every = [drawing for split in drawings.values() for drawing in split]
            self.info.features["alphabet"].names = list(_ALPHABETS)
            self.info.features["label"].names = _character_names(every)
            return {split: self._generate_examples(drawings[split]) for split in drawings}

        def _generate_examples(self, drawings: list[Drawing]) -> Iterator[tuple[str, dict[str, Any]]]:
            for drawing in drawings:
                example = {"image": drawing.png, "alphabet": drawing.alphabet, "label": drawing.label - 1}
                example["alphabet_char_id"] = drawing.character - 1
                yield _key(drawing.alphabet, drawing.character - 1, drawing.label, drawing.drawer), example

    return Omniglot(data_dir=user_path(data_dir), file_format="array_record")


def find_prepared(folder: Path) -> Path | None:
    """Return the version directory in a TFDS ``data_dir``, or the folder if it is one, or None."""
    return next((path for path in (folder, folder / "omniglot" / "3.0.0") if is_prepared(path)), None)


def read_prepared(directory: Path) -> Iterator[Drawing]:
    """Yield the drawings of every split of a version directory.

    A record does not say who drew it, but TFDS orders records by the hash of their names: with all twenty drawers
    present, the order of the records tells.

    Raises:
      ValueError: another set, damaged files, or records that are not in TFDS's order.
    """
    builder = open_prepared(directory)
    if builder.info.name != "omniglot" or str(builder.info.version) != "3.0.0":
        raise ValueError(f"{directory} holds {builder.info.full_name}; expected omniglot/3.0.0.")
    features = builder.info.features
    kinds = {name: type(features[name]).__name__ for name in sorted(features)}
    if kinds != _FEATURES:
        raise ValueError(f"{directory} has the features {kinds}; expected Omniglot's, {_FEATURES}.")
    alphabets = dict(enumerate(features["alphabet"].names))
    for split in builder.info.splits:
        yield from _name_drawers(list(read_split(builder, split)), alphabets, split, f"{directory}, split {split!r}")


def _by_split(paths: Iterable[Path]) -> dict[str, list[Drawing]]:
    """Return the drawings of zip files by split, which each one's topmost folder tells."""
    found: dict[str, list[Drawing]] = {}
    for path in paths:
        drawings = list(read_zip(path))
        sets = {drawing.set for drawing in drawings}
        name = sets.pop()
        if sets or name not in SPLITS:
            raise ValueError(f"{path} holds {sorted({name, *sets})}; expected just one of {', '.join(SPLITS)}.")
        if SPLITS[name] in found:
            raise ValueError(f"{path} holds {name}, which another zip file held before; give each set once.")
        _check_complete(drawings, path)
        found[SPLITS[name]] = drawings
    return {split: found[split] for split in SPLITS.values() if split in found}


def _check_complete(drawings: list[Drawing], path: Path) -> None:
    drawers: dict[int, list[int]] = {}
    for drawing in drawings:
        if drawing.alphabet not in _ALPHABETS:
            raise ValueError(f"{drawing.source}: Omniglot has no such alphabet. Use the original file.")
        drawers.setdefault(drawing.label, []).append(drawing.drawer)
    for label, present in drawers.items():
        if sorted(present) != list(DRAWERS):
            raise ValueError(
                f"{path}: character {label} has the drawers {sorted(present)}; expected each of 1..{len(DRAWERS)} once."
            )


def _character_names(drawings: Iterable[Drawing]) -> list[str]:
    names: dict[int, str] = {}
    for drawing in drawings:
        name = f"{drawing.alphabet}_{drawing.character - 1}"
        if names.setdefault(drawing.label, name) != name:
            raise ValueError(f"{drawing.source}: character {drawing.label} was {names[drawing.label]} before.")
    return [names.get(label, f"unknown_{label:04d}") for label in CHARACTERS]


def place_in_tfds(drawing: Drawing) -> tuple[int, bytes]:
    """Return what TFDS sorts its records by: the place of the split, and the MD5 of the record's name."""
    split = SPLITS.get(drawing.set, drawing.set)
    name = _key(drawing.alphabet, drawing.character - 1, drawing.label, drawing.drawer)
    return [*SPLITS.values(), split].index(split), _hash(split, name)


def _hash(split: str, name: str) -> bytes:
    return hashlib.md5((split + name).encode()).digest()


def _key(alphabet: str, character_id: int, label: int, drawer: int) -> str:
    """Return TFDS's name of a record."""
    return f"{alphabet}_{character_id}_{label:04d}_{drawer:02d}.png"


def _name_drawers(
    examples: list[dict[str, Any]], alphabets: dict[int, str], split: str, source: str
) -> Iterator[Drawing]:
    """Yield the drawings with their drawers, which the order of the records tells."""
    labels = [example["label"] + 1 for example in examples]
    characters = {
        label: (alphabets.get(example["alphabet"], "unknown"), example["alphabet_char_id"])
        for label, example in zip(labels, examples, strict=True)
    }
    order = sorted(
        (_hash(split, _key(*characters[label], label, drawer)), label, drawer)
        for label in characters
        for drawer in DRAWERS
    )
    if [label for _, label, _ in order] != labels:
        raise ValueError(
            f"{source}: the records are not in TFDS's order, or not all 20 drawers of each character are there; "
            "prepare it again."
        )
    for (_, label, drawer), example in zip(order, examples, strict=True):
        alphabet, character_id = characters[label]
        yield Drawing(
            source=f"{source}, {_key(alphabet, character_id, label, drawer)}",
            set=split,
            alphabet=alphabet,
            character=character_id + 1,
            label=label,
            drawer=drawer,
            png=example["image"],
        )
