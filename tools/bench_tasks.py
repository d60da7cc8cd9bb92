"""How fast tasks are made, against one at a time, and what share of a training step of the laptop presets that is.

nox -s bench

About a minute on two cores.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import icl_train as training
from experiments.functions.run import FUNCTIONS
from experiments.gpicl.run import GPICL
from icl_data import (
    BatchSource,
    Expandable,
    FunctionSampler,
    LastQueries,
    NumbersOf,
    ProjectedSampler,
    RandomMLP,
    Tasks,
    random_vectors,
)
from icl_lab import Definition, driver
from tools.bench_data import race, report, seconds

N, QUERIES, HIDDEN = 48, 8, 32
S, X, WAYS, CLASSES = 32, 16, 4, 10
AT_ONCE = 16  # sequences of a batch of the paper's size; their share of a step is that of any number


def one_function(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw one function task the obvious way, with NumPy's generator: the baseline, never to be made slower."""
    inputs = rng.uniform(-1, 1, size=(N, 1)).astype(np.float32)
    outputs: np.ndarray = inputs
    for read, made, last in ((1, HIDDEN, False), (HIDDEN, HIDDEN, False), (HIDDEN, 1, True)):
        weights = rng.normal(size=(read, made)) / math.sqrt(read)
        outputs = outputs @ weights + rng.normal(size=made)
        outputs = outputs if last else np.tanh(outputs)
    is_query = np.arange(N) >= N - QUERIES
    context = outputs[~is_query]
    targets = (outputs - context.mean(axis=0)) / context.std(axis=0)
    return inputs, targets.astype(np.float32), is_query


