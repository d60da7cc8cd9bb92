"""How fast sequences are drawn, against drawing them one at a time; and images, against copying the same rows.

nox -s bench
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from icl_data import BatchSource, Bursty, ClassSplit, SequenceSampler, batches, glyphs

S, SHOTS, WAYS = 9, 3, 2


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


def seconds(function: Callable[[], object], repeats: int = 7) -> float:
    """Give the median time of a call, after one to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print the rates and ratios."""
    start = time.perf_counter()
    glyphs(1623, cache=False)
    print(f"1,623 x 20 glyphs at 28 x 28: {time.perf_counter() - start:.1f} s")
    bank = glyphs(242).augmented()
    split = ClassSplit(num_classes=bank.num_classes, rare=1600, holdout=336, group=8)
    sampler = SequenceSampler(kind=Bursty(p_bursty=1.0), split=split, exemplar_counts=bank.counts)
    rng = np.random.default_rng(0)
    slow = seconds(lambda: [one_by_one(rng, np.arange(1600), 20) for _ in range(500)]) / 500
    bulk = seconds(lambda: sampler.sample(np.arange(4096))) / 4096
    print(f"bursty sequences in bulk: {1 / bulk:,.0f}/s, {slow / bulk:.0f} times one by one ({1 / slow:,.0f}/s)")

    source = BatchSource(sampler=sampler, bank=bank, batch_size=32)
    rows = np.random.default_rng(0).integers(0, len(bank.items), 32 * S)
    copy = seconds(lambda: [np.take(bank.items, rows, axis=0) for _ in range(50)]) / 50
    batch = seconds(lambda: [source[number] for number in range(50)]) / 50
    stream = iter(batches(source))
    streamed = seconds(lambda: [next(stream) for _ in range(50)]) / 50
    print(f"image batches of 32 x {S} at 28 x 28, augmented: {1 / batch:,.0f}/s, {batch / copy:.1f} times a bare copy")
    print(f"the same through Grain: {1 / streamed:,.0f}/s, {streamed / batch:.2f} times the bare source")


if __name__ == "__main__":
    main()
