"""Options by their names: other values for some, and what was meant by one that there is not."""

import dataclasses
import difflib
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

Options = TypeVar("Options")

ReadValue = Callable[[str, Any, Any], Any]
"""``read(option, value, type) -> value`` makes a value of one that a file has."""


def replaced(
    options: Options, values: Mapping[str, Any], *, read: ReadValue | None = None, prefix: str = ""
) -> Options:
    """Return a dataclass of dataclasses with other values of some options.

    Args:
      options: the dataclass.
      values: by name, nested as the options are.
      read: makes a value of each; by default they are taken as they are.
      prefix: of the names in errors.

    Raises:
      ValueError: there is no such option, or its dataclass refuses the value.
    """
    hints = typing.get_type_hints(type(options))
    names = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]  # a dataclass
    changes = {}
    for name, value in values.items():
        option = f"{prefix}{name}"
        if name not in names:
            raise ValueError(f"There is no option {option}; {nearest(name, names, prefix=prefix)}.")
        current = getattr(options, name)
        if dataclasses.is_dataclass(current) and (read is not None or isinstance(value, dict)):
            if not isinstance(value, Mapping):
                raise ValueError(f"{option} wants options by their names, got {value!r}.")
            changes[name] = replaced(current, value, read=read, prefix=f"{option}.")
        else:
            changes[name] = value if read is None else read(option, value, hints[name])
    return dataclasses.replace(options, **changes)  # type: ignore[type-var]  # a dataclass


def nearest(name: str, names: Iterable[str], *, prefix: str = "") -> str:
    """Return the end of a sentence about a name that there is not: which is like it, or which there are.

    >>> nearest("p_burst", ["p_bursty", "ways"], prefix="data."), nearest("x", ["p_bursty", "ways"])
    ('perhaps data.p_bursty was meant', 'there are p_bursty, ways')
    """
    listed = sorted(names)
    alike = [prefix + each for each in difflib.get_close_matches(name, listed)]
    return f"perhaps {' or '.join(alike)} was meant" if alike else f"there are {', '.join(listed)}"
