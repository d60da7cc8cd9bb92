"""A bank and a split of its classes from options, with defaults under which every kind of sequence can be made."""

import argparse
from collections.abc import Callable
from typing import Literal

from icl_data.bank import ExemplarBank
from icl_data.banks.glyphs import glyphs
from icl_data.banks.omniglot import omniglot
from icl_data.banks.synthetic import gaussian, symbols
from icl_data.inspection.options import Chosen, add_option, attribute_texts
from icl_data.sequences.split import ClassSplit

BankName = Literal["glyphs", "omniglot", "symbols", "gaussian"]
Exemplars = Literal["all", "single", "separated"]

_NUM_CLASSES = 100
_WITHOUT_IMAGES: dict[str, Callable[[int], ExemplarBank]] = {"symbols": symbols, "gaussian": gaussian}


def add_bank_options(group: argparse._ArgumentGroup) -> None:
    """Add the options that ``chosen_bank`` reads."""
    add_option(group, "bank", BankName, "the items", default="glyphs, or omniglot if its files are given")
    group.add_argument(
        "--omniglot",
        nargs="+",
        metavar="PATH",
        default=argparse.SUPPRESS,
        help="Omniglot's zip files, a folder of them or of what they unpack to, or a TFDS directory",
    )
    text = "how many classes to draw, of Omniglot the first so many, before --exemplars and --augmented make more"
    add_option(group, "num_classes", int, text, default=f"{_NUM_CLASSES}, all of Omniglot")
    add_option(group, "size", int, "side of the images in pixels", default="28, Omniglot's own 105")
    text = "the exemplars of a class: all, the first alone, or each a class of its own"
    add_option(group, "exemplars", Exemplars, text, default="all")
    add_option(group, "augmented", bool, "make 8 classes of each, flipped and rotated", default=False)


def chosen_bank(chosen: Chosen) -> ExemplarBank:
    """Give the bank that the options describe.

    Raises:
      ValueError: options that do not go together, or values that the bank refuses.
      OSError: Omniglot files that cannot be read.
    """
    name = chosen.get("bank", "omniglot" if "omniglot" in chosen else "glyphs")
    if (name == "omniglot") != ("omniglot" in chosen):
        raise ValueError(f"--bank omniglot and --omniglot PATH go together, got --bank {name}; give both or neither.")
    size = {"size": chosen["size"]} if "size" in chosen else {}
    num_classes = chosen.get("num_classes", _NUM_CLASSES)
    if name == "omniglot":
        bank = omniglot(chosen["omniglot"], **size)
        if not 1 <= chosen.get("num_classes", 1) <= bank.num_classes:
            raise ValueError(f"--num-classes must be in 1..{bank.num_classes} for these files, got {num_classes}.")
        bank = bank.subset(range(num_classes)) if "num_classes" in chosen else bank
    elif name == "glyphs":
        bank = glyphs(num_classes, **size)
    elif size:
        raise ValueError(f"--size is for images, and {name} has none; leave it out or use --bank glyphs.")
    else:
        bank = _WITHOUT_IMAGES[name](num_classes)
    match chosen.get("exemplars", "all"):
        case "single":
            bank = bank.first_exemplars(1)
        case "separated":
            bank = bank.separated()
    return bank.augmented() if chosen.get("augmented", False) else bank


def add_split_options(group: argparse._ArgumentGroup) -> None:
    """Add the options that ``chosen_split`` reads."""
    texts = attribute_texts(ClassSplit)
    add_option(group, "rare", int, texts.get("rare", ""), default="all others")
    add_option(group, "common", int, texts.get("common", ""), default="a tenth of the classes, in whole groups")
    add_option(group, "holdout", int, texts.get("holdout", ""), default="a tenth of the classes, in whole groups")
    add_option(group, "zipf_exponent", float, texts.get("zipf_exponent", ""), default=ClassSplit.zipf_exponent)
    add_option(group, "zipf_within_sets", bool, texts.get("zipf_within_sets", ""), default=ClassSplit.zipf_within_sets)
    add_option(group, "split_seed", int, "of the order of the classes", default=ClassSplit.seed)


def chosen_split(chosen: Chosen, bank: ExemplarBank) -> ClassSplit:
    """Give the split that the options describe; sets that they leave out share what the others leave.

    >>> bank = symbols(100)
    >>> split = chosen_split({"common": 20}, bank)
    >>> split.rare, split.common, split.holdout
    (70, 20, 10)
    """
    left = bank.num_classes - sum(chosen.get(name, 0) for name in ("rare", "common", "holdout"))
    # Of ten groups or fewer still two of each, for two ways; but at most a third, so that there is a rare one too.
    groups = bank.num_classes // bank.group
    tenth = min(max(groups // 10, 2), groups // 3) * bank.group
    sizes = {}
    for name, size in (("holdout", tenth), ("common", tenth), ("rare", bank.num_classes)):
        sizes[name] = chosen.get(name, max(0, min(size, left)))
        left -= 0 if name in chosen else sizes[name]
    others = {name: chosen[name] for name in ("zipf_exponent", "zipf_within_sets") if name in chosen}
    seed = chosen.get("split_seed", ClassSplit.seed)
    return ClassSplit(num_classes=bank.num_classes, group=bank.group, seed=seed, **sizes, **others)
