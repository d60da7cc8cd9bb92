"""help() of every configuration explains each of its fields, or names the class that it has them from."""

import dataclasses
import inspect
import re
import typing

import pytest

from tests.tiny import FUNC, GPIC, LINE, OMNI, SYMB, unboxed


def configurations():
    """Return all dataclasses that presets are made of, and what they are made from, of icl-lab and the experiments."""
    found, queue = set(), [type(preset) for each in ALL for preset in each.presets.values()]
    while queue:
        cls = queue.pop()
        parts = [cls, *typing.get_args(cls)]
        for part in parts:
            if isinstance(part, type) and dataclasses.is_dataclass(part) and part not in found:
                found.add(part)
                queue += [*typing.get_type_hints(part).values(), *part.__bases__]
    return sorted((cls for cls in found if cls.__module__.startswith(("icl_lab", "experiments"))), key=repr)


ALL = (OMNI, GPIC, FUNC, LINE, SYMB)


@pytest.mark.parametrize("cls", configurations(), ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_every_field_is_explained(cls):
    explained = inspect.getdoc(cls)
    names = {field.name for field in dataclasses.fields(cls)}
    bases = [base for base in cls.__bases__ if dataclasses.is_dataclass(base)]
    inherited = {field.name for base in bases for field in dataclasses.fields(base)}
    for name in names - inherited:
        assert re.search(rf"^ *([\w, ]+, )?{name}(, [\w, ]+)?: \S", explained, re.MULTILINE), f"{cls.__name__}.{name}"
    for base in bases:
        assert f"`{base.__name__}`" in explained, base


def test_there_are_configurations_to_explain():
    assert {cls.__name__ for cls in configurations()} >= {
        "SessionConfig",
        "EvalConfig",
        "OmniglotConfig",
        "GpiclConfig",
    }


def test_the_command_line_explains_with_the_same_words(capsys):
    with pytest.raises(SystemExit):
        OMNI.parse("laptop", "--help")
    said = unboxed(capsys.readouterr().out)
    for words in ("Standard deviation of Gaussian noise on pixels", "Folder of the run.", "Layers of the trunk."):
        assert said.count(words) == 1, words
    assert "Attributes" not in said and "Args" not in said
