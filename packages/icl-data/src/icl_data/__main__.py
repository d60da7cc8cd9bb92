"""Show what sequences hold: a table of one, frequencies and repeats in many, and a picture of a few."""

import argparse
import dataclasses
import re
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import icl_data
from icl_data.paths import user_path
from icl_data.sequences import kinds

Option = tuple[str, Any, str, dict[str, Any]]  # name, default, help, and more for argparse
KINDS: dict[str, Any] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): kind
    for name, kind in vars(kinds).items()
    if dataclasses.is_dataclass(kind) and kind is not kinds.MixtureOf  # which is of other kinds
}
OPTIONS: tuple[Option, ...] = (
    ("length", 9, "items in a sequence, the query included", {}),
    ("source", "glyphs", "of the items", {"choices": ("glyphs", "omniglot", "symbols")}),
    ("zips", None, "for omniglot: its zip files, a folder of them, or a TFDS directory", {"type": Path, "nargs": "+"}),
    ("characters", 100, "how many glyphs or symbols to make", {}),
    ("size", 28, "side of the images in pixels", {}),
    ("augmented", False, "make 8 classes of each, flipped and rotated", {}),
    ("exemplars", "all", "the images of a class", {"choices": ("all", "single", "separated")}),
    ("noise", 0.0, "standard deviation of noise on pixels of 0..1, in the picture", {}),
    ("rare", None, "number of rare classes, by default all others", {"type": int}),
    ("common", None, "number of common classes, by default a tenth", {"type": int}),
    ("holdout", None, "number of holdout classes, by default a tenth", {"type": int}),
    ("zipf_exponent", 0.0, "of the frequencies of classes", {}),
    ("split_seed", icl_data.ClassSplit.seed, "of the order of the classes", {}),
    ("seed", 0, "of the sequences", {}),
    ("stream", "train", "name of the sequences", {}),
    ("index", 0, "the sequence in the table, and the first in the picture", {}),
    ("count", 20_000, "frequencies and repeats are those of the sequences 0..N-1", {}),
    ("sheet", Path("icl_data_sheet.png"), "where the picture goes", {}),
)
EPILOG = """examples:
  python -m icl_data
  python -m icl_data few_shot --classes holdout --shots 2 --ways 4 --augmented
  python -m icl_data --p-bursty 0.5 --zipf-exponent 1 --source omniglot --zips images_background.zip
For kinds, labellings and banks of your own: icl_data.describe(sampler), statistics(sampler), contact_sheet(batch)."""


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the pages of its usage before it."""

    def error(self, message: str) -> NoReturn:
        """Write one line, and leave with 2."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")


def own_options(kind: str) -> dict[str, str]:
    """Return the option of each of a kind's fields: its name, unless an option of all kinds is called so."""
    taken = {name for name, *_ in OPTIONS}
    defaults = {field.name: field.default for field in dataclasses.fields(KINDS[kind])}
    names = [name for name, default in defaults.items() if isinstance(default, bool | int | float | str)]
    return {name: f"kind_{name}" if name in taken else name for name in names}


def parser(kind: str) -> Parser:
    """Return the parser of a kind's options."""
    made = Parser(
        prog=f"python -m icl_data {kind}",
        usage="python -m icl_data [KIND] [options]",
        description=f"{__doc__}\n\nKIND, bursty by default, is one of {', '.join(KINDS)}. Options of {kind} sequences:",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    hints = typing.get_type_hints(KINDS[kind])
    own: list[Option] = [("labels_per_class", 1, "labels of each rare class", {})] if "labels" in hints else []
    for name, option in own_options(kind).items():
        choices = typing.get_args(hints[name]) if isinstance(getattr(KINDS[kind], name), str) else None
        own.append((option, getattr(KINDS[kind], name), "", {"choices": choices or None}))
    for name, default, text, how in (*own, *OPTIONS):
        if isinstance(default, bool):
            how = {"action": argparse.BooleanOptionalAction}
        elif default is not None:
            how = {"type": type(default), **how}
        said = text if default is None else f"{text} (default: {default})".strip()
        made.add_argument("--" + name.replace("_", "-"), default=default, help=said, **how)
    made.add_argument("--no-sheet", dest="sheet", action="store_const", const=None, help="write no picture")
    return made


def report(kind: str, chosen: argparse.Namespace) -> str:
    """Write a picture of 8 sequences, and return the text."""
    bank = chosen_bank(chosen)
    sampler = chosen_sampler(kind, chosen, bank)
    text = icl_data.describe(sampler, index=chosen.index, count=chosen.count)
    if chosen.sheet is None or bank.key != "images":
        return f"{text}\n\ncontact sheet: none"
    path = user_path(chosen.sheet)
    numbers = sampler.sample(np.arange(chosen.index, chosen.index + 8))
    noisy = icl_data.expand(bank, numbers, transforms=[icl_data.PixelNoise(scale=chosen.noise)])
    icl_data.contact_sheet(noisy, title=f"{kind}: sequences from {chosen.index} on").save(path)
    return f"{text}\n\ncontact sheet: {path}"


def chosen_bank(chosen: argparse.Namespace) -> icl_data.ExemplarBank:
    """Return the bank that the options describe."""
    if (chosen.source == "omniglot") != bool(chosen.zips):
        raise ValueError(f"--source omniglot and --zips go together, got {chosen.source}; give both or neither.")
    bank = {
        "glyphs": lambda: icl_data.glyphs(chosen.characters, size=chosen.size),
        "omniglot": lambda: icl_data.omniglot(chosen.zips, size=chosen.size),
        "symbols": lambda: icl_data.symbols(chosen.characters),
    }[chosen.source]()
    if chosen.exemplars != "all":
        bank = bank.separated() if chosen.exemplars == "separated" else bank.first_exemplars(1)
    return bank.augmented() if chosen.augmented else bank


def chosen_sampler(kind: str, chosen: argparse.Namespace, bank: icl_data.ExemplarBank) -> icl_data.SequenceSampler:
    """Return the sampler that the options describe, by default with a tenth of the classes common, a tenth held out."""
    tenth = max(2, bank.num_classes // bank.group // 10) * bank.group
    common, holdout = (tenth if size is None else size for size in (chosen.common, chosen.holdout))
    rare = max(0, bank.num_classes - common - holdout) if chosen.rare is None else chosen.rare
    sizes: Any = {"rare": rare, "common": common, "holdout": holdout, "zipf_exponent": chosen.zipf_exponent}
    split = icl_data.ClassSplit(num_classes=bank.num_classes, group=bank.group, seed=chosen.split_seed, **sizes)
    options = {name: getattr(chosen, option) for name, option in own_options(kind).items()}
    if getattr(chosen, "labels_per_class", 1) != 1:
        options["labels"] = icl_data.Polysemy(chosen.labels_per_class)
    series = {name: getattr(chosen, name) for name in ("length", "seed", "stream")}
    return icl_data.SequenceSampler(kind=KINDS[kind](**options), split=split, exemplar_counts=bank.counts, **series)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return 0, or leave with 2 and one line on stderr."""
    words = list(sys.argv[1:] if words is None else words)
    kind = words.pop(0) if words and not words[0].startswith("-") else "bursty"
    if kind not in KINDS:
        parser("bursty").error(f"KIND must be one of {', '.join(KINDS)}, got {kind!r}.")
    of_kind = parser(kind)
    try:
        print(report(kind, of_kind.parse_args(words)))
    except (ValueError, OSError, ImportError, MemoryError, OverflowError) as error:
        of_kind.error(str(error) or type(error).__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
