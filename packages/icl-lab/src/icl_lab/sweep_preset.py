"""A sweep by name: what the command line of a sweep may begin with."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from icl_eval import Picture, Table
from icl_lab.config import ExperimentConfig
from icl_lab.options import Setting

Config = TypeVar("Config", bound=ExperimentConfig)


class Drawn(NamedTuple):
    """What a sweep's page has of its own.

    Attributes:
      pictures: its figures.
      tables: its tables.
      note: what stands beneath the title.
      said: lines for the terminal.
    """

    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    note: str = ""
    said: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepPreset(Generic[Config]):
    """Which runs, and what their page has besides what every sweep's has.

    Attributes:
      config: what all runs have in common.
      grid: values of options by their dotted names; the command line adds options, or gives one other values.
      settings: from the configuration to settings by name, of which --only names some; each goes with all of the grid.
      seeds: runs of each.
      same_program: see `icl_lab.Sweep`.
      check: refuses a run, before any is trained, of which the page could not be drawn: raises ValueError.
      draw: from the folder, the configuration and those of the finished runs to what the page has besides; files of its
        own it writes there.
    """

    config: Config
    grid: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    settings: Callable[[Config], Mapping[str, Setting]] | None = None
    seeds: int = 1
    same_program: frozenset[str] | None = None
    check: Callable[[Config], None] | None = None
    draw: Callable[[Path, Config, Sequence[Config]], Drawn] | None = None
