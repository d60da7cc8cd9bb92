"""How fast in-context regression is drawn, against the samplers of Garg et al. (2022), arXiv 2208.01066, in PyTorch.

nox -s bench

Half a minute on one core; without PyTorch (``pip install torch``) it says so and measures nothing.
"""

import importlib
import math
import os
from collections.abc import Callable
from types import ModuleType

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # before NumPy is loaded: one core for either

import numpy as np

from icl_data import FunctionSampler, LastQueries, Linear, NormalInputs, NumbersOf, ReluNetwork
from tools.bench_data import race, report

B, X, HIDDEN = 64, 20, 100  # a batch of the source


def theirs(torch: ModuleType, name: str, points: int) -> Callable[[], object]:
    """Return what draws a batch as the source's code does: normal points, then weights, then values."""

    def linear() -> object:
        xs = torch.randn(B, points, X)
        return xs, (xs @ torch.randn(B, X, 1))[:, :, 0]

    def relu_network() -> object:
        xs = torch.randn(B, points, X)
        inner, outer = torch.randn(B, X, HIDDEN), torch.randn(B, HIDDEN, 1)
        return xs, math.sqrt(2 / HIDDEN) * (torch.nn.functional.relu(xs @ inner) @ outer)[:, :, 0]

    return {"linear": linear, "relu network": relu_network}[name]


def ours(name: str, points: int) -> FunctionSampler:
    """Return the sampler of the same tasks."""
    family = {"linear": Linear(num_inputs=X), "relu network": ReluNetwork(num_inputs=X, hidden=HIDDEN)}[name]
    return FunctionSampler(family=family, num_points=points, queries=LastQueries(1), inputs=NormalInputs())


def main() -> None:
    """Print a line for each family: a batch on the host, and the numbers from which an accelerator makes it."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        print("in-context regression against Garg et al.: not measured, since PyTorch is not installed")
        return
    torch.set_num_threads(1)
    for name, points in (("linear", 41), ("relu network", 101)):
        sampler, their = ours(name, points), theirs(torch, name, points)
        indices = np.arange(sampler.block_size)
        batches = len(indices) / B
        turns = race(lambda: sampler.sample(indices), lambda: [their() for _ in range(math.ceil(batches))])
        figure = f"{1 / turns.ratio:.2f} times, {turns.first / batches * 1e3:.2f} ms"
        report(f"{name}, {X} inputs, {points} points, against Garg et al.", figure, ">= 1", turns.ratio <= 1)
        numbers = race(lambda: NumbersOf(sampler).sample(indices), lambda: [their() for _ in range(math.ceil(batches))])
        figure = f"{1 / numbers.ratio:.2f} times, {numbers.first / batches * 1e3:.2f} ms"
        report("  its numbers alone, which a device expands", figure, ">= 1", numbers.ratio <= 1)


if __name__ == "__main__":
    main()
