"""Experiments' own commands beside their bare steps, and beside what memory and arithmetic alone would take."""

import json
import os
import runpy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np
from jaxtyping import Array, PyTree

import icl_train
from icl_train import Batches, CompiledTraining, StepSpec, TrainConfig
from icl_train.dispatch.pace import Pace
from tools.accelerator_rows import accelerated, h200, rounded, row, seconds_of
from tools.bench_accelerator import ROOT
from tools.full_size import GLYPHS

FLOOR = "floor.json"
"""File of what memory and arithmetic do, in the folder of the table."""

MINUTES = 0.7
"""Most time that a command trains, its compilation included."""


class TimedBatches:
    """Batches, and when each was asked for and how long its taker waited for it."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self.asked: list[float] = []
        self.waited: list[float] = []

    def __next__(self) -> Mapping[str, np.ndarray]:
        """Return the next batch."""
        self.asked.append(time.perf_counter())
        batch = next(self._batches)
        self.waited.append(time.perf_counter() - self.asked[-1])
        return batch

    def get_state(self) -> Any:
        """Return the position."""
        return self._batches.get_state()

    def set_state(self, state: Any) -> None:
        """Go to a position."""
        self._batches.set_state(state)


class Run(NamedTuple):
    """What a command trains with."""

    config: TrainConfig
    spec: StepSpec
    batches: TimedBatches
    resident: PyTree
    rules: icl_train.Rules
    workdir: Path

    def compile(self) -> tuple[CompiledTraining, int]:
        """Return the program that the command runs, and how many steps a dispatch of it has at most."""
        program = icl_train.compile_single(
            self.spec,
            seed=self.config.seed,
            mesh=self.config.mesh.build(),
            rules=self.rules,
            resident=self.resident,
        )
        return program, Pace(self.config.steps_per_dispatch, time.monotonic).most(next(self.batches))


class _NotTrained(Exception):  # noqa: N818  (no error)
    """Ends a command where its training would begin."""


def start(experiment: str, *words: str, trains: bool = True) -> Run:
    """Run an experiment's own command here, and return what it trained with, or would train with.

    All that is known of experiments is that they call `icl_train.train`.
    """
    runs, train = [], icl_train.train

    def watched(config: TrainConfig, **given: Any) -> Any:
        given["batches"] = TimedBatches(given["batches"])
        spec = StepSpec(given["init"], given["loss_fn"], given["optimizer"], config, given.get("expand"))
        resident, rules = given.get("resident"), given.get("rules", ())
        runs.append(Run(config, spec, given["batches"], resident, rules, Path(given["workdir"])))
        if not trains:
            raise _NotTrained
        return train(config, **given)

    workdir = tempfile.mkdtemp(prefix="icl-accelerator-")
    argv = [experiment, *words, "--mode", "train", "--no-report", "--workdir", f"{workdir}/run"]
    with mock.patch.object(icl_train, "train", watched), mock.patch.object(sys, "argv", argv):
        try:
            runpy.run_module(f"experiments.{experiment}", run_name="__main__", alter_sys=True)
        except _NotTrained:
            pass
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"{' '.join(argv)} ended with {ended.code}") from ended
    return runs[0]


class Training(NamedTuple):
    """A command, for how many steps an accelerator and a CPU run it, what a CPU is spared; figures of one H200."""

    title: str
    experiment: str
    words: Callable[[], tuple[str, ...]]
    steps: int
    steps_on_cpu: int
    h200: str = ""
    h200_scan: str = ""
    h200_compile: str = ""
    words_on_cpu: tuple[str, ...] = ()


def digits() -> tuple[str, ...]:
    """Return the options of gpicl paper for MNIST's test files, where they are, else for glyphs in their place."""
    folder = Path(os.environ.get("ICL_SHARED_DATA", ROOT.parent / "shared" / "data"))
    images, labels = (folder / f"t10k-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    there = images.is_file() and labels.is_file()
    source = ("idx", "--data.images", str(images), "--data.labels", str(labels)) if there else ("glyphs",)
    return ("paper", "--data.source", *source)


TRAININGS = {
    "laptop": Training("laptop", "omniglot", lambda: ("laptop",), 6_000, 400, "230 (1 a dispatch)", "1,839", "12 s"),
    "all_exemplars": Training(
        "all_exemplars", "omniglot", lambda: ("all_exemplars", *GLYPHS), 1_000, 6, "98 (1), 114 (50)", "171", "17-25 s"
    ),
    "gpicl": Training("gpicl laptop", "gpicl", lambda: ("laptop",), 3_000, 300, "204 (1 a dispatch)"),
    "functions": Training("functions laptop", "functions", lambda: ("laptop",), 3_000, 300),
    "gpicl_paper": Training("gpicl paper", "gpicl", digits, 300, 6, words_on_cpu=("--data.batch-size", "32")),
}


def measure_training(training: Training, folder: Path) -> None:
    """Time a command, and the same step without its loop."""
    steps, title = training.steps if accelerated() else training.steps_on_cpu, training.title
    cache = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    before = len(list(cache.glob("*")))
    spared = () if accelerated() else training.words_on_cpu
    words = *training.words(), *spared
    limits = "--train.steps", str(steps), "--train.log-every", str(-(-steps // 100))
    run = start(training.experiment, *words, *limits, "--train.stop-after-minutes", str(MINUTES))
    if spared:
        row(f"{title}: on a CPU with", " ".join(spared))
    fresh = len(list(cache.glob("*"))) > before
    begun = run.batches.asked[:2]
    if len(begun) == 2:
        how, beside = ("compiled", h200(training.h200_compile)) if fresh else ("from the cache", "")
        row(f"{title}: first step, {how}", begun[1] - begun[0], "s", beside=beside)
    rate = show_command(run, training)
    program, most = run.compile()
    single, scanned = time_steps(run, program, most, training)
    if rate:
        row(f"{title}: command over bare steps", rate * scanned, beside="1 is no loss")
    if scanned != single:
        row(f"{title}: a dispatch costs, over a scanned step", 1e3 * (single - scanned), "ms")
    show_floors(run, program, folder, title, scanned)


def show_command(run: Run, training: Training) -> float | None:
    """Show what a command came to after its first line, which has the compilation; return its steps per second."""
    title = training.title
    lines = [json.loads(line) for line in (run.workdir / "metrics.jsonl").read_text().splitlines()]
    if len(lines) < 2:
        row(f"{title}: its command", "left out", beside=f"too few steps in {60 * MINUTES:.0f} s")
        return None
    first, last = lines[0], lines[-1]
    lasted, made = last["time"] - first["time"], last["step"] - first["step"]
    row(f"{title}: its command, after the first line", made / lasted, "steps/s", beside=h200(training.h200))
    typical = statistics.median(line["steps_per_second"] for line in lines[1:])
    row(f"{title}: the same, median of its lines", typical, "steps/s")
    waits = sum(run.batches.waited[first["step"] : last["step"]])
    row(f"{title}: of that, waiting for batches", 100 * waits / lasted, "%", beside=f"{1e3 * waits / made:.3g} ms each")
    return made / lasted


def time_steps(run: Run, program: CompiledTraining, most: int, training: Training) -> tuple[float, float]:
    """Return the seconds of a step alone in a dispatch and of one of many, their numbers on the device."""
    state = [program.init_state()]

    def call(batches: Mapping[str, Array], count: int) -> Any:
        state[0], scalars = program.step(state[0], batches, np.int32(1), np.int32(count))
        return scalars

    lasting, title = 1.5 if accelerated() else 4.0, training.title
    batches = program.to_devices([next(run.batches)], most)
    jax.block_until_ready(call(batches, 1))
    single = seconds_of(lambda: call(batches, 1), calls=20 if accelerated() else 1, lasting=lasting)
    beside = {"laptop": "817 (bare call)", "all_exemplars": "141"}.get(title, "")
    row(f"{title}: bare, 1 step a dispatch", 1 / single, "steps/s", beside=h200(beside))
    count = max(1, min(most, int(1 / single)))
    if count == 1:
        why = "the batches are too large for more" if most == 1 else "a step takes so long"
        row(f"{title}: scanned", "left out", beside=f"1 step a dispatch: {why}")
        return single, single
    many = program.to_devices([next(run.batches) for _ in range(count)], most)
    scanned = seconds_of(lambda: call(many, count), lasting=lasting) / count
    row(f"{title}: scanned, {count} steps a dispatch", 1 / scanned, "steps/s", beside=h200(training.h200_scan))
    return single, scanned


def show_floors(run: Run, program: CompiledTraining, folder: Path, title: str, step: float) -> None:
    """Show what a step would take by memory traffic alone and by arithmetic alone; XLA counts a loop's body once."""
    if not (folder / FLOOR).is_file():
        row(f"{title}: floors", "left out", beside="the part floor has not been measured")
        return
    floor, beside = json.loads((folder / FLOOR).read_text()), f"the step: {rounded(1e3 * step)} ms"
    one = program.to_devices([next(run.batches)], 1)
    bytes_accessed = count_bytes(run, program, {name: values[0] for name, values in one.items()})
    arguments = (program.state, run.resident, one, np.uint32(0), np.int32(1), np.int32(1))
    counted: Any = jax.jit(run.spec.steps).lower(*arguments).cost_analysis()
    flops = counted["flops"]
    by_bytes, by_flops = bytes_accessed / floor["bytes_per_second"], flops / floor["flops_per_second"]
    row(f"{title}: {rounded(bytes_accessed / 1e6)} MB over the bandwidth", 1e3 * by_bytes, "ms", beside=beside)
    row(f"{title}: {rounded(flops / 1e9)} GFLOP over the matmul rate", 1e3 * by_flops, "ms", beside=beside)


def count_bytes(run: Run, program: CompiledTraining, numbers: Mapping[str, Array]) -> float:
    """Return the bytes that a step reads and writes, by XLA's count after fusion."""
    kept: Any = program.step
    counted = next(iter(kept._compiled.values())).cost_analysis()["bytes accessed"]
    if run.spec.expand is None:
        return counted
    # Where a gather counts as reading all that it could read, what stays on the device is no part of a step.
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(run.resident))
    gathering: Any = jax.jit(run.spec.expand).lower(run.resident, numbers).compile().cost_analysis()
    return counted - whole if gathering["bytes accessed"] >= whole else counted
