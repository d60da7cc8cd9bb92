"""The parts of `tools.bench_accelerator`: each measures something on the default backend and prints rows as JSON.

"H200" beside a figure is what one H200 gave with jax 0.11.2 and float32 at XLA's default precision.
"""

import functools
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

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

import icl_train
from icl_models import ConvEncoder, ResNetEncoder
from icl_models.encoders import resnet
from icl_train import Batches, CompiledTraining, EnsembleConfig, Member, StepSpec, TrainConfig, compile_ensemble
from icl_train.pace import Pace
from icl_train.program import stack
from tools.bench_accelerator import ROOT
from tools.full_size import GLYPHS

FLOOR = "floor.json"
IMAGES = 288  # of a batch: 32 sequences of 9
WIDTH = 64


def row(what: str, measured: float | str, unit: str = "", *, beside: str = "") -> None:
    """Print a row of the table."""
    value = None if isinstance(measured, str) else measured
    text = measured if isinstance(measured, str) else f"{rounded(measured)} {unit}".rstrip()
    print(json.dumps({"what": what, "measured": text, "beside": beside, "value": value, "unit": unit}), flush=True)


def rounded(number: float) -> str:
    """Return a number with three digits, or as a whole one.

    >>> rounded(1839.4), rounded(0.01234), rounded(5.8)
    ('1,839', '0.0123', '5.80')
    """
    return f"{number:,.0f}" if number >= 100 else f"{number:#.3g}"


def accelerated() -> bool:
    """Return whether this is more than a CPU."""
    return jax.default_backend() != "cpu"


def seconds_of(call: Callable[[], Any], *, calls: int = 1, lasting: float = 1.0) -> float:
    """Return the seconds of a call: the median over rounds of several, whose last is waited for, after a first one."""
    jax.block_until_ready(call())
    rounds: list[float] = []
    end = time.perf_counter() + lasting
    while not rounds or time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(calls):
            result = call()
        jax.block_until_ready(result)
        rounds.append((time.perf_counter() - begin) / calls)
    return statistics.median(rounds)


def compiled(function: Callable, *inputs: PyTree) -> Callable[[], Any]:
    """Return a call of a function, compiled."""
    return functools.partial(jax.jit(function).lower(*inputs).compile(), *inputs)


def chained(function: Callable[..., Any], value: PyTree) -> Callable[[], Any]:
    """Return a call of a function, each of what the one before returned."""
    latest = [value]

    def call() -> Any:
        latest[0] = function(latest[0])
        return latest[0]

    return call


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
    "gpicl": Training("gpicl laptop", "gpicl", lambda: ("laptop",), 4_000, 300, "204 (1 a dispatch)"),
    "functions": Training("functions laptop", "functions", lambda: ("laptop",), 4_000, 300),
    "gpicl_paper": Training("gpicl paper", "gpicl", digits, 300, 6, words_on_cpu=("--data.batch-size", "32")),
}


