"""The parts of `tools.bench_accelerator`: each measures something on the default backend and prints rows as JSON."""

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from icl_models import ConvEncoder, ResNetEncoder
from icl_models.encoders import resnet
from icl_train import CompiledTraining, EnsembleConfig, Member, compile_ensemble
from icl_train.dispatch.program import stack
from tools.accelerator_forms import measure_forms
from tools.accelerator_rows import accelerated, chained, compiled, h200, rounded, row, seconds_of
from tools.accelerator_training import FLOOR, TRAININGS, measure_training, start

IMAGES = 288  # of a batch: 32 sequences of 9
WIDTH = 64


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
        for _ in range(2):  # what was drawn ahead
            next(run.batches)
        begin, count = time.perf_counter(), 0
        while (lasted := time.perf_counter() - begin) < 2 or count < 3:
            next(run.batches)
            count += 1
        taken = lasted / count  # no median: one batch draws the numbers of several
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
            row(f"laptop, {count} member(s) by vmap", "left out", beside="on CPUs they take turns, see bench_ensemble")
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
        row(f"laptop, {count} member(s) by vmap: first dispatch", time.perf_counter() - begin, "s")
        taken = seconds_of(call, lasting=1.0) / steps
        beside = h200({1: "1,839", 16: "5,878"}.get(count, ""))
        row(f"laptop, {count} member(s) by vmap", count / taken, "member-steps/s", beside=beside)


PARTS: dict[str, Callable[[Path], None]] = {
    "floor": measure_floor,
    "host": measure_host,
    **{name: functools.partial(measure_training, training) for name, training in TRAININGS.items()},
    "stages": measure_stages,
    "members": measure_members,
    "forms": measure_forms,
}
