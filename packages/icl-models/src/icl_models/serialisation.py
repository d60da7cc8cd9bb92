"""Models as plain values, such as a run's folder keeps in JSON: nested dictionaries with the name of each class."""

import dataclasses
import importlib
from collections.abc import Iterable
from typing import Any

import numpy as np

_PLAIN = (bool, int, float, str, type(None))


def to_json(model: Any) -> dict[str, Any]:
    """Return a model, or a part of one, as what ``json.dumps`` takes: its fields by name, and its class as "type".

    It may be a dataclass of one's own, with fields that are dataclasses, tuples, numbers, strings, booleans or None.

    Raises:
      ValueError: anything else in it.

    >>> from icl_models import LSTM
    >>> to_json(LSTM(hidden=32))
    {'type': 'LSTM', 'layers': 2, 'hidden': 32}
    """
    if not dataclasses.is_dataclass(model) or isinstance(model, type):
        raise ValueError(f"to_json wants a dataclass such as SequenceClassifier(...), got {model!r}.")
    fields = {field.name: _to_plain(getattr(model, field.name)) for field in dataclasses.fields(model)}
    return {"type": type(model).__name__, **fields}


def from_json(values: Any, *, types: Iterable[type] = ()) -> Any:
    """Return a model equal to that which ``to_json`` was given; a field that was left out has its default.

    Args:
      values: what ``to_json`` returned, also after a way through JSON.
      types: classes of one's own that may be built, beside those of this package.

    Raises:
      ValueError: a class that is not among them, or fields that it does not take.

    >>> from_json({"type": "LSTM", "hidden": 32})
    LSTM(layers=2, hidden=32)
    """
    # What a file may name: the package's public dataclasses. Asked for here, when all of them are there.
    public = vars(importlib.import_module("icl_models"))
    own = (public[name] for name in public["__all__"] if dataclasses.is_dataclass(public[name]))
    return _from_plain(values, {kind.__name__: kind for kind in (*own, *types)})


def _to_plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_plain(entry) for entry in value]
    if isinstance(value, np.generic):  # a number such as np.int64(3)
        return value.item()
    return value if isinstance(value, _PLAIN) else to_json(value)


def _from_plain(value: Any, types: dict[str, type]) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_from_plain(entry, types) for entry in value)
    if not isinstance(value, dict):
        return value
    fields = {name: _from_plain(field, types) for name, field in value.items()}
    name = fields.pop("type", None)
    if name not in types:
        known = ", ".join(sorted(types))
        raise ValueError(f'"type" must be one of {known}, got {name!r}; classes of your own go into types=[...].')
    try:
        return types[name](**fields)
    except (TypeError, ValueError) as error:
        raise ValueError(f"There is no {name} of {fields}: {error}") from error