def measure_training(training: Training, folder: Path) -> None:
    """Time a command, and the same step without its loop."""
    steps, title = training.steps if accelerated() else training.steps_on_cpu, training.title
    cache = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    before = len(list(cache.glob("*")))
    spared = () if accelerated() else training.words_on_cpu
    words = *training.words(), *spared
    run = start(training.experiment, *words, "--train.steps", str(steps), "--train.log-every", str(-(-steps // 20)))
    if spared:
        row(f"{title}: on a CPU with", " ".join(spared))
    asked, waited = run.batches.asked, run.batches.waited
    fresh = len(list(cache.glob("*"))) > before
    how = "compiled" if fresh else "from the cache"
    row(f"{title}: first step, {how}", asked[1] - asked[0], "s", beside=h200(training.h200_compile if fresh else ""))
    lines = [json.loads(line) for line in (run.workdir / "metrics.jsonl").read_text().splitlines()]
    first, last = lines[0], lines[-1]
    lasted, made = last["time"] - first["time"], last["step"] - first["step"]
    row(f"{title}: its command, after the first line", made / lasted, "steps/s", beside=h200(training.h200))
    typical = statistics.median(line["steps_per_second"] for line in lines[1:])
    row(f"{title}: the same, median of its lines", typical, "steps/s")
    waits = sum(waited[first["step"] : last["step"]])
    row(f"{title}: of that, waiting for batches", 100 * waits / lasted, "%", beside=f"{1e3 * waits / made:.3g} ms each")
    program, most = run.compile()
    single, scanned = time_steps(run, program, most, training)
    row(f"{title}: command over bare steps", made / lasted * scanned, beside="1 is no loss")
    if scanned != single:
        row(f"{title}: a dispatch costs, over a scanned step", 1e3 * (single - scanned), "ms")
    show_floors(run, program, folder, title, scanned)


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


def h200(figure: str) -> str:
    """Return a figure of the H200 in words."""
    return f"H200: {figure}" if figure else ""


def measure_floor(folder: Path) -> None:
    """Measure memory, arithmetic and launches; the other parts read it."""
    device = jax.devices()[0]
    versions = f"jax {jax.__version__}, Python {sys.version.split()[0]}"
    row("on", f"{len(jax.devices())} x {device.device_kind}", beside=f"{versions}, {os.cpu_count()} cores")
    large, side = (2**28, 8192) if accelerated() else (2**25, 1024)
    copied = seconds_of(chained(jax.jit(lambda x: x + 1, donate_argnums=0), jnp.zeros(large, jnp.float32)), calls=5)
    bandwidth = 2 * 4 * large / copied
    row(f"copy of {rounded(4 * large / 1e6)} MB, read and written", bandwidth / 1e9, "GB/s")
    rates = {}
    for dtype in ("float32", "bfloat16") if accelerated() else ("float32",):
        matrix = jnp.ones((side, side), dtype)
        rates[dtype] = 2 * side**3 / seconds_of(compiled(jnp.matmul, matrix, matrix), calls=5)
        row(f"matrix product of {side} cubed, {dtype}", rates[dtype] / 1e12, "TFLOP/s")
    written = {"bytes_per_second": bandwidth, "flops_per_second": rates["float32"]}
    (folder / FLOOR).write_text(json.dumps(written))

    tiny = chained(jax.jit(lambda x: x + 1), jnp.zeros(()))
    row("a jitted call of next to nothing", 1e6 * seconds_of(tiny, calls=1_000), "us")
    times, matrix = {}, jnp.eye(64) * 0.5
    for known in (True, False):
        for ops in (1, 11):
            times[known, ops] = time_loop(matrix, ops=ops, known=known, iterations=1_000)
        row(f"an iteration of a loop, one tiny op, length {'' if known else 'not '}known", times[known, 1], "us")
    row("a tiny op more in the loop", (times[False, 11] - times[False, 1]) / 10, "us")


def time_loop(matrix: Array, *, ops: int, known: bool, iterations: int) -> float:
    """Return the microseconds of an iteration of a loop of small matrix products, each of the one before."""

    def body(_: Any, value: Array) -> Array:
        for _ in range(ops):
            value = jnp.tanh(value @ matrix)
        return value

    def loop(value: Array, length: Any) -> Array:
        return jax.lax.fori_loop(0, iterations if known else length, body, value)

    return 1e6 * seconds_of(compiled(loop, matrix, np.int32(iterations))) / iterations


def measure_host(folder: Path) -> None:
    """Time what training takes from the host, all of it on one core."""
    jax.config.update("jax_platforms", "cpu")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # threads that are to come inherit it
    for training in TRAININGS.values():
        if training.title == "all_exemplars":  # the same numbers, of a bank that takes long to draw
            continue
        run = start(training.experiment, *training.words(), trains=False)
        batch = next(run.batches)
        size = len(next(iter(batch.values())))
        kilobytes = sum(values.nbytes for values in batch.values()) / 1e3
        taken = seconds_of(lambda run=run: next(run.batches)["index"], calls=4, lasting=2.0)  # type: ignore[misc]
        beside = h200("0.7-1.1 M drawn in bulk") if training.title == "laptop" else ""
        row(f"host: batches of {training.title}, one core", size / taken, "sequences/s", beside=beside)
        row(f"host: a batch of {training.title}, {rounded(kilobytes)} kB", 1e3 * taken, "ms")


def measure_stages(folder: Path) -> None:
    """Time the ResNet by its stages, and the encoder of laptop, on the images of a batch."""
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.random((IMAGES, 105, 105)) > 0.93, jnp.float32)
    small = jnp.asarray(rng.random((IMAGES, 28, 28)) > 0.85, jnp.float32)
    whole = functools.partial(ResNetEncoder().encode, width=WIDTH, is_training=True)
    conv = functools.partial(ConvEncoder().encode, width=WIDTH, is_training=True)
    time_stage("the ResNet", whole, images, beside=("1.11 ms", "4.70 ms"))
    maps = time_stage("  its stem", lambda images: resnet._stem(images, True), images)
    channels = (*resnet._CHANNELS, WIDTH)
    for number, (wide, stride) in enumerate(zip(channels, resnet._STRIDES, strict=True)):
        maps = time_stage(f"  its group {number}", functools.partial(group, channels=wide, stride=stride), maps)
    time_stage("the encoder of laptop, 28 x 28", conv, small)


def group(maps: Array, *, channels: int, stride: int) -> Array:
    """Return what a group of blocks makes of maps, as `resnet.ResNet` has it."""
    for block in range(resnet._BLOCKS_PER_GROUP):
        with hk.experimental.name_scope(f"block_{block}"):
            maps = resnet._block(maps, channels, 1 if block else stride, block == 0, True)
    return maps


def time_stage(
    name: str, function: Callable[[Array], Array], inputs: Array, *, beside: tuple[str, str] = ("", "")
) -> Array:
    """Show the time of a part of an encoder, without and with its gradients; return its outputs."""
    model = hk.transform_with_state(function)
    params, state = jax.jit(model.init)(jax.random.key(0), inputs)

    def forward(params: PyTree, inputs: Array) -> Array:
        return model.apply(params, state, None, inputs)[0]

    def loss(params: PyTree, inputs: Array) -> Array:
        return jnp.square(forward(params, inputs)).mean()

    needed = (0,) if inputs.ndim == 3 else (0, 1)  # nobody wants the gradient of images
    calls = {"forward": compiled(forward, params, inputs)}
    calls["forward and backward"] = compiled(jax.grad(loss, argnums=needed), params, inputs)
    for (way, call), figure in zip(calls.items(), beside, strict=True):
        taken = seconds_of(call, calls=20 if accelerated() else 1, lasting=0.5)
        row(f"{name}, {way}", 1e3 * taken, "ms", beside=h200(figure))
    return calls["forward"]()


def measure_members(folder: Path) -> None:
    """Time models of laptop that are trained together by vmap."""
    run = start("omniglot", "laptop", trains=False)
    steps = 32 if accelerated() else 4
    for count in (1, 4, 16, 64):
        if count > 4 and not accelerated():
            row(f"laptop, {count} members by vmap", "left out", beside="on CPUs they take turns, see bench_ensemble")
            continue
        config = EnsembleConfig(members=count, on_device="vmap")
        program = compile_ensemble(
            run.spec,
            members=[Member(seed, run.batches) for seed in range(count)],
            optimizer=lambda hyper: run.spec.optimizer,
            config=config,
            mesh=config.build(jax.devices()[:1]),
            resident=run.resident,
        )
        together = [stack([next(run.batches) for _ in range(count)], of="members") for _ in range(steps)]
        batches, state = program.to_devices(together, steps), [program.init_state()]

        def call(
            program: CompiledTraining = program, batches: Mapping[str, Array] = batches, state: list[Any] = state
        ) -> Any:
            state[0], scalars = program.step(state[0], batches, np.int32(1), np.int32(steps))
            return scalars

        begin = time.perf_counter()
        jax.block_until_ready(call())
        row(f"laptop, {count} members by vmap: first dispatch", time.perf_counter() - begin, "s")
        taken = seconds_of(call, lasting=1.0) / steps
        beside = h200({1: "1,839", 16: "5,878"}.get(count, ""))
        row(f"laptop, {count} members by vmap", count / taken, "member-steps/s", beside=beside)


PARTS: dict[str, Callable[[Path], None]] = {
    "floor": measure_floor,
    "host": measure_host,
    **{name: functools.partial(measure_training, training) for name, training in TRAININGS.items()},
    "stages": measure_stages,
    "members": measure_members,
}
