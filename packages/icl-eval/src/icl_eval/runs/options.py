"""Options of runs, by dotted names."""

from typing import Any


def differences(value: Any, other: Any) -> list[tuple[str, str | None, str | None]]:
    """Return the options in which two configurations differ: name, the one's, the other's; None where it has none.

    >>> differences({"train": {"steps": 9}, "seed": 0}, {"train": {"steps": 7, "rate": 1}, "seed": 0})
    [('train.steps', '9', '7'), ('train.rate', None, '1')]
    """
    ones, others = dict(flatten(value)), dict(flatten(other))
    names = dict.fromkeys([*ones, *others])
    return [(name, ones.get(name), others.get(name)) for name in names if ones.get(name) != others.get(name)]


def flatten(value: Any) -> list[tuple[str, str]]:
    """Return the leaves of nested JSON with dotted names, as the command line spells them.

    >>> flatten({"train": {"steps": 2000, "mesh": []}, "seed": 0})
    [('train.steps', '2000'), ('train.mesh', '[]'), ('seed', '0')]
    """
    return [
        (name, ", ".join(map(str, leaf)) if isinstance(leaf, list) and leaf else str(leaf))
        for name, leaf in leaves(value)
    ]


def leaves(value: Any, *, name: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of nested JSON with dotted names: numbers, texts, null, and lists of such.

    >>> leaves({"train": {"steps": 2000, "mesh": [1, 2]}})
    [('train.steps', 2000), ('train.mesh', [1, 2])]
    """
    if isinstance(value, dict) and value:
        return [
            leaf for key, inner in value.items() for leaf in leaves(inner, name=f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        return [leaf for place, inner in enumerate(value) for leaf in leaves(inner, name=f"{name}[{place}]")]
    return [(name, value)]
