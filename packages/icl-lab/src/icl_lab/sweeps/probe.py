"""The plan of a sweep: which runs in which groups, and what time and disk they take, by a probe of each program."""

import contextlib
import dataclasses
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax

import icl_train as training
from icl_lab.checkpoints import evaluate, restore
from icl_lab.driver import prepare, train
from icl_lab.experiment import Config, Definition
from icl_lab.options import option_of
from icl_lab.session import exit_on_run_error, say
from icl_lab.streams import TRAIN
from icl_lab.sweeps.plan import Sweep, SweepGroup, varied_among
from icl_lab.sweeps.running import checked_groups, is_over
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


def plan_text(definition: Definition[Config], sweep: Sweep[Config], *, vary: Iterable[str]) -> str:
    """Return the plan of a sweep to read: its groups, how many programs are compiled, projected time and disk.

    Args:
      definition: the experiment.
      sweep: nothing of it is run, and nothing written into its folder.
      vary: options that runs in its folder may differ in.

    Raises:
      ValueError: a group that cannot be, or a folder of other runs.
    """
    training.use_compile_cache(sweep.base.compile_cache)
    groups, _ = checked_groups(sweep, vary=vary, experiment=definition.name)
    todo = [group for group in groups if not is_over(group)]
    costs, programs = _costs(definition, todo)
    seconds = {group.config.workdir: _seconds(group, costs[group.config.workdir]) for group in todo}
    rows = []
    for group in sorted(groups, key=lambda group: -seconds.get(group.config.workdir, 0.0)):
        takes = _duration(seconds[group.config.workdir]) if group.config.workdir in seconds else "finished"
        rows.append(f"  {len(group.members):4} runs  {takes:>10}  {group.config.workdir.name}{_differing(group)}")
    runs, left = (sum(len(group.members) for group in some) for some in (groups, todo))
    disk = sum(_bytes(group, costs[group.config.workdir]) for group in todo)
    takes = _duration(sum(seconds.values(), start=0.0))
    return "\n".join(
        [
            f"{runs} runs in {len(groups)} groups, {runs - left} of them finished; {programs} programs to compile.",
            *rows,
            f"in all about {takes} and {disk / 1e6:,.0f} MB, by {_SECONDS:.0f} s of training each program on this "
            "machine; with --dry-run nothing is run.",
        ]
    )


def _costs(definition: Definition[Config], groups: Sequence[SweepGroup[Config]]) -> tuple[dict[Path, Cost], int]:
    """Return what groups take, those of equal shapes the same, and of how many shapes they are."""
    found: dict[str, Cost] = {}
    costs: dict[Path, Cost] = {}
    shapes_of = set()
    for group in groups:
        runs = prepare(definition, group.config, group.members)  # which refuses what cannot be
        shapes = jax.eval_shape(runs.init, jax.random.key(0))
        batch = {name: values.shape for name, values in runs.first.first_batch(TRAIN).items()}
        key = f"{len(group.members)} {shapes} {batch} {group.config.intervene}"
        shapes_of.add(key)
        if key not in found and len(found) < _MOST:
            say(f"probing {group.config.workdir.name}", to="stderr")
            found[key] = probe(definition, group)
        size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes[0]))
        nearest = min(found.values(), key=lambda cost: abs(cost.parameters - size))
        costs[group.config.workdir] = found.get(key, nearest)
    return costs, len(shapes_of)


class _EnoughError(Exception):
    """Ends the training of a probe."""


class _Stop:
    """Ends training some seconds after its first step, which waits for its program to be compiled."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.seen: list[tuple[int, float]] = []  # steps made, and when

    def is_due(self, moment: training.Moment) -> bool:
        """Return whether that step has been made, and again when the time is over, and after the last one."""
        return not self.seen or moment.is_last or time.monotonic() > self.seen[0][1] + self._seconds

    def __call__(self, step: int, state: training.TrainState) -> None:
        """Note the time; end the training if it is over."""
        jax.block_until_ready(state.step)
        self.seen.append((step, time.monotonic()))
        if len(self.seen) > 1:
            raise _EnoughError


def probe(definition: Definition[Config], group: SweepGroup[Config]) -> Cost:
    """Return what a group takes, by training it for some seconds in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="icl-probe-") as temporary, _quietly():
        folder, is_lone = Path(temporary, "run"), len(group.members) == 1
        briefly = dataclasses.replace(
            group.config.train, checkpoint_every=10**9, checkpoint_spacing="equal", checkpoint_around=None,
            stop_after_minutes=None, tensorboard=False,
        )  # fmt: skip
        config = dataclasses.replace(group.config, workdir=folder, train=briefly, mode="train")
        members = [
            dataclasses.replace(each, workdir=folder if is_lone else training.member_folder(folder, number))
            for number, each in enumerate(group.members)
        ]
        runs, stop, begun = prepare(definition, config, members), _Stop(_SECONDS), time.monotonic()
        with contextlib.suppress(_EnoughError), exit_on_run_error():
            train(runs, resume_hint="", actions=[stop])
        (first, at), (last, until) = stop.seen[0], stop.seen[-1]
        step = (until - at) / (last - first) if last > first else at - begun
        checkpoint = restore(runs, runs.first, None)
        evaluate(runs, runs.first, checkpoint, runs.experiment.at_intervals)  # which compiles
        evaluated = time.monotonic()
        evaluate(runs, runs.first, checkpoint, runs.experiment.at_intervals)
        taken = time.monotonic() - evaluated
        size = sum(path.stat().st_size for path in (folder / "checkpoints").rglob("*") if path.is_file())
        params = sum(leaf.size for leaf in jax.tree.leaves(checkpoint.params))
    return Cost(begin=at - begun, step=step, evaluation=taken, checkpoint=size, parameters=params)


def _seconds(group: SweepGroup[Config], cost: Cost) -> float:
    config, count = group.config, len(group.members)
    left = config.train.steps - (training.latest_step(config.workdir) or 0)
    moments = config.eval.moments if config.eval.spacing == "log" else left // config.eval.every
    # The last one is of more sequences, and of more kinds, of which a probe sees none.
    last = 2 * getattr(config.eval, "final_count", 0) / max(config.eval.count, 1)
    return cost.begin + left * cost.step + count * cost.evaluation * (moments + last)


def _bytes(group: SweepGroup[Config], cost: Cost) -> float:
    config = group.config.train
    kept = config.keep_checkpoints + len(config.spaced_checkpoints())
    kept += config.steps // config.keep_every if config.keep_every else 0
    lines = config.steps / config.log_every * 400 + 1e5  # bytes of metrics.jsonl, and of the other files
    return kept * cost.checkpoint + len(group.members) * lines


def _differing(group: SweepGroup[Config]) -> str:
    """Return in words what the runs of a group differ in."""
    names = [*varied_among(group.members), "train.seed"]
    values = {name: dict.fromkeys(str(option_of(member, name)) for member in group.members) for name in names}
    said = [f"{name} {', '.join(each)}" for name, each in values.items() if len(each) > 1]
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
