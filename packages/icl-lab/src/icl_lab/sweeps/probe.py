"""The plan of a sweep: which runs in which groups, and what time and disk they take, by a probe of each program."""

import contextlib
import dataclasses
import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax

import icl_train as training
from icl_lab.config_file import to_json
from icl_lab.driver import evaluate, prepare, restore, train
from icl_lab.experiment import Config, Definition
from icl_lab.finished import is_finished
from icl_lab.options import flat, option_of
from icl_lab.session import exit_on_run_error, say
from icl_lab.sweeps.plan import Sweep, SweepGroup
from icl_train.log import logger

_SECONDS = 10.0  # that a probe trains, besides its compilation
_MOST = 8  # programs that are probed; others are taken to be like the one with the nearest number of parameters


class Cost(NamedTuple):
    """What a group takes.

    Attributes:
      begin: seconds until its first step is made.
      step: seconds of a step of all its members.
      evaluation: seconds of the evaluations of a member at one moment.
      checkpoint: bytes of a checkpoint.
      parameters: of a member.
    """

    begin: float
    step: float
    evaluation: float
    checkpoint: int
    parameters: int


def plan_text(definition: Definition[Config], sweep: Sweep[Config]) -> str:
    """Return the plan of a sweep to read: its groups, how many programs are compiled, projected time and disk.

    Args:
      definition: the experiment.
      sweep: nothing of it is run, and nothing written into its folder.

    Raises:
      ValueError: a group that cannot be.
    """
    groups = sweep.groups()
    todo = [group for group in groups if not all(map(is_finished, group.members))]
    costs = _costs(definition, todo)
    rows = []
    for group in sorted(groups, key=lambda group: -_seconds(group, costs.get(group.config.workdir))):
        cost = costs.get(group.config.workdir)
        takes = "finished" if cost is None else _duration(_seconds(group, cost))
        rows.append(f"  {len(group.members):4} runs  {takes:>10}  {group.config.workdir.name}{_differing(group)}")
    runs, left = (sum(len(group.members) for group in some) for some in (groups, todo))
    seconds = sum(_seconds(group, costs[group.config.workdir]) for group in todo)
    disk = sum(_bytes(group, costs[group.config.workdir]) for group in todo)
    return "\n".join(
        [
            f"{runs} runs in {len(groups)} groups, {runs - left} of them finished; {len(todo)} programs to compile.",
            *rows,
            f"in all about {_duration(seconds)} and {disk / 1e6:,.0f} MB, by probes of {_SECONDS:.0f} s of training on "
            "this machine; with --dry-run nothing is run.",
        ]
    )


def _costs(definition: Definition[Config], groups: Sequence[SweepGroup[Config]]) -> dict[Path, Cost]:
    """Return what groups take; those of equal shapes take the same."""
    found: dict[str, Cost] = {}
    costs: dict[Path, Cost] = {}
    for group in groups:
        runs = prepare(definition, group.config, group.members)  # which refuses what cannot be
        shapes = jax.eval_shape(runs.init, jax.random.key(0))
        batch = {name: values.shape for name, values in runs.first.first_batch("train").items()}
        key = f"{len(group.members)} {shapes} {batch}"
        if key not in found and len(found) < _MOST:
            say(f"probing {group.config.workdir.name}", to="stderr")
            found[key] = probe(definition, group)
        size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes[0]))
        nearest = min(found.values(), key=lambda cost: abs(cost.parameters - size))
        costs[group.config.workdir] = found.get(key, nearest)
    return costs


def probe(definition: Definition[Config], group: SweepGroup[Config]) -> Cost:
    """Return what a group takes, by training it for some seconds in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="icl-probe-") as temporary, _quietly():
        folder = Path(temporary, "run")
        briefly = dataclasses.replace(
            group.config.train,
            log_every=1,
            checkpoint_every=10**9,
            checkpoint_spacing="equal",
            checkpoint_around=None,
            stop_after_minutes=_SECONDS / 60,
            tensorboard=False,
        )
        config = dataclasses.replace(group.config, workdir=folder, train=briefly, mode="train")
        is_lone = len(group.members) == 1
        members = [
            dataclasses.replace(each, workdir=folder if is_lone else training.member_folder(folder, number))
            for number, each in enumerate(group.members)
        ]
        runs = prepare(definition, config, members)
        begun = time.monotonic()
        with contextlib.suppress(training.Interrupted), exit_on_run_error():
            train(runs, resume_hint="")
        lasted = time.monotonic() - begun
        lines = [json.loads(line) for line in (members[0].workdir / "metrics.jsonl").read_text().splitlines()]
        first, last = lines[0], lines[-1]
        step = (last["time"] - first["time"]) / max(last["step"] - first["step"], 1) or lasted
        checkpoint = restore(runs, runs.first, None)
        evaluate(runs, runs.first, checkpoint, runs.experiment.at_intervals)  # which compiles
        begun = time.monotonic()
        evaluate(runs, runs.first, checkpoint, runs.experiment.at_intervals)
        taken = time.monotonic() - begun
        size = sum(path.stat().st_size for path in (folder / "checkpoints").rglob("*") if path.is_file())
        params = sum(leaf.size for leaf in jax.tree.leaves(checkpoint.params))
    return Cost(begin=first["time"], step=step, evaluation=taken, checkpoint=size, parameters=params)


def _seconds(group: SweepGroup[Config], cost: Cost | None) -> float:
    if cost is None:
        return 0.0
    config, count = group.config, len(group.members)
    moments = config.eval.moments if config.eval.spacing == "log" else config.train.steps // config.eval.every
    # The last one is of more sequences, and of more kinds, of which a probe sees none.
    last = 2 * getattr(config.eval, "final_count", 0) / max(config.eval.count, 1)
    return cost.begin + config.train.steps * cost.step + count * cost.evaluation * (moments + last)


def _bytes(group: SweepGroup[Config], cost: Cost) -> float:
    config = group.config.train
    kept = config.keep_checkpoints + len(config.spaced_checkpoints())
    kept += config.steps // config.keep_every if config.keep_every else 0
    lines = config.steps / config.log_every * 400 + 1e5  # bytes of metrics.jsonl, and of the other files
    return kept * cost.checkpoint + len(group.members) * lines


def _differing(group: SweepGroup[Config]) -> str:
    """Return in words what the runs of a group differ in."""
    options = [flat(to_json(member)) for member in group.members]
    names = [name for name in options[0] if len({str(each.get(name)) for each in options}) > 1]
    said = [
        f"{name} {', '.join(dict.fromkeys(str(option_of(each, name)) for each in group.members))}" for name in names
    ]
    return f": {'; '.join(said)}" if said else ""


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Let a probe say nothing: it is stopped, and resumed by nobody."""
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False
