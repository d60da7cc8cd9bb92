"""The words of a sweep's command line: what is the sweep's own, and typed values of any option of any experiment."""

import contextlib
import dataclasses
import io
import itertools
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro

from icl_lab.config_file import each_once, read_value
from icl_lab.options import Setting, flat, nearest, type_of
from icl_train import expanded

GRID = "--grid."

USAGE = """what the sweep itself is asked:
  --grid.OPTION V1 V2 ...  values of any option, such as --grid.data.p-bursty 0 0.5 1; quote a value of several words
  --zip                    first values of all --grid options together, then second ones, ...; else all combinations
  --settings FILE          a JSON file of settings by name, each with options nested as in a file of options
  --only NAME ...          of the preset's or the file's settings, those whose names begin so
  --seeds N                runs of each setting, with seeds from train.seed on
  --members N              most runs that one program trains at once; by default as many as memory holds
  --dry-run                print the plan, with time and disk from a short probe, and run nothing
  --no-page                do not draw the sweep's report.html
all other words are those of a single run, which all runs have in common"""

# How many words each takes; None: all up to the next option.
_OWN: Mapping[str, int | None] = {
    "--zip": 0,
    "--settings": 1,
    "--only": None,
    "--seeds": 1,
    "--members": 1,
    "--dry-run": 0,
    "--no-page": 0,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepWords:
    """What a command line asks of the sweep.

    Attributes:
      grid: values by dotted option, as words.
      zipped: whether they go together.
      settings: the file of settings.
      only: beginnings of the names of settings.
      seeds: runs of each setting.
      members: most runs of a program.
      dry_run: whether nothing is to be run.
      page: whether to draw.
      rest: the words of a single run.
    """

    grid: Mapping[str, tuple[str, ...]]
    zipped: bool
    settings: Path | None
    only: tuple[str, ...]
    seeds: int | None
    members: int | None
    dry_run: bool
    page: bool
    rest: tuple[str, ...]


def split_words(words: Sequence[str]) -> SweepWords:
    """Return the words of a command line, those of the sweep apart.

    Raises:
      ValueError: an option of the sweep without its values, or twice.

    >>> asked = split_words(["laptop", "--grid.model.layers", "1", "2", "--seeds", "3", "--train.steps", "9"])
    >>> asked.grid, asked.seeds, asked.rest
    ({'model.layers': ('1', '2')}, 3, ('laptop', '--train.steps', '9'))
    """
    grid: dict[str, tuple[str, ...]] = {}
    own: dict[str, tuple[str, ...]] = {}
    rest: list[str] = []
    for option, values in _by_option(words):
        name = option.replace("_", "-")
        if option.startswith(GRID):
            place, found = option.removeprefix(GRID).replace("-", "_"), grid
        elif name in _OWN:
            place, found = name, own
            wanted = _OWN[name]
            if wanted is not None and len(values) > wanted:
                rest += values[wanted:]
                values = values[:wanted]
        else:
            rest += [*([option] if option else []), *values]
            continue
        if place in found:
            raise ValueError(f"{option} is there twice; give it all its values at once.")
        if not values and _OWN.get(name) != 0:
            raise ValueError(f"{option} wants a value after it, got none.")
        found[place] = tuple(values)
    for option in grid:
        if is_given(option, rest):
            raise ValueError(f"--{option} would be read by no run, since {GRID}{option} varies it; leave it out.")
    return SweepWords(
        grid=grid,
        zipped="--zip" in own,
        settings=expanded(own["--settings"][0]) if "--settings" in own else None,
        only=own.get("--only", ()),
        seeds=_whole(own, "--seeds"),
        members=_whole(own, "--members"),
        dry_run="--dry-run" in own,
        page="--no-page" not in own,
        rest=tuple(rest),
    )


def is_given(option: str, words: Sequence[str]) -> bool:
    """Return whether words of a command line set an option, by its dotted name.

    >>> is_given("data.p_bursty", ["laptop", "--data.p-bursty=1"])
    True
    """
    part, _, last = f"--{option}".replace("_", "-").rpartition(".")
    names = {f"{part}.{last}", f"{part}.no-{last}"} if part else {last, f"--no-{last.removeprefix('--')}"}
    return any(word.partition("=")[0].replace("_", "-") in names for word in words)


def _by_option(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield options with the words that follow them; "" with what comes before the first."""
    option, values = "", list[str]()
    for word in words:
        if word.startswith("--"):
            if option or values:
                yield option, values
            option, values = word, []
            if word.startswith((GRID, *_OWN)) and "=" in word:
                option, _, value = word.partition("=")
                values = [value]
        else:
            values.append(word)
    if option or values:
        yield option, values


def _whole(own: Mapping[str, Sequence[str]], name: str) -> int | None:
    if name not in own:
        return None
    word = own[name][0]
    if not word.isdecimal() or int(word) < 1:
        raise ValueError(f"{name} wants a whole number of at least 1, got {word}.")
    return int(word)


def typed(config_type: type, option: str, word: str) -> Any:
    """Return the value of an option that a word of the grid stands for.

    Args:
      config_type: of the configuration.
      option: its dotted name.
      word: as on a command line; the values of a tuple in one word, with spaces between them.

    Raises:
      ValueError: there is no such option, or the word is no value of its type.
    """
    hint = type_of(config_type, option)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it says more than a line
            return tyro.cli(tyro.conf.Positional[hint], args=shlex.split(word), console_outputs=False)  # type: ignore[misc, valid-type]
    except (SystemExit, ValueError) as error:
        said = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "").replace("pathlib.", "")
        raise ValueError(f"{GRID}{option} wants values that are {said}, got {word!r}.") from error


def combinations(grid: Mapping[str, Sequence[Any]], *, zipped: bool = False) -> list[Setting]:
    """Return the settings of a grid: all combinations, or first values with first ones.

    Raises:
      ValueError: numbers of values that differ, where they go together.

    >>> combinations({"a": [1, 2], "b": [3, 4]}, zipped=True)
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 4}]
    """
    if zipped and len({len(values) for values in grid.values()}) > 1:
        said = ", ".join(f"{len(values)} of {option}" for option, values in grid.items())
        raise ValueError(f"--zip wants as many values of each option, got {said}.")
    rows = zip(*grid.values(), strict=True) if zipped else itertools.product(*grid.values())
    return [dict(zip(grid, row, strict=True)) for row in rows]


def read_settings(path: Path, config_type: type) -> dict[str, Setting]:
    """Return the settings of a JSON file by their names.

    Args:
      path: of the file: an object of objects, each with options nested as in a file of options.
      config_type: of the configuration.

    Raises:
      ValueError: no such file, or one with other things in it.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=each_once)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is not a JSON file of settings: {error}") from error
    if not isinstance(record, dict) or not record or not all(isinstance(each, dict) for each in record.values()):
        raise ValueError(
            f'{path} wants settings by their names, such as {{"four labels": {{"data": {{"labels_per_class": 4}}}}}}.'
        )
    try:
        return {
            name: {
                option: read_value(option, value, type_of(config_type, option)) for option, value in flat(each).items()
            }
            for name, each in record.items()
        }
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def chosen(settings: Mapping[str, Setting], only: Sequence[str]) -> dict[str, Setting]:
    """Return the settings whose names begin with one of some words; all if there are none.

    Raises:
      ValueError: a word that begins no name.
    """
    for word in only:
        if not any(name.startswith(word) for name in settings):
            raise ValueError(
                f"There is no setting {word}; {nearest(word, settings) if settings else 'there are none'}."
            )
    return {name: each for name, each in settings.items() if not only or name.startswith(tuple(only))}
