"""The position of an iterator as JSON values and back: exactly, whatever of Python's and NumPy's values it is of."""

import base64
from typing import Any

import jax
import numpy as np

_TYPE = "$type"
"""The key that marks what JSON has no value for; a dict of the user's that has it is marked itself."""


def encode(position: Any) -> Any:
    """Return a position as JSON values.

    None, bools, numbers, strings, lists and dicts with strings as keys are as they are. Bytes, tuples, arrays and
    numbers of NumPy, and other dicts become dicts that say their type.

    Args:
        position: What ``get_state`` of an iterator gave.

    Raises:
        TypeError: If it has, anywhere in it, a value of another type.

    >>> encode({'reader': b'abc', 'epoch': 3})
    {'reader': {'$type': 'bytes', 'base64': 'YWJj'}, 'epoch': 3}
    >>> decode(encode(('a', 1)))
    ('a', 1)
    """
    return _encode(position, "")


def decode(value: Any) -> Any:
    """Return the position of which `encode` made JSON values.

    Raises:
        ValueError, KeyError or TypeError: If the values are not such.
    """
    if isinstance(value, list):
        return [decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    match value.get(_TYPE):
        case None:
            return {key: decode(each) for key, each in value.items()}
        case "bytes":
            return base64.b64decode(value["base64"], validate=True)
        case "tuple":
            return tuple(decode(value["values"]))
        case "dict":
            return {decode(key): decode(each) for key, each in value["items"]}
        case "array" | "number" as kind:
            raw = base64.b64decode(value["base64"], validate=True)
            array = np.frombuffer(raw, np.dtype(value["dtype"])).reshape(value["shape"]).copy()
            return array[()] if kind == "number" else array
    raise ValueError(f"wanted a type of position that is known, got {value[_TYPE]!r}")


def _encode(value: Any, where: str) -> Any:
    match value:
        case np.ndarray() | np.generic() if value.dtype.kind not in "OV":
            array = np.asarray(value)
            kind = "number" if isinstance(value, np.generic) else "array"
            shape, raw = list(array.shape), base64.b64encode(array.tobytes()).decode()
            return {_TYPE: kind, "dtype": array.dtype.str, "shape": shape, "base64": raw}
        case jax.Array():
            return _encode(np.asarray(value), where)
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {_TYPE: "bytes", "base64": base64.b64encode(value).decode()}
        case list():
            return [_encode(each, f"{where}[{number}]") for number, each in enumerate(value)]
        case tuple() if type(value) is tuple:
            return {_TYPE: "tuple", "values": _encode(list(value), where)}
        case dict() if all(isinstance(key, str) for key in value) and _TYPE not in value:
            return {key: _encode(each, f"{where}[{key!r}]") for key, each in value.items()}
        case dict():
            items = [[_encode(key, where), _encode(each, f"{where}[{key!r}]")] for key, each in value.items()]
            return {_TYPE: "dict", "items": items}
    raise TypeError(
        f"wanted a position of the batches (get_state) that a checkpoint can hold, got {type(value).__name__} in "
        f"get_state(){where}; give bytes, strings, numbers, arrays of NumPy, and lists, tuples and dicts of them"
    )
