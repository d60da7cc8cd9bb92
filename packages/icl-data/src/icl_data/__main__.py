"""Show what a configuration yields: a sequence, statistics of many, and a picture (``python -m icl_data --help``)."""

import argparse
import difflib
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from icl_data.bank import ExemplarBank
from icl_data.batch import Batch
from icl_data.inspection import (
    contact_sheet,
    drawn,
    expected_shares,
    frequency_text,
    repeat_text,
    sequence_text,
    statistics,
)
from icl_data.inspection.configuration import add_bank_options, add_split_options, chosen_bank, chosen_split
from icl_data.inspection.options import KINDS, Chosen, add_option, add_options, attribute_texts, built
from icl_data.sequences.labels import num_labels
from icl_data.sequences.sampler import SequenceSampler

DESCRIPTION = """Show what a configuration yields: a table of one sequence, class frequencies and repeats over many
sequences, and a contact sheet of images.

KIND, bursty by default, comes first and says what sequences to make; each kind has options of its own,
which python -m icl_data KIND --help lists:

"""
EXAMPLES = """examples:
  python -m icl_data
  python -m icl_data few_shot --classes holdout --shots 2 --ways 4 --augmented
  python -m icl_data bursty --p-bursty 0.5 --zipf-exponent 1 --labels polysemy --labels-per-class 4
  python -m icl_data no_support --omniglot images_background.zip images_evaluation.zip --sheet omniglot.png
"""
SHEET = Path("icl_data_sheet.png")
SHEET_ROWS = 8
COUNT = 20_000
ITEMS_AT_ONCE = 2**20  # of a sampler: about 100 MB
MAX_LENGTH = 1000  # items in a row of a sheet, and lines of a table
MAX_COUNT = 1_000_000


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the pages of its usage before it."""

    def error(self, message: str) -> NoReturn:
        """Say what argparse does not understand, and leave."""
        self.leave(f"{message}; KIND comes first, and python -m icl_data KIND --help lists its options")

    def leave(self, message: str) -> NoReturn:
        """Say it in one line and leave with 2."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")


def parser(kind: str) -> Parser:
    """Make the parser of a kind's options."""
    kinds = "\n".join(
        textwrap.fill(f"  {name:<17}{(each.__doc__ or ' ').splitlines()[0]}", width=100, subsequent_indent=" " * 19)
        for name, each in KINDS.items()
    )
    made = Parser(
        prog="python -m icl_data",
        usage="python -m icl_data [KIND] [options]",
        description=DESCRIPTION + kinds.replace("``", "").replace("%", "%%"),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(made.add_argument_group(f"{kind} sequences"), KINDS[kind]())
    group, texts = made.add_argument_group("sequences of any kind"), attribute_texts(SequenceSampler)
    for name, of_type in (("length", int), ("seed", int), ("stream", str)):
        add_option(group, name, of_type, texts.get(name, ""), default=getattr(SequenceSampler, name))
    add_bank_options(made.add_argument_group("items"))
    add_split_options(made.add_argument_group("classes"))
    group = made.add_argument_group("what to show")
    add_option(group, "index", int, "the sequence in the table, and the first on the sheet", default=0)
    add_option(group, "count", int, "statistics are of the sequences 0..N-1", default=COUNT)
    said = f"where the contact sheet goes (default: {SHEET})"
    group.add_argument("--sheet", type=Path, metavar="PATH.png", default=SHEET, help=said)
    group.add_argument("--no-sheet", dest="sheet", action="store_const", const=None, help="write no contact sheet")
    return made


def report(kind_name: str, chosen: Chosen, sheet: Path | None) -> str:
    """Do what the options say, the sheet included, and give the text.

    Raises:
      ValueError: options that the package refuses.
      OSError: a file that cannot be read or written.
    """
    index, count = chosen.get("index", 0), chosen.get("count", COUNT)
    check(index=index, count=count, length=chosen.get("length", SequenceSampler.length), sheet=sheet)
    kind, bank = built(KINDS[kind_name](), chosen), chosen_bank(chosen)
    split = chosen_split(chosen, bank)
    of_series = {name: chosen[name] for name in ("length", "seed", "stream") if name in chosen}
    sampler = SequenceSampler(kind=kind, split=split, exemplar_counts=bank.counts, **of_series)
    V = max(num_labels(split, pattern.labels) for _, pattern in kind.mixture(split, sampler.length))
    shown = sampler.sample(np.arange(index, index + SHEET_ROWS))
    counted = statistics(sample_many(sampler, count), bank.counts)
    expected = expected_shares(kind, split, sampler.length)
    return "\n\n".join(
        [
            f"{kind_name}: {sampler.length} items a sequence, {split.rare} rare + {split.common} common + "
            f"{split.holdout} holdout of {split.num_classes} classes, V = {V} labels\n{kind}\n{split}",
            f"sequence {index} (seed {sampler.seed}, stream {sampler.stream!r}): {drawn(shown['classes'][0])}",
            sequence_text(shown, 0, split),
            f"statistics of {count:,} sequences",
            frequency_text(counted, split, expected),
            repeat_text(counted, num_labels=V),
            write_sheet(shown, bank, sheet, title=f"{kind_name}: sequences {index}..{index + SHEET_ROWS - 1}"),
        ]
    )


def check(*, index: int, count: int, length: int, sheet: Path | None) -> None:
    """Raise a ValueError for what the package would take, but this command cannot show."""
    last = np.iinfo(np.int64).max - SHEET_ROWS
    for name, value, low, high in (("index", index, 0, last), ("count", count, 1, MAX_COUNT)):
        if not low <= value <= high:
            raise ValueError(f"--{name} must be in {low}..{high}, got {value}.")
    if length > MAX_LENGTH:
        raise ValueError(f"--length must be at most {MAX_LENGTH} to be shown, got {length}.")
    if sheet is not None and (sheet.suffix.lower() != ".png" or not sheet.parent.is_dir()):
        raise ValueError(f"--sheet must be a .png file in a folder that exists, got {sheet}; or give --no-sheet.")


def sample_many(sampler: SequenceSampler, count: int) -> Batch:
    """Make the first ``count`` sequences, as many at a time as memory has room for."""
    step = max(1, ITEMS_AT_ONCE // sampler.length)
    parts = [sampler.sample(np.arange(start, min(start + step, count))) for start in range(0, count, step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def write_sheet(batch: Batch, bank: ExemplarBank, path: Path | None, *, title: str) -> str:
    """Write the contact sheet, and say where it is, or why there is none."""
    if path is None:
        return "contact sheet: not asked for"
    if bank.key != "images":
        return "contact sheet: none, since these items are no images"
    contact_sheet(batch, bank, title=title).save(path, "PNG")
    return f"contact sheet: {path}"


def main(words: Sequence[str] | None = None) -> int:
    """Run the command: print the report, or one line on stderr and leave with 2."""
    words = list(sys.argv[1:] if words is None else words)
    kind = words.pop(0) if words and not words[0].startswith("-") else "bursty"
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        perhaps = f"; perhaps you meant {near[0]}" if near else ""
        parser("bursty").leave(f"KIND must be one of {', '.join(KINDS)}, got {kind!r}{perhaps}.")
    of_kind = parser(kind)
    chosen = vars(of_kind.parse_args(words))
    try:
        print(report(kind, chosen, chosen["sheet"]))
    except (ValueError, OSError, ImportError, MemoryError) as error:
        of_kind.leave(str(error) or type(error).__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
