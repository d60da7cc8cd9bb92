"""Options of a command line from the fields of dataclasses, and dataclasses from options."""

import argparse
import dataclasses
import inspect
import re
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from icl_data.sequences.kinds import Bursty, FewShot, Iid, LabelElsewhere, Mixed, NoSupport, SwappedLabels
from icl_data.sequences.labels import Labelling, Offset, Ordered, Original, Polysemy, RandomLabels
from icl_data.sequences.pattern import SequenceKind

KINDS: dict[str, type[SequenceKind]] = {
    "bursty": Bursty,
    "few_shot": FewShot,
    "no_support": NoSupport,
    "iid": Iid,
    "mixed": Mixed,
    "swapped_labels": SwappedLabels,
    "label_elsewhere": LabelElsewhere,
}

LABELLINGS: dict[str, Any] = {
    "ordered": Ordered,
    "original": Original,
    "random_labels": RandomLabels,
    "offset": Offset,
    "polysemy": Polysemy,
}

Chosen = Mapping[str, Any]  # the options that were given, by destination
Built = TypeVar("Built")


def add_options(group: argparse._ArgumentGroup, default: Any, prefix: str = "") -> None:
    """Add an option for each field of a dataclass: of a labelling, its name and its numbers; of a kind, all fields.

    Args:
      group: of the parser.
      default: an instance; its values are the defaults.
      prefix: before the names of the options, for a kind inside another: ``"few_shot."``.
    """
    hints, texts = typing.get_type_hints(type(default)), attribute_texts(type(default))
    for field in dataclasses.fields(default):
        name, value = prefix + field.name, getattr(default, field.name)
        if isinstance(value, SequenceKind):
            add_options(group, value, f"{name}.")
        elif isinstance(value, Labelling):
            _add_labelling(group, name, prefix, value, texts.get(field.name, ""))
        else:
            add_option(group, name, hints[field.name], texts.get(field.name, ""), default=value)


def add_option(group: argparse._ArgumentGroup, name: str, hint: Any, text: str, *, default: object) -> None:
    """Add one option of type bool, int, float, str or Literal; if it is not given it is absent from the result.

    Args:
      group: of the parser.
      name: as in Python; ``zipf_exponent`` is given as ``--zipf-exponent``.
      hint: the type.
      text: for ``--help``.
      default: for ``--help``; a sentence in parentheses, or a value.
    """
    how: dict[str, Any] = {}
    if typing.get_origin(hint) is Literal:
        how |= {"choices": typing.get_args(hint)}
    elif hint is bool:
        how |= {"action": argparse.BooleanOptionalAction}
        default = "yes" if default else "no"
    elif hint in (int, float, str):
        how |= {"type": hint, "metavar": {int: "N", float: "X", str: "NAME"}[hint]}
    else:
        raise TypeError(f"Options can be bool, int, float, str or Literal, but {name} is {hint}; teach add_option it.")
    said = f"{text} (default: {default})".replace("%", "%%").strip()
    group.add_argument(_flag(name), dest=name, default=argparse.SUPPRESS, help=said, **how)


def built(default: Built, chosen: Chosen, prefix: str = "") -> Built:
    """Give the dataclass that the options describe.

    Raises:
      ValueError: values that the dataclass refuses, or a number for a labelling that was not chosen.

    >>> built(Mixed(), {"p_few_shot": 0.25, "few_shot.shots": 2}).few_shot.shots
    2
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(default):  # type: ignore[arg-type]
        name, value = prefix + field.name, getattr(default, field.name)
        if isinstance(value, SequenceKind):
            changes[field.name] = built(value, chosen, f"{name}.")
        elif isinstance(value, Labelling):
            changes[field.name] = _built_labelling(name, prefix, value, chosen)
        elif name in chosen:
            changes[field.name] = chosen[name]
    return dataclasses.replace(default, **changes)  # type: ignore[type-var]


def attribute_texts(described: type) -> dict[str, str]:
    """Take the descriptions of a class's attributes from its docstring, so that they are written once.

    >>> attribute_texts(Mixed)["iid"]
    'what is made otherwise.'
    """
    section = (inspect.getdoc(described) or "").partition("Attributes:\n")[2].split("\n\n")[0]
    found = re.findall(r"^  (\w+): (.*(?:\n    .*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()).replace("``", "") for name, text in found}


def _add_labelling(group: argparse._ArgumentGroup, name: str, prefix: str, value: Labelling, text: str) -> None:
    names = {labelling: word for word, labelling in LABELLINGS.items()}
    add_option(group, name, Literal[tuple(LABELLINGS)], text, default=names[type(value)])
    for word, labelling in LABELLINGS.items():
        for field in dataclasses.fields(labelling):
            needed = field.default is dataclasses.MISSING
            said = f"for {_flag(name)} {word}: {attribute_texts(labelling).get(field.name, '')}"
            default = "none, it must be given" if needed else field.default
            add_option(group, prefix + field.name, typing.get_type_hints(labelling)[field.name], said, default=default)


def _built_labelling(name: str, prefix: str, default: Labelling, chosen: Chosen) -> Labelling:
    numbers: dict[str, Any] = {}
    for word, labelling in LABELLINGS.items():
        for field in dataclasses.fields(labelling):
            given = prefix + field.name in chosen
            if given and chosen.get(name) != word:
                raise ValueError(f"{_flag(prefix + field.name)} is for {_flag(name)} {word}; give that as well.")
            if given:
                numbers[field.name] = chosen[prefix + field.name]
            elif chosen.get(name) == word and field.default is dataclasses.MISSING:
                raise ValueError(f"{_flag(name)} {word} needs {_flag(prefix + field.name)} as well.")
    return LABELLINGS[chosen[name]](**numbers) if name in chosen else default


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
