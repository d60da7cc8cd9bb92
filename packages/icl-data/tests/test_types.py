"""What users see of the package: types that a checker can follow, and help for every option."""

import dataclasses
import re
import sys
from pathlib import Path

import pytest

import icl_data

README = Path(__file__).parents[1] / "README.md"
SHOWN = """
reveal_type(batches(source))
reveal_type(stream)
reveal_type(next(stream)["labels"])
reveal_type(stream.get_state())
reveal_type(sampler.num_labels)
reveal_type(source[0]["labels"])
"""


def test_a_checker_follows_the_readmes_snippets_and_sees_no_any(tmp_path, monkeypatch):
    mypy = pytest.importorskip("mypy.api", reason="mypy is for development alone")
    snippets = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "snippets.py").write_text("\n".join([*snippets, SHOWN]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MYPYPATH", str(Path(icl_data.__file__).parents[1]))
    options = ["--ignore-missing-imports", "--check-untyped-defs", "--python-executable", sys.executable]
    cache = README.parents[2] / ".mypy_cache" / "snippets"
    out, errors, _ = mypy.run([*options, "--cache-dir", str(cache), "snippets.py"])
    shown = re.findall(r'Revealed type is "(.*)"', out)
    assert [name.replace("builtins.", "") for name in shown] == [
        "icl_data.stream.BatchStream",
        "icl_data.stream.BatchIterator",
        "numpy.ndarray[tuple[Any, ...], numpy.dtype[Any]]",
        "dict[str, Any]",
        "int",
        "numpy.ndarray[tuple[Any, ...], numpy.dtype[Any]]",
    ], out
    assert "error" not in out and not errors


CONFIGURATIONS = [each for each in vars(icl_data).values() if isinstance(each, type) and dataclasses.is_dataclass(each)]


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda each: each.__name__)
def test_help_explains_every_field(configuration):
    for field in dataclasses.fields(configuration):
        if field.init:  # in its own words: help() shows no class the words of another
            entry = rf"^ +(\w+, )*{field.name}(, \w+)*: "
            assert re.search(entry, configuration.__doc__, re.MULTILINE), f"{field.name} is not explained"
    assert set(CONFIGURATIONS) > {icl_data.Bursty, icl_data.ClassSplit, icl_data.BatchSource, icl_data.RandomMLP}
