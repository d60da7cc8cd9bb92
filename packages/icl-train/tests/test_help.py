"""What ``help()`` shows of a class explains each of its fields, also those that it inherits."""

import dataclasses
import pydoc
import re

import pytest

import icl_train

CLASSES = [
    value
    for name in icl_train.__all__
    if isinstance(value := getattr(icl_train, name), type)
    and (dataclasses.is_dataclass(value) or hasattr(value, "_fields"))
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_help_explains_every_field(cls):
    shown = pydoc.render_doc(cls, renderer=pydoc.plaintext)
    _, _, section = shown.partition("Attributes:\n")
    explained = re.findall(r"^ \|      (\w+(?:, \w+)*): \S", re.split(r"\n \| *\n", section)[0], re.M)
    names = [name for line in explained for name in line.split(", ")]
    fields = [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else list(cls._fields)
    assert sorted(names) == sorted(fields)
