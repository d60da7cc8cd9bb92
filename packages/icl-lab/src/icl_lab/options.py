"""Options by their names: values, types, other values for some, and what was meant by one that there is not."""

import dataclasses
import difflib
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

Options = TypeVar("Options")

Setting = Mapping[str, Any]
"""Values of options by their dotted names, such as {"data.p_bursty": 0.5}."""

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


def with_options(config: Options, setting: Setting) -> Options:
    """Return a configuration with other values of some options.

    Args:
      config: a dataclass of dataclasses.
      setting: values by dotted names.

    Raises:
      ValueError: there is no such option, or its dataclass refuses the value.
    """
    nested: dict[str, Any] = {}
    for name, value in setting.items():
        *parts, last = name.split(".")
        inner = nested
        for part in parts:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return replaced(config, nested)


def option_of(config: Any, name: str) -> Any:
    """Return the value of an option by its dotted name."""
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested values by their dotted names.

    >>> flat({"data": {"size": 28}, "seed": 0})
    {'data.size': 28, 'seed': 0}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {prefix + name: value}
    return found


def type_of(config_type: type, name: str) -> Any:
    """Return the annotated type of an option by its dotted name.

    Args:
      config_type: a dataclass of dataclasses.
      name: such as "data.p_bursty".

    Raises:
      ValueError: there is no such option, or it has options of its own.
    """
    found: Any = config_type
    *parents, _ = name.split(".")
    for depth, part in enumerate(name.split(".")):
        hints = typing.get_type_hints(found)
        names = [field.name for field in dataclasses.fields(found)]
        if part not in names:
            prefix = "".join(f"{each}." for each in parents[:depth])
            raise ValueError(f"There is no option {name}; {nearest(part, names, prefix=prefix)}.")
        found = hints[part]
        if depth < len(parents) and not dataclasses.is_dataclass(found):
            raise ValueError(
                f"There is no option {name}; {'.'.join(name.split('.')[: depth + 1])} has none of its own."
            )
    if dataclasses.is_dataclass(found):
        raise ValueError(
            f"{name} has options of its own; name one, such as {name}.{dataclasses.fields(found)[0].name}."
        )
    return found
