"""How fast in-context regression is drawn, against the samplers of Garg et al. (2022), arXiv 2208.01066, in PyTorch.

nox -s bench

Half a minute on one core; without PyTorch (``pip install torch``) it says so and measures nothing.
"""

import dataclasses
import functools
import importlib
import math
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np
import threadpoolctl  # type: ignore[import-untyped]

from icl_data import DeviceNormalInputs, Family, FunctionSampler, LastQueries, Linear, NormalInputs, ReluNetwork
from tools.bench_data import race, report

B, X, HIDDEN = 64, 20, 100  # a batch of the source


class Garg(NamedTuple):
    """A batch as the source's code draws it: normal points, then weights, then values."""

    torch: ModuleType
    points: int

    def linear(self) -> object:
        """Draw linear functions."""
        xs = self.torch.randn(B, self.points, X)
        return xs, (xs @ self.torch.randn(B, X, 1))[:, :, 0]

    def relu_network(self) -> object:
        """Draw networks of two layers."""
        xs = self.torch.randn(B, self.points, X)
        inner, outer = self.torch.randn(B, X, HIDDEN), self.torch.randn(B, HIDDEN, 1)
        return xs, math.sqrt(2 / HIDDEN) * (self.torch.relu(xs @ inner) @ outer)[:, :, 0]


def compare(name: str, family: Family, points: int, theirs: Callable[[], object]) -> None:
    """Print how fast a batch is made on the host, and the numbers from which an accelerator makes it."""
    sampler = FunctionSampler(family=family, num_points=points, queries=LastQueries(1), inputs=NormalInputs())
    on_device, batches = dataclasses.replace(sampler, inputs=DeviceNormalInputs()), 4
    indices = np.arange(batches * B)
    for what, drawn in (
        (f"{name}, {X} inputs, {points} points, against Garg et al.", sampler.sample),
        ("  the numbers alone, which a device expands", sampler.numbers),
        ("  where the device draws the points, too", on_device.numbers),
    ):
        turns = race(functools.partial(drawn, indices), lambda: [theirs() for _ in range(batches)])
        times = f"{turns.first / batches * 1e3:.2f} and {turns.second / batches * 1e3:.2f} ms"
        report(what, f"{1 / turns.ratio:.2f} times, {times}", ">= 1", turns.ratio <= 1)


def main() -> None:
    """Print three lines for each family."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        print("in-context regression against Garg et al.: not measured, since PyTorch is not installed")
        return
    torch.set_num_threads(1)
    with threadpoolctl.threadpool_limits(1):
        compare("linear", Linear(num_inputs=X), 41, Garg(torch, 41).linear)
        compare("relu network", ReluNetwork(num_inputs=X, hidden=HIDDEN), 101, Garg(torch, 101).relu_network)


if __name__ == "__main__":
    main()
