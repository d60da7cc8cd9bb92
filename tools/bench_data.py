"""How fast sequences, images and streams are made, each against something run beside it; memory; time to import.

nox -s bench

About a minute on two cores, and another one the first time, to draw the glyphs that later runs find in the cache.
"""

import dataclasses
import functools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from icl_data import (
    BatchSource,
    Bursty,
    ClassSplit,
    ExemplarBank,
    PixelNoise,
    SequenceSampler,
    bank_from_arrays,
    batches,
    glyphs,
)

S, SHOTS, WAYS, B = 9, 3, 2, 32


def one_by_one(rng: np.random.Generator, classes: np.ndarray, exemplars: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one bursty sequence the obvious way, with NumPy's generator: the baseline, never to be made slower."""
    bursts = rng.choice(classes, WAYS, replace=False)
    fillers = rng.choice(classes, S - 1 - SHOTS * WAYS)
    context = rng.permutation(np.concatenate([np.repeat(bursts, SHOTS), fillers]))
    sequence = np.append(context, rng.choice(bursts))
    drawn = np.empty(S, np.int64)
    for cls in np.unique(sequence):
        places = np.flatnonzero(sequence == cls)
        drawn[places] = rng.choice(exemplars, len(places), replace=False)
    return sequence, drawn


class Race(NamedTuple):
    """Two functions that took turns, so that what else the machine does slows both.

    Attributes:
      ratio: median over the turns of the first one's time to the second one's.
      first: the first one's shortest time in seconds.
      second: the second one's.
    """

    ratio: float
    first: float
    second: float


def race(first: Callable[[], object], second: Callable[[], object], repeats: int = 15) -> Race:
    """Time two functions in turns, after one turn to warm up."""
    turns = [(seconds(first), seconds(second)) for _ in range(repeats + 1)][1:]
    ratio = statistics.median(one / other for one, other in turns)
    return Race(ratio, min(one for one, _ in turns), min(other for _, other in turns))


def seconds(function: Callable[[], object]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def report(name: str, figure: str, target: str = "", passed: bool = True) -> None:
    """Print a line."""
    verdict = f"{target:>18}  {'PASS' if passed else 'miss'}" if target else ""
    print(f"{name:<62}{figure:>34}{verdict}", flush=True)


def each(source: BatchSource, count: int) -> Callable[[], None]:
    """Make a function that asks for the next ``count`` batches at each call, and lets each go before the next."""
    numbers = iter(range(len(source)))

    def run() -> None:
        for _ in range(count):
            source[next(numbers)]

    return run


def drain(stream: Iterator[object], count: int) -> Callable[[], None]:
    """Make a function that takes the next ``count`` batches of a stream at each call, likewise."""

    def run() -> None:
        for _ in range(count):
            next(stream)

    return run


def bench_sequences() -> None:
    """Time bursty sequences, from blocks cut into batches, against one by one; and at more and more classes."""
    sampler = sampler_of(1600, p_bursty=1.0)
    rng, classes = np.random.default_rng(0), np.arange(1600)
    indices, few = np.arange(8192), 200
    bulk = race(lambda: sampler.sample(indices), lambda: [one_by_one(rng, classes, 20) for _ in range(few)])
    faster = len(indices) / few / bulk.ratio
    figure = f"{faster:.0f} times, {len(indices) / bulk.first:,.0f}/s"
    report("bursty sequences in bulk, against one by one", figure, ">= 100", faster >= 100)
    source = BatchSource(sampler=sampler, bank=None, batch_size=B)
    cut = race(each(source, len(indices) // B), lambda: sampler.sample(indices))
    rate = len(indices) / cut.first
    report("  drawn in blocks and cut into batches of 32", f"{rate:,.0f}/s", ">= 300,000/s", rate >= 300_000)
    fewest, *others = [sampler_of(num_classes, zipf_exponent=1.0) for num_classes in (100, 1_000, 10_000, 100_000)]
    least = functools.partial(fewest.sample, indices)
    ratios = [race(functools.partial(other.sample, indices), least).ratio for other in others]
    spread = max(1.0, *ratios) / min(1.0, *ratios)
    figure = "1 : " + " : ".join(f"{ratio:.2f}" for ratio in ratios)
    report("  time at 100, 1,000, 10,000 and 100,000 Zipfian classes", figure, "within 1.5", spread < 1.5)


def sampler_of(num_classes: int, *, p_bursty: float = 0.9, zipf_exponent: float = 0.0) -> SequenceSampler:
    """Make the sampler of bursty sequences over classes of 20 exemplars."""
    common = num_classes // 10
    split = ClassSplit(num_classes=num_classes, rare=num_classes - common, common=common, zipf_exponent=zipf_exponent)
    return SequenceSampler(kind=Bursty(p_bursty=p_bursty), split=split, exemplar_counts=np.full(num_classes, 20))


def bench_images(bank: ExemplarBank, count: int) -> None:
    """Time batches of images against copying the same rows, and streams of them against the bare source."""
    side = bank.items.shape[1]
    source = source_of(bank)
    pairs = [(batch["classes"], batch["exemplars"]) for batch in (source[number] for number in range(count))]
    rows = [bank.rows(*pair) for pair in pairs]

    def copy() -> None:
        for numbers in rows:
            np.take(bank.items, numbers, axis=0)

    gathered = race(lambda: [bank.gather(*pair) is None for pair in pairs], copy)
    name = f"image batches of {side} x {side}, against np.take of the same rows"
    target = ("<= 1.3", gathered.ratio <= 1.3) if side == 105 else ("",)
    report(name, f"{gathered.ratio:.2f} times, {count / gathered.first:,.0f}/s", *target)
    bare = race(each(source, count), copy)
    report("  with their sequences drawn", f"{bare.ratio:.2f} times, {count / bare.first:,.0f}/s")
    turned = race(each(source_of(bank.augmented()), count), copy)
    report("  augmented eightfold", f"{turned.ratio:.2f} times, {count / turned.first:,.0f}/s")
    for prefetch in (2, 0):
        # Each has a source of its own, or one would find the blocks that the other has drawn.
        streamed, bare_source = dataclasses.replace(source), dataclasses.replace(source)
        with_grain = race(drain(iter(batches(streamed, prefetch=prefetch)), count), each(bare_source, count))
        name = f"  streamed by Grain, prefetch={prefetch}, against the bare source"
        target = ("<= 1.15", with_grain.ratio <= 1.15) if side == 105 else ("",)
        report(name, f"{with_grain.ratio:.2f} times, {count / with_grain.first:,.0f}/s", *target)


def source_of(bank: ExemplarBank) -> BatchSource:
    """Make the source of batches of 32 bursty sequences of a bank."""
    rare = bank.num_classes - 80
    split = ClassSplit(num_classes=bank.num_classes, rare=rare, holdout=80, group=bank.group)
    sampler = SequenceSampler(kind=Bursty(), split=split, exemplar_counts=bank.counts)
    return BatchSource(sampler=sampler, bank=bank, batch_size=B)


def bench_noise(bank: ExemplarBank) -> None:
    """Time pixel noise, and what two worker processes make of it once they run."""
    small = source_of(bank_from_arrays([bank.items[20 * cls : 20 * cls + 20] for cls in range(200)]))
    step, batch = PixelNoise(scale=0.1), small[0]
    rng = np.random.default_rng(0)
    noisy = race(lambda: step(batch), lambda: batch["images"] / 255 + rng.normal(scale=0.1, size=batch["images"].shape))
    report("pixel noise on 9 x 105 x 105, against rng.normal", f"{1 / noisy.ratio:.1f} times, {B / noisy.first:,.0f}/s")
    flags.FLAGS.mark_as_parsed()  # asked for by Grain's workers
    here, workers = (iter(batches(small, transforms=[step], workers=count)) for count in (0, 2))
    start = seconds(lambda: next(workers))
    against = race(drain(workers, 50), drain(here, 50), repeats=5)
    workers.close()
    report("  streamed by 2 worker processes, against 1 thread", f"{against.ratio:.2f} times, {start:.1f} s to start")


def measure_memory() -> None:
    """Print the steady and the greatest resident memory in MB, on Linux; run in a process of its own, without jax."""
    bank = glyphs(1623, size=105).augmented()
    source = source_of(bank)
    stream = iter(batches(source))
    for _ in range(200):
        next(stream)
    # Not getrusage, whose maximum begins with that of the process which started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    steady, peak = (int(status[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    print(bank.num_classes, steady, peak)


def bench_memory() -> None:
    """Measure the memory of a stream of 12,984 augmented classes."""
    classes, steady, peak = (float(word) for word in without_jax("import bench_data; bench_data.measure_memory()"))
    figure = f"{peak:.0f} MB ({steady:.0f} steady)"
    report(f"memory of streaming {classes:,.0f} classes of 105 x 105", figure, "< 500 MB", peak < 500)


def bench_import() -> None:
    """Time the import in fresh processes."""
    code = (
        "import time; start = time.perf_counter(); import icl_data; "
        "print(time.perf_counter() - start, int('tensorflow_datasets' in sys.modules))"
    )
    times, loaded = zip(*(map(float, without_jax(code)) for _ in range(5)), strict=True)
    passed = min(times) < 1 and not any(loaded)
    report("import icl_data, without jax (and tensorflow_datasets)", f"{min(times):.2f} s", "< 1 s", passed)


def without_jax(code: str) -> list[str]:
    """Run code in a process that cannot import jax; return the words that it prints."""
    code = f"import sys; sys.modules['jax'] = None; {code}"
    arguments = [sys.executable, "-c", code]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    return result.stdout.split()


def main() -> None:
    """Print every figure with its target."""
    bench_import()
    bench_sequences()
    bank = glyphs(1623, size=105)
    bench_images(bank, 32)
    bench_images(glyphs(1623), 128)
    bench_noise(bank)
    bench_memory()


if __name__ == "__main__":
    main()
