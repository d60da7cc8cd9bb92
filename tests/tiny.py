"""The smallest runs of the experiments, and how to make one and read what it leaves; for tests."""

import dataclasses
import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import icl_lab as lab
from experiments.functions.run import FUNCTIONS
from experiments.gpicl.run import GPICL
from experiments.kinetics.run import KINETICS
from experiments.linear.run import LINEAR
from experiments.omniglot.run import OMNIGLOT
from experiments.symbols.run import SYMBOLS
from icl_lab.main import run_command
from icl_lab.sweeps.command import parse_sweep

STEPS = "--train.steps 6 --train.log-every 2 --train.checkpoint-every 3 --eval.every 3 --optimizer.warmup-steps 2 "
TASKS = "--model.width 16 --model.layers 1 --model.heads 2 --data.batch-size 8 --eval.batch-size 30 "


@dataclasses.dataclass(frozen=True)
class Tiny:
    """An experiment with options that make it tiny."""

    name: str
    main: Callable[[Any], None]
    presets: Mapping[str, Any]
    options: tuple[str, ...]

    def parse(self, *words, preset="laptop"):
        return lab.parse(list(map(str, words)), self.presets, name=self.name, default=preset)

    def run(self, *words):
        """Run what a command line asks for, without a report unless it asks for one."""
        quiet = [] if "--report" in words else ["--no-report"]
        self.main(self.parse(*words, *quiet))

    def tiny(self, *words, preset="laptop"):
        self.run(preset, *self.options, *words)


def of(definition, options):
    def main(config):
        lab.execute(definition, config, lab.ensemble_members(config))

    return Tiny(definition.name, main, definition.presets, tuple(shlex.split(options)))


OMNI = of(
    OMNIGLOT,
    STEPS + "--data.characters 12 --data.augmented --data.holdout 32 --data.batch-size 8 --model.encoder linear "
    "--model.layers 1 --model.width 16 --eval.count 60 --eval.final-count 90 --eval.batch-size 90 "
    "--eval.extra-at-end --eval.heads-count 0 --eval.ablation-count 0",
)
GPIC = of(
    GPICL,
    STEPS + TASKS + "--data.length 6 --eval.count 60 --eval.final-count 90 --eval.baseline-count 10",
)
FUNC = of(
    FUNCTIONS,
    STEPS + TASKS + "--data.points 10 --data.queries 4 --data.hidden 4 --data.transfer sine step "
    "--eval.count 20 --eval.final-count 30 --eval.baseline-count 10",
)
SYMB = of(
    SYMBOLS,
    STEPS + TASKS + "--data.num-tasks 4 --data.num-symbols 3 --data.length 40 --eval.count 20 --eval.final-count 60",
)
LINE = of(LINEAR, STEPS + TASKS + "--data.points 8 --data.num-inputs 2 --eval.count 20 --eval.final-count 30")
KINE = of(
    KINETICS,
    "--train.steps 6 --train.log-every 2 --train.checkpoint-every 3 --eval.every 3 --eval.count 20 "
    "--eval.final-count 30 --eval.batch-size 30 --data.context 4 --data.dimensions 5 "
    "--data.batch-size 8 --model.hidden 6 6",
)


@dataclasses.dataclass(frozen=True)
class TinySweep:
    """A sweep of an experiment by its name, with options that make it tiny."""

    definition: lab.Definition[Any]
    name: str
    options: tuple[str, ...]

    def parse(self, *words):
        definition, given = self.definition, list(map(str, words))
        varied = {word.replace("--grid.", "--") for word in given if word.startswith("--grid.")}
        places = [place for place, word in enumerate(self.options) if word in varied]  # each with its one value
        kept = [word for place, word in enumerate(self.options) if not {place, place - 1} & set(places)]
        asked = [self.name, *kept, *given]
        return parse_sweep(
            asked, definition.presets, definition.sweeps, name=definition.name, default=definition.default
        )

    def run(self, *words):
        run_command(self.definition, self.parse(*words))


PHASES = TinySweep(GPICL, "phases", (*GPIC.options, "--eval.no-other-datasets"))
PROPERTIES = TinySweep(
    OMNIGLOT,
    "properties",
    tuple(
        shlex.split(
            "--data.rare 12 --data.characters 20 --data.holdout 8 --data.batch-size 8 --model.encoder linear "
            "--model.layers 1 --model.width 16 --optimizer.warmup-steps 1 --train.steps 3 --eval.every 3 "
            "--eval.count 20 --eval.final-count 30 --seeds 1 --only labels_per_class=1 labels_per_class=4"
        )
    ),
)


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def untimed(path):
    """Return the lines of a file of measures without what depends on the clock."""
    timed = {"time", "steps_per_second", "items_per_second"}
    return [{name: value for name, value in line.items() if name not in timed} for line in read_lines(path)]


def contents(folder):
    """Return every file's bytes, to see that nothing was touched."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def unboxed(said):
    """Return what tyro says in one line, without the frame that it draws and the lines that it breaks."""
    return " ".join(re.sub(r"[│╭╮╰╯─|+-]{2,}|[│|]", " ", said).split())
