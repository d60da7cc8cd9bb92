"""What `help` says of the values that callers make and read: each of their fields, by name."""

import dataclasses
import inspect

import pytest

import icl_eval
from icl_eval.figures.lines import Line

RECORDS = {
    name: value
    for name, value in vars(icl_eval).items()
    if name in icl_eval.__all__
    and inspect.isclass(value)
    and (dataclasses.is_dataclass(value) or hasattr(value, "_fields"))
}


def explained(record: type) -> set[str]:
    """Return the fields that the section Attributes of a docstring says something of."""
    _, _, section = inspect.getdoc(record).partition("Attributes:\n")  # type: ignore[union-attr]
    found: set[str] = set()
    for line in section.split("\n\n")[0].splitlines():
        names, colon, said = line.strip().partition(":")
        if line.startswith("  ") and not line.startswith("   ") and colon and len(said.split()) > 1:
            found |= set(names.split(", "))
    return found


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_is_explained(name: str) -> None:
    record = RECORDS[name]
    fields = (
        record._fields
        if hasattr(record, "_fields")
        else tuple(field.name for field in dataclasses.fields(record) if field.init)
    )
    assert set(fields) <= explained(record), f"{name}: {sorted(set(fields) - explained(record))}"


def test_the_walk_finds_them_and_can_fail() -> None:
    assert {"Run", "Estimate", "Ridge", "Scores", "Ratio", "Table"} <= RECORDS.keys()
    assert not explained(Line)