def one_projected(rng: np.random.Generator, items: np.ndarray, rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Draw one projected sequence the obvious way: the baseline, never to be made slower."""
    matrix = rng.normal(size=(X, X)) / math.sqrt(X)
    classes = rng.permutation(CLASSES)[:WAYS]
    labels = rng.integers(WAYS, size=S)
    chosen = np.empty(S, np.int64)
    for label, cls in enumerate(classes):
        places = np.flatnonzero(labels == label)
        chosen[places] = rng.choice(rows[cls], len(places), replace=False)
    return (items[chosen] @ matrix.T).astype(np.float32), labels


def bench_speed(name: str, sampler: Any, alone: Callable[[], object], few: int = 100) -> None:
    """Time tasks in bulk against the baseline, and against the sampler itself asked for one at a time."""
    indices = np.arange(4 * sampler.block_size)
    bulk = race(lambda: sampler.sample(indices), lambda: [alone() for _ in range(few)])
    faster = len(indices) / few / bulk.ratio
    figure = f"{len(indices) / bulk.first:,.0f}/s, {faster:.1f} times"
    report(f"{name} in bulk, against a loop in NumPy", figure, ">= 20", faster >= 20)
    single = race(
        lambda: sampler.sample(indices), lambda: [sampler.sample(indices[number : number + 1]) for number in range(few)]
    )
    faster = len(indices) / few / single.ratio
    report(f"{name} in bulk, against the sampler one by one", f"{faster:.1f} times", ">= 20", faster >= 20)


def repeat(function: Callable[[], None], times: int) -> None:
    """Call a function several times."""
    for _ in range(times):
        function()


class TrainingStep:
    """The compiled training step of a configuration: a call makes a step, with its first batch.

    Args:
      definition: of the experiment.
      config: of the run.
    """

    def __init__(self, definition: Definition[Any], config: Any) -> None:
        """Compile it."""
        runs = driver.prepare(definition, config, [config])
        sampler = runs.first.samplers["train"]
        self.resident, expand = runs.trained_on
        assert isinstance(sampler, Expandable) and expand is not None
        self.expand = expand
        self.source = BatchSource(sampler=NumbersOf(sampler), bank=None, batch_size=config.data.batch_size)
        self._program = training.compile_single(
            training.StepSpec(
                runs.init, runs.experiment.loss_fn, config.optimizer.build(config.train.steps), expand=expand
            ),
            seed=0,
            mesh=training.MeshConfig().build(jax.devices()[:1]),
            resident=self.resident,
        )
        self._state = self._program.init_state()

    def __call__(self) -> None:
        """Make a step, and wait for it."""
        batch = self._program.to_devices([self.source[0]], 1)
        self._state, scalars = self._program.step(self._state, batch, np.int32(1), np.int32(1))
        jax.block_until_ready(scalars)


def bench_share(definition: Definition[Any]) -> None:
    """Time the numbers of a batch of a default preset against its training step, which expands them."""
    name, number = definition.name, iter(range(10**6))
    step = TrainingStep(definition, definition.presets[definition.default])
    turns = race(lambda: [step.source[next(number)] for _ in range(32)], lambda: repeat(step, 8), repeats=5)
    share = turns.ratio / 4
    figure = f"{turns.first / 32 * 1e3:.2f} of {turns.second / 8 * 1e3:.1f} ms, {share:.1%}"
    report(f"numbers of a batch of {name}, share of its training step", figure, "< 10 %", share < 0.1)


def bench_expansion(side: int, width: int) -> None:
    """Time the expansion of numbers to projected items of so many pixels against the compiled training step with it."""
    paper = GPICL.presets["paper"]
    config = dataclasses.replace(
        paper,
        data=dataclasses.replace(paper.data, source="glyphs", side=side, num_tasks=None, batch_size=AT_ONCE),
        model=dataclasses.replace(paper.model, width=width, key_size=width // paper.model.heads),
        eval=dataclasses.replace(paper.eval, other_datasets=False, shifts=False),
    )
    training_step = TrainingStep(GPICL, config)
    expand, batch = jax.jit(training_step.expand), training_step.source[0]
    turns = race(lambda: jax.block_until_ready(expand(training_step.resident, batch)), training_step, repeats=5)
    figure = f"{turns.first * 1e3:.1f} of {turns.second * 1e3:.1f} ms, {turns.ratio:.1%}"
    name = f"expansion of {side} x {side} pixels, share of a step of width {width}"
    report(name, figure, "< 10 %", turns.ratio < 0.1)


def main() -> None:
    """Run everything."""
    rng = np.random.default_rng(0)
    fresh = FunctionSampler(family=RandomMLP(hidden=(HIDDEN, HIDDEN)), num_points=N, queries=LastQueries(QUERIES))
    bench_speed("functions, fresh,", fresh, lambda: one_function(rng))
    pool = FunctionSampler(family=fresh.family, num_points=N, queries=fresh.queries, tasks=Tasks(count=2**24))
    bench_speed("functions, of a pool of 2**24,", pool, lambda: one_function(rng))
    bank = random_vectors(CLASSES, exemplars=150, dimensions=X)
    rows = [np.arange(start, start + 150) for start in bank.starts]
    sampler = functools.partial(ProjectedSampler, bank=bank, ways=WAYS, length=S)
    for name, tasks in (("fresh", Tasks()), ("of a pool of 2**24", Tasks(count=2**24))):
        bench_speed(f"projected, {name},", sampler(tasks=tasks), lambda: one_projected(rng, bank.items, rows))
    bench_share(FUNCTIONS)
    bench_share(GPICL)
    bench_expansion(14, 128)
    bench_expansion(28, 256)
    paper = ProjectedSampler(bank=random_vectors(10, exemplars=100, dimensions=784), length=100)
    print(f"a sequence of gpicl paper in NumPy: {seconds(lambda: paper.sample(np.arange(16))) / 16 * 1e3:.1f} ms")
    numbers = seconds(lambda: paper.numbers(np.arange(512))) * 1e3
    report("numbers of a batch of gpicl paper", f"{numbers:.2f} ms", "< 1 ms", numbers < 1)


if __name__ == "__main__":
    main()
