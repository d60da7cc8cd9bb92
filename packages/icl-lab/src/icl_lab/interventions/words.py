"""Interventions as words, ``clamp:layer=1,heads=0-3,to=match``, as command lines, files and config.json have them."""

import dataclasses
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icl_lab.interventions.graft import Graft
from icl_lab.options import nearest
from icl_models import Ablate, Clamp, Preserve
from icl_train import Forget

Intervention = Clamp | Ablate | Preserve | Graft | Forget

KINDS: Mapping[str, type[Intervention]] = {
    "clamp": Clamp,
    "ablate": Ablate,
    "preserve": Preserve,
    "graft": Graft,
    "forget": Forget,
}


def intervention_of(words: str) -> Intervention:
    """Return the value that words stand for.

    Args:
      words: a kind, a colon, and the fields of its dataclass, ``name=value`` with commas between them. Several numbers
        or names of one field have a plus between them, or are ``0-3`` for 0, 1, 2, 3; a field that is to be true is
        named alone.

    Raises:
      ValueError: there is no such kind or field, or its dataclass refuses the value.

    >>> intervention_of("clamp:layer=1,heads=0-2+5,to=match")
    Clamp(layer=1, heads=(0, 1, 2, 5), to='match')
    >>> intervention_of("forget:params=labels,every=100")
    Forget(params='labels', every=100, until=None)
    """
    kind, colon, rest = words.partition(":")
    if not colon or kind not in KINDS:
        raise ValueError(
            f"An intervention begins with its kind, such as clamp:layer=1,to=match, got {words!r}; "
            f"the kinds are {', '.join(KINDS)}."
        )
    hints = typing.get_type_hints(KINDS[kind])
    names = [field.name for field in dataclasses.fields(KINDS[kind])]
    # A regular expression may have commas, too: only those before a field's name part fields.
    given = re.split(rf",(?=(?:{'|'.join(names)})(?:=|,|$))", rest)
    values: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if name not in names:
            raise ValueError(f"{words!r}: {kind} has no {name!r}; {nearest(name, names)}.")
        if name in values:
            raise ValueError(f"{words!r} has {name} twice.")
        values[name] = _read(words, name, value if equals else None, hints[name])
    try:
        return KINDS[kind](**values)
    except TypeError as error:
        wanted = [each.name for each in dataclasses.fields(KINDS[kind]) if each.default is dataclasses.MISSING]
        raise ValueError(f"{words!r} lacks {', '.join(name for name in wanted if name not in values)}.") from error
    except ValueError as error:
        raise ValueError(f"{words!r}: {error}") from error


def words_of(intervention: Intervention) -> str:
    """Return the words that `intervention_of` reads as this value, always the same ones; paths are absolute.

    >>> words_of(Ablate(layer=0, heads=(3, 1)))
    'ablate:layer=0,heads=3+1'
    """
    kind = next(name for name, each in KINDS.items() if type(intervention) is each)
    given = [
        field.name if value is True else f"{field.name}={_written(value)}"
        for field in dataclasses.fields(intervention)
        for value in [getattr(intervention, field.name)]
        if field.default is dataclasses.MISSING or value != field.default
    ]
    return f"{kind}:{','.join(given)}"


def _written(value: Any) -> str:
    if isinstance(value, Path):
        return str(value if str(value).startswith("~") else value.absolute())
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _read(words: str, name: str, value: str | None, hint: Any) -> Any:
    """Return the value of a field; None stands for that of one that is named alone."""
    of = typing.get_args(hint)
    if (value is None) != (hint is bool):
        form = f"it stands alone, as in {name}" if hint is bool else f"it wants a value, as in {name}=..."
        raise ValueError(f"{words!r}: {name} is given otherwise: {form}.")
    if value is None:
        return True
    if typing.get_origin(hint) is tuple:
        return _numbers(words, name, value) if of[0] is int else tuple(value.split("+"))
    if int in (hint, *of):
        return _whole(words, name, value)
    return Path(value) if hint is Path else value


def _numbers(words: str, name: str, value: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in value.split("+"):
        first, dash, last = part.partition("-")
        low, high = _whole(words, name, first), _whole(words, name, last if dash else first)
        if high < low:
            raise ValueError(f"{words!r}: {name} wants ranges from low to high, such as {high}-{low}, got {part!r}.")
        found += range(low, high + 1)
    return tuple(found)


def _whole(words: str, name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise ValueError(f"{words!r}: {name} wants whole numbers, such as 2 or, of several, 0-3+5, got {value!r}.")
    return int(value)
