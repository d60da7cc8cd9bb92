"""The smallest run of experiments/omniglot.py, and how to make one and read what it leaves; for tests."""

import json
import shlex
from pathlib import Path

import command_line
import omniglot
from omniglot_presets import PRESETS

SCRIPT = Path(omniglot.__file__)
TINY = shlex.split(
    "--data.characters 12 --data.augmented --data.holdout 32 --data.batch-size 8 "
    "--model.encoder linear --model.layers 1 --model.width 16 --optimizer.warmup-steps 2 "
    "--train.steps 6 --train.log-every 2 --train.checkpoint-every 3 "
    "--eval.every 3 --eval.count 60 --eval.final-count 90 "
    "--eval.finally-also --eval.heads-count 0 --eval.ablation-count 0"
)


def parse(*words):
    return command_line.parse([str(SCRIPT), *map(str, words)], PRESETS, default="laptop")


def run(*words):
    omniglot.main(parse(*words))


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def untimed(path):
    """Give the lines of a file of measures without what depends on the clock."""
    timed = {"time", "steps_per_second", "items_per_second"}
    return [{name: value for name, value in line.items() if name not in timed} for line in read_lines(path)]


def contents(folder):
    """Give every file's bytes, to see that nothing was touched."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
